// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/resource"
)

// What a read on the gate's own behalf may take.
const (
	readTime   = 10 * time.Second // all reads of one request
	readRecord = 1 << 20          // bytes of an answer, for each record asked for
	readAnswer = 8 << 20          // bytes of an answer
)

// asker asks the CRM for records as they are now, as the person whose request it
// is: with the same identity, by the same way, and to the same place.
type asker struct {
	t    *Transport
	out  *http.Request // the request that is to be sent, with the person's identity
	send crmgate.Send
	tags []string // ETags of what was read
}

// errRead is a read that came to nothing. A refusal by the CRM is none: then there
// is no such record for this person.
var errRead = errors.New("the CRM could not be asked for the record as it is now")

// records reads. Neither answers nor errors hold what the records hold.
func (a *asker) records(ctx context.Context, rd *resource.Reading) ([]*resource.Record, error) {
	res, err := a.send(a.request(ctx, rd))
	if err != nil {
		return nil, errRead
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, res.Body, readRecord)
		return nil, fmt.Errorf("the CRM answered %d when it was asked for the record as it is now", res.StatusCode)
	}
	plain, err := plainBody(res)
	if err != nil {
		return nil, fmt.Errorf("reading the record as it is now: %w", err)
	}
	defer func() { _ = plain.Close() }()
	limit := min(int64(len(rd.IDs))*readRecord, readAnswer)
	body, err := io.ReadAll(io.LimitReader(plain, limit+1))
	switch {
	case err != nil:
		return nil, errRead
	case int64(len(body)) > limit:
		return nil, fmt.Errorf("reading the record as it is now: it is larger than %d bytes", limit)
	}
	a.tags = append(a.tags, res.Header.Get("Etag"))
	return rd.Records(body)
}

// request makes the request of a read out of the one that is to be sent.
func (a *asker) request(ctx context.Context, rd *resource.Reading) *http.Request {
	req := a.out.Clone(noTrace{ctx})
	h := req.Header
	for _, name := range []string{
		"Content-Type", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Trailer", "Expect", "Upgrade", "Connection",
		"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Range", "Accept-Charset", "Te",
		"Content-Md5", "Digest", "Content-Digest", "Idempotency-Key",
	} {
		h.Del(name)
	}
	h.Set("Accept", "application/json")
	h.Set("Accept-Encoding", "identity")
	req.Method, req.Body, req.ContentLength, req.GetBody = rd.Method, http.NoBody, 0, nil
	req.TransferEncoding, req.Trailer = nil, nil
	u := *req.URL
	u.RawQuery = rd.RawQuery
	u.Path, u.RawPath = rd.Path, rd.Path
	if plain, err := url.PathUnescape(rd.Path); err == nil {
		u.Path = plain
	}
	req.URL = &u
	if d := crmgate.DecisionFrom(ctx); d != nil && len(d.Query) > 0 {
		u.RawQuery = withQuery(u.RawQuery, d.Query)
	}
	if rd.Body != nil {
		h.Set("Content-Type", "application/json")
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(rd.Body)), int64(len(rd.Body))
	}
	return req
}

// settle reads the records a pending decision depends on and has it decided. It
// says whether the request may be sent, which it changes where a value is to be
// left out; a request that comes again, as one that is tried once more, is settled
// as it was.
func (t *Transport) settle(out *http.Request, d *crmgate.Decision, send crmgate.Send) bool {
	if d.Settled == nil {
		ctx, cancel := context.WithTimeout(out.Context(), readTime)
		defer cancel()
		a := &asker{t: t, out: out, send: send}
		settled := t.judge(ctx, a, d.Pending)
		if settled.Reason == policy.Allowed {
			settled = conditional(out, d, settled, a.tags)
		}
		d.Settled = &settled
		t.recordRead(out.Context(), d)
	}
	s := d.Settled
	if s.Reason != policy.Allowed {
		d.Reason, d.Detail = s.Reason, s.Detail
		d.Refuse(s.Reason, s.Detail)
		return false
	}
	if d.Body != nil {
		setBody(out, d.Body)
	}
	d.Allow, d.Reason, d.Detail = true, policy.Allowed, s.Detail
	return true
}

func (t *Transport) judge(ctx context.Context, a *asker, p *policy.Pending) policy.Settled {
	for reads := p.Reads(); len(reads) > 0; reads = p.Reads() {
		for _, rd := range reads {
			records, err := a.records(ctx, rd)
			if errors.Is(err, errRead) {
				return policy.Settled{Reason: policy.UpstreamFailed, Detail: err.Error()}
			}
			p.Answer(rd, records, err)
		}
	}
	return p.Settle()
}

// conditional prepares the request for what was settled: values that are to be left
// out are, and where the CRM itself can make the write depend on what was read, it
// is asked to.
func conditional(out *http.Request, d *crmgate.Decision, s policy.Settled, tags []string) policy.Settled {
	for op, given := range s.Leave {
		body, err := op.Without(given)
		if err != nil {
			return policy.Settled{Reason: policy.FieldDenied, Detail: op.ID + ": " + err.Error()}
		}
		d.Body = body
	}
	if len(s.Filled) > 0 {
		s.Detail = "filled in: " + strings.Join(s.Filled, ", ")
	}
	op := d.Operation()
	if op == nil || op.Route == nil || op.Route.Conditional == nil {
		return s
	}
	c := op.Route.Conditional
	value := c.Value
	if strings.Contains(value, "{etag}") {
		if len(tags) != 1 || tags[0] == "" {
			return s
		}
		value = strings.ReplaceAll(value, "{etag}", tags[0])
	}
	// A write of empty fields only leaves all others, so that it must be all there is.
	if c.Header == "" || c.Kind == "fill" && len(s.Filled) < op.Writes() {
		return s
	}
	if d.Identity == nil { // no bridge has set any
		d.Identity = http.Header{}
	}
	d.Identity.Set(c.Header, value)
	out.Header.Set(c.Header, value)
	return s
}

func setBody(out *http.Request, body []byte) {
	out.Body, out.ContentLength, out.GetBody = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	out.TransferEncoding = nil
	for _, name := range []string{"Content-Length", "Content-Md5", "Digest", "Content-Digest"} {
		out.Header.Del(name)
	}
}

// recordRead keeps in the audit that records were read for somebody, and what was
// decided after it. With a strict audit the request's own record stands already, and
// says no: what is allowed after all is sent only when this one is in the store.
func (t *Transport) recordRead(ctx context.Context, d *crmgate.Decision) {
	rec := audit.Record{
		Time: time.Now(), Kind: "read_before_write", RequestID: d.RequestID, IP: d.Client.String(),
		Method: d.Method, Path: d.Path, Decision: "deny", Reason: string(d.Settled.Reason), Detail: d.Settled.Detail,
	}
	if d.Settled.Reason == policy.Allowed {
		rec.Decision = "allow"
	}
	if p := d.Principal; p != nil {
		rec.PersonID, rec.Email, rec.Role = p.ID, p.Email, p.Role
	}
	if d.Session != nil {
		rec.Session = crmgate.ShortID(d.Session.ID)
	}
	if op := d.Operation(); op != nil {
		rec.Operation, rec.Entity, rec.Action = op.ID, op.Entity, string(op.Action)
		rec.Records, rec.Count = op.Records[:min(len(op.Records), 20)], len(op.Records)
	}
	if rec.Decision == "allow" && t.app.AuditStrict() {
		err := t.app.AuditFirst(ctx, rec)
		if err == nil {
			return
		}
		d.Settled = &policy.Settled{Reason: policy.Unwritable, Detail: err.Error()}
		rec.Decision, rec.Reason, rec.Detail = "deny", string(policy.Unwritable), err.Error()
	}
	t.app.Audit(rec)
}
