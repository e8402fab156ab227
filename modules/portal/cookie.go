// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// CookieName is the session cookie. The __Host- prefix makes browsers refuse it
// without Secure, with a Domain, or with another path, so that no sibling
// subdomain can plant one.
const CookieName = "__Host-crmgate"

// tripsCookie counts how often the portal sent a browser back to the CRM as
// signed in. It proves nothing and protects nothing: it only ends loops.
const (
	tripsCookie = "__Host-crmgate-trips"
	tripsLife   = 120 // seconds
	maxTrips    = 3
)

// The other cookies of ours. What a name's last part separates is _ where the value
// is a secret.
const (
	stepCookie   = CookieName + "_step"   // a pending sign-in
	DeviceCookie = CookieName + "_device" // a trusted device: kept over sign-outs, proves nothing alone
	keptCookie   = CookieName + "_kept"   // a form that waits for its person to sign in

	// What package sso knows a browser by.
	flowCookie     = CookieName + "_flow"
	flowPostCookie = CookieName + "_flow_post"

	stepLife = 600 // seconds; the Backend's own limit is what counts
	keptLife = 600
)

// StepHeader carries the secret of a pending sign-in for apps, in place of the
// cookie.
const StepHeader = "X-Crmgate-Step"

// maxCookieValue bounds a cookie value that is looked at: far above any token of
// ours, far below what a header may hold.
const maxCookieValue = 256

// Errors of Token.
var (
	ErrNoCookie   = errors.New("portal: no session cookie")
	ErrTwoCookies = errors.New("portal: more than one session cookie")
)

// Token returns the value of the session cookie without allocating. A missing
// cookie, an empty value and one above 256 bytes are ErrNoCookie. More than one,
// equal or not, in one header or several, is ErrTwoCookies: one of them was
// planted, and nobody can tell which. The value is not otherwise checked.
func Token(r *http.Request) (string, error) {
	token, n := cookie(r.Header, CookieName)
	switch {
	case n > 1:
		return "", ErrTwoCookies
	case n == 0 || token == "" || len(token) > maxCookieValue:
		return "", ErrNoCookie
	}
	return token, nil
}

// cookie returns the first value of the cookie called name, and how many there are.
func cookie(h http.Header, name string) (value string, n int) {
	for _, line := range h["Cookie"] {
		for rest, more := line, true; more; {
			var pair string
			pair, rest, more = strings.Cut(rest, ";")
			key, v, ok := strings.Cut(pair, "=")
			if !ok || trim(key) != name {
				continue
			}
			if n == 0 {
				value = trim(v)
			}
			n++
		}
	}
	return value, n
}

// trim removes the white space RFC 6265 section 5.2 knows.
func trim(s string) string { return strings.Trim(s, " \t") }

// StripCookie removes the gate's cookies from h, in any letter case, so that the
// CRM never sees them. Other cookies stay byte for byte; a header left empty is
// removed.
func StripCookie(h http.Header) {
	lines := h["Cookie"]
	found := slices.ContainsFunc(lines, hasOurs)
	if !found {
		return
	}
	var kept []string
	for _, line := range lines {
		if line = stripLine(line); line != "" {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = kept
}

// StripSetCookie removes from the header of a CRM's answer what would set or delete a
// cookie of the gate: who is signed in is not for the CRM to say.
func StripSetCookie(h http.Header) {
	lines := h["Set-Cookie"]
	if !slices.ContainsFunc(lines, setsOurs) {
		return
	}
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		if !setsOurs(line) {
			kept = append(kept, line)
		}
	}
	if len(kept) == 0 {
		delete(h, "Set-Cookie")
		return
	}
	h["Set-Cookie"] = kept
}

// setsOurs says whether a Set-Cookie line is about a cookie of the gate. One without a
// name comes back as its value alone, which then reads like a name.
func setsOurs(line string) bool {
	pair, _, _ := strings.Cut(line, ";")
	return ours(strings.TrimLeft(pair, "= \t"))
}

func stripLine(line string) string {
	if !hasOurs(line) {
		return line
	}
	var room [16]string
	kept := room[:0]
	for pair := range strings.SplitSeq(line, ";") {
		if pair = trim(pair); pair != "" && !ours(pair) {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "; ")
}

func hasOurs(line string) bool {
	for rest, more := line, true; more; {
		var pair string
		pair, rest, more = strings.Cut(rest, ";")
		if ours(pair) {
			return true
		}
	}
	return false
}

// ours says whether a cookie pair is the session cookie or one whose name begins
// with it and a dash or an underscore. A pair without "=" is taken by its text: some parsers read
// it as a name.
func ours(pair string) bool {
	name, _, _ := strings.Cut(pair, "=")
	name = trim(name)
	if len(name) < len(CookieName) || !strings.EqualFold(name[:len(CookieName)], CookieName) {
		return false
	}
	return len(name) == len(CookieName) || name[len(CookieName)] == '-' || name[len(CookieName)] == '_'
}

// usableToken says whether a token can be a cookie value as it is. net/http drops
// bytes it does not like from a value, which would cut a secret in silence.
func usableToken(token string) bool {
	if len(token) < 16 || len(token) > maxCookieValue {
		return false
	}
	for i := range len(token) {
		c := token[i]
		if !isAlnum(c) && c != '-' && c != '_' && c != '.' && c != '~' {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// setCookie adds a cookie with the attributes all of ours have. life is in
// seconds; 0 lasts as long as the browser runs, below 0 removes.
func setCookie(h http.Header, name, value string, life int) {
	c := http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: life,
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	h.Add("Set-Cookie", c.String())
}

// secret returns the value of one of our secret cookies; "" when there is none, when
// it is none of the shape they have, and when there are several.
func secret(h http.Header, name string) string {
	v, n := cookie(h, name)
	if n != 1 || !usableToken(v) {
		return ""
	}
	return v
}

// DeviceToken returns the trusted-device cookie of a request; "" when there is
// none, two, or one that is not of the shape of ours.
func DeviceToken(r *http.Request) string { return secret(r.Header, DeviceCookie) }

// clearDoubled clears those of our secret cookies that came more than once, and
// says whether there were any: one of them was planted, and nobody can tell which.
func clearDoubled(h http.Header, r *http.Request) bool {
	doubled := false
	for _, name := range [...]string{CookieName, stepCookie, DeviceCookie, keptCookie, flowCookie, flowPostCookie} {
		if _, n := cookie(r.Header, name); n > 1 {
			setCookie(h, name, "", -1)
			doubled = true
		}
	}
	return doubled
}

func setStep(h http.Header, step string) { setCookie(h, stepCookie, step, stepLife) }

// clearStep forgets a pending sign-in if the browser carries one.
func clearStep(h http.Header, r *http.Request) {
	if _, n := cookie(r.Header, stepCookie); n > 0 {
		setCookie(h, stepCookie, "", -1)
	}
}

func setSession(h http.Header, token string) { setCookie(h, CookieName, token, 0) }
func clearSession(h http.Header)             { setCookie(h, CookieName, "", -1) }

// trips returns how often the browser was sent back lately: 0 to maxTrips. What
// is not one digit counts as 0.
func trips(r *http.Request) int {
	v, _ := cookie(r.Header, tripsCookie)
	if len(v) != 1 || v[0] < '0' || v[0] > '9' {
		return 0
	}
	return min(int(v[0]-'0'), maxTrips)
}

func setTrips(h http.Header, n int) {
	setCookie(h, tripsCookie, string(rune('0'+min(n, maxTrips))), tripsLife)
}

func clearTrips(h http.Header) { setCookie(h, tripsCookie, "", -1) }
