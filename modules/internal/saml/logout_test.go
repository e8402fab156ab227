// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

// sessions is a host that remembers what was ended.
type sessions struct {
	ended [][3]string
	err   error
}

func (s *sessions) EndSessions(_ context.Context, provider, subject, session string) (int, error) {
	s.ended = append(s.ended, [3]string{provider, subject, session})
	return 1, s.err
}

func (*sessions) GrantOf(*http.Request, string) (signin.Grant, bool) { return signin.Grant{}, false }

func (b *bench) listen(r *http.Request, path string, host signin.Host) *httptest.ResponseRecorder {
	b.t.Helper()
	w := httptest.NewRecorder()
	if !b.p.Listen(w, r, b.env, path, host) {
		b.t.Fatalf("%s is served by nobody", path)
	}
	return w
}

const destination = ` Destination="` + sloURL + `"`

func logoutRequest(id, attrs, body string) string {
	return `<samlp:LogoutRequest xmlns:samlp="` + nsProtocol + `" xmlns:saml="` + nsAssertion + `" ID="` + id + `" Version="2.0" IssueInstant="` + at(0) + `"` + attrs + `><saml:Issuer>` + idpName + `</saml:Issuer>` + body + `</samlp:LogoutRequest>`
}

const sallysName = `<saml:NameID Format="` + FormatEmail + `">sally@example.test</saml:NameID>`

// bySignedRedirect puts a message into a query as a provider does.
func bySignedRedirect(t testing.TB, who identity, param, doc, relay string) string {
	t.Helper()
	u, err := redirectTo("x", param, tree(t, doc), relay, &keyPair{who.key, who.cert})
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(u, "x?")
}

func slo(query string) *http.Request {
	return httptest.NewRequest(http.MethodGet, sloURL+"?"+query, nil)
}

func sloPOST(form url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, sloURL, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func postOf(t testing.TB, param, doc string, s signing) *http.Request {
	t.Helper()
	root := tree(t, doc)
	sign(t, root, s)
	return sloPOST(url.Values{param: {base64.StdEncoding.EncodeToString(write(t, root))}, "RelayState": {"r&r"}})
}

// gateSigned checks what the gate sends by redirect as a provider would, and
// returns the message.
func gateSigned(t *testing.T, location, param string) *etree.Element {
	t.Helper()
	u, err := url.Parse(location)
	if err != nil || u.Host != "adfs.example.test" {
		t.Fatalf("the browser is sent to %q", location)
	}
	m, err := parseRedirect(u.RawQuery)
	if err != nil {
		t.Fatalf("the message cannot be read: %v", err)
	}
	if u.Query().Get("SigAlg") != dsig.RSASHA256SignatureMethod || gateKey().cert.CheckSignature(m.method, []byte(m.signed), m.signature) != nil {
		t.Fatal("the gate's message is not signed with its key")
	}
	if m.isRequest != (param == "SAMLRequest") {
		t.Fatalf("no %s in %s", param, location)
	}
	return tree(t, string(m.doc))
}

func TestProviderSignsPeopleOut(t *testing.T) {
	two := sallysName + `<samlp:SessionIndex>_s1</samlp:SessionIndex><samlp:SessionIndex>_s2</samlp:SessionIndex>`
	for _, c := range []struct {
		name string
		req  func(t *testing.T) *http.Request
		want [][3]string
		post bool
	}{
		{"redirect, one session", func(t *testing.T) *http.Request {
			return slo(bySignedRedirect(t, theIDP(), "SAMLRequest", logoutRequest("_l1", destination, sallysName+`<samlp:SessionIndex>_session</samlp:SessionIndex>`), "r&r"))
		}, [][3]string{{"adfs", "sally@example.test", "_session"}}, false},
		{"redirect, all sessions", func(t *testing.T) *http.Request {
			return slo(bySignedRedirect(t, theIDP(), "SAMLRequest", logoutRequest("_l2", destination, sallysName), ""))
		}, [][3]string{{"adfs", "sally@example.test", ""}}, false},
		{"POST, two sessions", func(t *testing.T) *http.Request {
			return postOf(t, "SAMLRequest", logoutRequest("_l3", destination, two), signing{})
		}, [][3]string{{"adfs", "sally@example.test", "_s1"}, {"adfs", "sally@example.test", "_s2"}}, true},
		{"with an end", func(t *testing.T) *http.Request {
			return slo(bySignedRedirect(t, theIDP(), "SAMLRequest", logoutRequest("_l4", destination+` NotOnOrAfter="`+at(time.Minute)+`"`, sallysName), ""))
		}, [][3]string{{"adfs", "sally@example.test", ""}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, host := newBench(t, nil), &sessions{}
			w := b.listen(c.req(t), "slo", host)
			if !reflect.DeepEqual(host.ended, c.want) {
				t.Errorf("ended %v, want %v: people signed out at the provider go on here", host.ended, c.want)
			}
			if c.post {
				if csp := w.Header().Get("Content-Security-Policy"); w.Code != 200 || !strings.Contains(csp, "form-action https://adfs.example.test;") || !strings.Contains(w.Body.String(), `action="https://adfs.example.test/adfs/ls/done"`) || !strings.Contains(w.Body.String(), `value="r&amp;r"`) {
					t.Errorf("%d %q %s", w.Code, csp, w.Body)
				}
				return
			}
			if w.Code != http.StatusSeeOther {
				t.Fatalf("answered %d: %s", w.Code, b.log)
			}
			res := gateSigned(t, w.Header().Get("Location"), "SAMLResponse")
			if id := attr(res, "InResponseTo"); !strings.HasPrefix(id, "_l") || checkStatus(one(res, nsProtocol, "Status")) != nil || attr(res, "Destination") != "https://adfs.example.test/adfs/ls/" {
				t.Errorf("the provider is told %s", write(t, res))
			}
			if w = b.listen(c.req(t), "slo", host); w.Code != http.StatusForbidden {
				t.Errorf("the same request again: %d", w.Code)
			}
		})
	}
}

func TestLogoutThatFailsIsToldSo(t *testing.T) {
	b := newBench(t, nil)
	w := b.listen(slo(bySignedRedirect(t, theIDP(), "SAMLRequest", logoutRequest("_l1", destination, sallysName), "")), "slo", &sessions{err: errors.New("store away")})
	if res := gateSigned(t, w.Header().Get("Location"), "SAMLResponse"); checkStatus(one(res, nsProtocol, "Status")) == nil {
		t.Error("the provider believes that a session ended which did not")
	}
}

// gosaml2 once took unsigned logout requests: anybody could sign anybody out.
func TestLogoutMessagesNeedASignature(t *testing.T) {
	good := logoutRequest("_l1", destination, sallysName)
	q := func(doc string) string { return bySignedRedirect(t, theIDP(), "SAMLRequest", doc, "r") }
	without := func(query, param string) string {
		var out []string
		for p := range strings.SplitSeq(query, "&") {
			if !strings.HasPrefix(p, param+"=") {
				out = append(out, p)
			}
		}
		return strings.Join(out, "&")
	}
	bomb := func() string {
		return bySignedRedirect(t, theIDP(), "SAMLRequest", logoutRequest("_l1", destination, sallysName+`<x>`+strings.Repeat(" ", 20<<20)+`</x>`), "")
	}
	b64 := base64.StdEncoding.EncodeToString
	for name, r := range map[string]*http.Request{
		"unsigned":                           slo(without(without(q(good), "Signature"), "SigAlg")),
		"signature removed":                  slo(without(q(good), "Signature")),
		"relay state removed":                slo(without(q(good), "RelayState")),
		"relay state changed":                slo(strings.Replace(q(good), "RelayState=r", "RelayState=s", 1)),
		"signed by an unknown key":           slo(bySignedRedirect(t, attacker(), "SAMLRequest", good, "r")),
		"SHA-1":                              slo(strings.Replace(q(good), url.QueryEscape(dsig.RSASHA256SignatureMethod), url.QueryEscape("http://www.w3.org/2000/09/xmldsig#rsa-sha1"), 1)),
		"a request twice":                    slo(q(good) + "&" + q(good)),
		"a request under an escaped name":    slo(q(good) + "&SAML%52equest=x"),
		"request and response":               slo(q(good) + "&SAMLResponse=x"),
		"a request called response":          slo(bySignedRedirect(t, theIDP(), "SAMLResponse", good, "")),
		"deflate bomb":                       slo(bomb()),
		"nothing":                            slo(""),
		"POST unsigned":                      sloPOST(url.Values{"SAMLRequest": {b64([]byte(good))}}),
		"POST signed by an unknown key":      postOf(t, "SAMLRequest", good, signing{by: attacker}),
		"POST with SHA-1":                    postOf(t, "SAMLRequest", good, signing{method: "http://www.w3.org/2000/09/xmldsig#rsa-sha1"}),
		"POST, a request called response":    postOf(t, "SAMLResponse", good, signing{}),
		"POST with the signature in a query": func() *http.Request { r := sloPOST(url.Values{}); r.URL.RawQuery = q(good); return r }(),
		"wrong destination":                  slo(q(logoutRequest("_l1", ` Destination="https://other.test/slo"`, sallysName))),
		"no destination":                     slo(q(logoutRequest("_l1", "", sallysName))),
		"wrong issuer":                       slo(q(strings.ReplaceAll(good, idpName, "https://evil.test"))),
		"no issuer":                          slo(q(strings.ReplaceAll(good, "<saml:Issuer>"+idpName+"</saml:Issuer>", ""))),
		"expired":                            slo(q(logoutRequest("_l1", destination+` NotOnOrAfter="`+at(-2*time.Minute)+`"`, sallysName))),
		"issued long ago":                    slo(q(strings.Replace(good, at(0), at(-time.Hour), 1))),
		"without a name":                     slo(q(logoutRequest("_l1", destination, ""))),
		"name with a comment":                slo(q(logoutRequest("_l1", destination, strings.Replace(sallysName, "@", "<!-- -->@", 1)))),
		"empty session index":                slo(q(logoutRequest("_l1", destination, sallysName+"<samlp:SessionIndex/>"))),
		"encrypted name":                     slo(q(logoutRequest("_l1", destination, "<saml:EncryptedID/>"))),
		"an authentication request":          slo(q(`<samlp:AuthnRequest xmlns:samlp="` + nsProtocol + `" ID="_x" Version="2.0"/>`)),
	} {
		t.Run(name, func(t *testing.T) {
			b, host := newBench(t, nil), &sessions{}
			if w := b.listen(r, "slo", host); len(host.ended) != 0 || w.Code != http.StatusForbidden {
				t.Errorf("anybody signs people out: ended %v, answered %d", host.ended, w.Code)
			}
			if !strings.Contains(b.log.String(), "refused") && !strings.Contains(b.log.String(), "denied") {
				t.Errorf("the operator reads nothing of it: %s", b.log)
			}
		})
	}
}

func leave(t *testing.T, b *bench) (id string) {
	t.Helper()
	g := signin.Grant{Provider: "adfs", Subject: "sally@example.test", Session: "_session", Data: []byte(`{"value":"sally@example.test","format":"` + FormatEmail + `"}`)}
	next, err := b.p.Leave(t.Context(), b.env, g)
	if err != nil || next.Form != nil {
		t.Fatalf("%+v, %v", next, err)
	}
	req := gateSigned(t, next.URL, "SAMLRequest")
	name, _ := text(one(req, nsAssertion, "NameID"))
	index, _ := text(one(req, nsProtocol, "SessionIndex"))
	if name != "sally@example.test" || index != "_session" || attr(one(req, nsAssertion, "NameID"), "Format") != FormatEmail || attr(req, "NotOnOrAfter") == "" {
		t.Fatalf("the provider cannot tell who signs out: %s", write(t, req))
	}
	return attr(req, "ID")
}

func logoutResponse(inResponseTo string) string {
	return `<samlp:LogoutResponse xmlns:samlp="` + nsProtocol + `" xmlns:saml="` + nsAssertion + `" ID="_res" Version="2.0" IssueInstant="` + at(0) + `" InResponseTo="` + inResponseTo + `"` + destination + `><saml:Issuer>` + idpName +
		`</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status></samlp:LogoutResponse>`
}

func TestPeopleSignOutAtTheProvider(t *testing.T) {
	b := newBench(t, nil)
	id := leave(t, b)
	for name, r := range map[string]*http.Request{
		"unsigned":        sloPOST(url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString([]byte(logoutResponse(id)))}}),
		"by somebody":     slo(bySignedRedirect(t, attacker(), "SAMLResponse", logoutResponse(id), "")),
		"to another":      slo(bySignedRedirect(t, theIDP(), "SAMLResponse", logoutResponse("_other"), "")),
		"called requests": slo(bySignedRedirect(t, theIDP(), "SAMLRequest", logoutResponse(id), "")),
	} {
		if w := b.listen(r, "slo", &sessions{}); w.Code != http.StatusForbidden {
			t.Errorf("a response %s: %d", name, w.Code)
		}
	}
	good := func() *http.Request {
		return slo(bySignedRedirect(t, theIDP(), "SAMLResponse", logoutResponse(id), ""))
	}
	w := b.listen(good(), "slo", &sessions{})
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != origin+"/.crmgate/sso/adfs/signed-out" {
		t.Errorf("the person comes back to %d %q", w.Code, w.Header().Get("Location"))
	}
	if w := b.listen(good(), "slo", &sessions{}); w.Code != http.StatusForbidden {
		t.Errorf("the same response again: %d", w.Code)
	}
	id = leave(t, b)
	if w := b.listen(postOf(t, "SAMLResponse", logoutResponse(id), signing{}), "slo", &sessions{}); w.Code != http.StatusSeeOther {
		t.Errorf("by POST: %d %s", w.Code, b.log)
	}
}

func TestLeaveWithoutAWayNeedsNothing(t *testing.T) {
	b := newBench(t, func(c *Config) {
		c.Metadata = tempFile(t, strings.NewReplacer("SingleLogoutService", "ManageNameIDService").Replace(metadataOf(theIDP())))
	})
	for name, g := range map[string]signin.Grant{
		"provider without logout": {Data: []byte(`{"value":"x"}`)},
		"no name identifier":      {},
	} {
		if next, err := b.p.Leave(t.Context(), b.env, g); err != nil || next.URL != "" {
			t.Errorf("%s: %+v, %v", name, next, err)
		}
	}
}

func TestMetadataOfTheGate(t *testing.T) {
	b := newBench(t, func(c *Config) { c.NameIDFormat = FormatEmail })
	w := b.listen(httptest.NewRequest(http.MethodGet, audience, nil), "metadata", nil)
	root, err := parse(w.Body.Bytes(), metadataBounds)
	if err != nil || w.Header().Get("Content-Type") != "application/samlmetadata+xml" || attr(root, "entityID") != audience {
		t.Fatalf("a provider cannot import %s: %v", w.Body, err)
	}
	sp := one(root, nsMetadata, "SPSSODescriptor")
	uses := map[string]string{}
	for _, k := range all(sp, nsMetadata, "KeyDescriptor") {
		uses[attr(k, "use")], _ = text(one(one(one(k, nsSignature, "KeyInfo"), nsSignature, "X509Data"), nsSignature, "X509Certificate"))
	}
	if uses["signing"] != gateKey().b64() || uses["encryption"] != gateKey().b64() || len(uses) != 2 {
		t.Errorf("published keys: %v", uses)
	}
	if attr(one(sp, nsMetadata, "AssertionConsumerService"), "Location") != acsURL || len(all(sp, nsMetadata, "SingleLogoutService")) != 2 || attr(sp, "WantAssertionsSigned") != "true" {
		t.Errorf("published: %s", w.Body)
	}
	if w := b.listen(httptest.NewRequest(http.MethodPost, audience, nil), "metadata", nil); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST of the metadata: %d", w.Code)
	}
	if b.p.Listen(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, audience, nil), b.env, "start", nil) {
		t.Error("the provider took a path that is not its own")
	}
}
