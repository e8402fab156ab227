// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/modules/internal/network"
	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/resource"
)

// exchange is one request on its way through the stages. Each stage reads what
// the ones before it wrote; nothing is written twice.
type exchange struct {
	app    *crmgate.App
	logger *zap.Logger
	w      http.ResponseWriter
	r      *http.Request
	repl   *caddy.Replacer
	start  time.Time
	d      *crmgate.Decision

	snap     *crmgate.Snapshot // policy, map and network rules, one and the same for all stages
	ip       netip.Addr
	verdict  network.Verdict
	route    *resource.Match // nil: unmapped
	req      resource.Request
	apiKey   bool
	discreet bool // carries credentials: to be left out of Caddy's logs
	session  *session.Session
	ended    string // token of the session the request came with, when it has ended
	// replay sends another request through the whole gate, from the first stage, as
	// if its client had sent it just now.
	replay func(w http.ResponseWriter, r *http.Request) error

	audited bool
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
	x.d.Allow, x.d.Reason, x.d.Detail = false, reason, detail
	x.d.Facts.Status = reason.Status()
	x.app.Refuse(x.w, x.r, x.d, reason)
	return stop
}

// soon is how long an ordinary request may take before it counts as a live
// connection; sockets and streams do at once.
const soon = 300 * time.Millisecond

// attach registers the exchange with the live connections of its session: when
// the session ends, or a lock holds, the request's context ends, and with it the
// WebSocket, the event stream or the download.
func (x *exchange) attach() (*http.Request, func()) {
	ctx, cancel := context.WithCancelCause(crmgate.WithDecision(x.r.Context(), x.d))
	r := x.r.WithContext(ctx)
	p := x.d.Principal
	if p == nil || p.Kind == policy.Nobody {
		return r, func() { cancel(nil) }
	}
	watch := func() func() {
		return x.app.Attach(x.d, x.ip, func(reason string) { cancel(liveEnded(reason)) })
	}
	if op := x.d.Operation(); op == nil || op.Kind == resource.Socket || op.Kind == resource.Stream {
		detach := watch()
		return r, func() {
			detach()
			cancel(nil)
		}
	}
	late := make(chan func(), 1)
	timer := time.AfterFunc(soon, func() { late <- watch() })
	return r, func() {
		if !timer.Stop() {
			(<-late)()
		}
		cancel(nil)
	}
}

// liveEnded is the cause a live connection's context ends with.
type liveEnded string

// Error says why the connection was cut.
func (e liveEnded) Error() string { return "connection ended: " + string(e) }

// finish writes metrics, placeholders and the audit record.
func (x *exchange) finish() {
	decision, reason := "deny", x.d.Reason
	if x.d.Allow {
		decision = "allow"
		if x.d.Facts.Reason != "" {
			decision, reason = "deny", x.d.Facts.Reason
		}
	}
	x.app.Metrics().Request(decision, string(reason))
	x.app.Metrics().Duration(time.Since(x.start))
	if !x.audited {
		x.audited = true
		x.app.Audit(x.record(decision, reason))
	}
}

// auditFirst makes the record durable before the CRM is asked, when the audit is
// strict. Such a record cannot say how the answer turned out.
func (x *exchange) auditFirst() error {
	if err := x.app.AuditReady(); err != nil || !x.app.AuditStrict() {
		return err
	}
	x.audited = true
	if x.d.Pending != nil {
		// What comes of it is in the record of the read, which follows.
		rec := x.record("deny", x.d.Reason)
		rec.Detail = "unless the record as it is now allows it: " + rec.Detail
		return x.app.AuditNow(x.r.Context(), rec)
	}
	return x.app.AuditNow(x.r.Context(), x.record("allow", x.d.Reason))
}

// record is the audit record of this exchange: names and numbers, never values.
func (x *exchange) record(decision string, reason policy.Reason) audit.Record {
	f := &x.d.Facts
	rec := audit.Record{
		Time: x.start, Kind: "request", RequestID: x.d.RequestID,
		IP: addrString(x.ip), IPFlags: x.verdict.Flags.String(),
		Method: x.r.Method, Host: x.req.Host, Path: x.req.Path,
		Decision: decision, Reason: string(reason), Detail: x.d.Detail,
		Status: f.Status, Bytes: f.Bytes, Micros: time.Since(x.start).Microseconds(),
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
	if op := x.d.Operation(); op != nil {
		rec.Operation, rec.Entity, rec.Action = op.ID, op.Entity, string(op.Action)
		rec.Records, rec.Count = op.Records, op.Count
	}
	if p := x.d.Plan(); p != nil {
		rec.Plan = p.ID
	}
	return rec
}

func addrString(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}
