// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crmgate/crmgate/modules/internal/directory"
	"github.com/crmgate/crmgate/modules/internal/signin"
)

// maxSubject is the longest subject (OpenID Connect Core section 2).
const maxSubject = 255

// claims are those of a token whose signature, issuer, audience, times, domain and
// address were checked. What belongs to one sign-in (nonce, freshness) was not.
type claims struct {
	token    *oidc.IDToken
	subject  string
	session  string
	nonce    string
	email    string // folded
	authTime int64  // 0: not said
	issuedAt int64
	methods  []string
}

// members is a token's claims by their exact names, each once.
type members map[string]jsontext.Value

// parseMembers reads a JSON object; names given twice and bytes that are no UTF-8
// are errors.
func parseMembers(b []byte) (members, error) {
	var m members
	if err := jsonv2.Unmarshal(b, &m); err != nil || m == nil {
		return nil, errors.New("the token's claims are no JSON object with each name once")
	}
	return m, nil
}

// text returns a claim that is text, "" when it is absent, and false when it is
// anything else.
func (m members) text(name string) (string, bool) {
	v, ok := m[name]
	if !ok {
		return "", true
	}
	var s string
	if v.Kind() != '"' || jsonv2.Unmarshal(v, &s) != nil {
		return "", false
	}
	return s, true
}

// audience returns aud, which is one text or a list of them; nil for anything else.
func (m members) audience() []string {
	var one string
	var many []string
	if jsonv2.Unmarshal(m["aud"], &one) == nil {
		return []string{one}
	}
	if jsonv2.Unmarshal(m["aud"], &many) != nil {
		return nil
	}
	return many
}

// seconds returns a claim that is a time (RFC 7519 NumericDate), 0 when it is
// absent, and false for anything that is no moment from 1970 to 9999.
func (m members) seconds(name string) (int64, bool) {
	v, ok := m[name]
	if !ok {
		return 0, true
	}
	if v.Kind() != '0' {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f < 1 || f > 253402300799 {
		return 0, false
	}
	return int64(f), true
}

// unverifiedClaims reads a token's claims before anything was checked, to choose
// the verifier that checks it.
func unverifiedClaims(raw string) (members, error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, errors.New("the token has not three parts")
	}
	b, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil, errors.New("the token's claims are no base64url")
	}
	return parseMembers(b)
}

// issuerFor returns the one accepted issuer a token claims to be of.
func (p *Provider) issuerFor(m *metadata, iss string) (string, bool) {
	switch {
	case iss == p.cfg.Issuer, iss == "accounts.google.com" && p.cfg.Issuer == "https://"+iss:
		// Google says that it still uses the short form at times; the library takes it
		// for Google as well.
		return p.cfg.Issuer, true
	case m.tokenIssuer != "" && iss == m.tokenIssuer:
		return m.tokenIssuer, true
	}
	return "", false
}

// checkToken checks an ID token. Errors are denials, except when keys could not be
// fetched.
func (p *Provider) checkToken(ctx context.Context, env signin.Env, m *metadata, raw string) (*claims, error) {
	if raw == "" {
		return nil, signin.Denied("the provider gave no ID token")
	}
	if len(raw) > maxIDToken {
		return nil, signin.Denied("the ID token is too long")
	}
	unverified, err := unverifiedClaims(raw)
	if err != nil {
		return nil, signin.Denied(err.Error())
	}
	iss, _ := unverified.text("iss")
	issuer, ok := p.issuerFor(m, iss)
	if !ok {
		return nil, signin.Denied("the ID token is of another issuer: " + clip(iss))
	}
	token, err := p.verifier(env, m, issuer).Verify(ctx, raw)
	if err != nil {
		return nil, verifyError(err)
	}
	var body json.RawMessage
	if err := token.Claims(&body); err != nil {
		return nil, signin.Denied("the ID token's claims cannot be read")
	}
	all, err := parseMembers(body)
	if err != nil {
		return nil, signin.Denied(err.Error())
	}
	c := &claims{token: token, methods: methods(all)}
	if err := p.checkStandard(env, c, all); err != nil {
		return nil, err
	}
	if err := p.checkHosted(all); err != nil {
		return nil, err
	}
	if c.email, err = p.email(all); err != nil {
		return nil, err
	}
	return c, nil
}

// verifyError tells a token that is not to be believed from keys that could not be
// read.
func verifyError(err error) error {
	if strings.Contains(err.Error(), "fetching keys") {
		return errors.New("reading the provider's keys: " + clip(err.Error()))
	}
	return signin.Denied("the token is not to be believed: " + clip(err.Error()))
}

// checkStandard checks what the library leaves to its caller, by exact names.
func (p *Provider) checkStandard(env signin.Env, c *claims, all members) error {
	for name, dst := range map[string]*string{"sub": &c.subject, "sid": &c.session, "nonce": &c.nonce} {
		var ok bool
		if *dst, ok = all.text(name); !ok {
			return signin.Denied("the ID token's " + name + " is no text")
		}
	}
	if c.subject == "" || len(c.subject) > maxSubject || len(c.session) > maxSubject {
		return signin.Denied("the ID token's sub or sid is missing or too long")
	}
	azp, ok := all.text("azp")
	aud := all.audience()
	switch {
	case !slices.Contains(aud, p.cfg.ClientID):
		return signin.Denied("the ID token is for another application (aud)")
	case !ok || azp != "" && azp != p.cfg.ClientID:
		return signin.Denied("the ID token was given to another application (azp)")
	case azp == "" && len(aud) != 1:
		return signin.Denied("the ID token is for several applications and does not say which one got it (azp)")
	}
	exp, expOK := all.seconds("exp")
	iat, iatOK := all.seconds("iat")
	authTime, authOK := all.seconds("auth_time")
	nbf, nbfOK := all.seconds("nbf")
	if !expOK || !iatOK || !authOK || !nbfOK || exp == 0 || iat == 0 {
		return signin.Denied("the ID token's times are missing or no times")
	}
	now, skew := env.Clock.Now().Unix(), int64(p.cfg.Skew/time.Second)
	switch {
	case now-skew >= exp:
		return signin.Denied("the ID token has ended; if this happens often, compare the clocks")
	case iat > now+skew, nbf > now+skew, authTime > now+skew:
		return signin.Denied("the ID token comes from the future; compare the clocks")
	}
	c.issuedAt, c.authTime = iat, authTime
	return nil
}

// checkSignIn checks what ties the token to one sign-in.
func (c *claims) checkSignIn(b begun, accessToken string, skew time.Duration) error {
	if b.Nonce == "" || subtle.ConstantTimeCompare([]byte(c.nonce), []byte(b.Nonce)) != 1 {
		return signin.Denied("the ID token was made for another sign-in (nonce)")
	}
	if c.token.AccessTokenHash != "" && c.token.VerifyAccessToken(accessToken) != nil {
		return signin.Denied("the ID token belongs to another access token (at_hash)")
	}
	if b.Fresh && (c.authTime == 0 || time.Unix(c.authTime, 0).Before(b.At.Add(-skew).Truncate(time.Second))) {
		return signin.Denied("the provider did not prove the person again (auth_time)")
	}
	return nil
}

// checkHosted checks Google's hosted domain.
func (p *Provider) checkHosted(all members) error {
	if len(p.cfg.HostedDomains) == 0 {
		return nil
	}
	hd, ok := all.text("hd")
	if !ok || hd == "" {
		return signin.Denied("the account belongs to no organisation (hd is missing)")
	}
	if !slices.ContainsFunc(p.cfg.HostedDomains, func(d string) bool { return sameDomain(d, hd) }) {
		return signin.Denied("the account belongs to another organisation (hd)")
	}
	return nil
}

// email returns the one verified address.
func (p *Provider) email(all members) (string, error) {
	raw := ""
	for _, name := range p.cfg.EmailClaims {
		v, ok := all.text(name)
		if !ok {
			return "", signin.Denied("the claim " + name + " is no text")
		}
		if v != "" {
			raw = v
			break
		}
	}
	if raw == "" {
		return "", signin.Denied("the ID token has no e-mail address; the provider must send " + strings.Join(p.cfg.EmailClaims, " or "))
	}
	email, err := directory.ParseEmail(raw)
	if err != nil {
		return "", signin.Denied("the e-mail address is none")
	}
	verified, there := all["email_verified"]
	switch {
	case !there && p.cfg.TrustEmail:
	case string(verified) == "true", string(verified) == `"true"`:
	default:
		return "", signin.Denied("the provider has not verified the e-mail address")
	}
	return email, nil
}

// methods reads amr: short words only, at most eight.
func methods(all members) []string {
	var amr []string
	if jsonv2.Unmarshal(all["amr"], &amr) != nil {
		return nil
	}
	amr = slices.DeleteFunc(amr, func(s string) bool {
		return s == "" || len(s) > 32 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_-") != ""
	})
	return amr[:min(len(amr), 8)]
}

func when(unix int64) time.Time {
	if unix == 0 {
		return time.Time{}
	}
	return time.Unix(unix, 0).UTC()
}
