// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"bytes"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/signin"
)

const fuzzRequest = "_request"

// Nobody but the provider makes an assertion that is believed: whatever is
// presented, a person is proved only as the one the seeds' signatures name.
func FuzzResponse(f *testing.F) {
	for _, whole := range []bool{true, false} {
		f.Add(write(f, honest(f, fuzzRequest, whole)))
	}
	for _, x := range forgeries {
		if doc := x.forge(f, fuzzRequest); len(doc) < 16<<10 {
			f.Add(doc)
		}
	}
	r := honest(f, fuzzRequest, false)
	encrypt(f, r, standardEncryption)
	f.Add(write(f, r))
	f.Fuzz(func(t *testing.T, doc []byte) {
		rd := &reader{
			acs: acsURL, audience: audience, issuer: idpName, request: fuzzRequest, now: start, skew: DefaultSkew,
			certs: []*x509.Certificate{theIDP().cert}, key: gateKey().key,
		}
		a, err := rd.response(doc)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\r\n\x00") {
				t.Errorf("a forger writes into the log: %q", err)
			}
			return
		}
		if !bytes.Contains(doc, []byte("SignatureValue")) && !bytes.Contains(doc, []byte("CipherValue")) {
			t.Error("an unsigned answer proves somebody")
		}
		e, err := a.email([]string{ClaimEmail})
		if err == nil && e != "sally@example.test" && e != "admin@example.test.evil.test" {
			t.Errorf("an answer the provider did not sign proves %q", e)
		}
	})
}

// No logout message is believed that the provider did not sign.
func FuzzLogout(f *testing.F) {
	good := logoutRequest("_l1", destination, sallysName)
	f.Add(bySignedRedirect(f, theIDP(), "SAMLRequest", good, "r"), []byte(good))
	f.Add(bySignedRedirect(f, theIDP(), "SAMLResponse", logoutResponse("_x"), ""), []byte(logoutResponse("_x")))
	root := tree(f, good)
	sign(f, root, signing{})
	f.Add("SAMLRequest=%zz&SigAlg", write(f, root))
	known := &idp{entityID: idpName, certs: []*x509.Certificate{attacker().cert}} // which signs none of the seeds
	env := signin.Env{Clock: clock.NewFake(start)}
	f.Fuzz(func(t *testing.T, query string, doc []byte) {
		if m, err := parseRedirect(query); err == nil && m.verify(known, env) == nil {
			t.Errorf("a stranger's logout message is believed: %s", query)
		}
		r := &http.Request{Method: http.MethodPost, PostForm: map[string][]string{"SAMLRequest": {string(doc)}}, Form: map[string][]string{}}
		if _, err := parseLogout(r, known, env); err == nil {
			t.Error("a stranger's logout message is believed")
		}
		if root, err := parse(doc, messageBounds); err == nil && layout(root, map[string]bool{}) == nil {
			if _, err := verify(root, known.certs, start); err == nil {
				t.Error("a stranger's logout message is believed")
			}
		}
	})
}

// Metadata that is taken can always be used: an entity, a web address to sign in,
// a certificate.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte(metadataOf(theIDP())), false)
	f.Add([]byte(metadataOf(theIDP(), nextIDP())), true)
	f.Add([]byte("<!-- x --><EntitiesDescriptor xmlns='"+nsMetadata+"'>"+metadataOf(attacker())+"</EntitiesDescriptor>"), false)
	root := tree(f, metadataOf(theIDP()))
	sign(f, root, signing{by: nextIDP})
	f.Add(write(f, root), true)
	pin, err := parseThumbprint(thumb1(nextIDP()))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, doc []byte, signed bool) {
		rules := metadataRules{now: start}
		if signed {
			rules.signedBy = []thumbprint{pin}
		}
		p, err := parseMetadata(doc, rules)
		if err != nil {
			return
		}
		if p.entityID == "" || len(p.sso) == 0 || len(p.certs) == 0 {
			t.Errorf("metadata with which nobody can sign in was taken: %+v", p)
		}
		for b, to := range p.sso {
			if _, err := endpoint(to); err != nil || b == BindingAny {
				t.Errorf("people would be sent to %q", to)
			}
		}
		if signed && !p.certs[0].Equal(theIDP().cert) {
			t.Error("metadata was taken that the pinned certificate did not sign")
		}
	})
}
