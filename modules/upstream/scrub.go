// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/crmgate/crmgate/policy/mask"
)

// plain are the headers whose values are numbers and times that look like
// somebody's number to a detector, and what they may look like.
var plain = map[string]*regexp.Regexp{
	"Age":                       regexp.MustCompile(`^[0-9]{1,9}$`),
	"Access-Control-Max-Age":    regexp.MustCompile(`^-?[0-9]{1,9}$`),
	"Retry-After":               regexp.MustCompile(`^[0-9]{1,9}$`),
	"Strict-Transport-Security": regexp.MustCompile(`(?i)^max-age="?[0-9]{1,9}"?( *; *(includesubdomains|preload))*$`),
}

// shortest is the length from which on a stretch of text may be the base64 of
// somebody's number.
const shortest = 12

// base64Byte says which bytes are of either alphabet of base64.
var base64Byte = func() (t [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-" {
		t[c] = true
	}
	return t
}()

// standard turns the alphabet for addresses into the standard one.
var standard = strings.NewReplacer("-", "+", "_", "/")

// scrub masks what looks like personal data in a header's value. Where the value
// holds it encoded, or is the type of the body, nothing of it is left.
func scrub(name, v string) string {
	out, n := mask.Detect(nil, []byte(v))
	switch {
	case n > 0 && name == "Content-Type":
		return "application/json"
	case n > 0 && plain[name] != nil && plain[name].MatchString(v):
		return v
	case hides(v):
		return mask.FullText
	case n > 0:
		return string(out)
	}
	return v
}

// isUsualType says whether v is a type nobody's data is in.
func isUsualType(v string) bool {
	switch v {
	case "application/json", "application/json; charset=utf-8", "application/json;charset=utf-8", "application/json; charset=UTF-8",
		"text/html", "text/html; charset=utf-8", "application/xml", "text/csv", "text/plain":
		return true
	}
	return false
}

// isDate says whether v is a time of this or the last century as RFC 9110 wants it
// written, "Sun, 06 Nov 1994 08:49:37 GMT". Such a text is nobody's number.
func isDate(v string) bool {
	const form = "Aaa, 00 Aaa 0000 00:00:00 GMT"
	if len(v) != len(form) {
		return false
	}
	for i := range len(form) {
		c, ok := v[i], false
		switch form[i] {
		case 'A':
			ok = c >= 'A' && c <= 'Z'
		case 'a':
			ok = c >= 'a' && c <= 'z'
		case '0':
			ok = c >= '0' && c <= '9'
		default:
			ok = c == form[i]
		}
		if !ok {
			return false
		}
	}
	return v[5:7] <= "31" && (v[12:14] == "20" || v[12:14] == "19") && v[17:19] < "24" && v[20:22] < "60" && v[23:25] <= "60"
}

// servers remembers the last value of Server that was fit to go out: a CRM sends the
// same one with every answer.
var servers lastValue

// lastValue holds one value that was found fit.
type lastValue struct{ fit atomic.Pointer[string] }

func (l *lastValue) scrub(name, v string) string {
	if fit := l.fit.Load(); fit != nil && *fit == v {
		return v
	}
	out := scrub(name, v)
	if out == v && len(v) <= shortValue {
		own := strings.Clone(v)
		l.fit.Store(&own)
	}
	return out
}

// shortValue is how long a value may be that is remembered.
const shortValue = 128

// personal says whether s, as it stands or decoded, looks like personal data.
func personal(s string) bool { return found(s) || hides(s) }

func found(s string) bool {
	_, n := mask.Detect(nil, []byte(s))
	return n > 0
}

// hides says whether s is personal data once its escapes or its base64 are undone.
func hides(s string) bool {
	if strings.Contains(s, "%") {
		if u, err := url.PathUnescape(s); err == nil && u != s && found(u) {
			return true
		}
	}
	for from := 0; from < len(s); from++ {
		to := from
		for to < len(s) && base64Byte[s[to]] {
			to++
		}
		if to-from >= shortest {
			if text := decode64(s[from:to]); text != "" && found(text) {
				return true
			}
		}
		from = to
	}
	return false
}

// decode64 returns the text that s is the base64 of, "" when it is not that of a
// text.
func decode64(s string) string {
	if strings.ContainsAny(s, "-_") {
		s = standard.Replace(s)
	}
	raw, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil || !utf8.Valid(raw) {
		return ""
	}
	for _, c := range raw {
		if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
			return ""
		}
	}
	return string(raw)
}

// lifetime is what Max-Age of a cookie may be.
var lifetime = regexp.MustCompile(`^-?[0-9]{1,9}$`)

// personalCookie says whether a Set-Cookie line looks like personal data. Such a
// cookie is dropped as a whole: a masked one would be somebody else's. Base64 is
// not undone, since the signed tokens of sessions have times and addresses in them
// that are their owner's.
func personalCookie(line string) bool {
	for i, part := range strings.Split(line, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch strings.ToLower(name) {
		case "expires":
			if i > 0 && isTime(value) {
				continue
			}
		case "max-age":
			if i > 0 && lifetime.MatchString(value) {
				continue
			}
		}
		if mask.Stands([]byte(part)) {
			return true
		}
		if u, err := url.PathUnescape(part); err == nil && mask.Stands([]byte(u)) {
			return true
		}
	}
	return false
}

// isTime says whether v is a time as headers have it, or as old cookies do.
func isTime(v string) bool {
	_, err := http.ParseTime(strings.ReplaceAll(strings.TrimSpace(v), "-", " "))
	return err == nil
}
