// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/crmgate/crmgate/policy/mask"
)

// kept are the response headers that go through as they came. Everything else is
// either removed (dropped) or read for personal data first.
var kept = map[string]bool{
	"Age": true, "Allow": true, "Content-Language": true, "Content-Type": true, "Date": true,
	"Expires": true, "Pragma": true, "Retry-After": true, "Server": true, "Server-Timing": true,
	"Set-Cookie": true, "Strict-Transport-Security": true, "Vary": true, "Www-Authenticate": true,
	"X-Content-Type-Options": true, "X-Frame-Options": true, "Content-Security-Policy": true,
	"Access-Control-Allow-Origin": true, "Access-Control-Allow-Credentials": true,
	"Access-Control-Allow-Headers": true, "Access-Control-Allow-Methods": true,
	"Access-Control-Expose-Headers": true, "Access-Control-Max-Age": true,
}

// dropped describe the body as it was: its length, its parts, its digests. A
// digest of a phone number is the phone number to whoever can count to 10^10
// (leaks L06 to L11).
var dropped = []string{
	"Content-Length", "Content-Encoding", "Accept-Ranges", "Content-Range", "Etag", "Last-Modified",
	"Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Signature", "Signature-Input",
	"Trailer", "Refresh", "Content-Location", "X-Amz-Meta-Hash",
}

// cleanResponse returns the header of a rewritten answer.
func cleanResponse(in http.Header, req *http.Request) http.Header {
	out := in.Clone()
	for _, name := range dropped {
		out.Del(name)
	}
	for name, values := range out {
		switch {
		case kept[name]:
		case name == "Location" || name == "Link":
			for i, v := range values {
				values[i] = scrub(sameHost(v, req.URL.Host, req.Host))
			}
		case isDigestName(name):
			delete(out, name)
		default:
			for i, v := range values {
				values[i] = scrub(v)
			}
		}
	}
	out.Set("Cache-Control", "private, no-cache")
	out.Add("Vary", "Cookie, Authorization")
	out.Set("X-Content-Type-Options", "nosniff")
	return out
}

// private keeps an answer that depends on who asked out of shared caches, and
// makes a browser ask again before it shows a copy: who a person is to the gate
// can change between two requests (leaks L07, L14).
func private(h http.Header) {
	cc := strings.ToLower(joined(h.Values("Cache-Control")))
	if !strings.Contains(cc, "private") && !strings.Contains(cc, "no-store") {
		h.Set("Cache-Control", "private, no-cache")
	}
	h.Add("Vary", "Cookie, Authorization")
}

// isDigestName recognises headers that carry a digest under a name of their own.
func isDigestName(name string) bool {
	n := strings.ToLower(name)
	return strings.HasSuffix(n, "-hash") || strings.HasSuffix(n, "-md5") || strings.Contains(n, "digest") ||
		strings.Contains(n, "checksum") || strings.HasSuffix(n, "-etag")
}

// scrub masks what looks like personal data in a header's value.
func scrub(v string) string {
	if out, n := mask.Detect(nil, []byte(v)); n > 0 {
		return string(out)
	}
	return v
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
