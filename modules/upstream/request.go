// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/plan"
)

// rewrites says whether the answer will be read and changed.
func rewrites(p *plan.Plan) bool { return p != nil && !p.Pass }

// outbound returns the request as the CRM gets it. Where something is added for the
// CRM alone it is a copy: reverse_proxy logs the request it gave us, and the person's
// keys must not be in it. Where nothing is, it is the proxy's own copy of the client's.
func outbound(req *http.Request, d *crmgate.Decision) (*http.Request, policy.Reason) {
	rewriting := rewrites(d.Plan())
	if !rewriting && len(d.Identity) == 0 && len(d.Query) == 0 && d.Pending == nil && d.Around == nil {
		d.Forbidden.StripHeaders(req.Header)
		return req, policy.Allowed
	}
	ctx := req.Context()
	if rewriting {
		ctx = noTrace{ctx}
	}
	// What is changed below or by who sends it is copied, and no more than that: the
	// lists of values are shared, and nobody writes into one.
	out := req.WithContext(ctx)
	to, h := *req.URL, maps.Clone(req.Header)
	if h == nil {
		h = http.Header{}
	}
	out.URL, out.Header = &to, h
	if rewriting {
		// A write that depends on a validator of the rewritten body cannot be
		// translated back; dropping the condition could overwrite somebody's change.
		if h.Get("If-Match") != "" || h.Get("If-Unmodified-Since") != "" {
			return nil, policy.PreconditionFailed
		}
		cleanRequest(h, d.Plan())
		if out.Method == http.MethodHead {
			out.Method = http.MethodGet // whether a record is visible is in the body
		}
	}
	d.Forbidden.StripHeaders(h)
	maps.Copy(h, d.Identity)
	if len(d.Query) > 0 {
		out.URL.RawQuery = withQuery(out.URL.RawQuery, d.Query)
	}
	return out, policy.Allowed
}

// unwanted are the headers by which a client asks for another form or for a part, as
// requests have them.
var unwanted = []string{
	"Range", "If-Range", "If-None-Match", "If-Modified-Since",
	"Accept-Charset", "Te", "Want-Digest", "Want-Content-Digest", "Want-Repr-Digest",
}

// cleanRequest removes what would make the CRM answer in a form that cannot be
// read, or answer with a part (leaks L01, L06, L07, L15, L21).
func cleanRequest(h http.Header, p *plan.Plan) {
	for _, name := range unwanted {
		delete(h, name)
	}
	for name := range h { // reverse_proxy spells these in its own way
		if len(name) == len(socketExtensions) && strings.EqualFold(name, socketExtensions) {
			delete(h, name) // a compressed message is one nobody reads
		}
	}
	set := [...]string{"identity", formatOf(p).accept}
	h["Accept-Encoding"], h["Accept"] = set[0:1:1], set[1:2:2]
}

const socketExtensions = "Sec-WebSocket-Extensions"

// withQuery adds parameters to a raw query that no longer has them.
func withQuery(raw string, add map[string]string) string {
	v := url.Values{}
	for name, value := range add {
		v.Set(name, value)
	}
	if raw == "" {
		return v.Encode()
	}
	return raw + "&" + v.Encode()
}

// noTrace hides the proxy's trace, so that early hints of the CRM, which are
// headers nobody has rewritten, do not reach the client (leak L13).
type noTrace struct{ context.Context }

// Value returns the value of key, except a client trace.
func (c noTrace) Value(key any) any {
	v := c.Context.Value(key)
	if _, ok := v.(*httptrace.ClientTrace); ok {
		return nil
	}
	return v
}
