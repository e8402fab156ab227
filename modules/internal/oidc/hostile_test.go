// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/crmgate/crmgate/modules/internal/vault"
)

const hostileClient = "crmgate"

var testKeys = sync.OnceValue(func() [3]*rsa.PrivateKey {
	var out [3]*rsa.PrivateKey
	for i := range out {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		out[i] = k
	}
	return out
})

// hostile is a provider that does whatever a test wants. It does not look at PKCE:
// what protects must not depend on it.
type hostile struct {
	t      *testing.T
	server *httptest.Server
	issuer string

	mu        sync.Mutex
	document  func(map[string]any)
	keys      []jose.JSONWebKey
	token     func(nonce string) string // the ID token
	answer    http.HandlerFunc          // instead of the token endpoint
	nonces    map[string]string         // by code
	asked     []url.Values              // at the token endpoint
	keysRead  int
	discovery int
	down      bool
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	h := &hostile{t: t, nonces: map[string]string{}}
	h.server = httptest.NewServer(h)
	t.Cleanup(h.server.Close)
	h.issuer = h.server.URL
	h.keys = []jose.JSONWebKey{{Key: testKeys()[0].Public(), KeyID: "k0", Use: "sig", Algorithm: "RS256"}}
	h.token = func(nonce string) string { return h.sign(h.claims(nonce, nil)) }
	return h
}

// claims are those of a good token, with changes; a nil value removes a claim.
func (h *hostile) claims(nonce string, change map[string]any) map[string]any {
	now := time.Now().Unix()
	c := map[string]any{
		"iss": h.issuer, "sub": "s1", "aud": hostileClient, "exp": now + 300, "iat": now, "nonce": nonce,
		"email": "sally@example.test", "email_verified": true, "hd": "example.test", "sid": "sid-1",
	}
	maps.Copy(c, change)
	for name, v := range c {
		if v == nil {
			delete(c, name)
		}
	}
	return c
}

// sign signs claims with the published key.
func (h *hostile) sign(claims any) string {
	h.t.Helper()
	return signWith(h.t, jose.RS256, testKeys()[0], "k0", claims)
}

func signWith(t *testing.T, alg jose.SignatureAlgorithm, key any, kid string, claims any) string {
	t.Helper()
	body, ok := claims.([]byte)
	if !ok {
		var err error
		if body, err = json.Marshal(claims); err != nil {
			t.Fatal(err)
		}
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := s.Sign(body)
	if err != nil {
		t.Fatal(err)
	}
	out, err := sig.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// handmade puts a token together by hand, for what no library would sign.
func handmade(header, claims any, sign func(input string) []byte) string {
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	input := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(c)
	var sig []byte
	if sign != nil {
		sig = sign(input)
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sig)
}

// hmacWithPublicKey signs with what everybody knows, as if it were a secret.
func hmacWithPublicKey(input string) []byte {
	der, _ := x509.MarshalPKIXPublicKey(testKeys()[0].Public())
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(input))
	return mac.Sum(nil)
}

func (h *hostile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.down {
		http.Error(w, "down", http.StatusBadGateway)
		return
	}
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		h.discovery++
		d := map[string]any{
			"issuer": h.issuer, "authorization_endpoint": h.issuer + "/authorize", "token_endpoint": h.issuer + "/token", "jwks_uri": h.issuer + "/keys",
			"id_token_signing_alg_values_supported": []string{"RS256", "ES256", "HS256", "none"}, "end_session_endpoint": h.issuer + "/bye?x=1",
		}
		if h.document != nil {
			h.document(d)
		}
		writeJSON(w, d)
	case "/keys":
		h.keysRead++
		writeJSON(w, jose.JSONWebKeySet{Keys: h.keys})
	case "/token":
		_ = r.ParseForm()
		h.asked = append(h.asked, r.Form)
		if h.answer != nil {
			h.answer(w, r)
			return
		}
		writeJSON(w, map[string]any{"access_token": "at", "token_type": "Bearer", "expires_in": 60, "refresh_token": "rt-2", "id_token": h.token(h.nonces[r.Form.Get("code")])})
	default:
		http.NotFound(w, r)
	}
}

func writeJSON(w http.ResponseWriter, x any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(x)
}

// config is that of a client of this provider.
func (h *hostile) config(change ...func(*Config)) Config {
	c := Config{
		Name: "idp", Issuer: h.issuer, ClientID: hostileClient, ClientSecret: vault.NewSecret([]byte("a client's secret")),
		HostedDomains: []string{"example.test"}, Recheck: time.Minute,
	}
	for _, fn := range change {
		fn(&c)
	}
	return c
}

// stage is a gateway in front of a hostile provider.
type stage struct {
	*gateway
	op *hostile
	rp *Provider
	c  *http.Client
}

func newStage(t *testing.T, change ...func(*Config)) *stage {
	t.Helper()
	op := newHostile(t)
	rp, err := New(op.config(change...))
	if err != nil {
		t.Fatal(err)
	}
	g := newGateway(t)
	g.serve(rp)
	return &stage{g, op, rp, g.browser()}
}

// authorize begins a sign-in and plays the provider's part of it: it returns the
// answer the browser is to bring back.
func (s *stage) authorize() url.Values {
	s.t.Helper()
	q := s.start(s.c, "idp", "").Query()
	s.op.mu.Lock()
	defer s.op.mu.Unlock()
	code := fmt.Sprintf("code-%d", len(s.op.nonces)+1)
	s.op.nonces[code] = q.Get("nonce")
	return url.Values{"code": {code}, "state": {q.Get("state")}}
}

// answer brings an answer back and says whether it signed somebody in.
func (s *stage) answer(q url.Values) bool {
	s.t.Helper()
	s.mu.Lock()
	before := len(s.finished)
	s.mu.Unlock()
	res, err := s.c.Get(s.path("idp", "callback") + "?" + q.Encode())
	if err != nil {
		s.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.finished) > before
}

func (s *stage) signIn() bool {
	s.t.Helper()
	return s.answer(s.authorize())
}

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
