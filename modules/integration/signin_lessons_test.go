// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io"
	"mime/quotedprintable"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/crmgate/crmgate/modules/internal/factor/factortest"
)

// What other gateways were broken by, tried on ours: docs/threat-model.md names the
// test of each lesson. The peers here say whatever a test wants to be said; the real
// ones stand in other tests.

// lessonPage is what a browser sends when it opens a page.
var lessonPage = []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}

// lessonSecrets are what the gateway is told by its environment.
var lessonSecrets = map[string]string{
	"LESSON_CLIENT_SECRET": "client-secret-of-the-lessons-41",
	"LESSON_MAIL_PASSWORD": "mail-password-of-the-lessons-42",
	"LESSON_SMS_SECRET":    "sms-secret-of-the-lessons-0123456789abcdef43",
	"LESSON_API_KEY":       "api-key-of-the-lessons-44",
}

// opSecret is a token or code that a lessonOP gave to somebody.
type opSecret struct{ what, value string }

// lessonOP is an OpenID provider that confirms whomever a test names, and
// remembers everything secret it handed out.
type lessonOP struct {
	*httptest.Server
	signer jose.Signer
	public jose.JSONWebKeySet

	mu    sync.Mutex
	codes map[string]map[string]any // claims, by code
	given []opSecret
	asked int // tokens asked for
}

func newLessonOP(t testing.TB) *lessonOP {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	op := &lessonOP{codes: map[string]map[string]any{}}
	op.public.Keys = []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k1", Algorithm: "RS256", Use: "sig"}}
	if op.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, nil); err != nil {
		t.Fatal(err)
	}
	op.Server = httptest.NewServer(op)
	t.Cleanup(op.Close)
	return op
}

func (op *lessonOP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	op.mu.Lock()
	defer op.mu.Unlock()
	say := func(v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		say(map[string]any{
			"issuer": op.URL, "authorization_endpoint": op.URL + "/authorize", "token_endpoint": op.URL + "/token", "jwks_uri": op.URL + "/jwks",
			"end_session_endpoint": op.URL + "/end", "response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
			"id_token_signing_alg_values_supported": []string{"RS256"}, "code_challenge_methods_supported": []string{"S256"},
			"scopes_supported": []string{"openid", "email", "offline_access"},
		})
	case "/jwks":
		say(op.public)
	case "/token":
		op.asked++
		code := r.FormValue("code")
		claims := op.codes[code]
		delete(op.codes, code)
		if claims == nil {
			w.WriteHeader(http.StatusBadRequest)
			say(map[string]string{"error": "invalid_grant"})
			return
		}
		id, _ := jwt.Signed(op.signer).Claims(claims).Serialize()
		access, refresh := "access-"+rand.Text(), "refresh-"+rand.Text()
		op.given = append(op.given, opSecret{"an ID token", id}, opSecret{"an access token", access}, opSecret{"a refresh token", refresh},
			opSecret{"a PKCE verifier", r.FormValue("code_verifier")})
		say(map[string]any{"id_token": id, "access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 300, "scope": "openid email"})
	default:
		http.NotFound(w, r)
	}
}

// answer is where the provider sends the browser that came to start, once it has
// confirmed somebody.
func (op *lessonOP) answer(t testing.TB, start, email string) string {
	t.Helper()
	u, err := url.Parse(start)
	if err != nil || !strings.HasPrefix(start, op.URL+"/authorize?") {
		t.Fatalf("a sign-in at the provider starts at %q", start)
	}
	q, now, code := u.Query(), time.Now().Unix(), "code-"+rand.Text()
	op.mu.Lock()
	defer op.mu.Unlock()
	op.codes[code] = map[string]any{
		"iss": op.URL, "aud": "crmgate", "sub": "sub-" + email, "iat": now, "exp": now + 300, "auth_time": now, "nonce": q.Get("nonce"),
		"email": email, "email_verified": true, "hd": "example.test",
	}
	op.given = append(op.given, opSecret{"an authorization code", code})
	return q.Get("redirect_uri") + "?" + url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
}

// lessonMail is a mail server that keeps what it gets.
type lessonMail struct {
	l    net.Listener
	conf *tls.Config

	mu  sync.Mutex
	got []string
}

func newLessonMail(t testing.TB, conf *tls.Config) *lessonMail {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &lessonMail{l: l, conf: conf}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go m.talk(c)
		}
	}()
	return m
}

func (m *lessonMail) talk(c net.Conn) {
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	r := bufio.NewReader(c)
	say := func(s string) { _, _ = io.WriteString(c, s+"\r\n") }
	say("220 mail.test ESMTP")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		switch word := strings.ToUpper(strings.Fields(line + " x")[0]); word {
		case "EHLO":
			say("250-mail.test\r\n250-STARTTLS\r\n250 AUTH PLAIN")
		case "STARTTLS":
			say("220 go on")
			tc := tls.Server(c, m.conf)
			c, r = tc, bufio.NewReader(tc)
		case "AUTH":
			say("235 welcome")
		case "DATA":
			say("354 go on")
			var text strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(line)
			}
			plain, _ := io.ReadAll(quotedprintable.NewReader(strings.NewReader(text.String())))
			m.mu.Lock()
			m.got = append(m.got, string(plain))
			m.mu.Unlock()
			say("250 kept")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}

// find waits for a message to somebody and returns what a pattern's group finds in
// it.
func (m *lessonMail) find(t testing.TB, to string, pattern *regexp.Regexp) string {
	t.Helper()
	var found string
	eventually(t, 20*time.Second, "a mail to "+to+" with "+pattern.String(), func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, text := range m.got {
			if match := pattern.FindStringSubmatch(text); match != nil && strings.Contains(text, to) {
				found = match[1]
			}
		}
		return found != ""
	})
	return found
}

func (m *lessonMail) sentTo(who string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, text := range m.got {
		if strings.Contains(text, who) {
			return true
		}
	}
	return false
}

var (
	lessonLink = regexp.MustCompile(`/\.crmgate/reset#([A-Za-z0-9_.~%-]+)`)
	lessonCode = regexp.MustCompile(`(?m)^\s*(\d{3} ?\d{3})\s*$`)
)

// lesson is a gateway with every door there is, and their peers.
type lesson struct {
	*demo
	op    *lessonOP
	mail  *lessonMail
	crm   *recorder
	setup *setup

	mu    sync.Mutex
	texts []string // what the webhook was sent
	api   map[string]bool
}

const lessonPolicy = `version: 1
account: acme
settings:
  sign_in:
    max_sessions: 0
    trusted_device: {days: 30}
`

// newLesson starts one; change may alter its setup, caddyfile its text.
func newLesson(t testing.TB, change func(*setup), caddyfile func(string) string) *lesson {
	t.Helper()
	l := &lesson{op: newLessonOP(t), crm: new(recorder), api: map[string]bool{}}
	tlsServer := httptest.NewTLSServer(http.HandlerFunc(l.checkPassword))
	t.Cleanup(tlsServer.Close)
	sms := httptest.NewServer(http.HandlerFunc(l.textMessage))
	t.Cleanup(sms.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tlsServer.Certificate().Raw})))
	l.mail = newLessonMail(t, &tls.Config{Certificates: tlsServer.TLS.Certificates})
	_, mailPort, _ := net.SplitHostPort(l.mail.l.Addr().String())

	s := &setup{crm: serve(t, l.crm), policy: lessonPolicy, options: strings.NewReplacer("{api}", tlsServer.URL, "{ca}", ca, "{op}", l.op.URL, "{sms}", sms.URL, "{mail}", mailPort).Replace(`
		origin https://localhost:{port}
		identity httpapi {
			url {api}/check
			header X-Api-Key {env.LESSON_API_KEY}
			body "{\"mail\":\"{email}\",\"pass\":\"{password}\"}"
			private 127.0.0.0/8
			ca {ca}
		}
		identity local
		identity google {
			issuer {op}
			client_id crmgate
			client_secret {env.LESSON_CLIENT_SECRET}
			hosted_domains example.test
			recheck 1h
		}
		mail {
			host 127.0.0.1
			port {mail}
			ca {ca}
			user gate
			password {env.LESSON_MAIL_PASSWORD}
			from gate@example.test
		}
		sms {
			url {sms}/send
			secret {env.LESSON_SMS_SECRET}
			networks 127.0.0.0/8
		}
		bridge headers {
			email X-Remote-Email
		}
		`)}
	if change != nil {
		change(s)
	}
	l.setup = s
	file, port, admin := s.file(t)
	if caddyfile != nil {
		text := lessonRead(t, file)
		write(t, file, caddyfile(text))
	}
	var env []string
	for name, value := range lessonSecrets {
		env = append(env, name+"="+value)
	}
	p, out := start(t, env, "run", "--config", file, "--adapter", "caddyfile")
	go func() { _, _ = io.Copy(io.Discard, out) }()
	l.demo = s.ready(t, p, port, admin)
	return l
}

// checkPassword is the other system's: whoever is in api comes in with the password
// of everybody.
func (l *lesson) checkPassword(w http.ResponseWriter, r *http.Request) {
	var in struct{ Mail, Pass string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.api[in.Mail] || in.Pass != lessonAPIPassword || r.Header.Get("X-Api-Key") != lessonSecrets["LESSON_API_KEY"] {
		w.WriteHeader(http.StatusUnauthorized)
	}
}

// lessonAPIPassword is what the other system takes.
const lessonAPIPassword = "password-elsewhere-58"

func (l *lesson) textMessage(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.texts = append(l.texts, string(body))
}

// throughProvider signs in at the provider and returns the gateway's answer.
func (l *lesson) throughProvider(b *browser, email string) *answer {
	b.t.Helper()
	res := b.get("/.crmgate/sso/google/start", lessonPage...)
	return b.get(l.op.answer(b.t, res.Header.Get("Location"), email), append(lessonPage, "Sec-Fetch-Site", "cross-site")...)
}

// lessonForm posts a form of one of the gateway's own pages.
func (b *browser) lessonForm(path string, values url.Values) *answer {
	b.t.Helper()
	return b.post(path, values.Encode(), append(lessonPage, "Content-Type", "application/x-www-form-urlencoded", "Origin", b.base)...)
}

// lessonTOTP sets an authenticator app up for somebody who is signed in, and returns
// its secret and the recovery codes.
func (b *browser) lessonTOTP() (secret string, recovery []string) {
	b.t.Helper()
	var e struct{ Secret string }
	b.with("", "/.crmgate/api/factors/begin", map[string]string{"kind": "totp"}).json(b.t, &e)
	var done stepped
	res := b.with("", "/.crmgate/api/factors/finish", map[string]string{"kind": "totp", "code": codeAt(b.t, e.Secret, time.Now())})
	if res.json(b.t, &done); res.StatusCode != http.StatusOK || len(done.Recovery) == 0 {
		b.t.Fatalf("setting up an authenticator app: %s %s", res.Status, res.text())
	}
	return e.Secret, done.Recovery
}

// lessonPasskey gives somebody who is signed in a passkey.
func (b *browser) lessonPasskey() *factortest.Authenticator {
	b.t.Helper()
	a := factortest.New(b.base)
	var e struct{ Creation json.RawMessage }
	b.with("", "/.crmgate/api/factors/begin", map[string]string{"kind": "passkey"}).json(b.t, &e)
	made, err := a.Create(e.Creation)
	if err != nil {
		b.t.Fatalf("making a passkey: %v\n%s", err, e.Creation)
	}
	if res := b.with("", "/.crmgate/api/factors/finish", map[string]any{"kind": "passkey", "response": json.RawMessage(made)}); res.StatusCode != http.StatusOK {
		b.t.Fatalf("registering a passkey: %s %s", res.Status, res.text())
	}
	return a
}

// lessonByPasskey signs in with one.
func (b *browser) lessonByPasskey(a *factortest.Authenticator) *answer {
	b.t.Helper()
	var begun struct {
		Flow    string
		Request json.RawMessage
	}
	b.post("/.crmgate/api/passkey/begin", "{}").json(b.t, &begun)
	got, err := a.Get(begun.Request)
	if err != nil {
		b.t.Fatalf("asking a passkey: %v\n%s", err, begun.Request)
	}
	return b.with("", "/.crmgate/api/passkey/finish", map[string]any{"flow": begun.Flow, "response": json.RawMessage(got)})
}

// keyed adds somebody whose key pair the gateway knows.
func (l *lesson) keyed(t testing.TB, email string) crmUser {
	t.Helper()
	name, _, _ := strings.Cut(email, "@")
	u := crmUser{ID: name, AccessKey: "u$r" + strings.ToUpper(base64.RawURLEncoding.EncodeToString([]byte(email))), SecretKey: "secret-of-" + email}
	l.add(t, email, "administrator", u)
	return u
}

func lessonRead(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
