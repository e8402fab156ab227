// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package upstream is the response side of the gate: a reverse_proxy transport
// that sends only what was decided, and hands back only what the plan lets
// through.
package upstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/policy"
)

func init() {
	caddy.RegisterModule(Transport{})
}

// Transport is Caddy's HTTP transport with the gate's two duties on top.
//
// Interlock: a request without a decision, or whose method, path or query is not
// the one that was decided, is answered 403 and never sent. A site that forgot
// the gate is closed, not open. Active health checks of reverse_proxy pass,
// since they come from the configuration and not from a client.
//
// Rewriting: the answer is read by the decision's plan and by nothing else.
// What cannot be read safely (an unknown coding, a partial content, another
// format, broken JSON) becomes 502; the body as it came is never handed on.
//
// Refusals are answers, not errors, so that passive health checks do not take an
// upstream down for what a client did.
//
// All options of the `http` transport apply. Three defaults differ:
// keepalive_idle_conns_per_host is 512; read_buffer is 16KiB; and compression is
// off, so that the CRM answers uncompressed where the gate has to read.
type Transport struct {
	*reverseproxy.HTTPTransport

	app     *crmgate.App
	logger  *zap.Logger
	maskers *maskers
}

// CaddyModule returns the Caddy module information.
func (Transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.crmgate",
		New: func() caddy.Module { return &Transport{HTTPTransport: new(reverseproxy.HTTPTransport)} },
	}
}

// idlePerHost is how many idle connections to one upstream are kept: Caddy's own
// default of 32 makes it dial again and again under load.
const idlePerHost = 512

// readBuffer is how much is read of a connection at once where nobody offers more
// room: header and body of most answers of a CRM. With the default of 4 KiB they are
// read, and then written, in pieces.
const readBuffer = 16 << 10

// Provision sets up the transport.
func (t *Transport) Provision(ctx caddy.Context) error {
	app, err := crmgate.FromContext(ctx)
	if err != nil {
		return err
	}
	t.app, t.logger, t.maskers = app, ctx.Logger(), new(maskers)
	if t.HTTPTransport == nil {
		t.HTTPTransport = new(reverseproxy.HTTPTransport)
	}
	if t.Compression == nil {
		off := false
		t.Compression = &off
	}
	if t.KeepAlive == nil {
		t.KeepAlive = new(reverseproxy.KeepAlive)
	}
	if t.KeepAlive.MaxIdleConnsPerHost == 0 {
		t.KeepAlive.MaxIdleConnsPerHost = idlePerHost
	}
	if t.ReadBufferSize == 0 {
		t.ReadBufferSize = readBuffer
	}
	if err := t.HTTPTransport.Provision(ctx); err != nil {
		return fmt.Errorf("provisioning the HTTP transport: %w", err)
	}
	return nil
}

// UnmarshalCaddyfile sets up the transport from Caddyfile tokens; the syntax is
// the one of the `http` transport. Syntax:
//
//	transport crmgate {
//	    <options of transport http...>
//	}
func (t *Transport) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if t.HTTPTransport == nil {
		t.HTTPTransport = new(reverseproxy.HTTPTransport)
	}
	return t.HTTPTransport.UnmarshalCaddyfile(d)
}

// RoundTrip sends a decided request and rewrites the answer by its plan.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	d := crmgate.DecisionFrom(req.Context())
	if d == nil {
		if isHealthCheck(req) {
			return t.HTTPTransport.RoundTrip(req)
		}
		t.logger.Error("refusing a request that no gate decided: put `crmgate` or `crmgate_proxy` into this site",
			zap.String("host", req.Host))
		t.app.Metrics().Request("deny", string(policy.NoDecision))
		return t.refusal(req, nil, policy.NoDecision), nil
	}
	if detail := mismatch(req, d); detail != "" {
		d.Refuse(policy.NoDecision, detail)
		return t.refusal(req, d, policy.NoDecision), nil
	}
	out, reason := outbound(req, d)
	if reason != policy.Allowed {
		d.Refuse(reason, "a precondition on a rewritten answer cannot be honoured")
		return t.refusal(req, d, reason), nil
	}
	var res *http.Response
	var err error
	switch {
	case d.Pending != nil && !t.settle(out, d, t.sender(d)):
		return t.refusal(req, d, d.Facts.Reason), nil
	case d.Around != nil:
		res, err = d.Around(out, t.HTTPTransport.RoundTrip)
	default:
		res, err = t.HTTPTransport.RoundTrip(out)
	}
	if body, ok := errors.AsType[*crmgate.RefusedBody](err); ok {
		d.Refuse(body.Reason, body.Detail)
		return t.refusal(req, d, body.Reason), nil
	}
	if err != nil {
		d.Refuse(policy.UpstreamFailed, "the CRM did not answer")
		return nil, fmt.Errorf("asking the CRM: %w", err)
	}
	return t.answer(req, out, res, d), nil
}

// sender sends requests of our own as the decided one is sent.
func (t *Transport) sender(d *crmgate.Decision) crmgate.Send {
	if d.Around == nil {
		return t.HTTPTransport.RoundTrip
	}
	return func(req *http.Request) (*http.Response, error) { return d.Around(req, t.HTTPTransport.RoundTrip) }
}

// isHealthCheck recognises reverse_proxy's own active health checks: their
// context has the server, but no request variables, which every client request has.
func isHealthCheck(req *http.Request) bool {
	ctx := req.Context()
	return ctx.Value(caddyhttp.ServerCtxKey) != nil && ctx.Value(caddyhttp.VarsCtxKey) == nil
}

// mismatch compares what is about to be sent with what was decided.
func mismatch(req *http.Request, d *crmgate.Decision) string {
	switch {
	case !d.Allow && d.Pending == nil:
		return "the decision is a refusal"
	case req.Method != d.Method:
		return "the method was changed after the decision"
	case req.URL.EscapedPath() != d.Path:
		return "the path was changed after the decision"
	case req.URL.RawQuery != d.RawQuery:
		return "the query was changed after the decision"
	}
	return ""
}

// refusal makes the answer a refused request gets, in the form its client reads.
func (t *Transport) refusal(req *http.Request, d *crmgate.Decision, reason policy.Reason) *http.Response {
	rec := &recorder{header: http.Header{}}
	t.app.Refuse(rec, req, d, reason)
	return rec.response(req)
}

// recorder keeps what a handler writes as an answer.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header returns the header to be sent.
func (r *recorder) Header() http.Header { return r.header }

// WriteHeader sets the status once.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

// Write keeps p.
func (r *recorder) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

func (r *recorder) response(req *http.Request) *http.Response {
	r.WriteHeader(http.StatusOK)
	return synthetic(req, r.status, r.header, r.body.Bytes())
}

// synthetic returns an answer of our own.
func synthetic(req *http.Request, status int, header http.Header, body []byte) *http.Response {
	header.Set("Content-Length", strconv.Itoa(len(body)))
	res := &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, ContentLength: int64(len(body)), Request: req,
		Body: io.NopCloser(bytes.NewReader(body)),
	}
	if req.Method == http.MethodHead {
		res.Body = http.NoBody
	}
	return res
}

// Interface guards
var (
	_ caddy.Provisioner                                = (*Transport)(nil)
	_ caddy.CleanerUpper                               = (*Transport)(nil)
	_ caddyfile.Unmarshaler                            = (*Transport)(nil)
	_ http.RoundTripper                                = (*Transport)(nil)
	_ reverseproxy.TLSTransport                        = (*Transport)(nil)
	_ reverseproxy.HealthCheckSchemeOverriderTransport = (*Transport)(nil)
)
