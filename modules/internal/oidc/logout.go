// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package oidc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/crmgate/crmgate/modules/internal/signin"
)

const (
	logoutPath  = "backchannel-logout"
	maxLogout   = 64 << 10
	logoutLife  = 15 * time.Minute // how old a logout token may be
	logoutsAt   = "oidc-logout/"   // + hash of issuer and jti
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
)

// Listen serves backchannel-logout (Back-Channel Logout 1.0): the provider says, in
// a token only it can sign, that somebody signed out there. 200 when all sessions
// meant have ended, none included; 400 when the token is not to be believed or was
// used before; 503 when it could not be checked or carried out, and may be sent
// again.
func (p *Provider) Listen(w http.ResponseWriter, r *http.Request, env signin.Env, path string, host signin.Host) bool {
	if path != logoutPath {
		return false
	}
	w.Header().Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		answerLogout(w, http.StatusMethodNotAllowed, "invalid_request")
		return true
	}
	err := p.logout(r, env, host)
	var denied *signin.DeniedError
	switch {
	case err == nil:
		w.WriteHeader(http.StatusOK)
		return true
	case errors.As(err, &denied):
		answerLogout(w, http.StatusBadRequest, "invalid_request")
	default:
		answerLogout(w, http.StatusServiceUnavailable, "temporarily_unavailable")
	}
	if env.Log != nil {
		env.Log.WarnContext(r.Context(), "single sign-on: a logout token was not carried out", "provider", p.cfg.Name, "error", err)
	}
	return true
}

func answerLogout(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"error":%q}`+"\n", code)
}

func (p *Provider) logout(r *http.Request, env signin.Env, host signin.Host) error {
	raw, err := readLogout(r)
	if err != nil {
		return signin.Denied(err.Error())
	}
	ctx := r.Context()
	m, err := p.metadata(ctx, env)
	if err != nil {
		return err
	}
	t, err := p.checkLogout(ctx, env, m, raw)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(p.cfg.Issuer + "\n" + t.jti))
	key := logoutsAt + hex.EncodeToString(sum[:])
	fresh, err := env.State.PutNew(ctx, key, nil, logoutLife+2*MaxSkew)
	switch {
	case err != nil:
		return fmt.Errorf("remembering a logout token: %w", err)
	case !fresh:
		return signin.Denied("the logout token was used before")
	}
	if _, err := host.EndSessions(ctx, p.cfg.Name, t.subject, t.session); err != nil {
		// The provider may send it again, and then it must be carried out.
		if delErr := env.State.Delete(ctx, key); delErr != nil {
			err = errors.Join(err, delErr)
		}
		return fmt.Errorf("ending sessions: %w", err)
	}
	return nil
}

// readLogout reads the token from the form: exactly one, and nothing in the query.
func readLogout(r *http.Request) (string, error) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return "", errors.New("the request is no form")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxLogout+1))
	if err != nil || len(body) > maxLogout {
		return "", errors.New("the request is too long")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || len(form["logout_token"]) != 1 || form.Get("logout_token") == "" {
		return "", errors.New("the request has not exactly one logout token")
	}
	return form.Get("logout_token"), nil
}

// logoutToken is one whose every check held.
type logoutToken struct{ jti, subject, session string }

// checkLogout checks a logout token by section 2.6. Beside what the library checks:
// exact names, a single audience, iat there and recent, the event an object.
func (p *Provider) checkLogout(ctx context.Context, env signin.Env, m *metadata, raw string) (logoutToken, error) {
	unverified, err := unverifiedClaims(raw)
	if err != nil {
		return logoutToken{}, signin.Denied(err.Error())
	}
	iss, _ := unverified.text("iss")
	issuer, ok := p.issuerFor(m, iss)
	if !ok {
		return logoutToken{}, signin.Denied("the logout token is of another issuer: " + clip(iss))
	}
	token, err := p.verifier(env, m, issuer).VerifyLogout(ctx, raw)
	if err != nil {
		return logoutToken{}, verifyError(err)
	}
	return p.checkLogoutClaims(env, token)
}

func (p *Provider) checkLogoutClaims(env signin.Env, token *oidc.LogoutToken) (logoutToken, error) {
	var body json.RawMessage
	if err := token.Claims(&body); err != nil {
		return logoutToken{}, signin.Denied("the logout token's claims cannot be read")
	}
	all, err := parseMembers(body)
	if err != nil {
		return logoutToken{}, signin.Denied(err.Error())
	}
	var t logoutToken
	for name, dst := range map[string]*string{"jti": &t.jti, "sub": &t.subject, "sid": &t.session} {
		var ok bool
		if *dst, ok = all.text(name); !ok || len(*dst) > maxSubject {
			return logoutToken{}, signin.Denied("the logout token's " + name + " is no text or too long")
		}
	}
	_, nonce := all["nonce"]
	events, err := parseMembers(all["events"])
	event := events[logoutEvent]
	switch {
	case t.jti == "":
		return logoutToken{}, signin.Denied("the logout token has no jti")
	case t.subject == "" && t.session == "":
		return logoutToken{}, signin.Denied("the logout token names nobody")
	case nonce:
		return logoutToken{}, signin.Denied("the logout token has a nonce: it is an ID token")
	case err != nil || event.Kind() != '{':
		return logoutToken{}, signin.Denied("the logout token is no logout event")
	case !slices.Equal(all.audience(), []string{p.cfg.ClientID}):
		return logoutToken{}, signin.Denied("the logout token is not for this application alone (aud)")
	}
	iat, iatOK := all.seconds("iat")
	exp, expOK := all.seconds("exp")
	now, skew := env.Clock.Now().Unix(), int64(p.cfg.Skew/time.Second)
	switch {
	case !iatOK || !expOK || iat == 0 || exp == 0:
		return logoutToken{}, signin.Denied("the logout token's times are missing or no times")
	case iat > now+skew:
		return logoutToken{}, signin.Denied("the logout token comes from the future; compare the clocks")
	case now-skew >= exp || iat < now-skew-int64(logoutLife/time.Second):
		return logoutToken{}, signin.Denied("the logout token is too old; compare the clocks")
	}
	return t, nil
}
