// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net/http"
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

// fate is what becomes of a header of a known name.
type fate uint8

const (
	unknown fate = iota // to be judged by its name
	goes                // describes the body as it was, the connection, or is said anew
	link                // addresses
	cookie
	moment // a time
	kind   // the type of the body
	server
	usual // fit, with values to be read
)

// fates are those of the names most answers have.
var fates = func() map[string]fate {
	m := map[string]fate{
		"Location": link, "Link": link, "Set-Cookie": cookie, "Date": moment, "Expires": moment, "Content-Type": kind, "Server": server,
		"Connection": goes, "Cache-Control": goes, "X-Content-Type-Options": goes,
	}
	for _, name := range dropped {
		m[name] = goes
	}
	for _, name := range []string{"Vary", "Pragma", "Keep-Alive", "X-Powered-By", "X-Request-Id", "Strict-Transport-Security", "X-Frame-Options"} {
		m[name] = usual
	}
	return m
}()

// line is a header that goes out, before its values have been read.
type line struct {
	name   string
	values []string
	fate   fate
}

// cleanResponse returns the header of a rewritten answer. Every name and every
// value is read for personal data: it is masked where it stands, or taken out
// with what carries it where it is encoded (leak L12).
func cleanResponse(in http.Header, req *http.Request) http.Header {
	var room [16]line
	lines, n := room[:0], 3
	for name, values := range in {
		f := fates[name]
		if f == goes || f == unknown && (elsewhere(name) || headerNames.unfit(name)) {
			continue
		}
		lines = append(lines, line{name, values, f})
		n += len(values)
	}
	all := make([]string, 0, n) // the values of out
	// A map that grows is made twice: it has room for what is set below, the length and
	// a tag of our own.
	out := make(http.Header, len(lines)+4+len(in["Etag"]))
	for i := range lines {
		name, from := lines[i].name, len(all)
		if lines[i].fate == kind { // of several, clients take another one than was judged
			lines[i].values = lines[i].values[:min(1, len(lines[i].values))]
		}
		for _, v := range lines[i].values {
			switch lines[i].fate {
			case link:
				v = scrub(name, addressed(name, v, req))
			case cookie:
				if personalCookie(v) {
					continue
				}
			case moment:
				if !isDate(v) {
					v = scrub(name, v)
				}
			case kind:
				if !isUsualType(v) {
					v = scrub(name, v)
				}
			case server:
				v = servers.scrub(name, v)
			default:
				v = scrub(name, v)
			}
			all = append(all, v)
		}
		out[name] = all[from:len(all):len(all)]
	}
	named(in, out)
	from := len(all)
	all = append(all, "private, no-cache", "nosniff", ours)
	out["Cache-Control"], out["X-Content-Type-Options"] = all[from:from+1:from+1], all[from+1:from+2:from+2]
	vary(out, all[from+2:from+3:from+3])
	return out
}

// ours is what every answer of the gate varies by.
const ours = "Cookie, Authorization"

// vary adds a value, in a list of its own, to what an answer varies by.
func vary(h http.Header, ours []string) {
	if was := h["Vary"]; len(was) > 0 {
		ours = append(slices.Clip(was), ours...)
	}
	h["Vary"] = ours
}

// private keeps an answer that depends on who asked out of shared caches, and
// makes a browser ask again before it shows a copy: who a person is to the gate
// can change between two requests (leaks L07, L14).
func private(h http.Header) {
	endHop(h)
	uncache(h)
	// The lists are of this answer alone: who handles it next may write into them.
	own := [...]string{"private, no-cache", ours}
	if !isPrivate(h["Cache-Control"]) {
		h["Cache-Control"] = own[0:1:1]
	}
	vary(h, own[1:2:2])
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
	if _, there := h["Connection"]; there {
		named(h, h)
		delete(h, "Connection")
	}
}

// named removes from out what in's Connection names.
func named(in, out http.Header) {
	for _, line := range in["Connection"] {
		if line == "keep-alive" || line == "close" { // as servers say it
			delete(out, "Keep-Alive")
			delete(out, "Close")
			continue
		}
		for name := range strings.SplitSeq(line, ",") {
			out.Del(strings.TrimSpace(name))
		}
	}
}

// uncache removes what tells caches other than the browser to keep an answer,
// whatever Cache-Control says (RFC 9213 and what came before it; leak L14).
func uncache(h http.Header) {
	for name := range h {
		if elsewhere(name) {
			delete(h, name)
		}
	}
}

// elsewhere says whether a header speaks to caches other than the browser.
func elsewhere(name string) bool {
	switch name {
	case "Surrogate-Control", "Edge-Control", "X-Accel-Expires":
		return true
	}
	return strings.HasSuffix(name, "-Cache-Control")
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

// errorHeaders are headers of errors that say nothing of records, besides those with a fate.
var errorHeaders = map[string]bool{
	"Allow": true, "Www-Authenticate": true, "Retry-After": true, "Content-Language": true, "Content-Security-Policy": true,
	"Referrer-Policy": true, "Permissions-Policy": true, "X-Xss-Protection": true, "X-Correlation-Id": true, "X-Trace-Id": true,
}

// spare removes from the header of an error whatever nobody knows: words about somebody's
// record look like any others (leak L66).
func spare(h http.Header) {
	for name := range h {
		known := fates[name] != unknown || errorHeaders[name] || strings.HasPrefix(name, "Access-Control-") ||
			strings.HasPrefix(name, "Ratelimit") || strings.HasPrefix(name, "X-Ratelimit") || strings.HasPrefix(name, "Cross-Origin-")
		if !known || name == "Location" || name == "Link" {
			delete(h, name)
		}
	}
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
