// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// Decision is what the gate decided about one request: the one value in which
// the request side and the response side meet. The gate makes it, the transport
// obeys it and fills Facts, the gate writes both into the audit. A request
// without one never reaches the CRM.
type Decision struct {
	policy.Decision

	// What was judged, and must be what is sent.
	Method, Path, RawQuery string

	RequestID  string
	Client     netip.Addr // whose request it is, as the gate established it
	Principal  *policy.Principal
	Session    *session.Session // nil for API keys and public routes
	ViewerKey  string           // part of derived ETags: whose rows
	Lock       *session.Lock    // with Locked: what the person is told
	RetryAfter time.Duration    // with Throttled

	Identity  http.Header                                  // set on the outbound request, last
	Query     map[string]string                            // credentials the map wants in the query
	Pushed    bool                                         // the row filter stands in the query itself
	Forbidden *Forbidden                                   // what a client may not bring along
	Learn     func(ctx context.Context, body []byte) error // binds the CRM session in a sign-in answer
	// Around sends the request to the CRM in the transport's place: once with send, or
	// more than once, and looks at the answer before anybody else.
	Around func(req *http.Request, send Send) (*http.Response, error)

	Policy  *policy.Set     // the one that decided; with Plans that need records looked up
	Settled *policy.Settled // what became of Pending, once the records have been read
	Body    []byte          // with Settled: the body to send in place of the client's; nil for the client's

	// Sink takes an answer that is there as a whole straight to the client; nil where
	// something stands between that may have to see it.
	Sink Sink

	Facts Facts
}

// Sink writes to the client.
type Sink interface {
	// Whole writes body, which is all of the answer's. It does nothing and says so if
	// the answer's header has not been written. With an error, of the client's
	// connection or of ctx, the answer cannot be completed.
	Whole(ctx context.Context, body []byte) (taken bool, err error)
}

// Facts is what the response side saw, for the audit.
type Facts struct {
	Status  int
	Bytes   int64
	Masked  []string
	Hidden  []string
	Dropped int
	Reason  policy.Reason // set when the response side refused
	Detail  string
	Sent    bool // bytes of the answer may have left
}

// Plan returns the plan of the answer. A decision over several operations has
// one plan an operation; their answers are one body, so only equal plans can be
// applied: the gate refuses other batches before they are sent.
func (d *Decision) Plan() *plan.Plan {
	if len(d.Plans) == 0 {
		return nil
	}
	return d.Plans[0]
}

// Operation returns the first operation, or nil.
func (d *Decision) Operation() *resource.Operation {
	if len(d.Operations) == 0 {
		return nil
	}
	return &d.Operations[0]
}

// Refuse notes that the response side refused, for the audit.
func (d *Decision) Refuse(reason policy.Reason, detail string) {
	d.Facts.Reason, d.Facts.Detail = reason, detail
}

// RefusedBody is the error of a request's body in which something was found on its way
// to the CRM, which then never gets all of it.
type RefusedBody struct {
	Reason policy.Reason
	Detail string
}

// Error says what was found.
func (e *RefusedBody) Error() string { return "sending the body: " + e.Detail }

type decisionKey struct{}

// decided is the context of a decided request. Whatever handles the request after
// the gate asks it for the same few values again and again, which stand at the end of
// a long chain: they are read once.
type decided struct {
	context.Context
	d                      *Decision
	replacer, server, vars any
}

// Value returns the value of key.
func (c *decided) Value(key any) any {
	switch k := key.(type) {
	case decisionKey:
		return c.d
	case caddy.CtxKey:
		var v any
		switch k {
		case caddy.ReplacerCtxKey:
			v = c.replacer
		case caddyhttp.ServerCtxKey:
			v = c.server
		case caddyhttp.VarsCtxKey:
			v = c.vars
		}
		if v != nil {
			return v
		}
	}
	return c.Context.Value(key)
}

// WithDecision returns a context that carries d.
func WithDecision(ctx context.Context, d *Decision) context.Context {
	return &decided{
		Context: ctx, d: d,
		replacer: ctx.Value(caddy.ReplacerCtxKey), server: ctx.Value(caddyhttp.ServerCtxKey), vars: ctx.Value(caddyhttp.VarsCtxKey),
	}
}

// DecisionFrom returns the decision of a request, or nil: then nothing was
// decided and nothing may be sent.
func DecisionFrom(ctx context.Context) *Decision {
	d, _ := ctx.Value(decisionKey{}).(*Decision)
	return d
}
