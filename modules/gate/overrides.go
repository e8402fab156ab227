// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/crmgate/crmgate/modules/crmgate"
)

// overrides are headers that change method or path behind the gate's back, or speak
// for the connection. Like all names here they are compared by letters and digits alone:
// servers that hand headers on as variables take X_HTTP_Method and X-HTTP-Method for one.
var overrides = crmgate.NewForbidden([]string{
	"X-Http-Method-Override", "X-Http-Method", "X-Method-Override", "X-Original-Method", "X-Forwarded-Method",
	"X-Original-Url", "X-Original-Uri", "X-Rewrite-Url", "X-Rewrite-Uri", "X-Override-Url", "X-Forwarded-Uri", "X-Forwarded-Prefix", "Early-Data",
}, nil)

// addresses are headers by which proxies say whom they ask for. They are believed by
// CRMs, whoever sent them.
var addresses = crmgate.NewForbidden([]string{
	"Forwarded", "Forwarded-For", "Forwarded-For-Ip", "X-Forwarded", "X-Forward-For", "X-Forwarded-For-Original", "X-Original-Forwarded-For", "X-Original-For",
	"X-Forwarded-Client-Ip", "X-Vercel-Forwarded-For", "X-Real-Ip", "X-Remote-Ip", "X-Remote-Addr", "Remote-Addr", "X-Originating-Ip", "X-Original-Ip", "X-Source-Ip",
	"X-Ip", "Client-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Proxyuser-Ip", "X-Coming-From", "True-Client-Ip", "X-True-Client-Ip", "X-True-Ip",
	"Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "Cf-Pseudo-Ipv4", "Fastly-Client-Ip", "Fly-Client-Ip", "Do-Connecting-Ip", "Incap-Client-Ip", "Ali-Cdn-Real-Ip",
	"Cdn-Src-Ip", "X-Sucuri-Clientip", "X-Nf-Client-Connection-Ip", "X-Azure-Clientip", "X-Azure-Socketip", "X-Appengine-User-Ip", "X-Appengine-Remote-Addr",
	"X-Envoy-External-Address", "X-Cloud-Trace-Client-Ip", "Wl-Proxy-Client-Ip", "Proxy-Client-Ip",
}, nil)

// proxied are those that reverse_proxy itself makes true, in their one spelling.
var proxied = crmgate.NewForbidden([]string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"}, nil)

// stripOverrides removes the headers that change what was judged, and those that name
// an address, unless a trusted proxy says them as proxies do.
func stripOverrides(h http.Header, trusted bool) {
	for name := range h {
		switch {
		case overrides.Header(name), addresses.Header(name) && (!trusted || !usual(name)), proxied.Header(name) && !usual(name):
			delete(h, name)
		}
	}
}

// usual says whether a name has no other separators than headers have.
func usual(name string) bool {
	for i := range len(name) {
		if c := name[i]; c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// methodNames are the parameters by which web frameworks let a request say another
// method than the one it has, with underscores and in lower case; see isMethodName.
var methodNames = []string{"_method", "_http_method", "x_http_method_override", "x_http_method", "x_method_override"}

// otherMethod says whether a parameter names another method than the one that was judged.
func otherMethod(method string, query url.Values) bool {
	for name, values := range query {
		if !isMethodName(name) {
			continue
		}
		if slices.ContainsFunc(values, func(v string) bool { return !strings.EqualFold(v, method) }) {
			return true
		}
	}
	return false
}
