// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// here points the addresses in the headers of an answer that is not rewritten back to
// the gate.
func here(h http.Header, req *http.Request) {
	for _, name := range [...]string{"Location", "Link"} {
		for i, v := range h[name] {
			h[name][i] = addressed(name, v, req)
		}
	}
}

// addressed is a value of the header Location or Link with its addresses at the gate.
func addressed(name, v string, req *http.Request) string {
	if name == "Link" {
		return linksAtGate(v, req)
	}
	return atGate(v, req)
}

// atGate turns an address at the CRM into the same one at the gate, as the client reached
// it: whoever went to the CRM itself would not be asked who they are, or not get there
// (leak L102). Any other address stays as it is, among them those at the host the client
// asked, whose scheme may matter.
func atGate(v string, req *http.Request) string {
	u, err := url.Parse(v)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return v
	}
	asked := req.Host
	if first, ok := req.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		asked = first.Host
	}
	if sameServer(u, asked) || !sameServer(u, req.URL.Host) && !sameServer(u, req.Host) {
		return v
	}
	u.Scheme, u.Host, u.User = "https", asked, nil
	if req.Header.Get("X-Forwarded-Proto") == "http" { // as reverse_proxy says it
		u.Scheme = "http"
	}
	return u.String()
}

// sameServer says whether an address is at host, which may have a port. Where none is
// said it may be either of the usual ones.
func sameServer(u *url.URL, host string) bool {
	at := url.URL{Host: host}
	return strings.EqualFold(u.Hostname(), at.Hostname()) && usualPort(u.Port()) == usualPort(at.Port())
}

func usualPort(port string) string {
	if port == "80" || port == "443" {
		return ""
	}
	return port
}

// linksAtGate is atGate for each address of a Link header (RFC 8288).
func linksAtGate(v string, req *http.Request) string {
	if !strings.Contains(v, "//") {
		return v
	}
	var out strings.Builder
	for v != "" {
		i := strings.IndexAny(v, `<"`)
		if i < 0 {
			break
		}
		out.WriteString(v[:i+1])
		end := byte('>')
		if v[i] == '"' {
			end = '"'
		}
		v = v[i+1:]
		j := endOf(v, end)
		if end == '>' {
			out.WriteString(atGate(v[:j], req))
		} else {
			out.WriteString(v[:j])
		}
		v = v[j:]
		if v != "" {
			out.WriteByte(end)
			v = v[1:]
		}
	}
	out.WriteString(v)
	return out.String()
}

// endOf returns where the address or the quoted text at the beginning of v ends.
func endOf(v string, end byte) int {
	for i := 0; i < len(v); i++ {
		switch {
		case v[i] == end:
			return i
		case v[i] == '\\' && end == '"':
			i++
		}
	}
	return len(v)
}

// withoutHost turns an absolute address into a path. Nothing is left of a text that
// is none and may hold one.
func withoutHost(v string) string {
	u, err := url.Parse(v)
	if err != nil || strings.HasPrefix(u.Path, "//") || strings.HasPrefix(v, "///") || strings.ContainsAny(v, "<>,;") && strings.Contains(v, "//") {
		return ""
	}
	if u.Scheme == "" && u.Host == "" {
		return v
	}
	u.Scheme, u.Host, u.User, u.Opaque = "", "", nil, ""
	return u.String()
}
