// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package saml

import (
	"crypto/sha1"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/sso"
	"github.com/crmgate/crmgate/modules/internal/testpeer"
)

// services are the gate's providers as the peer knows them, by name.
var services = map[string]testpeer.SSPService{
	"both":      {SignResponse: true, SignAssertion: true},
	"assertion": {SignAssertion: true}, // what ADFS does unless told otherwise
	"response":  {SignResponse: true},
	"cbc":       {SignAssertion: true, Encrypt: nsEncrypt + "aes256-cbc"},
	"gcm":       {SignAssertion: true, SignResponse: true, Encrypt: nsEncrypt11 + "aes256-gcm"},
	"outside":   {SignResponse: true, Encrypt: nsEncrypt11 + "aes128-gcm"},
	"unsigned":  {},
	"sha1":      {SignAssertion: true, SignResponse: true, SHA1: true},
}

func startPeer(t *testing.T) *testpeer.SSP {
	t.Helper()
	var list []testpeer.SSPService
	for name, s := range services {
		s.EntityID, s.ACS, s.SLO = origin+signin.SSOPath(name, "metadata"), origin+signin.SSOPath(name, "acs"), origin+signin.SSOPath(name, "slo")
		s.Certificate = gateKey().b64()
		list = append(list, s)
	}
	return testpeer.StartSSP(t, list...)
}

// browser follows the provider's pages; what it is sent to at the gate it keeps.
type browser struct {
	t      *testing.T
	client *http.Client
	at     *url.URL // the address at the gate, when it was sent there
	form   url.Values
}

func newBrowser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	b := &browser{t: t}
	b.client = &http.Client{Jar: jar, Transport: transport, Timeout: 20 * time.Second, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), origin) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	return b
}

// read takes an answer of the provider: a redirect to the gate, a form for the
// gate, or a form of its own, which is returned.
func (b *browser) read(res *http.Response, err error) (action string, form url.Values) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("talking to the provider: %v", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.at, b.form = nil, nil
	if to, err := res.Location(); err == nil {
		b.at = to
		return "", nil
	}
	if res.StatusCode != http.StatusOK {
		b.t.Fatalf("the provider answers %s: %.2000s", res.Status, body)
	}
	action, form = readForm(b.t, string(body))
	to, err := res.Request.URL.Parse(action)
	if err != nil {
		b.t.Fatal(err)
	}
	if strings.HasPrefix(to.String(), origin) {
		b.at, b.form = to, form
	}
	return to.String(), form
}

func readForm(t *testing.T, page string) (action string, form url.Values) {
	t.Helper()
	form = url.Values{}
	z := html.NewTokenizer(strings.NewReader(page))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return action, form
		case html.StartTagToken, html.SelfClosingTagToken:
			tok := z.Token()
			a := map[string]string{}
			for _, x := range tok.Attr {
				a[x.Key] = x.Val
			}
			switch {
			case tok.Data == "form" && action == "":
				action = a["action"]
				if action == "" {
					action = "?"
				}
			case tok.Data == "input" && a["name"] != "":
				form.Set(a["name"], a["value"])
			}
		}
	}
}

// open goes to the provider with what Begin or Leave said, and signs in when it asks.
func (b *browser) open(next signin.Next, login string) {
	b.t.Helper()
	var res *http.Response
	var err error
	if next.Form != nil {
		form := url.Values{}
		for k, v := range next.Form {
			form.Set(k, v)
		}
		res, err = b.client.PostForm(next.URL, form)
	} else {
		res, err = b.client.Get(next.URL)
	}
	action, form := b.read(res, err)
	if b.at != nil {
		return
	}
	if _, asks := form["password"]; !asks {
		b.t.Fatalf("the provider shows neither its sign-in page nor an answer: %v", form)
	}
	form.Set("username", login)
	form.Set("password", "pw-"+login)
	b.read(b.client.PostForm(action, form))
	if b.at == nil {
		b.t.Fatal("the provider did not sign the person in")
	}
}

// against is a bench whose provider is the peer, on the machine's clock.
func against(t *testing.T, peer *testpeer.SSP, name string, change func(*Config)) *bench {
	b := newBench(t, func(c *Config) {
		c.Name, c.Metadata = name, peer.Metadata
		if change != nil {
			change(c)
		}
	})
	b.env.Clock = clock.System{}
	return b
}

const realFlow = "0123456789012345678901234567890123456789012"

// signInReal is a whole sign-in, and what the gate makes of the answer.
func (b *bench) signInReal(br *browser, login string, fresh bool) (signin.Proof, error) {
	b.t.Helper()
	next, data, err := b.p.Begin(b.t.Context(), b.env, signin.Flow{ID: realFlow, Fresh: fresh})
	if err != nil {
		b.t.Fatalf("nobody can begin a sign-in: %v", err)
	}
	br.open(next, login)
	r := answerRequest(br.form)
	if id, err := b.p.FlowID(r); err != nil || id != realFlow {
		b.t.Fatalf("the answer belongs to flow %q, %v", id, err)
	}
	return b.p.Finish(b.t.Context(), b.env, r, data)
}

func TestRealProviderSignsIn(t *testing.T) {
	peer := startPeer(t)
	pin := sha1.Sum(peer.Certificate.Raw)
	for name := range services {
		for _, binding := range []Binding{BindingRedirect, BindingPOST} {
			t.Run(name+" by "+string(binding), func(t *testing.T) {
				b := against(t, peer, name, func(c *Config) { c.Binding, c.Thumbprints = binding, []string{hex.EncodeToString(pin[:])} })
				got, err := b.signInReal(newBrowser(t), "sally", false)
				if name == "unsigned" || name == "sha1" {
					if !denied(err) || got.Email != "" {
						t.Fatalf("%s answers sign people in: %+v, %v", name, got, err)
					}
					return
				}
				if err != nil {
					t.Fatalf("people cannot sign in: %v", err)
				}
				if got.Email != "sally@example.test" || got.Subject != "sally" || got.Grant.Session == "" || time.Since(got.AuthTime) > time.Minute || !reflect.DeepEqual(got.Methods, []string{"pwd"}) {
					t.Errorf("the proof is %+v", got)
				}
			})
		}
	}
}

func TestRealProviderIsAskedAgain(t *testing.T) {
	peer := startPeer(t)
	b, br := against(t, peer, "both", nil), newBrowser(t)
	first, err := b.signInReal(br, "sally", false)
	if err != nil {
		t.Fatal(err)
	}
	second, err := b.signInReal(br, "nobody", false)                                                          // remembered: the password is not asked
	if err != nil || second.Email != first.Email || second.AuthTime.Sub(first.AuthTime).Abs() > time.Second { // it counts in seconds, twice
		t.Errorf("a second tab: %+v, %v", second, err)
	}
	time.Sleep(time.Until(second.AuthTime.Add(2100 * time.Millisecond)))
	third, err := b.signInReal(br, "sally", true)
	if err != nil || !third.AuthTime.After(second.AuthTime.Add(time.Second)) {
		t.Errorf("a fresh proof was taken from memory: %v then %v, %v", second.AuthTime, third.AuthTime, err)
	}
}

func TestRealProviderAddressesThatAreNone(t *testing.T) {
	peer := startPeer(t)
	for _, login := range []string{"two", "evil"} {
		if got, err := against(t, peer, "both", nil).signInReal(newBrowser(t), login, false); !denied(err) {
			t.Errorf("%s signs in as %q: %v", login, got.Email, err)
		}
	}
}

func TestRealProviderBeginsTheSignIn(t *testing.T) {
	peer := startPeer(t)
	for _, on := range []bool{false, true} {
		b, br := against(t, peer, "both", func(c *Config) { c.IDPInitiated = on }), newBrowser(t)
		br.open(signin.Next{URL: peer.Initiated(url.QueryEscape(origin + signin.SSOPath("both", "metadata")))}, "mark")
		r := answerRequest(br.form)
		if id, err := b.p.FlowID(r); err != nil || id != "" {
			t.Fatalf("an answer nobody asked for belongs to flow %q, %v", id, err)
		}
		got, err := b.p.Finish(t.Context(), b.env, r, nil)
		if on && (err != nil || got.Email != "mark@example.test") || !on && !denied(err) {
			t.Errorf("with idp_initiated %t: %+v, %v", on, got, err)
		}
		if on {
			if _, err := b.p.Finish(t.Context(), b.env, answerRequest(br.form), nil); !denied(err) {
				t.Errorf("the same answer again: %v", err)
			}
		}
	}
}

func TestRealProviderSignedOutFromTheGate(t *testing.T) {
	peer := startPeer(t)
	b, br := against(t, peer, "both", nil), newBrowser(t)
	proof, err := b.signInReal(br, "sally", false)
	if err != nil {
		t.Fatal(err)
	}
	next, err := b.p.Leave(t.Context(), b.env, proof.Grant)
	if err != nil || next.URL == "" {
		t.Fatalf("%+v, %v", next, err)
	}
	br.open(next, "")
	w := b.listen(slo(br.at.RawQuery), "slo", &sessions{})
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != origin+signin.SSOPath("both", "signed-out") {
		t.Fatalf("the provider's answer: %d %s %s", w.Code, w.Header().Get("Location"), b.log)
	}
	if _, err := b.signInReal(br, "mark", false); err != nil { // would be sally again, were she still signed in there
		t.Fatal(err)
	}
}

func TestRealProviderSignsOut(t *testing.T) {
	peer := startPeer(t)
	b, br := against(t, peer, "both", nil), newBrowser(t)
	proof, err := b.signInReal(br, "sally", false)
	if err != nil {
		t.Fatal(err)
	}
	br.open(signin.Next{URL: peer.SignOut(url.QueryEscape(peer.URL))}, "")
	host := &sessions{}
	w := b.listen(slo(br.at.RawQuery), "slo", host)
	if want := [][3]string{{"both", "sally", proof.Grant.Session}}; !reflect.DeepEqual(host.ended, want) {
		t.Fatalf("ended %v, want %v: %s", host.ended, want, b.log)
	}
	res, err := br.client.Get(w.Header().Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK || strings.Contains(res.Request.URL.Path, "SingleLogoutService") {
		t.Errorf("the provider does not take the gate's signed answer: %s at %s\n%s", res.Status, res.Request.URL, peer.Log())
	}
}

func TestRealProviderMetadata(t *testing.T) {
	peer := startPeer(t)
	pin := sha1.Sum(peer.Certificate.Raw)
	b := against(t, peer, "both", func(c *Config) { c.MetadataThumbprints = []string{hex.EncodeToString(pin[:])} })
	checks, err := b.p.Probe(t.Context(), clock.System{})
	if err != nil || !strings.Contains(strings.Join([]string{checks[1].Detail}, ""), testpeer.SSPEntityID) {
		t.Errorf("%v, %v", checks, err)
	}
}

// The gate's flow handler and this provider together: begun in one browser, ended
// by a POST from the provider's site with the cookie that may come along with it.
func TestRealProviderThroughTheFlowHandler(t *testing.T) {
	peer := startPeer(t)
	for _, binding := range []Binding{BindingRedirect, BindingPOST} {
		b := against(t, peer, "gcm", func(c *Config) { c.Binding = binding })
		var done []sso.Finished
		h, err := sso.New(sso.Options{
			Providers: []signin.RedirectProvider{b.p},
			Env:       func() (signin.Env, bool) { return b.env, true },
			Finish:    func(_ http.ResponseWriter, _ *http.Request, f sso.Finished) { done = append(done, f) },
		})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, origin+sso.StartPath("gcm", "", sso.SignIn), nil))
		next := signin.Next{URL: w.Header().Get("Location")}
		if next.URL == "" {
			action, form := readForm(t, w.Body.String())
			next = signin.Next{URL: action, Form: map[string]string{}}
			for k := range form {
				next.Form[k] = form.Get(k)
			}
		}
		br := newBrowser(t)
		br.open(next, "mark")
		answer := func(cookies bool) int {
			r := answerRequest(br.form)
			r.URL = br.at
			for _, c := range w.Result().Cookies() {
				if cookies && c.SameSite == http.SameSiteNoneMode {
					r.AddCookie(c)
				}
			}
			res := httptest.NewRecorder()
			h.ServeHTTP(res, r)
			return res.Code
		}
		if code := answer(false); code != http.StatusBadRequest || len(done) != 0 {
			t.Errorf("an answer in another browser than the one that began: %d, %v", code, done)
		}
		if code := answer(true); code != http.StatusOK || len(done) != 1 || done[0].Proof.Email != "mark@example.test" {
			t.Errorf("by %s: %d, %+v\n%s", binding, code, done, b.log)
		}
		if code := answer(true); code != http.StatusBadRequest || len(done) != 1 {
			t.Errorf("the same answer again: %d", code)
		}
	}
}
