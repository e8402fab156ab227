// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sso

import (
	"errors"
	"io"
	"net/http"
)

// The cookies that say which browser began a flow. They prove nothing else.
const (
	// FlowCookie comes back with answers by GET.
	FlowCookie = "__Host-crmgate_flow"
	// PostCookie comes back with answers by POST from the provider's site.
	PostCookie = "__Host-crmgate_flow_post"
)

var errTwoCookies = errors.New("two flow cookies: one of them was planted")

// readCookie returns the value of a flow cookie, "" when there is none of our form.
func readCookie(r *http.Request, name string) (string, error) {
	all := r.CookiesNamed(name)
	switch {
	case len(all) > 1:
		return "", errTwoCookies
	case len(all) == 0 || !isID(all[0].Value):
		return "", nil
	}
	return all[0].Value, nil
}

// markBrowser returns the browser's cookie value, one that it has already, or a
// new one, and sees to it that it lasts as long as the flow that begins now.
func markBrowser(w http.ResponseWriter, r *http.Request, random io.Reader, name string, site http.SameSite) (string, error) {
	value, err := readCookie(r, name)
	if err != nil {
		setCookie(w, name, "", site, -1)
		return "", err
	}
	if value == "" {
		if value, err = newID(random); err != nil {
			return "", err
		}
	}
	setCookie(w, name, value, site, int(FlowLife.Seconds()))
	return value, nil
}

func setCookie(w http.ResponseWriter, name, value string, site http.SameSite, age int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // SameSite is None for the POST of a SAML provider alone
		Name: name, Value: value, Path: "/", MaxAge: age, Secure: true, HttpOnly: true, SameSite: site,
	})
}

// whoBrings says which browser brings an answer.
func whoBrings(r *http.Request) (browser, error) {
	b := browser{post: r.Method == http.MethodPost}
	name := FlowCookie
	if b.post {
		name = PostCookie
	}
	var err error
	b.value, err = readCookie(r, name)
	return b, err
}
