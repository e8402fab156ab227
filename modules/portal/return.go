// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	maxReturn = 2048 // bytes of a return target
	maxRounds = 6    // of percent-decoding before a path is called hostile
	home      = "/"
)

// ReturnTarget returns raw when it is a path on this host that a browser may be
// sent to after signing in, and "/" otherwise. host is the host the browser is
// on.
//
// raw must be "/" followed by neither "/" nor "\", printable ASCII without
// backslash and "#", and at most 2048 bytes. Its path must keep that shape however
// often it is percent-decoded and after Unicode compatibility folding: no empty or
// dot segment, no control or invisible character, no invalid UTF-8. Of the gate's
// own pages only the account, the change of password, a kept form and the console
// can be returned to. Empty, relative,
// absolute, undecodable: "/".
func ReturnTarget(raw, host string) string {
	if raw == "" || len(raw) > maxReturn || !plainASCII(raw) {
		return home
	}
	path, _, _ := strings.Cut(raw, "?")
	if !decodable(path) || !steady(path) {
		return home
	}
	if !sameSite(raw, host) {
		return home
	}
	return raw
}

// plainASCII says whether s is visible ASCII without the two characters that
// parsers disagree about.
func plainASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			return false
		}
	}
	return true
}

// decodable says whether every % in s begins a valid escape.
func decodable(s string) bool {
	_, err := url.PathUnescape(s)
	return err == nil
}

// steady says whether a path is fine as it stands and in every form a careless
// server could decode it to.
func steady(path string) bool {
	for range maxRounds {
		if !finePath(path) {
			return false
		}
		next := decodeOnce(path)
		if next == path {
			return true
		}
		path = next
	}
	return false
}

// finePath says whether a path, decoded to some degree, is one of ours to go to.
func finePath(path string) bool {
	if !utf8.ValidString(path) {
		return false
	}
	folded := norm.NFKC.String(path)
	for _, r := range folded {
		if r == '\\' || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) || slashLike(r) {
			return false
		}
	}
	rest, ok := strings.CutPrefix(folded, "/")
	if !ok {
		return false
	}
	segments := strings.Split(rest, "/")
	for i, s := range segments {
		last := i == len(segments)-1
		if s == "" && !last || dots(s) {
			return false
		}
	}
	first, _, params := strings.Cut(segments[0], ";")
	if params && Owns("/"+first) {
		return false
	}
	return !Owns(folded) || returnable(folded)
}

// slashLike says whether r looks like, or is at times folded to, a slash or a
// backslash, beyond what NFKC folds by itself.
func slashLike(r rune) bool {
	switch r {
	case '\u2044', '\u2215', '\u29f5', '\u29f8', '\u2571', '\u2572':
		return true
	}
	return false
}

// dots says whether a segment is "." or "..", also with path parameters or spaces
// after it, which some servers cut off.
func dots(segment string) bool {
	segment, _, _ = strings.Cut(segment, ";")
	segment = strings.TrimRight(segment, " ")
	return segment == "." || segment == ".."
}

// returnable says whether one of the gate's own paths can be returned to: never
// sign-in or sign-out, which would make a loop or undo what was just done.
func returnable(path string) bool {
	return path == AccountPath || path == passwordPath || path == KeptPath || path == Prefix+"console" || strings.HasPrefix(path, Prefix+"console/")
}

// decodeOnce decodes the valid escapes of s and leaves the others as they are.
func decodeOnce(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if hi, lo := unhex(s[i+1]), unhex(s[i+2]); hi >= 0 && lo >= 0 {
				out = append(out, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// sameSite parses the target once more, the way a client will: resolved against
// the page it comes from, it must not have left the host.
func sameSite(raw, host string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" {
		return false
	}
	base := &url.URL{Scheme: "https", Host: host, Path: SignInPath}
	to := base.ResolveReference(u)
	return to.Scheme == "https" && to.Host == host && to.User == nil
}
