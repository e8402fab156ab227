// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http"
	"strconv"
	"strings"
)

// form is the shape an answer takes.
type form uint8

const (
	asJSON form = iota // XHR, fetch, apps, programs
	asPage             // a browser window is waiting
)

// WantsPage says whether a browser is navigating, so that a page or a redirect to
// one helps: GET or HEAD with Sec-Fetch-Mode navigate; or, from a client without
// Sec-Fetch headers, with an Accept that names HTML and no X-Requested-With. An
// upgrade (WebSocket) never does. In doubt the answer is false: a program that is
// redirected to a form takes it for data.
func WantsPage(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	return navigates(r)
}

// navigates is WantsPage for any method: a form sent by a browser shows its
// answer in a window too.
func navigates(r *http.Request) bool {
	if r.Header.Get("Upgrade") != "" || r.Method == http.MethodConnect {
		return false
	}
	if len(r.Header["Sec-Fetch-Mode"]) > 0 || len(r.Header["Sec-Fetch-Site"]) > 0 || len(r.Header["Sec-Fetch-Dest"]) > 0 {
		return r.Header.Get("Sec-Fetch-Mode") == "navigate"
	}
	return r.Header.Get("X-Requested-With") == "" && acceptsHTML(r.Header["Accept"])
}

// negotiate returns the form for a request to a path that has none of its own.
func negotiate(r *http.Request) form {
	if navigates(r) {
		return asPage
	}
	return asJSON
}

// acceptsHTML says whether an Accept header names an HTML type with a weight
// above 0. Wild cards do not count: every HTTP library sends them.
func acceptsHTML(accept []string) bool {
	for _, line := range accept {
		for item := range strings.SplitSeq(line, ",") {
			media, params, _ := strings.Cut(item, ";")
			media = trim(media)
			if (strings.EqualFold(media, "text/html") || strings.EqualFold(media, "application/xhtml+xml")) && weight(params) > 0 {
				return true
			}
		}
	}
	return false
}

// weight returns the q parameter (RFC 9110 section 12.4.2); 1 when absent, 0 when
// it is not a number.
func weight(params string) float64 {
	for p := range strings.SplitSeq(params, ";") {
		name, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(trim(name), "q") {
			continue
		}
		q, err := strconv.ParseFloat(trim(value), 64)
		if err != nil {
			return 0
		}
		return q
	}
	return 1
}
