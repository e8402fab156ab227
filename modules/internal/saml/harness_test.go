// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"text/template"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"go.uber.org/goleak"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/vault"
	"github.com/crmgate/crmgate/modules/state/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	origin   = "https://crm.example.com"
	acsURL   = origin + "/.crmgate/sso/adfs/acs"
	sloURL   = origin + "/.crmgate/sso/adfs/slo"
	audience = origin + "/.crmgate/sso/adfs/metadata"
	idpName  = "http://adfs.example.test/adfs/services/trust"
)

var start = time.Date(2031, 1, 1, 12, 0, 0, 0, time.UTC)

// identity is a key with its certificate.
type identity struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

var identities = map[string]func() identity{}

// made once for all tests: keys take long
func named(name string, bits int, from, to time.Time) func() identity {
	f := sync.OnceValue(func() identity {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err)
		}
		t := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to}
		der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
		if err != nil {
			panic(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			panic(err)
		}
		return identity{key, cert}
	})
	identities[name] = f
	return f
}

var (
	longAgo, farAway = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2050, 1, 1, 0, 0, 0, 0, time.UTC)

	theIDP   = named("idp", 2048, longAgo, farAway)
	nextIDP  = named("next", 2048, longAgo, farAway)
	attacker = named("attacker", 2048, longAgo, farAway)
	expired  = named("expired", 2048, longAgo, start.Add(-time.Hour))
	gateKey  = named("gate", 2048, longAgo, farAway)
)

func (i identity) b64() string { return base64.StdEncoding.EncodeToString(i.cert.Raw) }

// metadataOf describes a provider with these certificates.
func metadataOf(certs ...identity) string {
	var keys strings.Builder
	for _, c := range certs {
		fmt.Fprintf(&keys, `<KeyDescriptor use="signing"><KeyInfo xmlns="%s"><X509Data><X509Certificate>%s</X509Certificate></X509Data></KeyInfo></KeyDescriptor>`, nsSignature, c.b64())
	}
	return `<EntityDescriptor xmlns="` + nsMetadata + `" ID="_md" entityID="` + idpName + `"><IDPSSODescriptor protocolSupportEnumeration="` + nsProtocol + `">` + keys.String() + `
  <SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://adfs.example.test/adfs/ls/"/>
  <SingleLogoutService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://adfs.example.test/adfs/ls/" ResponseLocation="https://adfs.example.test/adfs/ls/done"/>
  <SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://adfs.example.test/adfs/ls/"/>
  <SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://adfs.example.test/adfs/ls/"/>
</IDPSSODescriptor></EntityDescriptor>`
}

func tempFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "metadata.xml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// blobs is as much of a records.Store as a provider needs.
type blobs struct {
	records.Store
	mu sync.Mutex
	m  map[string]records.Blob
}

func (b *blobs) PutBlob(_ context.Context, x records.Blob) (records.Blob, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.m[x.Name].Version != x.Version {
		return x, records.ErrConflict
	}
	x.Version++
	b.m[x.Name] = x
	return x, nil
}

func (b *blobs) Blob(_ context.Context, name string) (records.Blob, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	x, ok := b.m[name]
	if !ok {
		return x, records.ErrNotFound
	}
	return x, nil
}

// bench is a provider with all it needs.
type bench struct {
	t     testing.TB
	p     *Provider
	env   signin.Env
	clock *clock.Fake
	log   *bytes.Buffer
}

func newBench(t testing.TB, change func(*Config)) *bench {
	t.Helper()
	c := clock.NewFake(start)
	st, err := embedded.Open(t.Context(), embedded.Config{Path: t.TempDir(), Account: "a", Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	v, err := vault.New(bytes.Repeat([]byte{1}, vault.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Name: "adfs", Skew: DefaultSkew}
	cfg.Certificate, cfg.Key = pemOf(gateKey())
	if change != nil {
		change(&cfg)
	}
	if cfg.Metadata == "" {
		cfg.Metadata = tempFile(t, metadataOf(theIDP()))
	}
	p, err := New(cfg)
	if err != nil {
		t.Fatalf("a good configuration is refused: %v", err)
	}
	t.Cleanup(p.Close)
	b := &bench{t: t, p: p, clock: c, log: new(bytes.Buffer)}
	b.env = signin.Env{
		Records: &blobs{m: map[string]records.Blob{}}, State: st, Vault: v, Clock: c, Random: rand.Reader, Origin: origin,
		Log: slog.New(slog.NewTextHandler(b.log, nil)),
	}
	return b
}

// begin starts a sign-in and returns what is kept and the ID of the request.
func (b *bench) begin(fresh bool) (data []byte, request string) {
	b.t.Helper()
	_, data, err := b.p.Begin(b.t.Context(), b.env, signin.Flow{ID: strings.Repeat("f", 43), Fresh: fresh})
	if err != nil {
		b.t.Fatalf("nobody can begin a sign-in: %v", err)
	}
	return data, requestOf(b.t, data)
}

func (b *bench) finish(doc, data []byte) (signin.Proof, error) {
	return b.p.Finish(b.t.Context(), b.env, answerRequest(url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString(doc)}}), data)
}

func answerRequest(form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, acsURL, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// answer is a response in words; newAnswer makes a good one.
type answer struct {
	ID, AssertionID                   string
	Destination, Recipient, Audience  string
	Issuer, AssertionIssuer           string
	InResponseTo, SubjectInResponseTo string
	IssueInstant, NotBefore, Until    string
	AuthnInstant, Index               string
	NameID, NameFormat                string
	Method, Context                   string
	Attributes                        string // XML
	Status                            string
	Extra                             string // XML in the assertion, at its end
	Conditions                        string // XML in the conditions
}

func at(d time.Duration) string { return start.Add(d).Format(time.RFC3339) }

func attribute(name string, values ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<saml:Attribute Name="%s" NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">`, name)
	for _, v := range values {
		fmt.Fprintf(&b, `<saml:AttributeValue xsi:type="xs:string">%s</saml:AttributeValue>`, v)
	}
	return b.String() + `</saml:Attribute>`
}

func newAnswer(request string) *answer {
	return &answer{
		ID: "_response", AssertionID: "_assertion", Destination: acsURL, Recipient: acsURL, Audience: "<saml:AudienceRestriction><saml:Audience>" + audience + "</saml:Audience></saml:AudienceRestriction>",
		Issuer: idpName, AssertionIssuer: idpName, InResponseTo: request, SubjectInResponseTo: request,
		IssueInstant: at(0), NotBefore: at(0), Until: at(5 * time.Minute), AuthnInstant: at(0), Index: "_session",
		NameID: "sally@example.test", NameFormat: FormatEmail, Method: methodBearer,
		Context:    "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport",
		Attributes: attribute(ClaimEmail, "Sally@Example.test"),
		Status:     `<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/>`,
	}
}

var answerText = template.Must(template.New("answer").Parse(`<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{{.ID}}" Version="2.0" IssueInstant="{{.IssueInstant}}"{{with .Destination}} Destination="{{.}}"{{end}}{{with .InResponseTo}} InResponseTo="{{.}}"{{end}}>{{with .Issuer}}<saml:Issuer>{{.}}</saml:Issuer>{{end}}<samlp:Status>{{.Status}}</samlp:Status>` +
	`<saml:Assertion xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" ID="{{.AssertionID}}" Version="2.0" IssueInstant="{{.IssueInstant}}"><saml:Issuer>{{.AssertionIssuer}}</saml:Issuer>` +
	`<saml:Subject>{{with .NameID}}<saml:NameID Format="{{$.NameFormat}}">{{.}}</saml:NameID>{{end}}<saml:SubjectConfirmation Method="{{.Method}}"><saml:SubjectConfirmationData{{with .SubjectInResponseTo}} InResponseTo="{{.}}"{{end}}{{with .Until}} NotOnOrAfter="{{.}}"{{end}}{{with .Recipient}} Recipient="{{.}}"{{end}}/></saml:SubjectConfirmation></saml:Subject>` +
	`<saml:Conditions NotBefore="{{.NotBefore}}"{{with .Until}} NotOnOrAfter="{{.}}"{{end}}>{{.Audience}}{{.Conditions}}</saml:Conditions>` +
	`<saml:AuthnStatement AuthnInstant="{{.AuthnInstant}}" SessionIndex="{{.Index}}"><saml:AuthnContext><saml:AuthnContextClassRef>{{.Context}}</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>` +
	`<saml:AttributeStatement>{{.Attributes}}</saml:AttributeStatement>{{.Extra}}</saml:Assertion></samlp:Response>`))

func (a *answer) tree(t testing.TB) *etree.Element {
	t.Helper()
	var b bytes.Buffer
	if err := answerText.Execute(&b, a); err != nil {
		t.Fatal(err)
	}
	return tree(t, b.String())
}

func tree(t testing.TB, s string) *etree.Element {
	t.Helper()
	doc := etree.NewDocument()
	if err := doc.ReadFromString(s); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	return doc.Root()
}

func write(t testing.TB, el *etree.Element) []byte {
	t.Helper()
	doc := etree.NewDocument()
	doc.SetRoot(el)
	b, err := doc.WriteToBytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// signing says how to sign; the zero value of a field is what providers do.
type signing struct {
	by              func() identity
	method, digest  string // names after the namespace's #
	uri             *string
	transforms      string // XML
	canonical       string
	cert            func() identity // in KeyInfo; nil: the signer's
	noKeyInfo       bool
	secondReference bool
	object          string // XML in the signature
}

var signHashes = map[string]crypto.Hash{
	"http://www.w3.org/2000/09/xmldsig#rsa-sha1": crypto.SHA1, "http://www.w3.org/2000/09/xmldsig#sha1": crypto.SHA1,
	dsig.RSASHA256SignatureMethod: crypto.SHA256, "http://www.w3.org/2001/04/xmlenc#sha256": crypto.SHA256,
	dsig.RSASHA512SignatureMethod: crypto.SHA512, "http://www.w3.org/2001/04/xmlenc#sha512": crypto.SHA512,
}

// sign puts a valid enveloped signature into el, after its issuer.
func sign(t testing.TB, el *etree.Element, s signing) {
	t.Helper()
	or := func(a, b string) string {
		if a == "" {
			return b
		}
		return a
	}
	if s.by == nil {
		s.by = theIDP
	}
	if s.cert == nil {
		s.cert = s.by
	}
	method := or(s.method, dsig.RSASHA256SignatureMethod)
	digest := or(s.digest, "http://www.w3.org/2001/04/xmlenc#sha256")
	uri := "#" + el.SelectAttrValue("ID", "")
	if s.uri != nil {
		uri = *s.uri
	}
	c14n := dsig.MakeC14N10ExclusiveCanonicalizerWithPrefixList("")
	canonical, err := c14n.Canonicalize(detached(t, el))
	if err != nil {
		t.Fatal(err)
	}
	h := signHashes[digest].New()
	h.Write(canonical)
	transforms := or(s.transforms, `<ds:Transform Algorithm="`+enveloped+`"/><ds:Transform Algorithm="`+exclusive+`"/>`)
	ref := `<ds:Reference URI="` + uri + `"><ds:Transforms>` + transforms + `</ds:Transforms><ds:DigestMethod Algorithm="` + digest +
		`"/><ds:DigestValue>` + base64.StdEncoding.EncodeToString(h.Sum(nil)) + `</ds:DigestValue></ds:Reference>`
	if s.secondReference {
		ref += ref
	}
	info := `<ds:SignedInfo xmlns:ds="` + nsSignature + `"><ds:CanonicalizationMethod Algorithm="` + or(s.canonical, exclusive) +
		`"/><ds:SignatureMethod Algorithm="` + method + `"/>` + ref + `</ds:SignedInfo>`
	signedInfo, err := c14n.Canonicalize(tree(t, info))
	if err != nil {
		t.Fatal(err)
	}
	hash := signHashes[method]
	h = hash.New()
	h.Write(signedInfo)
	value, err := rsa.SignPKCS1v15(nil, s.by().key, hash, h.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	keyInfo := `<ds:KeyInfo><ds:X509Data><ds:X509Certificate>` + s.cert().b64() + `</ds:X509Certificate></ds:X509Data></ds:KeyInfo>`
	if s.noKeyInfo {
		keyInfo = ""
	}
	sig := tree(t, `<ds:Signature xmlns:ds="`+nsSignature+`">`+info+`<ds:SignatureValue>`+base64.StdEncoding.EncodeToString(value)+
		`</ds:SignatureValue>`+keyInfo+s.object+`</ds:Signature>`)
	if issuer := one(el, nsAssertion, "Issuer"); issuer != nil {
		el.InsertChildAt(issuer.Index()+1, sig)
	} else {
		el.InsertChildAt(0, sig)
	}
}

// detached is a copy of el that declares what it inherits.
func detached(t testing.TB, el *etree.Element) *etree.Element {
	t.Helper()
	c := el.Copy()
	for p := el.Parent(); p != nil; p = p.Parent() {
		for _, a := range p.Attr {
			if a.Space == "xmlns" && c.SelectAttr("xmlns:"+a.Key) == nil {
				c.CreateAttr("xmlns:"+a.Key, a.Value)
			}
		}
	}
	return c
}

func assertionOf(root *etree.Element) *etree.Element { return one(root, nsAssertion, "Assertion") }
