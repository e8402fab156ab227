// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

func thumb1(i identity) string {
	s := sha1.Sum(i.cert.Raw)
	return hex.EncodeToString(s[:])
}

func thumb256(i identity) string {
	s := sha256.Sum256(i.cert.Raw)
	return strings.ToUpper(hex.EncodeToString(s[:]))
}

// colons writes a thumbprint as openssl does, and with the mark in front that
// comes along when it is copied from a Windows dialog.
func colons(s string) string {
	var parts []string
	for c := range slices.Chunk([]byte(s), 2) {
		parts = append(parts, string(c))
	}
	return "\u200e" + strings.Join(parts, ":")
}

func TestPinnedThumbprints(t *testing.T) {
	for _, c := range []struct {
		name string
		pins []string
		by   func() identity
		ok   bool
	}{
		{"SHA-1", []string{thumb1(theIDP())}, theIDP, true},
		{"SHA-1 as a dialog shows it", []string{colons(thumb1(theIDP()))}, theIDP, true},
		{"SHA-256 as openssl prints it", []string{colons(thumb256(theIDP()))}, theIDP, true},
		{"two pins", []string{thumb1(attacker()), thumb256(theIDP())}, theIDP, true},
		{"signed by a certificate of the metadata outside of the pin", []string{thumb1(theIDP())}, nextIDP, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, func(cfg *Config) {
				cfg.Metadata, cfg.Thumbprints = tempFile(t, metadataOf(theIDP(), nextIDP())), c.pins
			})
			data, request := b.begin(false)
			r := newAnswer(request).tree(t)
			sign(t, assertionOf(r), signing{by: c.by})
			if _, err := b.finish(write(t, r), data); (err == nil) != c.ok {
				t.Errorf("signed by %s: %v", c.by().cert.Subject.CommonName, err)
			}
		})
	}
}

func TestMetadataFileEndsInANewLine(t *testing.T) {
	for name, text := range map[string]string{
		"as editors save it":        metadataOf(theIDP()) + "\n",
		"with a declaration on top": "<?xml version=\"1.0\"?>\n" + metadataOf(theIDP()) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			newBench(t, func(c *Config) { c.Metadata = tempFile(t, text) })
		})
	}
}

func TestNewRefuses(t *testing.T) {
	good := metadataOf(theIDP())
	cert, key := pemOf(theIDP())
	_, otherKey := pemOf(nextIDP())
	weak := named("weak", 1024, longAgo, farAway)
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"name", func(c *Config) { c.Name = "AD FS" }, "letters a-z"},
		{"no metadata", func(c *Config) { c.Metadata = "" }, "FederationMetadata"},
		{"metadata over http", func(c *Config) { c.Metadata = "http://adfs.example.test/m.xml" }, "must be https"},
		{"metadata over ftp", func(c *Config) { c.Metadata = "ftp://adfs.example.test/m.xml" }, "neither an https URL nor a file"},
		{"metadata file missing", func(c *Config) { c.Metadata = "/nowhere/m.xml" }, "no such file"},
		{"metadata empty", func(c *Config) { c.Metadata = tempFile(t, "") }, "it is empty"},
		{"metadata HTML", func(c *Config) { c.Metadata = tempFile(t, "<!DOCTYPE html><html></html>") }, "document type"},
		{"metadata of something else", func(c *Config) { c.Metadata = tempFile(t, "<x/>") }, "no SAML 2.0 metadata"},
		{"metadata of a service provider", func(c *Config) {
			c.Metadata = tempFile(t, strings.ReplaceAll(good, "IDPSSODescriptor", "SPSSODescriptor"))
		}, "no SAML identity provider"},
		{"metadata too large", func(c *Config) { c.Metadata = tempFile(t, good+strings.Repeat(" ", MaxMetadata)) }, "larger than"},
		{"metadata that has ended", func(c *Config) {
			c.Metadata = tempFile(t, strings.Replace(good, "<EntityDescriptor ", `<EntityDescriptor validUntil="2020-01-01T00:00:00Z" `, 1))
		}, "was valid until 2020-01-01"},
		{"metadata without a certificate", func(c *Config) { c.Metadata = tempFile(t, metadataOf()) }, "no signing certificate"},
		{"metadata with a weak key", func(c *Config) { c.Metadata = tempFile(t, metadataOf(weak())) }, "at least 2048 bits"},
		{"metadata with garbage for a certificate", func(c *Config) {
			c.Metadata = tempFile(t, strings.Replace(good, theIDP().b64(), "AAAA", 1))
		}, "certificate cannot be read"},
		{"metadata with a script for an address", func(c *Config) {
			c.Metadata = tempFile(t, strings.ReplaceAll(good, "https://adfs.example.test/adfs/ls/", "javascript:alert(1)"))
		}, "no web address"},
		{"metadata with an http address", func(c *Config) {
			c.Metadata = tempFile(t, strings.ReplaceAll(good, "https://adfs", "http://adfs"))
		}, "is not https"},
		{"another entity", func(c *Config) { c.EntityID = "urn:x" }, `does not describe the entity "urn:x"`},
		{"several entities", func(c *Config) {
			c.Metadata = tempFile(t, `<EntitiesDescriptor xmlns="`+nsMetadata+`">`+strings.ReplaceAll(good+good, ` ID="_md"`, "")+`</EntitiesDescriptor>`)
		}, "several entities"},
		{"pin of nobody", func(c *Config) { c.Thumbprints = []string{thumb1(attacker())} }, "pinned thumbprint"},
		{"pin that is none", func(c *Config) { c.Thumbprints = []string{"12 34"} }, "no thumbprint"},
		{"unsigned metadata with a pin", func(c *Config) { c.MetadataThumbprints = []string{thumb1(theIDP())} }, "not signed"},
		{"binding", func(c *Config) { c.Binding = "artifact" }, "neither redirect nor post"},
		{"skew", func(c *Config) { c.Skew = time.Hour }, "skew"},
		{"refresh", func(c *Config) { c.Refresh = time.Second }, "refresh"},
		{"empty attribute", func(c *Config) { c.EmailAttributes = []string{""} }, "no name"},
		{"key without certificate", func(c *Config) { c.Key = key }, "go together"},
		{"another key's certificate", func(c *Config) { c.Certificate, c.Key = cert, otherKey }, "belongs to another key"},
		{"key that is none", func(c *Config) { c.Certificate, c.Key = cert, []byte("x") }, "no PEM private key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Config{Name: "adfs", Metadata: tempFile(t, good)}
			c.change(&cfg)
			if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("the operator reads %v, want one line with %q", err, c.want)
			}
		})
	}
}

func TestEntityIsFoundAmongSeveral(t *testing.T) {
	doc := `<EntitiesDescriptor xmlns="` + nsMetadata + `"><!-- theirs -->` + strings.NewReplacer(idpName, "urn:other", ` ID="_md"`, "").Replace(metadataOf(attacker())) + metadataOf(theIDP()) + `</EntitiesDescriptor>`
	b := newBench(t, func(c *Config) { c.Metadata, c.EntityID = tempFile(t, doc), idpName })
	if p := b.p.idp.current.Load(); p.entityID != idpName || len(p.certs) != 1 || !p.certs[0].Equal(theIDP().cert) {
		t.Errorf("taken: %s with %d certificates", p.entityID, len(p.certs))
	}
}

func TestMetadataSignaturePin(t *testing.T) {
	signed := func(by func() identity, change string) string {
		root := tree(t, metadataOf(theIDP()))
		sign(t, root, signing{by: by})
		return strings.Replace(string(write(t, root)), "adfs/ls/", change, 1)
	}
	for name, c := range map[string]struct {
		doc string
		ok  bool
	}{
		"signed by the pinned":   {signed(nextIDP, "adfs/ls/"), true},
		"changed afterwards":     {signed(nextIDP, "evil/ls/"), false},
		"signed by somebody":     {signed(attacker, "adfs/ls/"), false},
		"not signed":             {metadataOf(theIDP()), false},
		"certificate put beside": {strings.Replace(signed(nextIDP, "adfs/ls/"), theIDP().b64(), attacker().b64(), 1), false},
	} {
		p, err := New(Config{Name: "adfs", Metadata: tempFile(t, c.doc), MetadataThumbprints: []string{thumb256(nextIDP())}})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v: whoever can change metadata on its way signs in as anybody", name, err)
		}
		if p != nil {
			p.Close()
		}
	}
}

// ADFS describes every claim it knows: more elements than an answer may have.
func TestSignedMetadataMayBeLarge(t *testing.T) {
	root := tree(t, strings.Replace(metadataOf(theIDP()), "<IDPSSODescriptor", `<RoleDescriptor>`+strings.Repeat("<ClaimType><DisplayName>x</DisplayName></ClaimType>", 3000)+`</RoleDescriptor><IDPSSODescriptor`, 1))
	sign(t, root, signing{by: nextIDP})
	p, err := New(Config{Name: "adfs", Metadata: tempFile(t, string(write(t, root))), MetadataThumbprints: []string{thumb1(nextIDP())}})
	if err != nil {
		t.Fatalf("the metadata of a whole ADFS cannot be pinned: %v", err)
	}
	p.Close()
}

// server serves metadata that can be changed.
type server struct {
	*httptest.Server
	doc  atomic.Pointer[string] // nil: 503
	asks atomic.Int32
}

func newServer(t *testing.T) *server {
	s := &server{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asks.Add(1)
		doc := s.doc.Load()
		switch {
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "/", http.StatusFound)
		case doc == nil:
			http.Error(w, "away", http.StatusServiceUnavailable)
		default:
			_, _ = fmt.Fprint(w, *doc)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) set(doc string) { s.doc.Store(&doc) }

func (s *server) bench(t *testing.T, change func(*Config)) *bench {
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return newBench(t, func(c *Config) {
		c.Metadata, c.Roots = s.URL+"/", roots
		if change != nil {
			change(c)
		}
	})
}

func (b *bench) signIn(by func() identity, id string) error {
	b.t.Helper()
	_, data, err := b.p.Begin(b.t.Context(), b.env, signin.Flow{ID: strings.Repeat("f", 43)})
	if err != nil {
		return err
	}
	a := newAnswer(requestOf(b.t, data))
	a.ID, a.AssertionID = "_r"+id, "_a"+id
	ahead := b.env.Clock.Now().Sub(start)
	a.IssueInstant, a.NotBefore, a.Until, a.AuthnInstant = at(ahead), at(ahead), at(ahead+5*time.Minute), at(ahead)
	r := a.tree(b.t)
	sign(b.t, assertionOf(r), signing{by: by})
	_, err = b.finish(write(b.t, r), data)
	return err
}

func TestProviderThatIsDownDoesNotStopTheGate(t *testing.T) {
	s := newServer(t)
	b := s.bench(t, nil)
	if err := b.signIn(theIDP, "1"); err == nil || denied(err) || !strings.Contains(err.Error(), "503") {
		t.Errorf("without metadata: %v", err)
	}
	s.set(metadataOf(theIDP()))
	if err := b.signIn(theIDP, "2"); err == nil || s.asks.Load() != 1 {
		t.Errorf("a provider that is down is asked for every visitor: %d times, %v", s.asks.Load(), err)
	}
	b.clock.Advance(retryGap)
	if err := b.signIn(theIDP, "3"); err != nil {
		t.Errorf("once it is back: %v", err)
	}
}

func TestLastGoodMetadataStays(t *testing.T) {
	s := newServer(t)
	s.set(metadataOf(theIDP()))
	b := s.bench(t, nil)
	for i, bad := range []string{"", "<html></html>", metadataOf(), strings.Replace(metadataOf(theIDP()), "<EntityDescriptor ", `<EntityDescriptor validUntil="2020-01-01T00:00:00Z" `, 1)} {
		if err := b.signIn(theIDP, fmt.Sprint("a", i)); err != nil {
			t.Fatalf("before: %v", err)
		}
		b.p.idp.running.Wait()
		s.set(bad)
		b.clock.Advance(2 * time.Hour)
		if err := b.signIn(theIDP, fmt.Sprint("b", i)); err != nil {
			t.Errorf("metadata %q of the server locks everybody out: %v", bad, err)
		}
		b.p.idp.running.Wait()
	}
	if !strings.Contains(b.log.String(), "what was read last stays") {
		t.Errorf("the operator reads nothing of it: %s", b.log)
	}
	s.doc.Store(nil)
	b.clock.Advance(MaxStale)
	if err := b.signIn(theIDP, "c"); err == nil {
		t.Error("certificates nobody confirmed for a week sign people in")
	}
}

func TestMetadataEndsByItsOwnWord(t *testing.T) {
	s := newServer(t)
	s.set(strings.Replace(metadataOf(theIDP()), "<IDPSSODescriptor ", `<IDPSSODescriptor validUntil="`+at(30*time.Minute)+`" `, 1))
	b := s.bench(t, nil)
	if err := b.signIn(theIDP, "1"); err != nil {
		t.Fatal(err)
	}
	b.clock.Advance(31 * time.Minute)
	if err := b.signIn(theIDP, "2"); err == nil || !strings.Contains(err.Error(), "was valid until") {
		t.Errorf("past its validUntil: %v", err)
	}
}

func TestCertificateRollOver(t *testing.T) {
	s := newServer(t)
	s.set(metadataOf(theIDP(), nextIDP()))
	b := s.bench(t, nil)
	for i, by := range []func() identity{theIDP, nextIDP} {
		if err := b.signIn(by, fmt.Sprint("announced", i)); err != nil {
			t.Errorf("two certificates in the metadata, signed by %s: %v", by().cert.Subject.CommonName, err)
		}
	}

	s.set(metadataOf(theIDP()))
	b = s.bench(t, nil)
	if err := b.signIn(theIDP, "1"); err != nil {
		t.Fatal(err)
	}
	s.set(metadataOf(nextIDP())) // the provider changes its certificate without notice
	b.clock.Advance(2 * time.Minute)
	if err := b.signIn(nextIDP, "2"); err != nil {
		t.Errorf("nobody can sign in after the provider's certificate changed: %v", err)
	}
	b.clock.Advance(2 * time.Minute)
	if err := b.signIn(theIDP, "3"); !denied(err) {
		t.Errorf("the certificate that was given up still signs people in: %v", err)
	}
}

func TestStrangersCannotMakeTheGateAskTheProvider(t *testing.T) {
	s := newServer(t)
	s.set(metadataOf(theIDP()))
	b := s.bench(t, nil)
	for i := range 20 {
		if err := b.signIn(attacker, fmt.Sprint(i)); !denied(err) {
			t.Fatal(err)
		}
		b.clock.Advance(time.Second)
	}
	if n := s.asks.Load(); n != 1 {
		t.Errorf("20 forged answers made the gate read the metadata %d times", n)
	}
}

func TestMetadataServerMustBeWhoItSaysAndNotRedirect(t *testing.T) {
	s := newServer(t)
	s.set(metadataOf(theIDP()))
	for name, change := range map[string]func(*Config){
		"unknown authority": func(c *Config) { c.Roots = x509.NewCertPool() },
		"redirect":          func(c *Config) { c.Metadata = s.URL + "/moved" },
	} {
		if err := s.bench(t, change).signIn(theIDP, name[:3]); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestMetadataFileIsReadAgain(t *testing.T) {
	path := tempFile(t, metadataOf(theIDP()))
	b := newBench(t, func(c *Config) { c.Metadata = path })
	if err := os.WriteFile(path, []byte(metadataOf(nextIDP())), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.signIn(nextIDP, "1"); err != nil {
		t.Errorf("a new certificate in the file: %v", err)
	}
}

func TestGeneratedKeyIsSharedAndSealed(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Certificate, c.Key = nil, nil })
	var wg sync.WaitGroup
	certs := make([]string, 3)
	for i := range certs {
		p, err := New(Config{Name: "adfs", Metadata: tempFile(t, metadataOf(theIDP()))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Close)
		wg.Go(func() {
			k, err := p.pair(context.Background(), b.env)
			if err != nil {
				t.Errorf("a gateway has no key: %v", err)
				return
			}
			certs[i] = k.certificate()
		})
	}
	wg.Wait()
	if certs[0] == "" || certs[1] != certs[0] || certs[2] != certs[0] {
		t.Fatal("gateways that start together have different keys: the provider knows one of them only")
	}
	blob, err := b.env.Records.Blob(t.Context(), BlobName("adfs"))
	if err != nil || strings.Contains(string(blob.Value), "cert") {
		t.Errorf("the key is stored in clear: %v", err)
	}
	if err := b.signIn(theIDP, "1"); err != nil {
		t.Errorf("with a generated key: %v", err)
	}
	blob.Value[len(blob.Value)-1] ^= 1
	p, _ := New(Config{Name: "adfs", Metadata: tempFile(t, metadataOf(theIDP()))})
	defer p.Close()
	if _, err := p.pair(t.Context(), b.env); err == nil {
		t.Error("a key that does not open was replaced in silence")
	}
}

func TestProbe(t *testing.T) {
	s := newServer(t)
	s.set(metadataOf(theIDP(), expired()))
	b := s.bench(t, func(c *Config) { c.Thumbprints = []string{thumb1(theIDP()), thumb1(expired())} })
	checks, err := b.p.Probe(t.Context(), b.clock)
	if err != nil {
		t.Errorf("a good provider: %v", err)
	}
	all := fmt.Sprint(checks)
	for _, want := range []string{idpName, strings.ToUpper(thumb1(theIDP())), "EXPIRED", "1 of 2 believed", "2 thumbprints", "by redirect at"} {
		if !strings.Contains(all, want) {
			t.Errorf("the administrator does not read %q in %s", want, all)
		}
	}
	s.set(metadataOf(expired()))
	if _, err := b.p.Probe(t.Context(), b.clock); err == nil || !strings.Contains(err.Error(), "0 of 1") {
		t.Errorf("nobody could sign in, and the test says %v", err)
	}
	s.doc.Store(nil)
	if _, err := b.p.Probe(t.Context(), b.clock); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a provider that is down: %v", err)
	}
}

func TestRequestsAreSigned(t *testing.T) {
	flow := signin.Flow{ID: strings.Repeat("a-_Z9", 9)[:43], Fresh: true}
	b := newBench(t, nil)
	next, data, err := b.p.Begin(t.Context(), b.env, flow)
	if err != nil {
		t.Fatal(err)
	}
	req := gateSigned(t, next.URL, "SAMLRequest")
	if attr(req, "ID") != requestOf(t, data) || attr(req, "ForceAuthn") != "true" || attr(req, "AssertionConsumerServiceURL") != acsURL || !strings.Contains(next.URL, "&RelayState="+flow.ID+"&") {
		t.Errorf("sent: %s", write(t, req))
	}
	b = newBench(t, func(c *Config) { c.Binding, c.NameIDFormat, c.OwnEntityID = BindingPOST, FormatPersistent, "urn:gate" })
	next, _, err = b.p.Begin(t.Context(), b.env, flow)
	if err != nil || next.Form["RelayState"] != flow.ID {
		t.Fatalf("%+v, %v", next, err)
	}
	doc, err := decodePOST(next.Form["SAMLRequest"])
	if err != nil {
		t.Fatal(err)
	}
	signed, err := verify(tree(t, string(doc)), []*x509.Certificate{gateKey().cert}, start)
	if err != nil {
		t.Fatalf("the request by POST is not signed: %v", err)
	}
	if issuer, _ := text(one(signed, nsAssertion, "Issuer")); issuer != "urn:gate" || attr(one(signed, nsProtocol, "NameIDPolicy"), "Format") != FormatPersistent {
		t.Errorf("sent: %s", doc)
	}
}

func TestDestinationWithAQueryIsSignedWithoutIt(t *testing.T) {
	u, err := redirectTo("https://adfs.example.test/ls?realm=a", "SAMLRequest", tree(t, "<x/>"), "r", &keyPair{gateKey().key, gateKey().cert})
	if err != nil || !strings.HasPrefix(u, "https://adfs.example.test/ls?realm=a&SAMLRequest=") {
		t.Fatalf("%s, %v", u, err)
	}
	gateSigned(t, u, "SAMLRequest")
}

// Whoever asks first and goes away must not leave a failure behind that keeps the
// others out, again and again.
func TestAVisitorWhoGoesAwayStopsNobody(t *testing.T) {
	s := newServer(t)
	s.set(metadataOf(theIDP()))
	b := s.bench(t, nil)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, _ = b.p.Begin(gone, b.env, signin.Flow{ID: strings.Repeat("f", 43)})
	if err := b.signIn(theIDP, "1"); err != nil {
		t.Errorf("the next one: %v", err)
	}
}
