// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"encoding/json"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/crmgate/crmgate/modules/internal/sso"
	"github.com/crmgate/crmgate/policy"
)

func TestGoodTokens(t *testing.T) {
	now := time.Now().Unix()
	for name, change := range map[string]map[string]any{
		"as it should be":                            {},
		"times with a fraction":                      {"exp": float64(now) + 300.5},
		"ended within the skew":                      {"exp": now - 30},
		"issued within the skew ahead":               {"iat": now + 30},
		"email_verified as text":                     {"email_verified": "true"},
		"azp that names us":                          {"azp": hostileClient, "aud": []string{hostileClient, "other"}},
		"an address in capitals":                     {"email": "Sally@Example.TEST"},
		"amr":                                        {"amr": []string{"pwd", "otp", "<script>"}},
		"a claim of another name in capital letters": {"EMAIL": "mallory@example.test", "Sub": "s2"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.op.token = func(nonce string) string { return s.op.sign(s.op.claims(nonce, change)) }
			if name == "a claim of another name in capital letters" {
				// The library reads names without regard to their case, we do not: when
				// the two differ, nobody is signed in as somebody else.
				if s.signIn() && (s.finished[0].Proof.Email != "sally@example.test" || s.finished[0].Proof.Subject != "s1") {
					t.Errorf("signed in as %+v", s.finished[0].Proof)
				}
				return
			}
			if !s.signIn() || s.finished[0].Proof.Email != "sally@example.test" || s.finished[0].Proof.Subject != "s1" {
				t.Fatalf("an honest person cannot sign in: %+v", s.lastRefusal())
			}
			if name == "amr" && strings.Join(s.finished[0].Proof.Methods, " ") != "pwd otp" {
				t.Errorf("methods %q", s.finished[0].Proof.Methods)
			}
		})
	}
}

// refusedClaims are tokens with good signatures that must sign nobody in.
func TestRefusedClaims(t *testing.T) {
	now := time.Now().Unix()
	for _, c := range []struct {
		name   string
		change map[string]any
		detail string
	}{
		{"another issuer", map[string]any{"iss": "https://evil.example"}, "another issuer"},
		{"no issuer", map[string]any{"iss": nil}, "another issuer"},
		{"the issuer with a slash more", map[string]any{"iss": "SELF/"}, "another issuer"},
		{"for another application", map[string]any{"aud": "other"}, "audience"},
		{"for nobody", map[string]any{"aud": nil}, "audience"},
		{"for several without saying who got it", map[string]any{"aud": []string{hostileClient, "other"}}, "azp"},
		{"given to another application", map[string]any{"azp": "other"}, "azp"},
		{"given to another of several", map[string]any{"azp": "other", "aud": []string{hostileClient, "other"}}, "azp"},
		{"azp that is no text", map[string]any{"azp": 1}, "azp"},
		{"nonce of another sign-in", map[string]any{"nonce": strings.Repeat("A", 43)}, "nonce"},
		{"no nonce", map[string]any{"nonce": nil}, "nonce"},
		{"no subject", map[string]any{"sub": nil}, "sub"},
		{"an empty subject", map[string]any{"sub": ""}, "sub"},
		{"a subject that is a number", map[string]any{"sub": 7}, ""},
		{"a subject without end", map[string]any{"sub": strings.Repeat("x", 256)}, "sub"},
		{"ended", map[string]any{"exp": now - 120}, "expired"},
		{"no end", map[string]any{"exp": nil}, ""},
		{"an end at 1e300", map[string]any{"exp": 1e300}, ""},
		{"an end after all times", map[string]any{"exp": int64(math.MaxInt64)}, ""},
		{"an end in the year 10000", map[string]any{"exp": 253402300800}, "no times"},
		{"a negative end", map[string]any{"exp": -1}, ""},
		{"an end that is text", map[string]any{"exp": "tomorrow"}, ""},
		{"no time of issue", map[string]any{"iat": nil}, "times"},
		{"issued in the future", map[string]any{"iat": now + 3600}, "future"},
		{"issued at 1e300", map[string]any{"iat": 1e300}, ""},
		{"issued before all times", map[string]any{"iat": -1e300}, ""},
		{"not good yet", map[string]any{"nbf": now + 3600}, ""},
		{"proved in the future", map[string]any{"auth_time": now + 3600}, "future"},
		{"hd is missing", map[string]any{"hd": nil}, "hd is missing"},
		{"hd of another organisation", map[string]any{"hd": "evil.test"}, "another organisation"},
		{"hd that ends in ours without a dot", map[string]any{"hd": "notexample.test"}, "another organisation"},
		{"hd below ours", map[string]any{"hd": "sub.example.test"}, "another organisation"},
		{"hd as a list", map[string]any{"hd": []string{"example.test"}}, "hd"},
		{"unverified e-mail", map[string]any{"email_verified": false}, "not verified"},
		{"unverified e-mail as text", map[string]any{"email_verified": "false"}, "not verified"},
		{"nothing said about the e-mail", map[string]any{"email_verified": nil}, "not verified"},
		{"email_verified 1", map[string]any{"email_verified": 1}, "not verified"},
		{"no e-mail", map[string]any{"email": nil}, "no e-mail"},
		{"CVE-2026-40574: e-mail with two @", map[string]any{"email": "sally@evil.test@example.test"}, "is none"},
		{"e-mail with a display name", map[string]any{"email": "Sally <sally@example.test>"}, "is none"},
		{"e-mail with a line break", map[string]any{"email": "sally@example.test\n"}, "is none"},
		{"e-mail as a list", map[string]any{"email": []string{"sally@example.test"}}, "no text"},
		{"an access token of another sign-in", map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, "at_hash"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t)
			if v, ok := c.change["iss"].(string); ok {
				c.change["iss"] = strings.Replace(v, "SELF", s.op.issuer, 1)
			}
			s.op.token = func(nonce string) string { return s.op.sign(s.op.claims(nonce, c.change)) }
			s.mustRefuse(c.detail)
		})
	}
}

// mustRefuse signs in and wants a denial, no outage, with this in its detail.
func (s *stage) mustRefuse(detail string) {
	s.t.Helper()
	if s.signIn() {
		s.t.Fatalf("signed in: %+v", s.finished)
	}
	if x := s.lastRefusal(); x.Reason != policy.WrongCredentials || !strings.Contains(x.Detail, detail) {
		s.t.Errorf("refused %+v, want a denial with %q", x, detail)
	}
}

func TestRefusedSignatures(t *testing.T) {
	for name, forge := range map[string]func(s *stage, claims map[string]any) string{
		"alg none": func(_ *stage, c map[string]any) string {
			return handmade(map[string]any{"alg": "none"}, c, nil)
		},
		"alg None": func(_ *stage, c map[string]any) string {
			return handmade(map[string]any{"alg": "nOnE", "kid": "k0"}, c, nil)
		},
		"HS256 with the public key": func(_ *stage, c map[string]any) string {
			return handmade(map[string]any{"alg": "HS256", "kid": "k0"}, c, hmacWithPublicKey)
		},
		"HS256 with the client secret": func(s *stage, c map[string]any) string {
			return signWith(s.t, jose.HS256, []byte("a client's secret, long enough to sign with it"), "k0", c)
		},
		"another key with our key's id": func(s *stage, c map[string]any) string {
			return signWith(s.t, jose.RS256, testKeys()[1], "k0", c)
		},
		"another key with an unknown id": func(s *stage, c map[string]any) string {
			return signWith(s.t, jose.RS256, testKeys()[1], "k9", c)
		},
		"another key with no id": func(s *stage, c map[string]any) string {
			return signWith(s.t, jose.RS256, testKeys()[1], "", c)
		},
		"a key in the header": func(s *stage, c map[string]any) string {
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: testKeys()[1]}, &jose.SignerOptions{EmbedJWK: true})
			if err != nil {
				s.t.Fatal(err)
			}
			body, _ := json.Marshal(c)
			sig, _ := signer.Sign(body)
			out, _ := sig.CompactSerialize()
			return out
		},
		"an algorithm the provider does not name": func(s *stage, c map[string]any) string {
			return signWith(s.t, jose.RS512, testKeys()[0], "k0", c)
		},
		"changed claims": func(s *stage, c map[string]any) string {
			good := strings.Split(s.op.sign(c), ".")
			c["email"] = "boss@example.test"
			return strings.Join([]string{good[0], strings.Split(s.op.sign(c), ".")[1], good[2]}, ".")
		},
		"no signature": func(s *stage, c map[string]any) string {
			return strings.Join(strings.Split(s.op.sign(c), ".")[:2], ".") + "."
		},
		"two parts": func(s *stage, c map[string]any) string {
			return strings.Join(strings.Split(s.op.sign(c), ".")[:2], ".")
		},
		"five parts":      func(*stage, map[string]any) string { return "a.b.c.d.e" },
		"not base64":      func(*stage, map[string]any) string { return "!.!.!" },
		"nothing":         func(*stage, map[string]any) string { return "" },
		"a list of names": func(s *stage, _ map[string]any) string { return s.op.sign([]byte(`["iss"]`)) },
		"a claim given twice": func(s *stage, c map[string]any) string {
			body, _ := json.Marshal(c)
			return s.op.sign([]byte(strings.Replace(string(body), "{", `{"email":"boss@example.test",`, 1)))
		},
		"a token without end": func(s *stage, c map[string]any) string {
			c["pad"] = strings.Repeat("x", maxIDToken)
			return s.op.sign(c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.op.token = func(nonce string) string { return forge(s, s.op.claims(nonce, nil)) }
			s.mustRefuse("")
		})
	}
}

func TestECKeys(t *testing.T) {
	s := newStage(t)
	k := newECKey(t)
	s.op.keys = append(s.op.keys, jose.JSONWebKey{Key: k.Public(), KeyID: "ec", Use: "sig", Algorithm: "ES256"})
	s.op.token = func(nonce string) string { return signWith(t, jose.ES256, k, "ec", s.op.claims(nonce, nil)) }
	if !s.signIn() {
		t.Errorf("refused %+v", s.lastRefusal())
	}
}

func TestMixUp(t *testing.T) {
	t.Run("iss of another provider", func(t *testing.T) {
		s := newStage(t)
		q := s.authorize()
		q.Set("iss", "https://evil.example")
		if s.answer(q) || len(s.op.asked) != 0 {
			t.Error("a code of another provider was redeemed here, or here's there")
		}
	})
	t.Run("iss promised and missing", func(t *testing.T) {
		s := newStage(t)
		s.op.document = func(d map[string]any) { d["authorization_response_iss_parameter_supported"] = true }
		if s.signIn() || len(s.op.asked) != 0 {
			t.Error("RFC 9207: leaving iss away gets round the check")
		}
		q := s.authorize()
		q.Set("iss", s.op.issuer)
		if !s.answer(q) {
			t.Errorf("refused %+v", s.lastRefusal())
		}
	})
	t.Run("the callback of another provider", func(t *testing.T) {
		s := newStage(t)
		evil := newHostile(t)
		other, err := New(evil.config(func(c *Config) { c.Name = "evil" }))
		if err != nil {
			t.Fatal(err)
		}
		s.serve(s.rp, other)
		q := s.authorize()
		res, err := s.c.Get(s.path("evil", "callback") + "?" + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if len(s.finished) != 0 || len(evil.asked) != 0 {
			t.Error("an honest provider's code was given to a hostile one")
		}
	})
}

func TestStateAndNonceAreUsedOnce(t *testing.T) {
	s := newStage(t)
	q := s.authorize()
	if !s.answer(q) {
		t.Fatalf("refused %+v", s.lastRefusal())
	}
	nonce := s.op.nonces[q.Get("code")]
	s.c.Jar.SetCookies(&url.URL{Scheme: "https", Host: strings.TrimPrefix(s.server.URL, "https://"), Path: "/"}, []*http.Cookie{{Name: "__Host-session", Value: "gone", Path: "/", Secure: true}})
	if s.answer(q) || !strings.Contains(s.lastRefusal().Detail, "used") {
		t.Errorf("the same answer twice: %+v", s.lastRefusal())
	}
	s.op.token = func(string) string { return s.op.sign(s.op.claims(nonce, nil)) }
	s.mustRefuse("nonce")
}

func TestPKCECannotBeLeftOut(t *testing.T) {
	s := newStage(t)
	if !s.signIn() {
		t.Fatalf("refused %+v", s.lastRefusal())
	}
	if v := s.op.asked[0].Get("code_verifier"); len(v) != 43 {
		t.Errorf("redeemed with the verifier %q: CVE-2024-23647, a stolen code is enough", v)
	}
	// Whatever the browser says about it, the verifier is the flow's own.
	q := s.authorize()
	q.Set("code_verifier", "mine")
	q.Set("code_challenge", "mine")
	s.answer(q)
	if v := s.op.asked[1].Get("code_verifier"); v == "mine" || len(v) != 43 {
		t.Errorf("redeemed with %q", v)
	}
	s.op.document = func(d map[string]any) { d["code_challenge_methods_supported"] = []string{"plain"} }
	fresh, err := New(s.op.config())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fresh.metadata(t.Context(), s.env); err == nil {
		t.Error("a provider that has plain PKCE only was accepted")
	}
}

func TestAnswersRefusedBeforeAnybodyIsAsked(t *testing.T) {
	for name, change := range map[string]func(url.Values){
		"no state":          func(q url.Values) { q.Del("state") },
		"an empty state":    func(q url.Values) { q.Set("state", "") },
		"no code":           func(q url.Values) { q.Del("code") },
		"an empty code":     func(q url.Values) { q.Set("code", "") },
		"code and error":    func(q url.Values) { q.Set("error", "access_denied") },
		"the code twice":    func(q url.Values) { q.Add("code", "code-2") },
		"the state twice":   func(q url.Values) { q.Add("state", q.Get("state")) },
		"iss twice":         func(q url.Values) { q["iss"] = []string{"a", "b"} },
		"an empty iss":      func(q url.Values) { q.Set("iss", "") },
		"a code too long":   func(q url.Values) { q.Set("code", strings.Repeat("c", maxCode+1)) },
		"the provider's no": func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			q := s.authorize()
			change(q)
			if s.answer(q) || len(s.op.asked) != 0 {
				t.Errorf("signed in, or asked the provider (%v)", s.op.asked)
			}
			if x := s.lastRefusal(); x.Reason != policy.WrongCredentials && x.Reason != policy.BadRequest {
				t.Errorf("refused %+v", x)
			}
		})
	}
}

func TestFormPostTakesTheBodyOnly(t *testing.T) {
	s := newStage(t, func(c *Config) { c.FormPost = true })
	q := s.authorize()
	if s.answer(q) {
		t.Error("an answer in the query signed in although answers come by POST: the code stands in logs")
	}
	q = s.authorize()
	res, err := s.c.PostForm(s.path("idp", "callback"), q)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if len(s.finished) != 1 || s.finished[0].Purpose != sso.SignIn {
		t.Errorf("an answer by POST: %+v", s.lastRefusal())
	}
}

func TestTokenIssuerOfADFS(t *testing.T) {
	trust := func(s *stage) string {
		u, _ := url.Parse(s.op.issuer)
		return "http://" + u.Hostname() + "/adfs/services/trust"
	}
	for _, c := range []struct {
		name   string
		config func(*Config)
		named  string // access_token_issuer in the document; TRUST: that of the same host
		iss    string
		good   bool
	}{
		{"discovered on the same host", func(c *Config) { c.DiscoverTokenIssuer = true }, "TRUST", "TRUST", true},
		{"the issuer itself, still", func(c *Config) { c.DiscoverTokenIssuer = true }, "TRUST", "", true},
		{"not asked for", nil, "TRUST", "TRUST", false},
		{"not named by the document", func(c *Config) { c.DiscoverTokenIssuer = true }, "", "TRUST", false},
		{"named on another host", func(c *Config) { c.DiscoverTokenIssuer = true }, "http://evil.example/adfs/services/trust", "http://evil.example/adfs/services/trust", false},
		{"configured", func(c *Config) { c.TokenIssuer = "http://adfs.example.test/adfs/services/trust" }, "", "http://adfs.example.test/adfs/services/trust", true},
		{"another than configured", func(c *Config) { c.TokenIssuer = "http://adfs.example.test/adfs/services/trust" }, "TRUST", "TRUST", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var change []func(*Config)
			if c.config != nil {
				change = append(change, c.config)
			}
			s := newStage(t, change...)
			iss := strings.Replace(c.iss, "TRUST", trust(s), 1)
			if c.named != "" {
				s.op.document = func(d map[string]any) { d["access_token_issuer"] = strings.Replace(c.named, "TRUST", trust(s), 1) }
			}
			s.op.token = func(nonce string) string {
				claims := s.op.claims(nonce, nil)
				if iss != "" {
					claims["iss"] = iss
				}
				return s.op.sign(claims)
			}
			if got := s.signIn(); got != c.good {
				t.Errorf("signed in: %v, want %v; %+v", got, c.good, s.lastRefusal())
			}
		})
	}
}

func TestTrustEmail(t *testing.T) {
	trusting := func(c *Config) { c.TrustEmail, c.EmailClaims = true, []string{"email", "upn"} }
	for name, c := range map[string]struct {
		change map[string]any
		good   bool
	}{
		"absent":             {map[string]any{"email_verified": nil}, true},
		"said to be false":   {map[string]any{"email_verified": false}, false},
		"said to be nothing": {map[string]any{"email_verified": json.RawMessage("null")}, false},
		"upn":                {map[string]any{"email_verified": nil, "email": nil, "upn": "sally@example.test"}, true},
		"upn with a domain":  {map[string]any{"email_verified": nil, "email": nil, "upn": `EXAMPLE\sally`}, false},
	} {
		s := newStage(t, trusting)
		s.op.token = func(nonce string) string { return s.op.sign(s.op.claims(nonce, c.change)) }
		if got := s.signIn(); got != c.good {
			t.Errorf("%s: signed in %v, want %v: %+v", name, got, c.good, s.lastRefusal())
		}
	}
}

func TestIssuersOfGoogle(t *testing.T) {
	for _, c := range []struct {
		issuer, iss string
		good        bool
	}{
		{"https://accounts.google.com", "https://accounts.google.com", true},
		{"https://accounts.google.com", "accounts.google.com", true},
		{"https://accounts.google.com", "http://accounts.google.com", false},
		{"https://idp.example.com", "idp.example.com", false},
		{"https://idp.example.com", "accounts.google.com", false},
	} {
		p := &Provider{cfg: Config{Issuer: c.issuer}}
		if _, good := p.issuerFor(new(metadata), c.iss); good != c.good {
			t.Errorf("%s in a token of %s: believed %v, want %v", c.iss, c.issuer, good, c.good)
		}
	}
}
