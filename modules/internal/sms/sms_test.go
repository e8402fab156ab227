// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

var (
	secret   = vault.NewSecret([]byte("0123456789abcdef"))
	now      = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
)

const (
	number = "+441632960961"
	text   = "Acme CRM: 042137 is your code."
)

// hook starts a webhook with TLS and returns a sender for it.
func hook(t *testing.T, h http.HandlerFunc) *Sender {
	t.Helper()
	srv := httptest.NewTLSServer(h)
	t.Cleanup(srv.Close)
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	return sender(t, Options{URL: srv.URL + "/sms?token=hidden", Secret: secret, Allow: loopback, RootCAs: pool, Timeout: time.Second})
}

func sender(t *testing.T, o Options) *Sender {
	t.Helper()
	o.Clock = clock.NewFake(now)
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestAMessageIsSigned(t *testing.T) {
	var body []byte
	var head http.Header
	s := hook(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		head = r.Header
		w.WriteHeader(http.StatusAccepted)
	})
	if err := s.Send(t.Context(), number, text); err != nil {
		t.Fatal(err)
	}
	var m message
	if err := json.Unmarshal(body, &m); err != nil || m.To != number || m.Text != text || len(m.ID) != 22 || m.At != "2030-01-02T03:04:05Z" {
		t.Errorf("the body is %s (%v)", body, err)
	}
	if err := Verify(secret, head, body, now.Add(time.Minute)); err != nil {
		t.Error(err)
	}
	first := m.ID
	if err := s.Send(t.Context(), number, text); err != nil {
		t.Fatal(err)
	}
	if _ = json.Unmarshal(body, &m); m.ID == first {
		t.Error("two messages have one id: the receiver drops the second")
	}
	for name, err := range map[string]error{
		"another body":   Verify(secret, head, append(body, ' '), now),
		"another secret": Verify(vault.NewSecret([]byte("0123456789abcdeF")), head, body, now),
		"old":            Verify(secret, head, body, now.Add(6*time.Minute)),
		"early":          Verify(secret, head, body, now.Add(-6*time.Minute)),
		"no headers":     Verify(secret, http.Header{}, body, now),
		"another time": func() error {
			h := head.Clone()
			h.Set(TimestampHeader, fmt.Sprint(now.Unix()+1))
			return Verify(secret, h, body, now)
		}(),
	} {
		if err == nil {
			t.Errorf("%s verifies", name)
		}
	}
}

// Computed by openssl dgst -sha256 -hmac: receivers in other languages must agree.
func TestSignatureVector(t *testing.T) {
	got := sign(secret, "1893553445", []byte(`{"to":"+441632960961"}`))
	if want := "v1=49a87768419af57a026d868ebe93ebdd9b2f15c45fe116189d4db261b71c9662"; got != want {
		t.Errorf("the signature is %s, want %s", got, want)
	}
}

func TestUnavailableIsNotRefused(t *testing.T) {
	var hits atomic.Int32
	for status, refused := range map[int]bool{400: true, 401: true, 404: true, 422: true, 408: false, 429: false, 500: false, 503: false, 301: false, 307: false} {
		hits.Store(0)
		s := hook(t, func(w http.ResponseWriter, r *http.Request) {
			hits.Add(1)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		})
		err := s.Send(t.Context(), number, text)
		var no *RefusedError
		if errors.As(err, &no) != refused || errors.Is(err, ErrUnavailable) == refused {
			t.Errorf("status %d: %v", status, err)
		}
		if n := hits.Load(); n != 1 {
			t.Errorf("status %d: %d requests; a redirect was followed or a message sent twice", status, n)
		}
		if shown := fmt.Sprintf("%+v %v", err, s); strings.Contains(shown, "042137") || strings.Contains(shown, number) || strings.Contains(shown, "hidden") {
			t.Errorf("an error shows the message or the token: %s", shown)
		}
	}
}

func TestHostileWebhooks(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"silent": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // until then a server does not see a client go
			<-r.Context().Done()
		},
		"cut": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"huge header": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		},
	} {
		begun := time.Now()
		err := hook(t, h).Send(t.Context(), number, text)
		if !errors.Is(err, ErrUnavailable) || time.Since(begun) > 5*time.Second {
			t.Errorf("%s: %v after %v", name, err, time.Since(begun))
		}
	}
	endless := hook(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				return
			}
		}
	})
	if err := endless.Send(t.Context(), number, text); err != nil {
		t.Errorf("an answer without end, after 200: %v", err)
	}
}

func TestCertificatesAreChecked(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of the handshake that fails
	srv.StartTLS()
	defer srv.Close()
	err := sender(t, Options{URL: srv.URL, Secret: secret, Allow: loopback}).Send(t.Context(), number, text)
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown issuer: %v", err)
	}
}

func TestNoPrivateNetworkUnlessListed(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a private address was connected to") }))
	defer srv.Close()
	err := sender(t, Options{URL: srv.URL, Secret: secret}).Send(t.Context(), number, text)
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "not a public address") {
		t.Errorf("this machine: %v", err)
	}
	// A name that leads here is no way around it.
	err = sender(t, Options{URL: strings.Replace(strings.Replace(srv.URL, "http", "https", 1), "127.0.0.1", "localhost", 1), Secret: secret}).Send(t.Context(), number, text)
	if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "not a public address") {
		t.Errorf("a name that leads to this machine: %v", err)
	}
}

func TestNoProxyOfTheEnvironment(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	if err := hook(t, func(http.ResponseWriter, *http.Request) {}).Send(t.Context(), number, text); err != nil {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	for name, o := range map[string]Options{
		"no url":          {Secret: secret},
		"no host":         {URL: "https:///x", Secret: secret},
		"no TLS":          {URL: "http://sms.example.com/", Secret: secret},
		"no TLS, a name":  {URL: "http://localhost/", Secret: secret},
		"a file":          {URL: "file:///etc/passwd", Secret: secret},
		"a user":          {URL: "https://u:p@sms.example.com/", Secret: secret},
		"a fragment":      {URL: "https://sms.example.com/#x", Secret: secret},
		"no secret":       {URL: "https://sms.example.com/"},
		"a short secret":  {URL: "https://sms.example.com/", Secret: vault.NewSecret([]byte("short"))},
		"a short timeout": {URL: "https://sms.example.com/", Secret: secret, Timeout: time.Millisecond},
	} {
		if _, err := New(o); err == nil || strings.Contains(err.Error(), "u:p") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := sender(t, Options{URL: "https://sms.example.com/", Secret: secret})
	for _, c := range [][2]string{{"", text}, {"441632960961", text}, {number, ""}, {number, strings.Repeat("x", MaxText+1)}, {"+" + strings.Repeat("1", 20), text}} {
		if err := s.Send(t.Context(), c[0], c[1]); err == nil || errors.Is(err, ErrUnavailable) {
			t.Errorf("sending %d bytes to %q: %v", len(c[1]), c[0], err)
		}
	}
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
