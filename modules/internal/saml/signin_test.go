// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

func pemOf(i identity) (cert, key []byte) {
	der, err := x509.MarshalPKCS8PrivateKey(i.key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func requestOf(t testing.TB, data []byte) string {
	t.Helper()
	var k kept
	if err := json.Unmarshal(data, &k); err != nil {
		t.Fatal(err)
	}
	return k.Request
}

func denied(err error) bool {
	var d *signin.DeniedError
	return errors.As(err, &d)
}

// encryption says how an assertion is encrypted.
type encryption struct {
	content string // URI
	wrap    string
	beside  bool
}

// encrypt puts an EncryptedAssertion in the place of the assertion.
func encrypt(t testing.TB, root *etree.Element, e encryption) {
	t.Helper()
	a := assertionOf(root)
	plain := write(t, detached(t, a))
	c := contentCiphers[e.content]
	size := c.key
	if size == 0 {
		size = 24
	}
	secret := make([]byte, size)
	_, _ = rand.Read(secret)
	block, err := aes.NewCipher(secret)
	if err != nil {
		t.Fatal(err)
	}
	var sealed []byte
	if c.gcm {
		aead, err := cipher.NewGCM(block)
		if err != nil {
			t.Fatal(err)
		}
		nonce := make([]byte, aead.NonceSize())
		_, _ = rand.Read(nonce)
		sealed = aead.Seal(nonce, nonce, plain, nil)
	} else {
		pad := 16 - len(plain)%16
		plain = append(plain, make([]byte, pad)...)
		plain[len(plain)-1] = byte(pad)
		sealed = make([]byte, 16+len(plain))
		_, _ = rand.Read(sealed[:16])
		cipher.NewCBCEncrypter(block, sealed[:16]).CryptBlocks(sealed[16:], plain)
	}
	var wrapped []byte
	method := `<xenc:EncryptionMethod Algorithm="` + e.wrap + `"/>`
	switch e.wrap {
	case nsEncrypt + "rsa-1_5":
		wrapped, err = rsa.EncryptPKCS1v15(rand.Reader, &gateKey().key.PublicKey, secret) //nolint:staticcheck // what must be refused
	case nsEncrypt11 + "rsa-oaep":
		method = `<xenc:EncryptionMethod Algorithm="` + e.wrap + `"><ds:DigestMethod xmlns:ds="` + nsSignature + `" Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><x11:MGF xmlns:x11="` + nsEncrypt11 + `" Algorithm="` + nsEncrypt11 + `mgf1sha256"/></xenc:EncryptionMethod>`
		wrapped, err = rsa.EncryptOAEPWithOptions(rand.Reader, &gateKey().key.PublicKey, secret, &rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA256})
	default:
		wrapped, err = rsa.EncryptOAEP(crypto.SHA1.New(), rand.Reader, &gateKey().key.PublicKey, secret, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.StdEncoding.EncodeToString
	key := `<xenc:EncryptedKey xmlns:xenc="` + nsEncrypt + `">` + method + `<xenc:CipherData><xenc:CipherValue>` + b64(wrapped) + `</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey>`
	inside, beside := `<ds:KeyInfo xmlns:ds="`+nsSignature+`">`+key+`</ds:KeyInfo>`, ""
	if e.beside {
		inside, beside = "", key
	}
	i := a.Index()
	root.RemoveChild(a)
	root.InsertChildAt(i, tree(t, `<saml:EncryptedAssertion xmlns:saml="`+nsAssertion+`"><xenc:EncryptedData xmlns:xenc="`+nsEncrypt+`" Type="`+nsEncrypt+`Element"><xenc:EncryptionMethod Algorithm="`+e.content+`"/>`+inside+
		`<xenc:CipherData><xenc:CipherValue>`+b64(sealed)+`</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>`+beside+`</saml:EncryptedAssertion>`))
}

var standardEncryption = encryption{content: nsEncrypt + "aes256-cbc", wrap: nsEncrypt + "rsa-oaep-mgf1p"}

func TestSignedAnswersProveAPerson(t *testing.T) {
	both := func(t *testing.T, root *etree.Element) {
		sign(t, assertionOf(root), signing{})
		sign(t, root, signing{})
	}
	enc := func(e encryption, inner, outer bool) func(*testing.T, *etree.Element) {
		return func(t *testing.T, root *etree.Element) {
			if inner {
				sign(t, assertionOf(root), signing{})
			}
			encrypt(t, root, e)
			if outer {
				sign(t, root, signing{})
			}
		}
	}
	for name, secure := range map[string]func(*testing.T, *etree.Element){
		"assertion signed, as ADFS does": func(t *testing.T, root *etree.Element) { sign(t, assertionOf(root), signing{}) },
		"response signed":                func(t *testing.T, root *etree.Element) { sign(t, root, signing{}) },
		"both signed":                    both,
		"SHA-512": func(t *testing.T, root *etree.Element) {
			sign(t, assertionOf(root), signing{method: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", digest: "http://www.w3.org/2001/04/xmlenc#sha512"})
		},
		"no KeyInfo":                           func(t *testing.T, root *etree.Element) { sign(t, root, signing{noKeyInfo: true}) },
		"encrypted, signed inside":             enc(standardEncryption, true, false),
		"encrypted, signed outside":            enc(standardEncryption, false, true),
		"encrypted, signed in- and outside":    enc(standardEncryption, true, true),
		"AES-128-CBC":                          enc(encryption{nsEncrypt + "aes128-cbc", nsEncrypt + "rsa-oaep-mgf1p", false}, true, false),
		"AES-128-GCM":                          enc(encryption{nsEncrypt11 + "aes128-gcm", nsEncrypt + "rsa-oaep-mgf1p", false}, true, false),
		"AES-256-GCM, OAEP of 1.1, key beside": enc(encryption{nsEncrypt11 + "aes256-gcm", nsEncrypt11 + "rsa-oaep", true}, true, true),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			data, request := b.begin(false)
			root := newAnswer(request).tree(t)
			secure(t, root)
			got, err := b.finish(write(t, root), data)
			if err != nil {
				t.Fatalf("people cannot sign in: %v", err)
			}
			want := signin.Proof{
				Email: "sally@example.test", Subject: "sally@example.test", Methods: []string{"pwd"}, AuthTime: start,
				Grant: signin.Grant{Provider: "adfs", Subject: "sally@example.test", Session: "_session", Data: got.Grant.Data},
			}
			if !reflect.DeepEqual(got, want) || !strings.Contains(string(got.Grant.Data), `"sally@example.test"`) {
				t.Errorf("the proof is %+v, want %+v", got, want)
			}
			if _, err := b.finish(write(t, root), data); !denied(err) {
				t.Errorf("whoever finds the answer in a browser's history signs in with it again: %v", err)
			}
		})
	}
}

func TestWhoThePersonIs(t *testing.T) {
	const oid, upn = "urn:oid:0.9.2342.19200300.100.1.3", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn"
	for _, c := range []struct {
		name   string
		names  []string
		change func(*answer)
		email  string // "": denied
	}{
		{"attribute before name identifier", nil, func(a *answer) { a.NameID = "other@example.test" }, "sally@example.test"},
		{"name identifier alone", nil, func(a *answer) { a.Attributes = attribute(upn, "x@example.test") }, "sally@example.test"},
		{"name identifier of another format", nil, func(a *answer) { a.Attributes, a.NameFormat = attribute(upn, "x@example.test"), FormatPersistent }, ""},
		{"no name identifier", nil, func(a *answer) { a.NameID = "" }, "sally@example.test"},
		{"nothing", nil, func(a *answer) { a.Attributes, a.NameID = attribute(upn, "x@example.test"), "" }, ""},
		{"configured", []string{oid, ClaimEmail}, func(a *answer) { a.Attributes += attribute(oid, "mark@example.test") }, "mark@example.test"},
		{"the first that is there", []string{oid, ClaimEmail}, func(*answer) {}, "sally@example.test"},
		{"the same twice", nil, func(a *answer) { a.Attributes = attribute(ClaimEmail, "sally@example.test", "SALLY@example.test") }, "sally@example.test"},
		{"two different values", nil, func(a *answer) { a.Attributes = attribute(ClaimEmail, "sally@example.test", "mark@example.test") }, ""},
		{"attribute twice with different values", nil, func(a *answer) {
			a.Attributes = attribute(ClaimEmail, "sally@example.test") + attribute(ClaimEmail, "mark@example.test")
		}, ""},
		{"empty", nil, func(a *answer) { a.Attributes = attribute(ClaimEmail, "") }, ""},
		{"structured", nil, func(a *answer) { a.Attributes = attribute(ClaimEmail, "sally@example.test<x/>") }, ""},
		{"e-mail with two @", nil, func(a *answer) { a.Attributes = attribute(ClaimEmail, "sally@evil.test@example.test") }, ""},
		{"e-mail with a line break", nil, func(a *answer) { a.Attributes = attribute(ClaimEmail, "sally@example.test&#10;x@evil.test") }, ""},
		{"e-mail with a space", nil, func(a *answer) { a.Attributes = attribute(ClaimEmail, "sally@example.test x") }, ""},
		{"display name around it", nil, func(a *answer) { a.Attributes = attribute(ClaimEmail, "Sally &lt;sally@example.test&gt;") }, ""},
		{"two addresses in one name identifier", nil, func(a *answer) { a.Attributes, a.NameID = attribute(upn, "x"), "a@b.test,c@d.test" }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, func(cfg *Config) { cfg.EmailAttributes = c.names })
			data, request := b.begin(false)
			a := newAnswer(request)
			c.change(a)
			root := a.tree(t)
			sign(t, root, signing{})
			got, err := b.finish(write(t, root), data)
			if got.Email != c.email || (c.email == "") != denied(err) {
				t.Errorf("signed in as %q (%v), want %q", got.Email, err, c.email)
			}
		})
	}
}

func TestClocksMayDifferAsFarAsConfigured(t *testing.T) {
	for _, c := range []struct {
		name  string
		skew  time.Duration
		ahead time.Duration // the gate's clock over the provider's
		ok    bool
	}{
		{"none", 0, 0, true},
		{"provider ahead within", time.Minute, -50 * time.Second, true},
		{"provider ahead beyond", time.Minute, -70 * time.Second, false},
		{"provider ahead, no skew", 0, -time.Second, false},
		{"just before its end", 0, 5*time.Minute - time.Second, true},
		{"at its end", 0, 5 * time.Minute, false},
		{"after its end within", time.Minute, 5*time.Minute + 50*time.Second, true},
		{"after its end beyond", time.Minute, 6 * time.Minute, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, func(cfg *Config) { cfg.Skew = c.skew })
			data, request := b.begin(false)
			root := newAnswer(request).tree(t)
			sign(t, root, signing{})
			b.clock.Advance(c.ahead)
			if _, err := b.finish(write(t, root), data); (err == nil) != c.ok {
				t.Errorf("with %v of skew and the clock %v ahead: %v", c.skew, c.ahead, err)
			}
		})
	}
}

func TestReplayIsRememberedAsLongAsTheAnswerHolds(t *testing.T) {
	b := newBench(t, nil)
	data, request := b.begin(false)
	root := newAnswer(request).tree(t)
	sign(t, root, signing{})
	doc := write(t, root)
	if _, err := b.finish(doc, data); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		b.clock.Advance(59 * time.Second)
		if _, err := b.finish(doc, data); !denied(err) {
			t.Fatalf("at %v the same answer signs in again: %v", b.clock.Now(), err)
		}
	}
}

func TestParallelReplaySignsInOnce(t *testing.T) {
	b := newBench(t, nil)
	data, request := b.begin(false)
	root := newAnswer(request).tree(t)
	sign(t, root, signing{})
	doc := write(t, root)
	results := make(chan error)
	for range 20 {
		go func() {
			_, err := b.finish(doc, data)
			results <- err
		}()
	}
	good := 0
	for range 20 {
		if <-results == nil {
			good++
		}
	}
	if good != 1 {
		t.Errorf("one answer presented 20 times at once signed in %d times", good)
	}
}

func TestFreshSignIn(t *testing.T) {
	for _, c := range []struct {
		name  string
		authn string
		ok    bool
	}{{"proved again", at(0), true}, {"remembered from before", at(-10 * time.Minute), false}} {
		b := newBench(t, nil)
		data, request := b.begin(true)
		a := newAnswer(request)
		a.AuthnInstant = c.authn
		root := a.tree(t)
		sign(t, root, signing{})
		if _, err := b.finish(write(t, root), data); (err == nil) != c.ok {
			t.Errorf("%s: %v: a stolen browser passes the step before a sensitive act", c.name, err)
		}
	}
}

func TestIDPInitiated(t *testing.T) {
	for _, c := range []struct {
		name    string
		on      bool
		change  func(*answer)
		replay  bool
		wantErr bool
	}{
		{"off", false, func(*answer) {}, false, true},
		{"on", true, func(*answer) {}, false, false},
		{"on, replayed", true, func(*answer) {}, true, true},
		{"on, for another audience", true, func(a *answer) { a.Audience = strings.ReplaceAll(a.Audience, audience, "https://other.test") }, false, true},
		{"on, another recipient", true, func(a *answer) { a.Recipient = "https://other.test/acs" }, false, true},
		{"on, answering a request of somebody", true, func(a *answer) { a.InResponseTo, a.SubjectInResponseTo = "_x", "_x" }, false, true},
		{"on, assertion made for a request of somebody", true, func(a *answer) { a.SubjectInResponseTo = "_x" }, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, func(cfg *Config) { cfg.IDPInitiated = c.on })
			a := newAnswer("")
			c.change(a)
			root := a.tree(t)
			sign(t, root, signing{})
			doc := write(t, root)
			if c.replay {
				if _, err := b.finish(doc, nil); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := b.finish(doc, nil); denied(err) != c.wantErr {
				t.Errorf("an answer nobody asked for: %v", err)
			}
		})
	}
	// With it switched on, an answer to a request still has to name that request.
	b := newBench(t, func(cfg *Config) { cfg.IDPInitiated = true })
	data, _ := b.begin(false)
	root := newAnswer("").tree(t)
	sign(t, root, signing{})
	if _, err := b.finish(write(t, root), data); !denied(err) {
		t.Errorf("an answer without InResponseTo ended a flow that had sent a request: %v", err)
	}
}

func TestFlowIDFromRelayState(t *testing.T) {
	b := newBench(t, nil)
	id := strings.Repeat("aZ0_-", 9)[:43]
	for relay, want := range map[string]string{id: id, "": "", "https://crm.example.com/": "", id + "x": "", "ss:mem:" + id: ""} {
		got, err := b.p.FlowID(answerRequest(url.Values{"RelayState": {relay}, "SAMLResponse": {"x"}}))
		if err != nil || got != want {
			t.Errorf("the flow of %q is %q, %v", relay, got, err)
		}
	}
	for name, form := range map[string]url.Values{
		"relay state twice": {"RelayState": {id, id}},
		"response twice":    {"SAMLResponse": {"a", "b"}},
		"too large":         {"SAMLResponse": {strings.Repeat("A", maxForm)}},
	} {
		if _, err := b.p.FlowID(answerRequest(form)); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
