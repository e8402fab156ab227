// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/directory"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/vault"
	"github.com/crmgate/crmgate/modules/records/sqlite"
	"github.com/crmgate/crmgate/modules/state/embedded"
)

const (
	mona   = "mona@example.com"
	secret = `Trés-Bon "42"\ & {email} =`
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// service starts an API over TLS and returns a configuration for it.
func service(t testing.TB, h http.HandlerFunc) Config {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = true
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.StartTLS()
	t.Cleanup(srv.Close)
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return Config{
		URL: srv.URL + "/check", Body: `{"user":{"mail":"{email}"},"pass":"{password}"}`, Private: loopback, Roots: roots,
		Timeout: 10 * time.Second,
	}
}

func provider(t testing.TB, c Config) *Provider {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// newEnv is a gate that knows Mona.
func newEnv(t *testing.T) signin.Env {
	t.Helper()
	st, err := embedded.Open(t.Context(), embedded.Config{Path: t.TempDir(), Account: "a"})
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: t.TempDir() + "/r.db", Account: "a"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.PutPerson(t.Context(), records.Person{ID: "p1", Email: mona, Status: records.Active, UserType: "regular"}); err != nil {
		t.Fatal(err)
	}
	d, err := directory.Open(t.Context(), directory.Options{Records: db, State: st})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.Close()
		_ = db.Close()
		_ = st.Close()
	})
	return signin.Env{Records: db, State: st, Directory: d}
}

func TestWhatIsSent(t *testing.T) {
	var mu sync.Mutex
	var got *http.Request
	var body []byte
	c := service(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got = r
		body, _ = io.ReadAll(r.Body)
	})
	c.Headers = map[string]vault.Secret{"X-Api-Key": vault.NewSecret([]byte("key-1"))}
	form, query := c, c
	form.Method, form.ContentType, form.Body = "PUT", "application/x-www-form-urlencoded", "grant=1&user={email}&pass={password}"
	query.Method, query.Body, query.URL = "GET", "", c.URL+"?v=2&user={email}&pass={password}"
	for name, c := range map[string]struct {
		config       Config
		method, kind string
		read         func() (email, pass string)
	}{
		"JSON": {c, "POST", "application/json", func() (string, string) {
			var in struct {
				User struct{ Mail string }
				Pass string
			}
			_ = json.Unmarshal(body, &in)
			return in.User.Mail, in.Pass
		}},
		"form": {form, "PUT", "application/x-www-form-urlencoded", func() (string, string) {
			v, _ := url.ParseQuery(string(body))
			return v.Get("user"), v.Get("pass")
		}},
		"query": {query, "GET", "", func() (string, string) { return got.URL.Query().Get("user"), got.URL.Query().Get("pass") }},
	} {
		t.Run(name, func(t *testing.T) {
			p := provider(t, c.config)
			report, err := p.Probe(t.Context(), "Mona@Example.com", secret)
			if err != nil || report.Decision != Right || report.Status != 200 {
				t.Fatalf("%+v, %v", report, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if got.Method != c.method || got.Header.Get("Content-Type") != c.kind || got.Header.Get("X-Api-Key") != "key-1" || got.Header.Get("Accept-Encoding") != "" {
				t.Errorf("sent %s %v", got.Method, got.Header)
			}
			if email, pass := c.read(); email != mona || pass != secret {
				t.Errorf("the API reads %q and %q: nobody with such a password can sign in", email, pass)
			}
			shown := fmt.Sprintf("%+v", report)
			if strings.Contains(shown, "Bon") || strings.Contains(shown, "key-1") || strings.Contains(shown, mona) || !strings.Contains(shown, "{password}") {
				t.Errorf("a report shows %s", shown)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	value := Config{Pointer: "/result/0/ok", Equals: "true"}
	address := Config{Pointer: "/ok", Equals: `"yes"`, Email: "/user/e~1mail"}
	only := Config{Email: "/email"}
	for name, c := range map[string]struct {
		config Config
		status int
		body   string
		want   Decision
	}{
		"200":                           {Config{}, 200, "", Right},
		"200 with a page":               {Config{}, 200, "<html>", Right},
		"201, not listed":               {Config{}, 201, "", Unavailable},
		"204, listed":                   {Config{Success: []int{200, 204}}, 204, "", Right},
		"400":                           {Config{}, 400, "", Wrong},
		"401":                           {Config{}, 401, "no", Wrong},
		"404":                           {Config{}, 404, "", Wrong},
		"401, not listed":               {Config{Wrong: []int{403}}, 401, "", Unavailable},
		"too many":                      {Config{}, 429, "", Unavailable},
		"500":                           {Config{}, 500, "", Unavailable},
		"503":                           {value, 503, `{"result":[{"ok":true}]}`, Unavailable},
		"value":                         {value, 200, `{"result":[{"ok":true}]}`, Right},
		"value says no":                 {value, 200, `{"result":[{"ok":false}]}`, Wrong},
		"value of another type":         {value, 200, `{"result":[{"ok":"true"}]}`, Wrong},
		"value 1":                       {value, 200, `{"result":[{"ok":1}]}`, Wrong},
		"no value":                      {value, 200, `{"error":"bad password"}`, Wrong},
		"empty list":                    {value, 200, `{"result":[]}`, Wrong},
		"value twice":                   {value, 200, `{"result":[{"ok":true,"ok":true}]}`, Unavailable},
		"value, then more":              {value, 200, `{"result":[{"ok":true}]}{"x":1}`, Unavailable},
		"a page":                        {value, 200, `<html>true</html>`, Unavailable},
		"nothing":                       {value, 200, ``, Unavailable},
		"bad UTF-8":                     {value, 200, "{\"a\":\"\xff\",\"result\":[{\"ok\":true}]}", Unavailable},
		"401 with the value":            {value, 401, `{"result":[{"ok":true}]}`, Wrong},
		"address":                       {address, 200, `{"ok":"yes","user":{"e/mail":"MONA@example.com"}}`, Right},
		"address of somebody else":      {address, 200, `{"ok":"yes","user":{"e/mail":"admin@example.com"}}`, Wrong},
		"address with two @":            {address, 200, `{"ok":"yes","user":{"e/mail":"mona@example.com@evil.example"}}`, Wrong},
		"address with a space":          {address, 200, `{"ok":"yes","user":{"e/mail":" mona@example.com"}}`, Wrong},
		"address with a Kelvin sign":    {only, 200, "{\"email\":\"\u212Aim@example.com\"}", Wrong},
		"no address":                    {address, 200, `{"ok":"yes"}`, Wrong},
		"address is a list":             {address, 200, `{"ok":"yes","user":{"e/mail":["mona@example.com"]}}`, Wrong},
		"address alone":                 {only, 200, `{"email":"mona@example.com"}`, Right},
		"address alone, not JSON":       {only, 200, `mona@example.com`, Unavailable},
		"number":                        {Config{Pointer: "/code", Equals: "0"}, 200, `{"code":0}`, Right},
		"another number":                {Config{Pointer: "/code", Equals: "0"}, 200, `{"code":7}`, Wrong},
		"null where a number must be":   {Config{Pointer: "/code", Equals: "0"}, 200, `{"code":null}`, Wrong},
		"a 200 that is listed as wrong": {Config{Success: []int{201}, Wrong: []int{200, 401}}, 200, "", Wrong},
	} {
		t.Run(name, func(t *testing.T) {
			config := service(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			config.Success, config.Wrong, config.Pointer, config.Equals, config.Email = c.config.Success, c.config.Wrong, c.config.Pointer, c.config.Equals, c.config.Email
			report, err := provider(t, config).Probe(t.Context(), mona, "x")
			if err != nil || report.Decision != c.want || report.Status != c.status || report.Rule == "" {
				t.Errorf("%+v, %v: want %s", report, err, c.want)
			}
		})
	}
}

// Whatever a service does wrong, nobody is signed in, nobody is told that the
// password is wrong, and the gate comes to no harm.
func TestHostileServices(t *testing.T) {
	var metadata atomic.Int32
	meta := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { metadata.Add(1) }))
	defer meta.Close()
	release := make(chan struct{})
	defer close(release)
	bomb := func() []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(bytes.Repeat([]byte(" "), 10<<20))
		_ = z.Close()
		return b.Bytes()
	}()
	flood := func(w http.ResponseWriter, chunk string) {
		for range 10000 {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	}
	redirect := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, meta.URL, status) }
	}
	for name, c := range map[string]struct {
		h    http.HandlerFunc
		want string
	}{
		"never answers": {func(_ http.ResponseWriter, r *http.Request) { <-release }, "no answer in time"},
		"answers drop by drop": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			for {
				_, _ = io.WriteString(w, " ")
				w.(http.Flusher).Flush()
				select {
				case <-release:
					return
				case <-r.Context().Done():
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		}, "no answer in time"},
		"endless": {func(w http.ResponseWriter, _ *http.Request) { flood(w, strings.Repeat(" ", 1<<12)) }, "larger than"},
		"endless head": {func(w http.ResponseWriter, _ *http.Request) {
			for i := range 100 {
				w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("x", 1<<10))
			}
		}, "broke"},
		"gzip bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb)
		}, "coding"},
		"to the metadata, 302": {redirect(302), "status 302"},
		"to the metadata, 307": {redirect(307), "status 307"},
		"cuts the answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, `{"ok":true}`)
		}, "broke"},
		"dies": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "broke"},
		"deep": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("[", 60<<10)) }, "no strict JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			config := service(t, c.h)
			config.Pointer, config.Equals, config.Timeout = "/ok", "true", 500*time.Millisecond
			if strings.Contains(c.want, "broke") || c.want == "larger than" {
				config.Timeout = 10 * time.Second
			}
			report, err := provider(t, config).Probe(t.Context(), mona, secret)
			if err != nil || report.Decision != Unavailable || !strings.Contains(report.Rule, c.want) {
				t.Errorf("%+v, %v: want it to be unavailable: %s", report, err, c.want)
			}
			if report.Bytes > MaxAnswer+1 {
				t.Errorf("%d bytes were read", report.Bytes)
			}
			if strings.Contains(report.Rule, "Bon") || strings.Contains(report.Rule, mona) {
				t.Errorf("the report tells what was sent: %s", report.Rule)
			}
		})
	}
	if metadata.Load() > 0 {
		t.Error("a redirect was followed with the password in hand")
	}
}

func TestWhereItConnects(t *testing.T) {
	c := service(t, func(http.ResponseWriter, *http.Request) {})
	decide := func(c Config) Report {
		t.Helper()
		report, err := provider(t, c).Probe(t.Context(), mona, "x")
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	if transport := provider(t, c).client.Transport.(*http.Transport); transport.Proxy != nil {
		t.Error("a proxy of the environment reads the passwords, and connects for us where we would not")
	}
	unlisted := c
	unlisted.Private = nil
	if r := decide(unlisted); r.Decision != Unavailable || !strings.Contains(r.Rule, "not listed") {
		t.Errorf("a loopback address that nobody listed: %+v", r)
	}
	named := unlisted // a name that leads to loopback: only the dialled address tells
	named.URL = strings.Replace(c.URL, "127.0.0.1", "localhost", 1)
	if r := decide(named); r.Decision != Unavailable || !strings.Contains(r.Rule, "not listed") {
		t.Errorf("a name that leads to loopback: %+v", r)
	}
	strange := c
	strange.Roots = x509.NewCertPool()
	if r := decide(strange); r.Decision != Unavailable || !strings.Contains(r.Rule, "signed by somebody unknown") {
		t.Errorf("a certificate of somebody unknown: %+v", r)
	}
	plain := c
	plain.URL = strings.Replace(c.URL, "https:", "http:", 1)
	if r := decide(plain); r.Decision == Right {
		t.Errorf("TLS server, plain request: %+v", r)
	}
}

func TestPassword(t *testing.T) {
	var asked atomic.Int32
	status := http.StatusOK
	c := service(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.WriteHeader(status)
	})
	p, env := provider(t, c), newEnv(t)
	if person, err := p.Password(t.Context(), env, "Mona@Example.com", "x"); err != nil || person.ID != "p1" {
		t.Fatalf("%+v, %v", person, err)
	}
	asked.Store(0)
	if _, err := p.Password(t.Context(), env, "nobody@example.com", "x"); !errors.Is(err, signin.ErrWrong) || asked.Load() != 1 {
		t.Errorf("an account that the directory does not have: %v after %d requests: nobody may be made, and the time must not tell", err, asked.Load())
	}
	asked.Store(0)
	for _, bad := range [][2]string{{mona, ""}, {mona, "\xff"}, {mona, strings.Repeat("x", 1025)}, {"mona", "x"}, {"a@b@c.example", "x"}, {"", "x"}, {mona + "\r\nX: y", "x"}} {
		if _, err := p.Password(t.Context(), env, bad[0], bad[1]); !errors.Is(err, signin.ErrWrong) || asked.Load() != 0 {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	status = http.StatusUnauthorized
	if _, err := p.Password(t.Context(), env, mona, "x"); !errors.Is(err, signin.ErrWrong) {
		t.Error(err)
	}
	status = http.StatusBadGateway
	if _, err := p.Password(t.Context(), env, mona, "x"); !errors.Is(err, ErrUnavailable) || errors.Is(err, signin.ErrWrong) {
		t.Errorf("a service that is down locks people out: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Password(ctx, env, mona, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("a client that went away: %v", err)
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	var now, most atomic.Int32
	var mu sync.Mutex
	c := service(t, func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		most.Store(max(most.Load(), now.Add(1)))
		mu.Unlock()
		time.Sleep(5 * time.Millisecond)
		now.Add(-1)
	})
	c.Concurrency = 2
	p := provider(t, c)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if r, err := p.Probe(context.Background(), mona, "x"); err != nil || r.Decision != Right {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
	wg.Wait()
	if n := most.Load(); n > 2 {
		t.Errorf("%d requests at once reach a service that was given 2", n)
	}

	most.Store(0)
	p.c.Timeout = 50 * time.Millisecond
	p.slots <- struct{}{}
	p.slots <- struct{}{}
	if _, err := p.Probe(t.Context(), mona, "x"); !errors.Is(err, signin.ErrBusy) || most.Load() > 0 {
		t.Errorf("nobody's turn came in time, and yet: %v after %d requests", err, most.Load())
	}
}
