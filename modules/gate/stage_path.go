// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/resource"
)

// path brings host, path and query into the one form that is judged and sent.
// What cannot be brought into it is refused.
func path(x *exchange) step {
	if x.r.URL.Fragment != "" || x.r.URL.Opaque != "" || x.r.URL.User != nil {
		return x.refuse(policy.BadRequest, "a request target that names more than path and query")
	}
	if x.r.Method == http.MethodConnect && x.r.ProtoMajor < 2 {
		return x.refuse(policy.BadRequest, "a CONNECT request")
	}
	canonical, err := resource.Canonical(x.r.URL.EscapedPath())
	if err != nil {
		return x.refuse(policy.BadRequest, err.Error())
	}
	decoded, err := url.PathUnescape(canonical)
	if err != nil {
		return x.refuse(policy.BadRequest, "the path cannot be decoded")
	}
	if strings.IndexByte(x.r.URL.RawQuery, '#') >= 0 { // to some servers the query ends there, and so would what is added behind it
		return x.refuse(policy.BadRequest, "a query with a fragment behind it")
	}
	var query url.Values
	if x.r.URL.RawQuery != "" {
		if query, err = url.ParseQuery(x.r.URL.RawQuery); err != nil {
			return x.refuse(policy.BadRequest, "the query cannot be decoded")
		}
	}
	x.r.URL.Path, x.r.URL.RawPath = decoded, ""
	if x.r.URL.EscapedPath() != canonical {
		if x.r.URL.RawPath = canonical; x.r.URL.EscapedPath() != canonical {
			return x.refuse(policy.BadRequest, "the path has no single form")
		}
	}
	x.req = resource.Request{
		Method: x.r.Method, Host: canonicalHost(x.r.Host), Path: canonical,
		Query: query, Header: x.r.Header,
	}
	x.hasKey = x.app.HasKey(&x.req)
	return proceed
}

// canonicalHost lowers the host and cuts port and trailing dot.
func canonicalHost(host string) string {
	if strings.IndexByte(host, ':') >= 0 { // without one there is no port, which costs an error to say
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// fromPeer says whether the connection itself comes from ip.
func fromPeer(r *http.Request, ip netip.Addr) bool {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	return err != nil || ap.Addr().Unmap().WithZone("") == ip
}

// own is where the gate's own pages live; nothing below it is ever forwarded.
const own = "/.crmgate"

func isOwn(path string) bool { return path == own || strings.HasPrefix(path, own+"/") }

// ownAsset says whether path is a public, static part of the gate: keys and the
// style of its pages.
func ownAsset(path string) bool {
	return strings.HasPrefix(path, own+"/assets/") || path == own+"/jwks.json" || path == own+"/health"
}

// ownPages answers everything under /.crmgate/.
func ownPages(x *exchange) step {
	if !isOwn(strings.ToLower(x.req.Path)) {
		return proceed
	}
	if x.req.Path == own+"/jwks.json" {
		x.app.ServeJWKS(x.w, x.r)
	} else {
		ctx := crmgate.WithReplay(portal.WithClient(x.r.Context(), x.client()), x.replay)
		x.app.Portal().ServeHTTP(x.w, x.r.WithContext(ctx))
	}
	x.d.Allow, x.d.Reason = true, policy.AllowedPublic
	x.audited = true // acts are audited by what carries them out, page views are not acts
	return stop
}
