// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"net/http"
	"net/url"
	"slices"
)

// cleanPart returns the header of an answer within a part, by the rules of whole
// answers. What whole answers are told besides is said once, around the parts. A
// link is followed from where the parts came from: which address the CRM has is
// nobody's business.
func cleanPart(in http.Header) http.Header {
	for _, name := range []string{"Location", "Link"} {
		for i, v := range in[name] {
			in[name][i] = withoutHost(v)
		}
		in[name] = slices.DeleteFunc(in[name], func(v string) bool { return v == "" })
	}
	out := cleanResponse(in, &http.Request{URL: new(url.URL)})
	for _, name := range []string{"Cache-Control", "Vary", "X-Content-Type-Options"} {
		delete(out, name)
	}
	return out
}
