// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/modules/internal/network"
	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/resource"
)

// exchange is one request on its way through the stages. Each stage reads what
// the ones before it wrote.
type exchange struct {
	app    *crmgate.App
	logger *zap.Logger
	h      *Handler
	then   caddyhttp.Handler // the rest of the route
	w      http.ResponseWriter
	r      *http.Request
	repl   *caddy.Replacer
	vars   map[string]any // Caddy's, of this request
	start  time.Time
	d      *crmgate.Decision

	snap     *crmgate.Snapshot // policy, map and network rules, one and the same for all stages
	ip       netip.Addr
	ipText   string // as it stands in the audit
	verdict  network.Verdict
	route    *resource.Match // nil: unmapped
	req      resource.Request
	hasKey   bool // brings a CRM key pair or a part of one
	apiKey   bool
	discreet bool // carries credentials: to be left out of Caddy's logs
	session  *session.Session
	ended    string // token of the session the request came with, when it has ended

	audited bool

	// Once it is forwarded.
	cancel       context.CancelCauseFunc
	detach       func()    // of a live connection; with shard, of shard.mu
	shard        *shard    // where it waits to become one
	before, next *exchange // there
	waits        bool      // is in that list

	// One allocation holds what every request has.
	decision  crmgate.Decision
	principal policy.Principal
	gatherer  gatherer
}

// replay sends another request through the whole gate, from the first stage, as
// if its client had sent it just now.
func (x *exchange) replay(w http.ResponseWriter, r *http.Request) error {
	return x.h.again(w, r, x.then)
}

// step is what a stage says.
type step bool

const (
	proceed step = false
	stop    step = true
)

// stage is one step of the fixed order.
type stage struct {
	name string
	run  func(*exchange) step
}

// stages is the fixed order. The network rules stand before the gate's own pages,
// so that a blocked address does not even see the sign-in page; its refusal page
// and the pages' style sheet do not need them.
var stages = []stage{
	{"early data", earlyData},
	{"running", running},
	{"client", client},
	{"path", path},
	{"network", networkRules},
	{"own pages", ownPages},
	{"find route", findRoute},
	{"who", who},
	{"personal network", personalNetwork},
	{"cross-site", crossSite},
	{"operation", operation},
	{"throttle", throttle},
	{"decide", decide},
	{"hygiene", hygiene},
	{"identity", identity},
}

// refuse answers the request and ends it.
func (x *exchange) refuse(reason policy.Reason, detail string) step {
	x.d.Allow, x.d.Reason, x.d.Detail, x.d.Pending = false, reason, detail, nil
	x.d.Facts.Status = reason.Status()
	x.placeholders()
	x.app.Refuse(x.w, x.r, x.d, reason)
	return stop
}

// attach registers the exchange with the live connections of its session: when
// the session ends, or a lock holds, the request's context ends, and with it the
// WebSocket, the event stream or the download. release must follow.
func (x *exchange) attach() *http.Request {
	ctx, cancel := context.WithCancelCause(x.r.Context())
	x.cancel = cancel
	r := x.r.WithContext(crmgate.WithDecision(ctx, x.d))
	if p := x.d.Principal; p == nil || p.Kind == policy.Nobody {
		return r
	}
	if endless(x.d.Operation()) {
		x.detach = x.watch(true)
		if x.app.Superseded(x.snap) { // since it was decided: whoever ended the others did not see this one
			x.cancel(liveEnded("the policy changed"))
		}
	} else {
		underWay.add(x)
	}
	return r
}

// endless says whether an answer may go on for as long as it likes: that of a socket or a
// stream, and events and lines, whatever kind of route they are of; and one nobody knows.
func endless(op *resource.Operation) bool {
	if op == nil || op.Kind == resource.Socket || op.Kind == resource.Stream || op.Route == nil || op.Route.Response == nil {
		return true
	}
	switch op.Route.Response.Format {
	case resource.FormatSSE, resource.FormatWebSocket, resource.FormatNDJSON, resource.FormatJSONSeq:
		return true
	}
	return false
}

// watch makes the exchange a live connection.
func (x *exchange) watch(endless bool) (detach func()) {
	return x.app.Attach(x.d, x.ip, endless, func(reason string) { x.cancel(liveEnded(reason)) })
}

// release undoes attach.
func (x *exchange) release() {
	switch {
	case x.shard != nil:
		underWay.end(x)
	case x.detach != nil:
		x.detach()
	}
	x.cancel(nil)
}

// liveEnded is the cause a live connection's context ends with.
type liveEnded string

// Error says why the connection was cut.
func (e liveEnded) Error() string { return "connection ended: " + string(e) }

// outcome is what was decided so far.
func (x *exchange) outcome() (decision string, reason policy.Reason) {
	switch {
	case !x.d.Allow:
		return "deny", x.d.Reason
	case x.d.Facts.Reason != "":
		return "deny", x.d.Facts.Reason
	}
	return "allow", x.d.Reason
}

// finish writes metrics and the audit record.
func (x *exchange) finish() {
	decision, reason := x.outcome()
	x.app.Metrics().Request(decision, string(reason))
	took := time.Since(x.start)
	x.app.Metrics().Duration(took)
	if !x.audited {
		x.audited = true
		x.app.Audit(x.record(decision, reason, took))
	}
}

// auditFirst makes the record durable before the CRM is asked, when the audit is
// strict. Such a record cannot say how the answer turned out. When that fails, the
// refusal that follows has a record of its own: this one may stand or not.
func (x *exchange) auditFirst() error {
	if err := x.app.AuditReady(); err != nil || !x.app.AuditStrict() {
		return err
	}
	rec := x.record("allow", x.d.Reason, time.Since(x.start))
	if x.d.Pending != nil {
		// What comes of it is in the record of the read, which follows.
		rec.Decision, rec.Detail = "deny", "unless the record as it is now allows it: "+rec.Detail
	}
	err := x.app.AuditFirst(x.r.Context(), rec)
	x.audited = err == nil
	return err
}

// record is the audit record of this exchange: names and numbers, never values.
func (x *exchange) record(decision string, reason policy.Reason, took time.Duration) audit.Record {
	f := &x.d.Facts
	rec := audit.Record{
		Time: x.start, Kind: "request", RequestID: x.d.RequestID,
		IP: x.ipText, IPFlags: x.verdict.Flags.String(),
		Method: x.r.Method, Host: x.req.Host, Path: x.req.Path,
		Decision: decision, Reason: string(reason), Detail: x.d.Detail,
		Status: f.Status, Bytes: f.Bytes, Micros: took.Microseconds(),
		Masked: f.Masked, Hidden: f.Hidden, Dropped: f.Dropped,
	}
	if f.Detail != "" {
		rec.Detail = f.Detail
	}
	if p := x.d.Principal; p != nil {
		rec.PersonID, rec.Email, rec.Role = p.ID, p.Email, p.Role
	}
	if x.session != nil {
		rec.Session = crmgate.ShortID(x.session.ID)
	}
	describe(&rec, x.d.Operations)
	if p := x.d.Plan(); p != nil {
		rec.Plan = p.ID
	}
	return rec
}
