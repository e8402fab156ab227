// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/modules/internal/coding"
	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/plan"
)

// answer turns the CRM's answer to what was sent into the one the client gets.
func (t *Transport) answer(req, sent *http.Request, res *http.Response, d *crmgate.Decision) *http.Response {
	d.Facts.Status = res.StatusCode
	portal.StripSetCookie(res.Header)
	p := d.Plan()
	switch {
	case res.StatusCode == http.StatusSwitchingProtocols:
		if rewrites(p) {
			return t.socket(req, res, d, p)
		}
		return res
	case !rewrites(p) && (p == nil || p.Problem == nil || res.StatusCode < http.StatusBadRequest):
		here(res.Header, req)
		if d.Reason != policy.AllowedPublic {
			private(res.Header)
		}
		if d.Learn != nil {
			return t.learn(req, res, d)
		}
		res.Body = &counter{ReadCloser: res.Body, facts: &d.Facts}
		return res
	}
	if !rewrites(p) { // nobody asked the CRM for what can be rewritten
		res.Header.Del("Content-Range")
	}
	out := t.rewrite(req, sent, res, d, p)
	if req.Method == http.MethodHead {
		// It was asked for with GET, see outbound: without the body nobody knows
		// whether there is such a record for this person.
		_ = out.Body.Close()
		out.Body = http.NoBody
	}
	return out
}

// rewrite reads the answer by the plan.
func (t *Transport) rewrite(req, sent *http.Request, res *http.Response, d *crmgate.Decision, p *plan.Plan) *http.Response {
	if res.StatusCode == http.StatusPartialContent || res.Header.Get("Content-Range") != "" {
		return t.withhold(req, res, d, policy.UpstreamShape, "a partial answer")
	}
	// A copy without the original's Trailer: the transport fills that map when the
	// body ends, and trailers are values nobody has rewritten (leak L11).
	out := *res
	out.Header, out.Trailer = cleanResponse(res.Header, req), nil
	out.Uncompressed = false
	if missing(res.StatusCode, p) {
		_ = res.Body.Close()
		return notVisible(req, p, d)
	}
	if bodiless(res.StatusCode) {
		uncount(out.Header, p, d)
		out.Body, out.ContentLength = http.NoBody, 0
		_ = res.Body.Close()
		return &out
	}
	if res.StatusCode >= http.StatusBadRequest && p.Problem != nil {
		p = p.Problem // records are not what an error holds; values echoed in its texts are
		if p.Spare {
			spare(out.Header)
		}
	}
	tag := t.app.EntityTag(res.Header.Get("Etag"), p, d.ViewerKey)
	if tag != "" && res.StatusCode == http.StatusOK && !p.Twice { // its rows may change while it does not
		out.Header["Etag"] = []string{tag}
		if (req.Method == http.MethodGet || req.Method == http.MethodHead) && matchesTag(req.Header["If-None-Match"], tag) {
			_ = res.Body.Close()
			return notModified(req, out.Header)
		}
	}
	if err := formatOf(p).reads(res.Header.Get("Content-Type")); err != nil {
		return t.unreadable(req, res, d, policy.UpstreamCoding, err)
	}
	if err := formatOf(p).takes(res.Header.Get("Content-Type")); err != nil {
		return t.unreadable(req, res, d, policy.UpstreamShape, err)
	}
	plain, err := plainBody(res)
	if err != nil {
		return t.unreadable(req, res, d, policy.UpstreamCoding, err)
	}
	if p.Twice && d.Viewer != nil {
		again, err := t.withParents(req, &asker{t: t, out: sent, send: t.sender(d)}, d, p, res.Header.Get("Content-Type"), plain)
		if err != nil {
			_ = plain.Close()
			return t.unreadable(req, res, d, policy.UpstreamShape, err)
		}
		plain = struct {
			io.Reader
			io.Closer
		}{again, plain}
	}
	return t.stream(req, res, &out, plain, d, p)
}

// bodiless says whether an answer of this status goes out without a body. What
// comes with a redirect is for people whose browser does not follow it, and tells
// the address once more (leak L12).
func bodiless(status int) bool {
	switch status {
	case http.StatusNoContent, http.StatusNotModified, http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// plainBody undoes the content coding. A body without one may be of any length,
// since no more of it is held than a record; a coded one is bounded.
func plainBody(res *http.Response) (io.ReadCloser, error) {
	enc := joined(res.Header.Values("Content-Encoding"))
	if enc == "" || strings.EqualFold(enc, "identity") {
		return io.NopCloser(res.Body), nil
	}
	return coding.NewReader(enc, res.Body, coding.Limits{})
}

// stream runs the engine. The first part is read before anything is answered;
// what follows is streamed, and a failure then cuts the connection. Of a format
// that is live nothing is waited for.
func (t *Transport) stream(req *http.Request, res, out *http.Response, plain io.ReadCloser, d *crmgate.Decision, p *plan.Plan) *http.Response {
	body := t.maskers.openFor(req, p, d, res.Header.Get("Content-Type"), plain, plain, res.Body)
	if formatOf(p).live {
		uncount(out.Header, p, d)
		out.Body, out.ContentLength = body, -1
		d.Facts.Sent = true
		return out
	}
	first := newHead(res.ContentLength)
	ended, err := first.fill(body)
	switch {
	case ended:
		_ = body.Close()
		if body.none && p.Empty != nil {
			_ = first.Close()
			return given(req, p.Empty, d)
		}
		if !d.Pushed || d.Facts.Dropped > 0 || p.MaxRows > 0 {
			uncount(out.Header, p, d)
		}
		first.sink, first.ctx = d.Sink, req.Context()
		out.Body, out.ContentLength = first, int64(first.Len())
		out.Header["Content-Length"] = []string{strconv.Itoa(first.Len())}
		return out
	case err == nil:
		uncount(out.Header, p, d)
		// The header has no length any more. What stands here only tells the proxy
		// whether to push every piece out by itself: that serves an answer the CRM is
		// still making, and costs a system call a piece where it was there as a whole.
		if out.ContentLength = -1; res.ContentLength > 0 {
			out.ContentLength = res.ContentLength
		}
		d.Facts.Sent = true
		out.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(first, body), closers{body, first}}
		return out
	}
	_ = first.Close()
	_ = body.Close()
	if errors.Is(err, jsonmask.ErrNotVisible) {
		d.Facts.Dropped = 1
		return notVisible(req, p, d)
	}
	if p.Format == plan.NoBody && res.StatusCode < http.StatusMultipleChoices {
		// What was asked for is done, and the map says that nothing is said of it.
		d.Facts.Detail = "the answer has a body, which the map does not declare and nobody can read: it was left out"
		uncount(out.Header, p, d)
		out.Body, out.ContentLength = http.NoBody, 0
		return out
	}
	return t.unreadable(req, res, d, policy.UpstreamShape, err)
}

// closers closes one after the other.
type closers []io.Closer

// Close closes all of them.
func (c closers) Close() error {
	var errs []error
	for _, x := range c {
		if err := x.Close(); err != nil {
			errs = append(errs, err)
		}
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

// missing recognises the CRM's own "there is no such record" where a record that
// is not visible looks the same. Both get one answer, to the last header: else
// the difference would say which records exist. The price is that other errors of
// that status look like it too.
func missing(status int, p *plan.Plan) bool {
	return p.NotFound != nil && p.NotFound.Status == status && p.Root != nil && p.Root.Record != nil && p.Root.Record.Rows != nil
}

// notVisible is "there is no such record", whether the CRM said so or the person
// may not see it.
func notVisible(req *http.Request, p *plan.Plan, d *crmgate.Decision) *http.Response {
	c := p.NotFound
	if c == nil {
		c = &plan.Canned{Status: http.StatusNotFound, ContentType: "application/json", Body: []byte(`{"status":404}`)}
	}
	return given(req, c, d)
}

// given is an answer of the CRM's own shape that is given in its place.
func given(req *http.Request, c *plan.Canned, d *crmgate.Decision) *http.Response {
	h := http.Header{"Content-Type": {c.ContentType}, "Cache-Control": {"private, no-store"}, "X-Content-Type-Options": {"nosniff"}}
	d.Facts.Status = c.Status
	return synthetic(req, c.Status, h, c.Body)
}
