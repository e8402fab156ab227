// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http"
	"strings"
)

// contentPolicy lets a page of ours load our own style sheet, scripts and icon, ask
// our own JSON and post to us; nothing inline, nothing foreign, no frame around it.
const contentPolicy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// policyWithForm is contentPolicy for a page that may also post to one origin.
func policyWithForm(origin string) string {
	return strings.Replace(contentPolicy, "form-action 'self'", "form-action 'self' "+origin, 1)
}

// unprotect removes what protect set, for an answer that is not the portal's own.
func unprotect(h http.Header) {
	for _, name := range [...]string{
		"Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy",
		"Cache-Control", "Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy",
	} {
		h.Del(name)
	}
}

// protect sets the headers every answer of the portal has, and removes what
// described another body.
func protect(h http.Header) {
	for _, name := range [...]string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified", "Accept-Ranges", "Content-Disposition"} {
		h.Del(name)
	}
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}
