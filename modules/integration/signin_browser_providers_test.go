// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package integration

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/crmgate/crmgate/modules/internal/testpeer"
)

// house is a gateway with every provider people are sent to, each a real one.
type house struct {
	*site
	oidc *testpeer.OIDC
	ssp  *testpeer.SSP
}

// forwarder passes what the OpenID provider posts to the gateway, whose authority
// the provider does not know.
func forwarder(t testing.TB) (address string, connect func(d *demo)) {
	var to atomic.Pointer[httputil.ReverseProxy]
	address = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := to.Load(); p != nil {
			p.ServeHTTP(w, r)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	return address, func(d *demo) {
		u, err := url.Parse(d.Gateway)
		if err != nil {
			t.Fatal(err)
		}
		to.Store(&httputil.ReverseProxy{
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(u) },
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: d.pool}, DisableKeepAlives: true},
		})
	}
}

// servicePair makes the gate's key pair for SAML: two files, and the certificate as
// providers are told it.
func servicePair(t testing.TB) (certFile, keyFile, der64 string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "gate.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, b := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile, base64.StdEncoding.EncodeToString(der)
}

// housePolicy lets one address, which all of the test's people share, fail often.
const housePolicy = `version: 1
account: acme
settings:
  throttle: {failures: 100}
  sign_in:
    second_factor: {mandate: none}
`

func startHouse(t testing.TB) *house {
	t.Helper()
	shared := sharedDemo(t)
	certFile, keyFile, cert := servicePair(t)
	back, connect := forwarder(t)
	h := &house{}
	s := &setup{
		crm: shared.CRM, policy: housePolicy,
		options: `bridge keys
		origin https://localhost:{port}
		identity local
		identity google {
			client_id {client}
			client_secret {env.CRMGATE_TEST_OIDC}
			hosted_domains example.test
			issuer {google}
			recheck 1m
		}
		identity adfs {
			issuer {adfs}
			client_id {client}
			client_secret {env.CRMGATE_TEST_OIDC}
		}
		identity saml {
			metadata {metadata}
			key_pair {pair}
		}
		identity saml wide {
			metadata {metadata}
			key_pair {pair}
			label "Company portal"
			idp_initiated
		}`,
	}
	env := []string{"CRMGATE_TEST_OIDC=" + testpeer.OIDCClientSecret}
	d := s.startWith(t, env, func(origin string) map[string]string {
		sso := origin + "/.crmgate/sso/"
		h.oidc = testpeer.StartOIDC(t, testpeer.OIDCClient{
			Redirects:  []string{sso + "google/callback", sso + "adfs/callback"},
			PostLogout: []string{sso + "google/signed-out", sso + "adfs/signed-out"}, BackChannel: back + "/.crmgate/sso/google/backchannel-logout",
		})
		service := func(name string) testpeer.SSPService {
			at := sso + name + "/"
			return testpeer.SSPService{
				EntityID: at + "metadata", ACS: at + "acs", SLO: at + "slo", Certificate: cert, SignResponse: true, SignAssertion: true,
				Encrypt: "http://www.w3.org/2009/xmlenc11#aes256-gcm",
			}
		}
		h.ssp = testpeer.StartSSP(t, service("saml"), service("wide"))
		metadata := filepath.Join(t.TempDir(), "idp.xml") // a URL must be https
		write(t, metadata, fetch(t, h.ssp.Metadata))

		return map[string]string{
			"client": testpeer.OIDCClientID, "google": h.oidc.Google, "adfs": h.oidc.ADFS,
			"metadata": metadata, "pair": certFile + " " + keyFile,
		}
	})
	connect(d)
	for _, p := range []struct{ email, role, keys string }{
		{"asha@acme.test", "sales_user", "asha@acme.test"},
		{"ravi@acme.test", "sales_user", "ravi@acme.test"},
		{"admin@acme.test", "administrator", "admin@acme.test"},
		{"marketing@acme.test", "marketing_user", "marketing@acme.test"},
		{"sally@example.test", "sales_user", "divya@acme.test"},
		{"mark@example.test", "sales_user", "kabir@acme.test"},
		{"leela@acme.test", "sales_user", "leela@acme.test"},
		{"farhan@acme.test", "sales_user", "farhan@acme.test"},
		{"unverified1@example.test", "sales_user", ""},
		{"private1@example.test", "sales_user", ""},
		{"guest1@example.test", "sales_user", ""},
	} {
		keys := crmUser{}
		if p.keys != "" {
			keys = keysOf(t, p.keys)
		}
		d.add(t, p.email, p.role, keys)
	}
	h.site = &site{demo: d, chromium: startChromium(t, d)}
	return h
}

func fetch(t testing.TB, address string) string {
	t.Helper()
	b := &browser{t: t, Client: &http.Client{Timeout: 20 * time.Second}}
	res := b.get(address, "Accept", "*/*")
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %s", address, res.Status)
	}
	return res.text()
}

// TestSignInBrowserProviders signs people in at real providers in Chromium.
func TestSignInBrowserProviders(t *testing.T) {
	h := startHouse(t)
	early := h.renewed(t)
	for _, c := range []struct {
		name string
		test func(*testing.T, *house)
	}{
		{"Google signs people in", googleSignsIn},
		{"Google's answer is not enough for everybody", googleRefused},
		{"many tabs sign in at once", googleTabs},
		{"signing out goes on at the provider", googleSignOut},
		{"a sign-out at the provider ends the session and its live page", googleBackChannel},
		{"AD FS by OpenID Connect signs people in", adfsSignsIn},
		{"AD FS by SAML signs people in", samlSignsIn},
		{"SAML sign-out begins here", samlSignOutHere},
		{"SAML sign-out begins there", samlSignOutThere},
		{"a SAML sign-in that begins there is refused unless it is allowed", samlInitiated},
		{"a provider may be the only way in", onlyProvider}, // changes the policy: the last
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, h) })
	}
	early()
}

// openid fills in the form of the OpenID provider.
func (p *page) openid(login string) {
	p.t.Helper()
	p.wait(soon, "the provider asks who it is", "document.querySelector('#login')")
	name, _, _ := strings.Cut(login, "@")
	p.fill("#login", login)
	p.fill("#password", "pw-"+name)
	p.click("#go")
}

// start goes to the sign-in page and from there to a provider.
func (h *house) start(t testing.TB, provider string) *page {
	t.Helper()
	p := h.page(t)
	p.outside(h.oidc.Google, h.oidc.ADFS, h.ssp.URL)
	p.open("/app/leads")
	p.at("/.crmgate/sign-in")
	p.click("a[href^='/.crmgate/sso/" + provider + "/start']")
	return p
}

func (h *house) google(t testing.TB, login string) *page {
	t.Helper()
	p := h.start(t, "google")
	p.openid(login)
	return p
}

func googleSignsIn(t *testing.T, h *house) {
	p := h.google(t, "asha@acme.test")
	p.at("/app/leads")
	p.listed()
	p.judgeCookies()
	if p.cookies()["__Host-crmgate_flow_post"] != nil {
		t.Error("a provider that answers by GET was given the cookie that goes with requests of other sites")
	}
	p.open("/.crmgate/account")
	if got := p.text("main"); !strings.Contains(got, "asha@acme.test") {
		t.Errorf("the account page does not say who is signed in: %q", got)
	}
	audit := h.admin(t, http.MethodGet, "/crmgate/audit?kind=sign_in", "")
	if !strings.Contains(audit, "asha@acme.test") {
		t.Errorf("the sign-in is not in the audit: %s", audit)
	}
}

func googleRefused(t *testing.T, h *house) {
	var said []string
	for _, c := range []struct{ name, login string }{
		{"an address nobody has verified", "unverified1"},
		{"an account of no company", "private1"},
		{"an account of another company", "guest1"},
		{"an address the directory does not have", "stranger"},
		{"somebody who presses Cancel", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := h.start(t, "google")
			for _, status := range []int{400, 401, 403} {
				p.foretell(status, "/.crmgate/sso/google/callback")
			}
			if c.login == "" {
				p.wait(soon, "the provider asks who it is", "document.querySelector('#cancel')")
				p.click("#cancel")
			} else {
				p.openid(c.login)
			}
			p.heading("Signing in did not work")
			p.judgePage()
			text := p.text("main")
			for _, secret := range []string{"hd", "verified", "directory", "example.test", "access_denied"} {
				if strings.Contains(text, secret) {
					t.Errorf("the page says %q: the word %q tells a stranger why", text, secret)
				}
			}
			if c.login != "" {
				said = append(said, text)
			}
			if must[string](p, "location.search") != "" && strings.Contains(must[string](p, "document.referrer"), "code=") {
				t.Error("the next page would learn the code")
			}
			if h.inside(p) {
				t.Error("a refused account has a session")
			}
			if got := p.text(".foot code"); len(got) < 10 {
				t.Errorf("the page gives no request number: %q", got)
			}
			p.click("main a.main") // start again
			if c.login == "" {
				p.wait(soon, "the provider asks again", "document.querySelector('#login')")
			}
		})
	}
	if len(slices.Compact(slices.Clone(said))) != 1 {
		t.Errorf("people who are refused learn why: %q", said)
	}
	audit := h.admin(t, http.MethodGet, "/crmgate/audit?kind=sign_in", "")
	for _, want := range []string{"has not verified", "hd is missing", "directory has nobody"} {
		if !strings.Contains(audit, want) {
			t.Errorf("the audit does not say %q: the administrator cannot find out why somebody does not get in", want)
		}
	}
}

func googleTabs(t *testing.T, h *house) {
	first := h.page(t)
	tabs := []*page{first}
	for range 4 {
		tabs = append(tabs, first.tab())
	}
	for i, p := range tabs {
		p.outside(h.oidc.Google)
		p.foretell(401, "/app/") // a newer session takes the place of the one before
		p.open(fmt.Sprintf("/.crmgate/sso/google/start?return=/app/leads%%3Ftab=%d", i))
		p.wait(soon, "the provider asks who it is", "document.querySelector('#login')")
	}
	for _, i := range []int{2, 0, 4, 1, 3} {
		p := tabs[i]
		p.do("coming to the front", toFront)
		p.openid("ravi@acme.test")
		p.at("/app/leads")
		if got := must[string](p, "location.search"); got != fmt.Sprintf("?tab=%d", i) {
			t.Errorf("tab %d came back to %q: one sign-in went on with another one's page", i, got)
		}
		p.wait(soon, "the list shows leads", "document.querySelector('[data-testid=lead-row]')")
	}
}

// signOut signs out by the account page.
func (p *page) signOut() {
	p.t.Helper()
	p.open("/.crmgate/account")
	p.leave("form[action='/.crmgate/sign-out'] button")
}

func googleSignOut(t *testing.T, h *house) {
	p := h.google(t, "marketing@acme.test")
	p.at("/app/leads")
	p.listed()
	p.signOut()
	p.heading("Signed out here")
	p.judgePage()
	if h.inside(p) {
		t.Error("the session goes on after signing out")
	}
	p.click("main a.main")
	p.wait(soon, "the provider asks whether to sign out", "document.querySelector('button[name=logout]')")
	p.click("button[name=logout][value=yes]")
	p.at("/.crmgate/sign-in")
	if got := p.text("main .note"); got != "You are signed out." {
		t.Errorf("back from the provider the page says %q", got)
	}
	p.click("a[href^='/.crmgate/sso/google/start']")
	p.wait(soon, "the provider asks who it is, since it is signed out too", "document.querySelector('#login')")
}

func googleBackChannel(t *testing.T, h *house) {
	p := h.google(t, "ravi@acme.test")
	p.at("/app/leads")
	p.listed()
	p.foretell(401, "/app/") // the page asks why its socket was cut
	other := p.tab()
	other.outside(h.oidc.Google)
	other.do("opening the provider's sign-out", chromedp.Navigate(h.oidc.Google+"/logout"))
	other.wait(soon, "the provider asks whether to sign out", "document.querySelector('button[name=logout]')")
	other.click("button[name=logout][value=yes]")
	p.wait(soon, "the page notices that its session is over", "document.getElementById('live').dataset.live === 'off'")
	p.wait(soon, "the page says so", "document.getElementById('live').innerText.includes('signed out')")
	if h.inside(p) {
		t.Error("the session goes on though the provider has ended its own")
	}
	var failed []string
	for _, e := range h.oidc.Events("google") {
		if e.Event == "backchannel.error" {
			failed = append(failed, e.Detail)
		}
	}
	if len(failed) > 0 {
		t.Errorf("the provider was refused: %v", failed)
	}
}

// renewed signs somebody in of whom the provider will say something else when it is
// asked again, and returns what waits for that. Other tests have the time.
func (h *house) renewed(t *testing.T) (wait func()) {
	t.Helper()
	signIn := func(login string) *browser {
		b := h.browser(t)
		res := b.get("/.crmgate/sso/google/start")
		client := *http.DefaultClient
		client.Jar = b.Jar
		back, err := testpeer.OIDCSignIn(&client, res.Header.Get("Location"), login, h.Gateway)
		if err != nil {
			t.Fatal(err)
		}
		if res := b.get(back.String(), "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Accept", "text/html"); res.StatusCode != http.StatusSeeOther || !b.inside() {
			t.Fatalf("signing %s in at Google: %s %s", login, res.Status, res.text())
		}
		return b
	}
	gone, stays := signIn("farhan@acme.test"), signIn("leela@acme.test")
	h.oidc.SetClaims("google", "farhan@acme.test", map[string]any{"email_verified": false})
	return func() {
		t.Helper()
		eventually(t, 2*time.Minute, "somebody whose account the provider no longer vouches for is signed out", func() bool {
			return gone.get("/app/api/leads").StatusCode == http.StatusUnauthorized
		})
		// Fifty at once while grants are renewed: a token used twice would make the
		// provider take all of them back.
		for range 50 {
			if res := stays.get("/app/api/leads"); res.StatusCode != http.StatusOK {
				t.Fatalf("somebody the provider vouches for is signed out: %s %s", res.Status, res.text())
			}
		}
		renewed := 0
		for _, e := range h.oidc.Events("google") {
			switch e.Event {
			case "grant.error":
				t.Errorf("the provider refused a grant: %s", e.Detail)
			case "grant.success":
				renewed++
			}
		}
		if renewed == 0 {
			t.Error("the provider was never asked again")
		}
	}
}

func adfsSignsIn(t *testing.T, h *house) {
	p := h.start(t, "adfs")
	p.openid("asha@acme.test")
	p.at("/app/leads")
	p.listed()
	p.judgeCookies()
	p.signOut()
	p.heading("Signed out here")
	p.click("main a.main")
	p.wait(soon, "the provider asks whether to sign out", "document.querySelector('button[name=logout]')")
	p.click("button[name=logout][value=yes]")
	p.at("/.crmgate/sign-in")
	stranger := h.start(t, "adfs")
	stranger.foretell(401, "/.crmgate/sso/adfs/callback")
	stranger.openid("stranger")
	stranger.heading("Signing in did not work")
}

// saml fills in the form of the SAML provider.
func (p *page) saml(login string) {
	p.t.Helper()
	p.wait(soon, "the provider asks who it is", "document.querySelector('#username')")
	p.fill("#username", login)
	p.fill("#password", "pw-"+login)
	p.click("button[type=submit], input[type=submit]")
}

func samlSignsIn(t *testing.T, h *house) {
	p := h.start(t, "saml")
	p.wait(soon, "the provider asks who it is", "document.querySelector('#username')")
	p.judgeCookies()
	if p.cookies()["__Host-crmgate_flow_post"] == nil {
		t.Error("the answer of a provider that answers by POST is bound to no browser")
	}
	p.saml("sally")
	p.at("/app/leads")
	p.listed()
	p.judgeCookies()
	if p.cookies()["__Host-crmgate"].SameSite != "Lax" {
		t.Error("the session's own cookie goes with requests of other sites")
	}
	for _, login := range []string{"two", "evil"} {
		t.Run("two addresses, or half of one: "+login, func(t *testing.T) {
			p := h.start(t, "saml")
			for _, status := range []int{400, 401, 403} {
				p.foretell(status, "/.crmgate/sso/saml/acs")
			}
			p.saml(login)
			p.heading("Signing in did not work")
			if got := p.text("main"); strings.Contains(got, "alert(1)") || strings.Contains(got, "evil") {
				t.Errorf("the page repeats what the provider said: %q", got)
			}
		})
	}
}

func samlSignOutHere(t *testing.T, h *house) {
	p := h.start(t, "saml")
	p.saml("mark")
	p.at("/app/leads")
	p.listed()
	p.signOut()
	p.heading("Signed out here")
	p.click("main .main")
	p.at("/.crmgate/sign-in")
	if got := p.text("main .note"); got != "You are signed out." {
		t.Errorf("back from the provider the page says %q", got)
	}
	p.click("a[href^='/.crmgate/sso/saml/start']")
	p.wait(soon, "the provider asks who it is, since it is signed out too", "document.querySelector('#username')")
}

func samlSignOutThere(t *testing.T, h *house) {
	p := h.start(t, "saml")
	p.saml("mark")
	p.at("/app/leads")
	p.listed()
	p.foretell(401, "/app/")
	other := p.tab()
	other.outside(h.ssp.URL)
	other.do("signing out at the provider", chromedp.Navigate(h.ssp.SignOut(url.QueryEscape(h.Gateway+"/.crmgate/sign-in?why=signed_out"))))
	p.wait(soon, "the page notices that its session is over", "document.getElementById('live').dataset.live === 'off'")
	if h.inside(p) {
		t.Error("the session goes on though the provider has ended its own")
	}
	other.at("/.crmgate/sign-in") // the provider heard that it worked, and goes on
}

func samlInitiated(t *testing.T, h *house) {
	begin := func(name string) *page {
		p := h.page(t)
		p.outside(h.ssp.URL)
		for _, status := range []int{400, 401, 403} {
			p.foretell(status, "/.crmgate/sso/saml/acs")
		}
		p.do("beginning at the provider", chromedp.Navigate(h.ssp.Initiated(url.QueryEscape(h.Gateway+"/.crmgate/sso/"+name+"/metadata"))))
		p.saml("sally")
		return p
	}
	p := begin("saml")
	p.heading("Signing in did not work")
	if h.inside(p) {
		t.Error("a sign-in nobody began here is taken: a stranger could sign people in as himself")
	}
	p = begin("wide")
	p.wait(soon, "the browser is in the CRM", "location.pathname.startsWith('/app')")
	if !h.inside(p) {
		t.Error("a sign-in that begins at the provider does not work where it is allowed")
	}
}

func onlyProvider(t *testing.T, h *house) {
	h.rule(t, strings.Replace(housePolicy, "  sign_in:\n", "  sign_in:\n    provider: google\n    break_glass: [admin@acme.test]\n", 1))
	p := h.page(t)
	p.outside(h.oidc.Google)
	p.open("/.crmgate/sign-in")
	p.judgePage()
	if n := must[int](p, "document.querySelectorAll('input[type=password], input[type=email]').length"); n != 0 {
		t.Error("the page offers passwords though Google is the only way in")
	}
	if n := must[int](p, "document.querySelectorAll('a[href^=\"/.crmgate/sso/\"]').length"); n != 1 {
		t.Errorf("the page offers %d providers, want Google alone", n)
	}
	p.foretell(401, "/.crmgate/sign-in")
	if res := h.browser(t).signIn("asha@acme.test", password); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a password in clear opens an account that has to come by Google: %s %s", res.Status, res.text())
	}
	form := url.Values{"email": {"asha@acme.test"}, "password": {password}, "return": {"/"}}.Encode()
	if res := h.browser(t).post("/.crmgate/sign-in", form, "Content-Type", "application/x-www-form-urlencoded", "Sec-Fetch-Mode", "navigate", "Accept", "text/html"); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the form opens an account that has to come by Google: %s", res.Status)
	}
	other := h.start(t, "google")
	other.openid("asha@acme.test")
	other.at("/app/leads")

	p.open("/.crmgate/sign-in?with=password&return=/app/leads")
	p.submit("admin@acme.test", password)
	p.at("/app/leads")
	p.listed()
	audit := h.admin(t, http.MethodGet, "/crmgate/audit?kind=sign_in", "")
	if !strings.Contains(audit, "break") {
		t.Errorf("the audit does not say that the glass was broken: %s", audit)
	}
	stranger := h.page(t)
	stranger.outside(h.oidc.ADFS)
	stranger.foretell(401, "/.crmgate/sso/adfs/callback")
	stranger.open("/.crmgate/sso/adfs/start")
	stranger.openid("ravi@acme.test")
	stranger.heading("Signing in did not work")
}
