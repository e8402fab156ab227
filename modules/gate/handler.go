// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package gate is the request side: one handler with a fixed list of stages,
// one file for each group of them, that turns a request into a Decision or a refusal.
package gate

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/policy"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler is the gate. It takes no options: what it enforces is the `crmgate`
// app's configuration and policy, the same for every site that has it.
//
// The stages and their order are part of the program and not of the
// configuration, because order is security. A stage that cannot come to an
// answer (an empty client address, an unreadable body, a store that is away)
// refuses; a panic in a stage is a refusal too, and the process lives.
//
// Placeholders it sets for the rest of the Caddyfile:
//
// Placeholder | Description
// ------------|------------
// `{http.auth.user.id}` | the person's id; also the `user_id` of the access log
// `{http.auth.user.email}` | the person's e-mail address
// `{http.auth.user.role}` | the person's role
// `{http.crmgate.role}` | the person's role
// `{http.crmgate.operation}` | the operation's id in the resource map
// `{http.crmgate.decision}` | `allow` or `deny`
// `{http.crmgate.reason}` | the reason, from the closed list
// `{http.crmgate.request_id}` | the id that is in the audit
//
// Requests that carry credentials of the CRM in header or query are left out of
// Caddy's access log, which would hold them as they came.
type Handler struct {
	// Adjacent says that the next handler is `reverse_proxy` itself, without
	// `handle_response`; `crmgate_proxy` finds out. Answers that were
	// rewritten as a whole are then written to the client without the proxy's copying.
	// A handler between the two would not see the bodies of these answers. Default:
	// false.
	Adjacent bool `json:"adjacent,omitempty"`

	app    *crmgate.App
	logger *zap.Logger
	again  func(http.ResponseWriter, *http.Request, caddyhttp.Handler) error // ServeHTTP
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.crmgate",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision finds the app and checks how this server learns client addresses.
func (h *Handler) Provision(ctx caddy.Context) error {
	app, err := crmgate.FromContext(ctx)
	if err != nil {
		return err
	}
	h.app, h.logger, h.again = app, ctx.Logger(), h.ServeHTTP
	if srv, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		h.warnOverlaps(srv)
		return checkTrustedProxies(srv)
	}
	return nil
}

// UnmarshalCaddyfile sets up the handler from Caddyfile tokens. Syntax:
//
//	crmgate [<matcher>]
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	if d.NextArg() {
		return d.ArgErr()
	}
	if d.NextBlock(0) {
		return d.Err("crmgate takes no options here; they stand in the global crmgate block")
	}
	return nil
}

// ServeHTTP runs the stages and, if none refused, the rest of the route.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	x := h.begin(w, r, next)
	if done := h.judge(x); done {
		x.finish()
		return nil
	}
	return h.forward(x)
}

// judge runs the stages. It says whether the request has been answered.
func (h *Handler) judge(x *exchange) (done bool) {
	defer func() {
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler { //nolint:errorlint // a sentinel that is compared by identity everywhere
				panic(p)
			}
			h.logger.Error("panic in the gate; the request is refused", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
			x.refuse(policy.Internal, "a panic in the gate")
			done = true
		}
	}()
	for _, s := range stages {
		if s.run(x) == stop {
			return true
		}
	}
	return false
}

// forward hands the decided request to the rest of the route and audits it when
// it is over.
func (h *Handler) forward(x *exchange) error {
	r := x.attach()
	defer x.release()
	if err := x.auditFirst(); err != nil {
		x.refuse(policy.Unwritable, err.Error())
		x.finish()
		return nil
	}
	defer x.finish() // also when the proxy aborts the connection by a panic
	x.gatherer.ResponseWriter, x.gatherer.conn, x.gatherer.plain = x.w, connectionOf(r), r.TLS == nil
	if h.Adjacent && r.ProtoMajor < 3 { // of HTTP/3 the proxy knows clients that left by its own writing
		x.d.Sink = &x.gatherer
	}
	defer x.gatherer.end(r.Context()) // as above
	err := x.then.ServeHTTP(&x.gatherer, r)
	x.gatherer.end(r.Context())
	if err == nil {
		return nil
	}
	var he caddyhttp.HandlerError
	if errors.As(err, &he) && he.StatusCode >= 500 && x.d.Facts.Reason == policy.UpstreamFailed {
		x.app.Refuse(x.w, x.r, x.d, policy.UpstreamFailed)
		x.d.Facts.Status = policy.UpstreamFailed.Status()
		h.logger.Error("asking the CRM failed", zap.Error(err), zap.String("request_id", x.d.RequestID))
		return nil
	}
	if x.discreet {
		h.logger.Error("serving the decided request failed", zap.Int("status", he.StatusCode), zap.String("request_id", x.d.RequestID))
		x.app.Refuse(x.w, x.r, x.d, policy.Internal)
		x.d.Facts.Status = policy.Internal.Status()
		return nil
	}
	return fmt.Errorf("serving the decided request: %w", err)
}

// begin starts an exchange.
func (h *Handler) begin(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) *exchange {
	now := time.Now()
	x := &exchange{app: h.app, logger: h.logger, h: h, then: next, w: w, r: r, start: now}
	x.d = &x.decision
	x.d.RequestID, x.d.Forbidden = crmgate.RequestID(now), h.app.Forbidden()
	ctx := r.Context()
	x.repl, _ = ctx.Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	x.vars, _ = ctx.Value(caddyhttp.VarsCtxKey).(map[string]any)
	// Caddy logs header and query as they came. A request with credentials in them
	// is left out of its logs; it is in the audit.
	if x.discreet = x.d.Forbidden.Carried(r.Header, r.URL.RawQuery); x.discreet {
		caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
	}
	return x
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
	_ caddyfile.Unmarshaler       = (*Handler)(nil)
)
