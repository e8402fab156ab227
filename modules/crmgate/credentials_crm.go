// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// errCRMRefused is returned when the CRM does not take the stored credentials.
var errCRMRefused = errors.New("the CRM refuses the stored credentials")

const (
	crmSignInTime = 10 * time.Second
	crmAnswerMax  = 64 << 10
)

// newCRMLogins prepares the client that signs people in to the CRM: it follows no
// redirect, uses no proxy and believes the authority of the configuration.
func newCRMLogins(app *App, b *CredentialsBridge) (*crmLogins, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if b.CA != "" {
		var err error
		if conf.RootCAs, err = authority(b.CA); err != nil {
			return nil, fmt.Errorf("reading bridge credentials: %w", err)
		}
	}
	return &crmLogins{bridge: b, app: app, client: &http.Client{
		Timeout:       crmSignInTime,
		Transport:     &http.Transport{TLSClientConfig: conf, MaxIdleConns: 16, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// ask signs in. errCRMRefused when the CRM says no; any other error when it could
// not be asked.
func (k *crmLogins) ask(ctx context.Context, c crmCredentials) (*crmLogin, error) {
	body, kind, err := k.bridge.post(c)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, k.bridge.SignIn, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("signing in to the CRM: the address cannot be used")
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Accept", "application/json, */*;q=0.5")
	req.Header.Set("User-Agent", "crmgate")
	res, err := k.client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // the address may be nobody's business
		}
		return nil, fmt.Errorf("signing in to the CRM: %w", err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, crmAnswerMax+1))
	if err != nil || len(answer) > crmAnswerMax {
		return nil, errors.New("signing in to the CRM: the answer cannot be read or is above 64 KiB")
	}
	if res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests {
		return nil, fmt.Errorf("signing in to the CRM: it answered %d", res.StatusCode)
	}
	if !k.bridge.saysYes(res.StatusCode) {
		return nil, errCRMRefused
	}
	return k.take(res, answer)
}

// post makes the body of the sign-in.
func (b *CredentialsBridge) post(c crmCredentials) (body []byte, kind string, err error) {
	fill := strings.NewReplacer("{user}", c.User, "{password}", c.Password)
	if b.Body == "json" {
		doc := map[string]string{}
		for _, f := range b.Fields {
			doc[f.Name] = fill.Replace(f.Text)
		}
		if body, err = json.Marshal(doc); err != nil {
			return nil, "", errors.New("signing in to the CRM: the credentials cannot be written")
		}
		return body, "application/json", nil
	}
	form := url.Values{}
	for _, f := range b.Fields {
		form.Add(f.Name, fill.Replace(f.Text))
	}
	return []byte(form.Encode()), "application/x-www-form-urlencoded", nil
}

func (b *CredentialsBridge) saysYes(status int) bool {
	if len(b.Success) > 0 {
		return slices.Contains(b.Success, status)
	}
	return status/100 == 2 || status == http.StatusFound || status == http.StatusSeeOther
}

// take reads what the answer hands out. An answer that hands out less than the
// configuration names is a refusal: many forms say no with 200.
func (k *crmLogins) take(res *http.Response, answer []byte) (*crmLogin, error) {
	b, now := k.bridge, k.app.clock().Now()
	l := &crmLogin{Until: now.Add(time.Duration(b.Lifetime))}
	if t := b.Token; t != nil {
		var doc any
		if json.Unmarshal(answer, &doc) != nil {
			return nil, errCRMRefused
		}
		token, ok := pointTo(doc, t.Pointer).(string)
		if !ok || token == "" || strings.ContainsAny(token, "\r\n\x00") {
			return nil, errCRMRefused
		}
		l.Token = token
	}
	if b.Token == nil || len(b.Cookies) > 0 {
		for _, c := range res.Cookies() {
			if c.Value != "" && (len(b.Cookies) == 0 || slices.Contains(b.Cookies, c.Name)) {
				l.set(c, now)
			}
		}
		if len(l.Cookies) < max(1, len(b.Cookies)) {
			return nil, errCRMRefused
		}
	}
	return l, nil
}

// set keeps one cookie, and no longer than it lives.
func (l *crmLogin) set(c *http.Cookie, now time.Time) {
	l.Cookies = slices.DeleteFunc(l.Cookies, func(o crmCookie) bool { return o.Name == c.Name })
	l.Cookies = append(l.Cookies, crmCookie{c.Name, c.Value})
	end := c.Expires
	if c.MaxAge > 0 {
		end = now.Add(time.Duration(c.MaxAge) * time.Second)
	}
	if !end.IsZero() && end.Before(l.Until) {
		l.Until = end
	}
}

// pointTo follows a JSON pointer; nil when there is nothing.
func pointTo(doc any, pointer string) any {
	for part := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		part = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		switch v := doc.(type) {
		case map[string]any:
			doc = v[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return nil
			}
			doc = v[i]
		default:
			return nil
		}
	}
	return doc
}
