// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sso

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/policy"
)

func TestSignIn(t *testing.T) {
	p := &fake{name: "idp"}
	w := newWorld(t, nil, p)
	u := w.user()
	id := u.begin(p, "?return=%2Fsafe%2Fleads%3Fa%3D1&hint=Sally%40Example.test")
	if got := p.began[0].LoginHint; got != "sally@example.test" {
		t.Errorf("login hint %q: the person must type the address twice", got)
	}
	res := u.callback(p, id)
	if len(w.finished) != 1 || res.Header.Get("Location") != "/safe/leads?a=1" {
		t.Fatalf("finished %+v, sent to %q: signing in does not end where it was wanted", w.finished, res.Header.Get("Location"))
	}
	f := w.finished[0]
	if f.Provider != "idp" || f.Proof.Grant.Provider != "idp" || f.Purpose != SignIn || f.Unsolicited || f.Proof.Email != "sally@example.test" {
		t.Errorf("finished %+v", f)
	}
	if string(p.kept[0]) != "kept of "+id {
		t.Errorf("the provider got %q back instead of what it kept", p.kept[0])
	}
}

func TestManyTabsSignInAtOnce(t *testing.T) {
	p := &fake{name: "idp"}
	w := newWorld(t, nil, p)
	u := w.user()
	var ids []string
	for i := range 8 {
		ids = append(ids, u.begin(p, fmt.Sprintf("?return=/safe/%d", i)))
	}
	if len(u.cookies) != 1 {
		t.Errorf("%d cookies for eight tabs: they pile up until requests are too large", len(u.cookies))
	}
	for i, id := range slices.Backward(ids) {
		if got := u.callback(p, id).Header.Get("Location"); got != fmt.Sprintf("/safe/%d", i) {
			t.Errorf("tab %d was sent to %q: tabs disturb each other", i, got)
		}
	}
}

func TestAnAnswerIsTakenOnce(t *testing.T) {
	p := &fake{name: "idp"}
	w := newWorld(t, nil, p)
	u := w.user()
	id := u.begin(p, "")
	var mu sync.Mutex
	good := 0
	w.handler.opts.Finish = func(http.ResponseWriter, *http.Request, Finished) { mu.Lock(); good++; mu.Unlock() }
	w.handler.opts.Refuse = WriteRefusal
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			r := httptest.NewRequest(http.MethodGet, origin+"/.crmgate/sso/idp/callback?state="+id, nil)
			r.AddCookie(&http.Cookie{Name: FlowCookie, Value: u.cookies[FlowCookie]})
			w.handler.ServeHTTP(httptest.NewRecorder(), r)
		})
	}
	wg.Wait()
	if good != 1 {
		t.Errorf("one answer signed in %d times: a stolen answer can be replayed", good)
	}
}

func TestUsedFlowNeverLoops(t *testing.T) {
	p := &fake{name: "idp"}
	w := newWorld(t, nil, p)
	u := w.user()
	id := u.begin(p, "")
	u.callback(p, id)
	w.finished = nil
	res := u.callback(p, id)
	w.wantRefused(res, 400, "used")
	body, _ := io.ReadAll(res.Body)
	if res.Header.Get("Location") != "" || !strings.Contains(string(body), "/.crmgate/sso/idp/start") {
		t.Errorf("an answer that came twice must be explained with a link, not redirected: %s", body)
	}
	w.session = "s1"
	if res := u.callback(p, id); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/" {
		t.Errorf("whoever is signed in and goes back must land on the start page, got %d", res.StatusCode)
	}
}

func TestFlowEndsByTheClockNotByASweeper(t *testing.T) {
	p := &fake{name: "idp"}
	w := newWorld(t, nil, p)
	u := w.user()
	id := u.begin(p, "")
	w.clock.Advance(FlowLife)
	w.wantRefused(u.callback(p, id), 400, "over")
}

func TestAnswerRefused(t *testing.T) {
	other := strings.Repeat("A", 43)
	for _, c := range []struct {
		name   string
		status int
		detail string
		do     func(w *world, u *user, id string) *http.Response
	}{
		{"an answer from another browser", 400, "another browser", func(w *world, _ *user, id string) *http.Response {
			return w.user().do(http.MethodGet, "/.crmgate/sso/idp/callback?state="+id, nil)
		}},
		{"an answer from a browser with a flow of its own", 400, "another browser", func(w *world, _ *user, id string) *http.Response {
			v := w.user()
			v.do(http.MethodGet, "/.crmgate/sso/idp/start", nil)
			return v.do(http.MethodGet, "/.crmgate/sso/idp/callback?state="+id, nil)
		}},
		{"an answer for another provider (mix-up)", 400, "another provider", func(_ *world, u *user, id string) *http.Response {
			return u.do(http.MethodGet, "/.crmgate/sso/other/callback?state="+id, nil)
		}},
		{"an unknown provider", 404, "no such provider", func(_ *world, u *user, id string) *http.Response {
			return u.do(http.MethodGet, "/.crmgate/sso/nobody/callback?state="+id, nil)
		}},
		{"an unknown path", 404, "no such path", func(_ *world, u *user, _ string) *http.Response {
			return u.do(http.MethodGet, "/.crmgate/sso/idp/x", nil)
		}},
		{"a missing flow", 400, "not there", func(_ *world, u *user, _ string) *http.Response {
			return u.do(http.MethodGet, "/.crmgate/sso/idp/callback?state="+other, nil)
		}},
		{"a flow id of another form", 400, "not there", func(_ *world, u *user, _ string) *http.Response {
			return u.do(http.MethodGet, "/.crmgate/sso/idp/callback?state=..%2F..", nil)
		}},
		{"no flow id", 401, "no state", func(_ *world, u *user, _ string) *http.Response {
			return u.do(http.MethodGet, "/.crmgate/sso/idp/callback", nil)
		}},
		{"the provider's no", 401, "access_denied", func(_ *world, u *user, id string) *http.Response {
			return u.do(http.MethodGet, "/.crmgate/sso/idp/callback?error=access_denied&state="+id, nil)
		}},
		{"state twice", 400, "twice", func(_ *world, u *user, id string) *http.Response {
			return u.do(http.MethodGet, "/.crmgate/sso/idp/callback?state="+id+"&state="+id, nil)
		}},
		{"a parameter in query and body", 400, "twice", func(_ *world, u *user, id string) *http.Response {
			return u.do(http.MethodPost, "/.crmgate/sso/idp/callback?state="+id, url.Values{"state": {id}})
		}},
		{"a query nobody can decode", 400, "undecodable", func(_ *world, u *user, id string) *http.Response {
			return u.do(http.MethodGet, "/.crmgate/sso/idp/callback?state="+id+"&a=%zz", nil)
		}},
		{"an answer by POST when it was bound for GET", 400, "another browser", func(_ *world, u *user, id string) *http.Response {
			return u.do(http.MethodPost, "/.crmgate/sso/idp/callback", url.Values{"state": {id}})
		}},
		{"an answer nobody asked for", 401, "nobody asked", func(_ *world, u *user, _ string) *http.Response {
			return u.do(http.MethodPost, "/.crmgate/sso/idp/acs", url.Values{"none": {"1"}})
		}},
		{"a body that is no form", 400, "no form", func(_ *world, u *user, _ string) *http.Response {
			r := httptest.NewRequest(http.MethodPost, origin+"/.crmgate/sso/idp/acs", strings.NewReader("<xml/>"))
			r.Header.Set("Content-Type", "text/xml")
			return u.send(r)
		}},
		{"a body without end", 400, "too long", func(_ *world, u *user, _ string) *http.Response {
			return u.do(http.MethodPost, "/.crmgate/sso/idp/acs", url.Values{"SAMLResponse": {strings.Repeat("A", DefaultMaxBody+1)}})
		}},
		{"HEAD", 400, "HEAD", func(_ *world, u *user, id string) *http.Response {
			return u.do(http.MethodHead, "/.crmgate/sso/idp/callback?state="+id, nil)
		}},
		{"acs by GET", 400, "GET", func(_ *world, u *user, id string) *http.Response {
			return u.do(http.MethodGet, "/.crmgate/sso/idp/acs?state="+id, nil)
		}},
		{"two flow cookies", 400, "two flow cookies", func(_ *world, u *user, id string) *http.Response {
			r := httptest.NewRequest(http.MethodGet, origin+"/.crmgate/sso/idp/callback?state="+id, nil)
			r.AddCookie(&http.Cookie{Name: FlowCookie, Value: u.cookies[FlowCookie]})
			r.AddCookie(&http.Cookie{Name: FlowCookie, Value: other})
			return u.send(r)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := &fake{name: "idp"}
			w := newWorld(t, nil, p, &fake{name: "other"})
			u := w.user()
			id := u.begin(p, "")
			w.wantRefused(c.do(w, u, id), c.status, c.detail)
			if !strings.Contains(c.name, "no ") && !strings.Contains(c.name, "'s no") {
				if u.callback(p, id); len(w.finished) != 1 {
					t.Error("a refused answer of somebody else used up the flow of the person who waits for it")
				}
			}
		})
	}
}

func TestAnswerByPostIsBoundByItsOwnCookie(t *testing.T) {
	p := &fake{name: "saml", post: true, form: true}
	w := newWorld(t, nil, p)
	u := w.user()
	id := u.begin(p, "")
	if u.cookies[FlowCookie] == "" || u.cookies[PostCookie] == "" || u.cookies[FlowCookie] == u.cookies[PostCookie] {
		t.Fatalf("cookies %v: the one browsers send across sites must not be good for answers by GET", u.cookies)
	}
	swapped := w.user()
	swapped.cookies[PostCookie] = u.cookies[FlowCookie]
	w.wantRefused(swapped.do(http.MethodPost, "/.crmgate/sso/saml/acs", url.Values{"state": {id}}), 400, "another browser")
	u.do(http.MethodPost, "/.crmgate/sso/saml/acs", url.Values{"state": {id}})
	if len(w.finished) != 1 {
		t.Errorf("an answer by POST from the provider's site does not sign in: %+v", w.refused)
	}
}

func TestCookiesAreHostCookies(t *testing.T) {
	p := &fake{name: "saml", post: true}
	w := newWorld(t, nil, p)
	res := w.user().do(http.MethodGet, "/.crmgate/sso/saml/start", nil)
	for _, c := range res.Cookies() {
		wantSite := http.SameSiteLaxMode
		if c.Name == PostCookie {
			wantSite = http.SameSiteNoneMode
		}
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" || c.SameSite != wantSite {
			t.Errorf("cookie %v can be planted or read by others", c)
		}
	}
}

func TestFormStepWorksWithoutScriptsAndEscapes(t *testing.T) {
	p := &fake{name: "saml", post: true, form: true}
	w := newWorld(t, nil, p)
	res := w.user().do(http.MethodGet, "/.crmgate/sso/saml/start", nil)
	body, _ := io.ReadAll(res.Body)
	csp := res.Header.Get("Content-Security-Policy")
	for _, want := range []string{"form-action https://idp.example.test;", "default-src 'none'", "frame-ancestors 'none'", sourceHash(submitScript)} {
		if !strings.Contains(csp, want) {
			t.Errorf("policy %q lacks %q: the page can be turned against the person, or sends nothing", csp, want)
		}
	}
	if !strings.Contains(string(body), `<button type="submit">`) {
		t.Error("without JavaScript nobody gets on")
	}
	if strings.Contains(string(body), "<script>alert") || !strings.Contains(string(body), "<script>"+submitScript+"</script>") {
		t.Errorf("values are not escaped, or the script is not the one the policy allows:\n%s", body)
	}
}

func TestPurposes(t *testing.T) {
	p := &fake{name: "idp"}
	w := newWorld(t, nil, p)
	u := w.user()
	if res := u.do(http.MethodGet, "/.crmgate/sso/idp/start?for=step-up", nil); res.StatusCode != 401 {
		t.Errorf("step-up without a session answered %d", res.StatusCode)
	}
	if res := u.do(http.MethodGet, "/.crmgate/sso/idp/start?for=admin", nil); res.StatusCode != 400 {
		t.Errorf("an unknown purpose answered %d: what is asked for could be guessed wrong", res.StatusCode)
	}
	w.session = "the-session"
	id := u.begin(p, "?for=step-up&return=/safe")
	if !p.began[len(p.began)-1].Fresh {
		t.Error("step-up did not ask for a fresh proof: an unattended screen would do")
	}
	w.session = "" // as with an answer by POST
	u.callback(p, id)
	if len(w.finished) != 1 || w.finished[0].Purpose != StepUp || w.finished[0].Session != "the-session" {
		t.Errorf("finished %+v: the step-up is not tied to the session that asked", w.finished)
	}
}

func TestFlowsAreBounded(t *testing.T) {
	p := &fake{name: "idp"}
	w := newWorld(t, func(o *Options) { o.PerBrowser, o.PerAddress = 4, 10 }, p)
	u := w.user()
	for range 4 {
		u.begin(p, "")
	}
	if res := u.do(http.MethodGet, "/.crmgate/sso/idp/start", nil); res.StatusCode != 429 {
		t.Errorf("the fifth flow of a browser answered %d: the store can be filled", res.StatusCode)
	}
	refused := 0
	for range 10 {
		if res := w.user().do(http.MethodGet, "/.crmgate/sso/idp/start", nil); res.StatusCode == 429 {
			refused++
		}
	}
	if refused != 5 {
		t.Errorf("%d of 10 more flows of one address were refused, want 5: dropping the cookie gets round the limit", refused)
	}
	w.clock.Advance(FlowLife)
	u.begin(p, "")
}

func TestUnsolicitedAnswersAreCounted(t *testing.T) {
	p := &fake{name: "saml", post: true, any: true}
	w := newWorld(t, func(o *Options) { o.PerBrowser = 3 }, p)
	for i := range 4 {
		res := w.user().do(http.MethodPost, "/.crmgate/sso/saml/acs", url.Values{"none": {"1"}})
		if i == 3 && res.StatusCode != 429 {
			t.Errorf("answer %d got %d: costly answers can be sent without end", i+1, res.StatusCode)
		}
	}
	if len(w.finished) != 3 || !w.finished[0].Unsolicited || w.finished[0].Return != "/" {
		t.Errorf("finished %+v", w.finished)
	}
}

func TestOutageIsNoDenial(t *testing.T) {
	p := &fake{name: "idp", finish: errors.New("connection refused")}
	w := newWorld(t, nil, p)
	u := w.user()
	w.wantRefused(u.callback(p, u.begin(p, "")), 503, "checking an answer failed")
	if got := w.refused[0]; got.Reason != policy.StoreUnavailable || strings.Contains(got.Text, "refused") {
		t.Errorf("refused %+v: an outage must not look like a no, nor tell its cause", got)
	}
	w.open = false
	w.wantRefused(u.do(http.MethodGet, "/.crmgate/sso/idp/start", nil), 503, "not open")
	w.open = true
	w.env.State = awayStore{w.env.State, func(op, _ string) bool { return op == "get" || op == "putnew" }}
	w.wantRefused(u.do(http.MethodGet, "/.crmgate/sso/idp/start", nil), 503, "beginning")
	w.wantRefused(u.callback(p, strings.Repeat("A", 43)), 503, "finding the flow")
}

func TestStoredFlowsTellNothing(t *testing.T) {
	p := &fake{name: "idp"}
	w := newWorld(t, nil, p)
	id := w.user().begin(p, "?return=/safe/secret-place")
	e, err := w.env.State.Get(t.Context(), flowKey(id))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{id, "secret-place", "kept of"} {
		if strings.Contains(e.Key+string(e.Value), s) {
			t.Errorf("the store shows %q: whoever reads it can answer in somebody's place", s)
		}
	}
	if left := e.Expires.Sub(w.clock.Now()); left > FlowLife {
		t.Errorf("a flow stays %v", left)
	}
}

func TestListenersAndSignedOut(t *testing.T) {
	p := &fake{name: "idp", listen: "metadata"}
	w := newWorld(t, func(o *Options) { o.SignedOut = "/bye" }, p)
	u := w.user()
	body, _ := io.ReadAll(u.do(http.MethodGet, "/.crmgate/sso/idp/metadata", nil).Body)
	if string(body) != "heard" {
		t.Errorf("the provider's own path answered %q", body)
	}
	if got := u.do(http.MethodGet, "/.crmgate/sso/idp/signed-out?state=x", nil).Header.Get("Location"); got != "/bye" {
		t.Errorf("after signing out at the provider the browser goes to %q", got)
	}
}

func TestNewRefuses(t *testing.T) {
	env := func() (signin.Env, bool) { return signin.Env{}, false }
	finish := func(http.ResponseWriter, *http.Request, Finished) {}
	for name, o := range map[string]Options{
		"two providers of one name": {Env: env, Finish: finish, Providers: []signin.RedirectProvider{&fake{name: "a"}, &fake{name: "a"}}},
		"a name with a slash":       {Env: env, Finish: finish, Providers: []signin.RedirectProvider{&fake{name: "a/b"}}},
		"no name":                   {Env: env, Finish: finish, Providers: []signin.RedirectProvider{&fake{}}},
		"no Finish":                 {Env: env},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestWriteNextRefusesOtherSchemes(t *testing.T) {
	for _, to := range []string{"", "javascript:alert(1)", "/relative", "//host/x", "https://u:p@idp.example.test/", "https://", "data:text/html,x"} {
		rec := httptest.NewRecorder()
		if err := WriteNext(rec, signin.Next{URL: to}); err == nil || rec.Header().Get("Location") != "" {
			t.Errorf("a browser would be sent to %q", to)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add("state=abc&code=1", "")
	f.Add("state=abc&state=abc", "")
	f.Add("", "SAMLResponse=PHg%2B&RelayState=x")
	f.Add("a=%zz;b", "a=%00")
	f.Fuzz(func(t *testing.T, query, body string) {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		form, err := single(r)
		if err != nil {
			return
		}
		for name, v := range form {
			if len(v) != 1 {
				t.Fatalf("parameter %q has %d values", name, len(v))
			}
		}
	})
}
