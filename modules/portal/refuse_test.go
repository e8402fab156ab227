// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"html/template"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/crmgate/crmgate/policy"
)

// refuseOf sends a refusal for a request of the CRM's site.
func refuseOf(t *testing.T, p *Portal, a ask, x Refusal) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	w.Header().Set("Content-Encoding", "gzip")
	w.Header().Set("ETag", `"of another body"`)
	p.Refuse(w, a.request(), x)
	res := w.Result()
	checkEvery(t, res, w.Body.String())
	if res.Header.Get("Content-Encoding") != "" || res.Header.Get("ETag") != "" {
		t.Error("headers of another body are left: browsers cannot read the refusal")
	}
	return res
}

func TestEveryReasonInBothForms(t *testing.T) {
	p := newPortal(newFake())
	for _, reason := range append(policy.Reasons(), "", "made_up") {
		want := reason
		if reason.Status() < 400 || reason == "" || reason == "made_up" {
			want = policy.Internal
		}
		t.Run(string(reason)+"/json", func(t *testing.T) {
			res := refuseOf(t, p, ask{path: "/api/leads"}, Refusal{Reason: reason})
			if res.StatusCode != want.Status() || res.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%d %s, want %d and a problem document", res.StatusCode, res.Header.Get("Content-Type"), want.Status())
			}
			m := object(t, res)
			if m["title"] != want.Text() || m["status"] != float64(want.Status()) || m["reason"] != publicReason(want) ||
				m["instance"] != testRequest || m["type"] != "urn:crmgate:refusal:"+publicReason(want) || m["detail"] != want.Text() {
				t.Errorf("problem document %v does not say %q", m, want)
			}
			if _, ok := m["sign_in"]; ok != (want.Status() == 401 && want != policy.StepUp) {
				t.Errorf("sign_in is there: %v; an app does not know where to sign in", ok)
			}
		})
		t.Run(string(reason)+"/page", func(t *testing.T) {
			res := refuseOf(t, p, ask{path: "/leads?page=2", head: browser}, Refusal{Reason: reason})
			if signInMends(want) {
				if res.StatusCode != 303 || !strings.HasPrefix(res.Header.Get("Location"), SignInPath+"?return=%2Fleads%3Fpage%3D2") {
					t.Errorf("%d to %q, want the sign-in page with a way back", res.StatusCode, res.Header.Get("Location"))
				}
				return
			}
			body := bodyOf(t, res)
			if res.StatusCode != want.Status() || !strings.Contains(body, "<h1>"+sentence(want.Text())+"</h1>") || !strings.Contains(body, testRequest) {
				t.Errorf("%d %q: want %d, its sentence and the request number", res.StatusCode, body, want.Status())
			}
			if !strings.Contains(body, template.HTMLEscapeString(hint(want))) {
				t.Error("the page does not say what to do")
			}
		})
	}
}

func TestRefuseHidesExistence(t *testing.T) {
	res := refuseOf(t, newPortal(newFake()), ask{path: "/leads/1"}, Refusal{Reason: policy.RowDenied})
	if body := bodyOf(t, res); strings.Contains(body, "row") || strings.Contains(body, "denied") {
		t.Errorf("%s: tells that a record outside the row scope exists", body)
	}
}

func TestRefuseNetworkPagesAreAlike(t *testing.T) {
	p := newPortal(newFake())
	var first string
	for _, reason := range []policy.Reason{policy.IPNotAllowed, policy.IPReputation, policy.ClientUnknown} {
		body := bodyOf(t, refuseOf(t, p, ask{path: "/", head: browser}, Refusal{Reason: reason}))
		if first == "" {
			first = body
		}
		if body != first {
			t.Errorf("the page of %s differs: it tells which list an address is on", reason)
		}
	}
}

func TestRefuseForms(t *testing.T) {
	p := newPortal(newFake())
	for _, tc := range []struct {
		name string
		ask  ask
		x    Refusal
		want func(*testing.T, *http.Response)
	}{
		{
			"shape",
			ask{path: "/v2/x"},
			Refusal{Reason: policy.ActionDenied, Shape: ErrorShape{"Status": "Error", "ExceptionType": "AccessDenied", "detail": "theirs", "bad": make(chan int)}},
			func(t *testing.T, res *http.Response) {
				m := object(t, res)
				if m["Status"] != "Error" || m["ExceptionType"] != "AccessDenied" || m["status"] != 403.0 || m["detail"] != "theirs" {
					t.Errorf("%v: the CRM's own client does not understand its error", m)
				}
			},
		},
		{
			"lock, json",
			ask{path: "/x"},
			Refusal{Reason: policy.Locked, Message: "Audit day", Until: testNow.Add(time.Hour)},
			func(t *testing.T, res *http.Response) {
				if m := object(t, res); m["detail"] != "Audit day" || m["until"] != "2026-11-20T10:30:00Z" {
					t.Errorf("%v: nobody learns why and how long they are locked out", m)
				}
			},
		},
		{
			"lock, page",
			ask{path: "/x", head: browser},
			Refusal{Reason: policy.Locked, Message: "Audit <day>", Until: testNow.Add(time.Hour)},
			func(t *testing.T, res *http.Response) {
				body := bodyOf(t, res)
				if !strings.Contains(body, "Audit &lt;day&gt;") || !strings.Contains(body, `<time datetime="2026-11-20T10:30:00Z"`) {
					t.Errorf("%s: message or time is missing or not escaped", body)
				}
			},
		},
		{
			"message of another reason",
			ask{path: "/x"},
			Refusal{Reason: policy.UpstreamFailed, Message: "dial tcp 10.1.0.5"},
			func(t *testing.T, res *http.Response) {
				if strings.Contains(bodyOf(t, res), "10.1.0.5") {
					t.Error("an inner detail reaches the client")
				}
			},
		},
		{
			"throttled rounds up",
			ask{path: "/x"},
			Refusal{Reason: policy.Throttled, RetryAfter: 1500 * time.Millisecond},
			func(t *testing.T, res *http.Response) {
				if res.Header.Get("Retry-After") != "2" || object(t, res)["retry_after"] != 2.0 {
					t.Errorf("Retry-After %q: clients come back too early", res.Header.Get("Retry-After"))
				}
			},
		},
		{
			"throttled until",
			ask{path: "/x"},
			Refusal{Reason: policy.Throttled, Until: testNow.Add(40 * time.Second)},
			func(t *testing.T, res *http.Response) {
				if res.Header.Get("Retry-After") != "40" {
					t.Errorf("Retry-After %q, want 40", res.Header.Get("Retry-After"))
				}
			},
		},
		{
			"no retry on a refusal that stays",
			ask{path: "/x"},
			Refusal{Reason: policy.ActionDenied, RetryAfter: time.Minute},
			func(t *testing.T, res *http.Response) {
				if res.Header.Get("Retry-After") != "" {
					t.Error("clients are asked to repeat what will be refused again")
				}
			},
		},
		{
			"throttled page",
			ask{path: "/leads", head: browser},
			Refusal{Reason: policy.Throttled, RetryAfter: 30 * time.Second},
			func(t *testing.T, res *http.Response) {
				if body := bodyOf(t, res); !strings.Contains(body, "30 seconds") || !strings.Contains(body, `href="/leads"`) {
					t.Errorf("%s: does not say when and where to try again", body)
				}
			},
		},
		{
			"second factor, json",
			ask{path: "/x"},
			Refusal{Reason: policy.SecondFactor},
			func(t *testing.T, res *http.Response) {
				if object(t, res)["next"] != NextSecondFactor {
					t.Error("an app does not learn that a second step is due")
				}
			},
		},
		{
			"idle tells why",
			ask{path: "/", head: browser},
			Refusal{Reason: policy.SessionIdle},
			func(t *testing.T, res *http.Response) {
				if res.Header.Get("Location") != SignInPath+"?why=session_idle" {
					t.Errorf("Location %q: the form does not say why", res.Header.Get("Location"))
				}
			},
		},
		{
			"rewritten request",
			ask{path: "/inner/x", head: browser},
			Refusal{Reason: policy.NoSession, Return: "/outer/x"},
			func(t *testing.T, res *http.Response) {
				if res.Header.Get("Location") != SignInPath+"?return=%2Fouter%2Fx" {
					t.Errorf("Location %q: leads back to a path the browser never asked for", res.Header.Get("Location"))
				}
			},
		},
		{
			"hostile target",
			ask{path: "//evil.example/x", head: browser},
			Refusal{Reason: policy.NoSession},
			func(t *testing.T, res *http.Response) {
				if res.Header.Get("Location") != SignInPath {
					t.Errorf("Location %q: an open redirect in waiting", res.Header.Get("Location"))
				}
			},
		},
		{
			"form post of a browser",
			ask{method: "POST", path: "/leads", head: browser},
			Refusal{Reason: policy.NoSession},
			func(t *testing.T, res *http.Response) {
				if body := bodyOf(t, res); res.StatusCode != 401 || !strings.Contains(body, "was not saved") {
					t.Errorf("%d %s: a person sees JSON or believes the form was saved", res.StatusCode, body)
				}
			},
		},
		{
			"web socket",
			ask{path: "/ws", head: map[string]string{"Upgrade": "websocket", "Accept": "text/html"}},
			Refusal{Reason: policy.NoSession},
			func(t *testing.T, res *http.Response) {
				if res.StatusCode != 401 {
					t.Errorf("%d: a socket cannot follow a redirect", res.StatusCode)
				}
			},
		},
		{
			"session stays on XHR",
			ask{path: "/x", token: testToken},
			Refusal{Reason: policy.NoSession},
			func(t *testing.T, res *http.Response) {
				if len(res.Cookies()) != 0 {
					t.Error("a late answer clears the cookie of a session begun meanwhile")
				}
			},
		},
		{
			"two cookies",
			ask{path: "/x", head: map[string]string{"Cookie": "__Host-crmgate=a; __Host-crmgate=b"}},
			Refusal{Reason: policy.BadRequest},
			func(t *testing.T, res *http.Response) {
				if setCookies(res)[CookieName] != "-" {
					t.Error("a planted cookie stays")
				}
			},
		},
		{
			"HEAD",
			ask{method: "HEAD", path: "/x"},
			Refusal{Reason: policy.ActionDenied},
			func(t *testing.T, res *http.Response) {
				if bodyOf(t, res) != "" || res.Header.Get("Content-Length") == "" {
					t.Error("HEAD must have no body and the length GET would have")
				}
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.want(t, refuseOf(t, p, tc.ask, tc.x)) })
	}
}

func TestLoopEndsAfterThreeTrips(t *testing.T) {
	p := newPortal(newFake())
	r := func(n string) *http.Response {
		return refuseOf(t, p, ask{path: "/leads", head: map[string]string{"Sec-Fetch-Mode": "navigate", "Cookie": tripsCookie + "=" + n}}, Refusal{Reason: policy.NoSession})
	}
	for _, n := range []string{"0", "1", "2"} {
		if res := r(n); res.StatusCode != 303 {
			t.Errorf("after %s trips %d, want a redirect", n, res.StatusCode)
		}
	}
	res := r("3")
	body := bodyOf(t, res)
	if res.StatusCode != 401 || !strings.Contains(body, "https://") || !strings.Contains(body, testHost) || !strings.Contains(body, "clock") {
		t.Errorf("%d %s: a fourth redirect, or a page that does not say why", res.StatusCode, body)
	}
	if setCookies(res)[tripsCookie] != "-" {
		t.Error("the count stays: nobody can try again once the cause is mended")
	}
}

// TestLoopAsABrowserSeesIt walks through real sign-ins to a gate that never takes
// the session.
func TestLoopAsABrowserSeesIt(t *testing.T) {
	b := newFake()
	p := newPortal(b)
	jar := map[string]string{}
	send := func(a ask, h func(http.ResponseWriter, *http.Request)) *http.Response {
		a.head = map[string]string{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "same-origin"}
		var line []string
		for k, v := range jar {
			line = append(line, k+"="+v)
		}
		a.head["Cookie"] = strings.Join(line, "; ")
		w := httptest.NewRecorder()
		h(w, a.request())
		for name, v := range setCookies(w.Result()) {
			if jar[name] = v; v == "-" {
				delete(jar, name)
			}
		}
		return w.Result()
	}
	refuse := func(w http.ResponseWriter, r *http.Request) { p.Refuse(w, r, Refusal{Reason: policy.NoSession}) }
	redirects := 0
	for range 10 {
		res := send(ask{path: "/leads"}, refuse)
		if res.StatusCode != 303 {
			break
		}
		redirects++
		b.session = map[string]SessionView{otherToken: b.all[1]}
		res = send(ask{method: "POST", path: SignInPath, body: "email=ann%40example.com&password=x&return=%2Fleads"}, p.ServeHTTP)
		if res.Header.Get("Location") != signedInPath+"?return=%2Fleads" {
			t.Fatalf("signed in, then %d to %q", res.StatusCode, res.Header.Get("Location"))
		}
		if res = send(ask{path: res.Header.Get("Location")}, p.ServeHTTP); res.Header.Get("Location") != "/leads" {
			t.Fatalf("cookie kept, then %d to %q", res.StatusCode, res.Header.Get("Location"))
		}
	}
	if redirects != 3 {
		t.Errorf("%d redirects to the form before the explanation, want 3", redirects)
	}
}

func TestRefusalErrorIsSilent(t *testing.T) {
	x := &Refusal{Reason: policy.Locked, Message: "secret", Return: "/x"}
	if x.Error() != "refused: locked" {
		t.Errorf("%q: more than the reason goes to logs", x.Error())
	}
}
