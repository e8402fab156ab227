// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// dropped describe the body as it was: its length, its parts, its digests. A
// digest of a phone number is the phone number to whoever can count to 10^10
// (leaks L06 to L11).
var dropped = []string{
	"Content-Length", "Content-Encoding", "Accept-Ranges", "Content-Range", "Etag", "Last-Modified",
	"Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Signature", "Signature-Input",
	"Trailer", "Refresh", "Content-Location", "X-Amz-Meta-Hash",
}

// cleanResponse returns the header of a rewritten answer. Every name and every
// value is read for personal data: it is masked where it stands, or taken out
// with what carries it where it is encoded (leak L12).
func cleanResponse(in http.Header, req *http.Request) http.Header {
	out := in.Clone()
	endHop(out)
	for _, name := range dropped {
		delete(out, name) // they stand here in the one spelling that answers have
	}
	for name, values := range out {
		switch {
		case name == "Location" || name == "Link":
			for i, v := range values {
				values[i] = scrub(name, sameHost(v, req.URL.Host, req.Host))
			}
		case name == "Set-Cookie":
			out[name] = slices.DeleteFunc(values, personalCookie)
		case headerNames.unfit(name):
			delete(out, name)
		default:
			for i, v := range values {
				values[i] = scrub(name, v)
			}
		}
	}
	uncache(out)
	out.Set("Cache-Control", "private, no-cache")
	out.Add("Vary", "Cookie, Authorization")
	out.Set("X-Content-Type-Options", "nosniff")
	return out
}

// private keeps an answer that depends on who asked out of shared caches, and
// makes a browser ask again before it shows a copy: who a person is to the gate
// can change between two requests (leaks L07, L14).
func private(h http.Header) {
	endHop(h)
	uncache(h)
	if !isPrivate(h.Values("Cache-Control")) {
		h.Set("Cache-Control", "private, no-cache")
	}
	h.Add("Vary", "Cookie, Authorization")
}

// isPrivate says whether no shared cache may keep what comes with these
// directives. private with names of headers after it lets the body be kept.
func isPrivate(values []string) bool {
	if len(values) == 0 {
		return false
	}
	found := false
	for part := range strings.SplitSeq(strings.ToLower(joined(values)), ",") {
		part = strings.TrimSpace(part)
		switch word, _, _ := strings.Cut(part, "="); word {
		case "public", "s-maxage":
			return false
		}
		found = found || part == "private" || part == "no-store"
	}
	return found
}

// endHop removes Connection and what it names, so that the proxy, which does the
// same, does not remove what is set from here on (leak L17).
func endHop(h http.Header) {
	for _, line := range h.Values("Connection") {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	h.Del("Connection")
}

// uncache removes what tells caches other than the browser to keep an answer,
// whatever Cache-Control says (RFC 9213 and what came before it; leak L14).
func uncache(h http.Header) {
	for name := range h {
		if name == "Surrogate-Control" || name == "Edge-Control" || name == "X-Accel-Expires" ||
			strings.HasSuffix(name, "-Cache-Control") {
			delete(h, name)
		}
	}
}

// headerNames remembers what was said of the names of headers: a CRM sends the same few
// again and again.
var headerNames nameCache

// nameCache holds verdicts; it stops learning when it is full, so that names made
// up by somebody cost time and no memory.
type nameCache struct {
	verdicts sync.Map // string to bool
	known    atomic.Int32
}

// mostNames is how many names are remembered.
const mostNames = 512

// unfit says whether a header of this name must not go out: it carries a digest,
// or its name is somebody's data.
func (c *nameCache) unfit(name string) bool {
	if v, ok := c.verdicts.Load(name); ok {
		return v.(bool) //nolint:forcetypeassert // only bools go in
	}
	v := isDigestName(name) || personal(name)
	if c.known.Load() < mostNames {
		if _, had := c.verdicts.LoadOrStore(strings.Clone(name), v); !had {
			c.known.Add(1)
		}
	}
	return v
}

// isDigestName recognises headers that carry a digest under a name of their own.
func isDigestName(name string) bool {
	n := strings.ToLower(name)
	for _, word := range []string{"hash", "md5", "digest", "checksum", "etag", "sha1", "sha2", "sha3", "sha5", "sha-", "crc32"} {
		if strings.Contains(n, word) {
			return true
		}
	}
	return false
}

// sameHost points an absolute link to the CRM's own address back to the gate:
// the address behind it is nobody's business.
func sameHost(v, upstream, host string) string {
	u, err := url.Parse(v)
	if err != nil || !strings.EqualFold(u.Host, upstream) || u.Host == "" {
		return v
	}
	u.Scheme, u.Host = "https", host
	return u.String()
}

// joined returns a header that may come in several lines as one list.
func joined(values []string) string { return strings.Join(values, ", ") }

// matchesTag says whether an If-None-Match list names tag. A list that names "*"
// matches nothing here: it asks about existence, not about a version.
func matchesTag(values []string, tag string) bool {
	for _, line := range values {
		for part := range strings.SplitSeq(line, ",") {
			if strings.TrimPrefix(strings.TrimSpace(part), "W/") == strings.TrimPrefix(tag, "W/") {
				return true
			}
		}
	}
	return false
}

// notModified is our own answer to a condition on our own tag.
func notModified(req *http.Request, h http.Header) *http.Response {
	out := http.Header{}
	for _, name := range []string{"Etag", "Cache-Control", "Vary", "Date", "Expires"} {
		if v := h.Values(name); len(v) > 0 {
			out[name] = v
		}
	}
	res := synthetic(req, http.StatusNotModified, out, nil)
	out.Del("Content-Length")
	res.Body, res.ContentLength = http.NoBody, 0
	return res
}
