// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// operation reads the request into operations, with its body where the map needs it.
// What was read is what counts as activity, since only the body of some CRMs
// tells a poll from work.
func operation(x *exchange) step {
	if x.route != nil {
		if !x.route.TakesBody() {
			x.r.Body, x.r.ContentLength = http.NoBody, 0 // nobody has judged it
			x.r.TransferEncoding = nil
		}
		if x.route.NeedsBody() {
			if step := x.readBody(); step == stop {
				return stop
			}
		}
		ops, err := x.route.Operations(&x.req)
		switch {
		case errors.Is(err, resource.ErrUnmapped):
			x.route = nil
		case err != nil:
			return x.refuse(policy.Unreadable, err.Error())
		case len(x.req.Body) > 0: // it was read
			sayType(x.r.Header, x.route.ReadsAs())
		}
		x.d.Operations = ops
	}
	if x.session != nil && !idleWork(x.d.Operations) {
		x.app.Sessions().Touch(x.session)
	}
	return proceed
}

// idleWork says whether every operation is one that does not count as activity.
func idleWork(ops []resource.Operation) bool {
	for i := range ops {
		if !ops[i].NoTouch {
			return false
		}
	}
	return len(ops) > 0
}

// readBody reads the whole body, whether its length was declared or not, and puts
// it back: the bytes that were judged are the bytes that are sent.
func (x *exchange) readBody() step {
	if enc := x.r.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return x.refuse(policy.Unreadable, "a body in a content coding")
	}
	limit := x.route.MaxBody()
	body, err := io.ReadAll(io.LimitReader(x.r.Body, limit+1))
	if err != nil {
		return x.refuse(policy.BadRequest, "the body cannot be read")
	}
	if int64(len(body)) > limit {
		return x.refuse(policy.Unreadable, "the body is longer than the map allows")
	}
	x.req.Body = body
	x.r.Body = io.NopCloser(bytes.NewReader(body))
	x.r.ContentLength = int64(len(body))
	x.r.TransferEncoding = nil
	x.r.Header.Del("Transfer-Encoding")
	x.r.Trailer = nil
	return proceed
}

// decide asks the policy.
func decide(x *exchange) step {
	operations, env := x.d.Operations, x.app.PolicyEnv()
	if x.route == nil {
		x.d.Decision = x.snap.Policy.DecideUnmapped(x.d.Principal)
	} else {
		x.d.Decision = x.snap.Policy.Decide(x.d.Principal, operations, env)
	}
	x.d.Operations, x.d.Policy = operations, x.snap.Policy
	if !x.d.Allow && x.d.Pending == nil { // a pending one stays a refusal until the transport has read the records
		return x.refuse(x.d.Reason, x.d.Detail)
	}
	x.d.ViewerKey = viewerKey(x.d, x.snap.Policy.Digest(), env.Directory)
	if x.d.LookedUp && !x.app.TakeLookup(x.d.Principal.ID) {
		x.d.RetryAfter = time.Minute
		return x.refuse(policy.Throttled, "too many look-ups by masked fields")
	}
	if !onePlan(x.d.Plans) {
		return x.refuse(policy.ActionDenied, "a batch whose answers would have to be rewritten in different ways")
	}
	if x.d.Plan() == nil {
		x.d.Plans = passPlans
	}
	return x.inject()
}

// viewerKey tells apart, in the tags of answers, everybody whose rows may differ: by
// person, by the door they came through, and by every change of policy or directory.
func viewerKey(d *crmgate.Decision, policyDigest string, directory uint64) string {
	if d.Viewer == nil || d.Principal == nil {
		return ""
	}
	p := d.Principal
	return strings.Join([]string{p.ID, string(p.Kind), p.Device, policyDigest, strconv.FormatUint(directory, 16)}, "\x00")
}

// passAll is the plan of what carries no records.
var passAll = &plan.Plan{ID: "pass", Pass: true}

// passPlans is the list of it alone; nobody writes into a decision's plans.
var passPlans = []*plan.Plan{passAll}

// onePlan says whether a batch's answers can be rewritten by one plan. Items with
// the same plan are, and items whose answers pass as they come while their errors are
// read alike; anything else is not.
func onePlan(ps []*plan.Plan) bool {
	if len(ps) == 0 {
		return true
	}
	for _, p := range ps[1:] {
		if p != ps[0] && (!p.Pass || !ps[0].Pass || (p.Problem == nil) != (ps[0].Problem == nil)) {
			return false
		}
	}
	return true
}

// inject pushes the row condition down into the CRM's own query. A client that
// asks for the records of others at that place is refused; what a client writes
// there in another spelling is the same place.
func (x *exchange) inject() step {
	for _, in := range x.d.Inject {
		if in.Query == "" {
			continue // body conditions are enforced by the rewriting alone
		}
		fold := resource.Fold(in.Query)
		for name, values := range x.req.Query {
			if resource.Fold(name) != fold {
				continue
			}
			for _, v := range values {
				if v != "" && !within(v, in.Value) {
					return x.refuse(policy.RowDenied, "the query asks for records of owners outside the row scope")
				}
				if v != "" {
					in.Value = v
				}
			}
			if len(values) > 1 {
				return x.refuse(policy.RowDenied, "the query names owners twice")
			}
		}
		x.r.URL.RawQuery = setQuery(x.r.URL.RawQuery, in.Query, in.Value)
		x.d.Pushed = in.Whole
	}
	return proceed
}

// within says whether every owner of the comma list asked is in the one allowed.
func within(asked, allowed string) bool {
	ok := map[string]bool{}
	for id := range strings.SplitSeq(allowed, ",") {
		ok[policy.FoldID(id)] = true
	}
	for id := range strings.SplitSeq(asked, ",") {
		if !ok[policy.FoldID(id)] {
			return false
		}
	}
	return true
}

// setQuery replaces a parameter, in every spelling, in a raw query.
func setQuery(raw, name, value string) string {
	fold := resource.Fold(name)
	parts := make([]string, 0, 4)
	for part := range strings.SplitSeq(raw, "&") {
		n, _, _ := strings.Cut(part, "=")
		if d, err := url.QueryUnescape(n); part != "" && err == nil && resource.Fold(d) != fold {
			parts = append(parts, part)
		}
	}
	return strings.Join(append(parts, url.QueryEscape(name)+"="+url.QueryEscape(value)), "&")
}

// hygiene removes what must not reach the CRM: the gate's cookies, every spelling
// of identity and of credentials, and switches of method, path or format.
func hygiene(x *exchange) step {
	h := x.r.Header
	portal.StripCookie(h)
	trusted, _ := x.vars[caddyhttp.TrustedProxyVarKey].(bool)
	stripOverrides(h, trusted)
	x.d.Forbidden.StripHeaders(h)
	x.r.Trailer = nil // they come when nobody looks any more
	x.r.URL.RawQuery = x.d.Forbidden.StripQuery(x.r.URL.RawQuery)
	if p := x.d.Plan(); !p.Pass {
		for _, name := range []string{"callback", "jsonp"} { // leak L31
			if _, ok := x.req.Query[name]; ok {
				return x.refuse(policy.QueryDenied, "a callback around a rewritten answer")
			}
		}
	}
	if otherMethod(x.r.Method, x.req.Query) {
		return x.refuse(policy.ActionDenied, "a parameter that names another method")
	}
	if x.bodyMethod() == stop {
		return stop
	}
	if isUpgrade(x.r) && !socketRoute(x.d.Operations) {
		return x.refuse(policy.ActionDenied, "an upgrade on a route that is no socket")
	}
	if isUpgrade(x.r) && !toWebSocket(x.r) {
		return x.refuse(policy.ActionDenied, "an upgrade to something that is no WebSocket")
	}
	return proceed
}

// identity says to the CRM who asks, and fixes what may be sent.
func identity(x *exchange) step {
	x.d.Client = x.ip
	err := x.app.Bridge(x.r.Context(), x.d, &x.req)
	if err != nil {
		return x.refuse(crmgate.ReasonOf(err), err.Error())
	}
	x.d.Method, x.d.Path, x.d.RawQuery = x.r.Method, x.r.URL.EscapedPath(), x.r.URL.RawQuery
	if p, q, found := strings.Cut(x.r.RequestURI, "?"); p != x.d.Path || q != x.d.RawQuery || found != (q != "") {
		x.r.RequestURI = x.r.URL.RequestURI() // nobody after the gate reads what the client had spelled
	}
	x.placeholders()
	return proceed
}

// placeholders tells the rest of the Caddyfile. They are looked up when somebody
// asks: most sites never do.
func (x *exchange) placeholders() {
	if x.repl != nil {
		x.repl.Map(x.placeholder)
	}
}

func (x *exchange) placeholder(key string) (any, bool) {
	p := x.d.Principal
	if p == nil {
		p = new(policy.Principal)
	}
	switch key {
	case "http.auth.user.id":
		return p.ID, p.ID != ""
	case "http.auth.user.email":
		return p.Email, p.ID != ""
	case "http.auth.user.role", "http.crmgate.role":
		return p.Role, p.ID != ""
	case "http.crmgate.operation":
		if op := x.d.Operation(); op != nil {
			return op.ID, true
		}
	case "http.crmgate.decision":
		if x.d.Pending != nil && x.d.Settled == nil {
			return "allow", true // for now: the transport reads the record, and decides
		}
		decision, _ := x.outcome()
		return decision, true
	case "http.crmgate.reason":
		_, reason := x.outcome()
		return string(reason), true
	case "http.crmgate.request_id":
		return x.d.RequestID, true
	}
	return nil, false
}

func socketRoute(ops []resource.Operation) bool {
	return len(ops) == 1 && ops[0].Kind == resource.Socket
}

// isUpgrade recognises WebSockets over HTTP/1.1 and over HTTP/2 (RFC 8441).
func isUpgrade(r *http.Request) bool {
	return r.Header.Get("Upgrade") != "" || r.Method == http.MethodConnect || r.Header.Get(":protocol") != ""
}

// toWebSocket says whether an upgrade is to a WebSocket and to nothing else. After one
// to another protocol, such as h2c or TLS, a server takes further requests over the same
// connection, which nobody would judge.
func toWebSocket(r *http.Request) bool {
	to := slices.Concat(r.Header["Upgrade"], r.Header[":protocol"])
	return len(to) == 1 && strings.EqualFold(to[0], "websocket")
}

func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return canonicalHostPort(u.Host)
}

// canonicalHostPort lowers a host and cuts the default ports, so that an origin
// compares with a Host header.
func canonicalHostPort(host string) string {
	host = strings.ToLower(host)
	host = strings.TrimSuffix(host, ":443")
	return strings.TrimSuffix(host, ":80")
}
