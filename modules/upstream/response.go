// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/modules/internal/coding"
	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/plan"
)

// hold is how much rewritten output is kept before the header goes out: within
// it a broken answer is a clean 502 and the length is exact.
const hold = 128 << 10

// answer turns the CRM's answer into the one the client gets.
func (t *Transport) answer(req *http.Request, res *http.Response, d *crmgate.Decision) *http.Response {
	d.Facts.Status = res.StatusCode
	p := d.Plan()
	switch {
	case res.StatusCode == http.StatusSwitchingProtocols:
		if rewrites(p) {
			return t.withhold(req, res, d, policy.UpstreamShape, "an upgrade where a rewritten answer was decided")
		}
		return res
	case !rewrites(p):
		if d.Learn != nil {
			return t.learn(req, res, d)
		}
		res.Body = &counter{ReadCloser: res.Body, facts: &d.Facts}
		return res
	}
	return t.rewrite(req, res, d, p)
}

// rewrite reads the answer by the plan.
func (t *Transport) rewrite(req *http.Request, res *http.Response, d *crmgate.Decision, p *plan.Plan) *http.Response {
	if res.StatusCode == http.StatusPartialContent || res.Header.Get("Content-Range") != "" {
		return t.withhold(req, res, d, policy.UpstreamShape, "a partial answer")
	}
	// A copy without the original's Trailer: the transport fills that map when the
	// body ends, and trailers are values nobody has rewritten (leak L11).
	out := *res
	out.Header, out.Trailer = cleanResponse(res.Header, req), nil
	out.Uncompressed = false
	if req.Method == http.MethodHead || res.StatusCode == http.StatusNoContent || res.StatusCode == http.StatusNotModified {
		out.Body, out.ContentLength = http.NoBody, 0
		_ = res.Body.Close()
		return &out
	}
	if res.StatusCode >= http.StatusBadRequest && p.Problem != nil {
		p = p.Problem // records are not what an error holds; values echoed in its texts are
	}
	tag := t.app.EntityTag(res.Header.Get("Etag"), p, d.ViewerKey)
	if tag != "" && res.StatusCode == http.StatusOK {
		out.Header.Set("Etag", tag)
		if (req.Method == http.MethodGet) && matchesTag(req.Header.Values("If-None-Match"), tag) {
			_ = res.Body.Close()
			return notModified(req, out.Header)
		}
	}
	if err := coding.Charset(res.Header.Get("Content-Type")); err != nil {
		return t.unreadable(req, res, d, policy.UpstreamCoding, err)
	}
	plain, err := coding.NewReader(joined(res.Header.Values("Content-Encoding")), res.Body, coding.Limits{})
	if err != nil {
		return t.unreadable(req, res, d, policy.UpstreamCoding, err)
	}
	return t.stream(req, res, &out, plain, d, p)
}

// stream runs the masker. The first part is read before anything is answered;
// what follows is streamed, and a failure then cuts the connection.
func (t *Transport) stream(req *http.Request, res, out *http.Response, plain io.ReadCloser, d *crmgate.Decision, p *plan.Plan) *http.Response {
	m := jsonmask.New(p, d.Viewer, jsonmask.Limits{Pushed: d.Pushed})
	body := &masked{Reader: m.Reader(plain), masker: m, facts: &d.Facts, closers: []io.Closer{plain, res.Body}}
	var head bytes.Buffer
	_, err := io.CopyN(&head, body, hold)
	switch {
	case errors.Is(err, io.EOF):
		body.finish()
		_ = body.Close()
		out.Body, out.ContentLength = io.NopCloser(&head), int64(head.Len())
		out.Header.Set("Content-Length", strconv.Itoa(head.Len()))
		d.Facts.Bytes = int64(head.Len())
		return out
	case errors.Is(err, jsonmask.ErrNotVisible):
		_ = body.Close()
		d.Facts.Dropped = 1
		return notVisible(req, p, d)
	case err != nil:
		_ = body.Close()
		return t.unreadable(req, res, d, policy.UpstreamShape, err)
	}
	out.ContentLength = -1
	d.Facts.Sent = true
	out.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(&head, body), body}
	return out
}

// masked is the rewritten body.
type masked struct {
	io.Reader
	masker  *jsonmask.Masker
	facts   *crmgate.Facts
	closers []io.Closer
	done    bool
}

// Read reads rewritten bytes and keeps the facts when the body ends.
func (b *masked) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.facts.Bytes += int64(n)
	if err != nil {
		b.finish()
		if !errors.Is(err, io.EOF) && b.facts.Sent {
			b.facts.Reason, b.facts.Detail = policy.UpstreamShape, "the answer broke off: "+err.Error()
		}
	}
	return n, err
}

// finish copies the masker's counts into the facts, once.
func (b *masked) finish() {
	if b.done {
		return
	}
	b.done = true
	s := b.masker.Stats()
	b.facts.Masked, b.facts.Hidden, b.facts.Dropped = names(s.Masked), names(s.Hidden), s.Dropped
}

// names returns the field names of the counts, in order.
func names(counts map[string]int) []string { return slices.Sorted(maps.Keys(counts)) }

// Close closes the decoder and the CRM's body.
func (b *masked) Close() error {
	var errs []error
	for _, c := range b.closers {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// counter counts the bytes of a body that is not touched.
type counter struct {
	io.ReadCloser
	facts *crmgate.Facts
}

// Read reads and counts.
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.facts.Bytes += int64(n)
	return n, err
}

// unreadable answers for a body the plan cannot read. An error status of the CRM
// stays what it is, with our text in place of the body; a success becomes 502.
func (t *Transport) unreadable(req *http.Request, res *http.Response, d *crmgate.Decision, reason policy.Reason, err error) *http.Response {
	out := t.withhold(req, res, d, reason, err.Error())
	if res.StatusCode >= 400 {
		out.StatusCode, out.Status = res.StatusCode, res.Status
		d.Facts.Status = res.StatusCode
	}
	return out
}

// withhold drops the CRM's answer and refuses in its place.
func (t *Transport) withhold(req *http.Request, res *http.Response, d *crmgate.Decision, reason policy.Reason, detail string) *http.Response {
	_ = res.Body.Close()
	d.Refuse(reason, detail)
	d.Facts.Status = reason.Status()
	return t.refusal(req, d, reason)
}

// notVisible is the CRM's own "there is no such record".
func notVisible(req *http.Request, p *plan.Plan, d *crmgate.Decision) *http.Response {
	c := p.NotFound
	if c == nil {
		c = &plan.Canned{Status: http.StatusNotFound, ContentType: "application/json", Body: []byte(`{"status":404}`)}
	}
	h := http.Header{"Content-Type": {c.ContentType}, "Cache-Control": {"private, no-store"}, "X-Content-Type-Options": {"nosniff"}}
	d.Facts.Status = c.Status
	return synthetic(req, c.Status, h, c.Body)
}
