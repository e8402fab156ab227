// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/plan"
)

// maskers keeps maskers by plan: a masker learns the names its plan's bodies
// have. Plans of a policy that was replaced are forgotten with everything else
// once there are too many.
type maskers struct {
	mu    sync.RWMutex
	pools map[*plan.Plan]*shelf
}

// shelf is what is kept for one plan: maskers, and the names that the last body's
// facts had, since the next one's are the same almost always.
type shelf struct {
	sync.Pool
	masked, hidden lastNames
}

// lastNames is a list of field names, in order, that is never changed.
type lastNames struct{ list atomic.Pointer[[]string] }

// of returns the field names of the counts, in order.
func (l *lastNames) of(counts map[string]int) []string {
	if len(counts) == 0 {
		return nil
	}
	if last := l.list.Load(); last != nil && sameNames(*last, counts) {
		return *last
	}
	fresh := names(counts)
	l.list.Store(&fresh)
	return fresh
}

// sameNames says whether a list without repetition names what was counted.
func sameNames(list []string, counts map[string]int) bool {
	if len(list) != len(counts) {
		return false
	}
	for _, name := range list {
		if _, there := counts[name]; !there {
			return false
		}
	}
	return true
}

// maxPlans bounds the plans maskers are kept for.
const maxPlans = 4096

// pool returns what is kept for a plan.
func (m *maskers) pool(p *plan.Plan) *shelf {
	m.mu.RLock()
	pool := m.pools[p]
	m.mu.RUnlock()
	if pool != nil {
		return pool
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if pool = m.pools[p]; pool != nil {
		return pool
	}
	if m.pools == nil || len(m.pools) >= maxPlans {
		m.pools = map[*plan.Plan]*shelf{}
	}
	pool = new(shelf)
	m.pools[p] = pool
	return pool
}

// holdTotals is how much output may wait behind a total that counts the records a
// person sees: about 500 leads. Beyond it the total becomes null.
const holdTotals = 1 << 20

// masked is the rewritten body.
type masked struct {
	io.Reader
	engine  engine
	pool    *shelf
	facts   *crmgate.Facts
	closers closers
	none    bool // when it was closed: there were records, and none of them was left
}

// open starts rewriting a body that calls itself contentType.
func (m *maskers) open(p *plan.Plan, d *crmgate.Decision, contentType string, src io.Reader, closers ...io.Closer) *masked {
	return m.openFor(nil, p, d, contentType, src, closers...)
}

// openFor is open for a body whose links lead on to where req came from.
func (m *maskers) openFor(req *http.Request, p *plan.Plan, d *crmgate.Decision, contentType string, src io.Reader, closers ...io.Closer) *masked {
	pool := m.pool(p)
	limits := jsonmask.Limits{Pushed: d.Pushed, Hold: holdTotals}
	if p.Links && req != nil {
		limits.Link = func(address string) string { return atGate(address, req) }
	}
	e, ok := pool.Get().(engine)
	if ok {
		e.Reset(p, d.Viewer, limits)
	} else {
		e = formatOf(p).engine(p, d.Viewer, limits)
	}
	if h, ok := e.(headed); ok {
		if err := h.Header(contentType); err != nil {
			return &masked{Reader: failed{err}, engine: e, pool: pool, facts: &d.Facts, closers: closers}
		}
	}
	return &masked{Reader: formatOf(p).reader(e, contentType, src), engine: e, pool: pool, facts: &d.Facts, closers: closers}
}

// Read reads rewritten bytes and keeps the facts when the body ends.
func (b *masked) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.facts.Bytes += int64(n)
	if err != nil && !errors.Is(err, io.EOF) && b.facts.Sent {
		b.facts.Reason, b.facts.Detail = policy.UpstreamShape, "the answer broke off: "+err.Error()
	}
	return n, err
}

// Fill reads into dst like [fill], and spares a copy where the engine can.
func (b *masked) Fill(dst []byte, most int) ([]byte, error) {
	f, ok := b.Reader.(filler)
	if !ok {
		return fill(dst, most, b)
	}
	dst, err := f.Fill(dst, most)
	b.facts.Bytes += int64(len(dst))
	return dst, err //nolint:wrapcheck // as Read's
}

// Close keeps the masker's counts, gives it back, and closes the decoder and the
// CRM's body. Only the first call does anything.
func (b *masked) Close() error {
	if b.engine == nil {
		return nil
	}
	o := b.outcome()
	b.facts.Masked, b.facts.Hidden, b.facts.Dropped = o.Masked, o.Hidden, o.Dropped
	b.none = o.Kept == 0 && o.Dropped > 0
	if o.Unclear > 0 && b.facts.Detail == "" {
		b.facts.Detail = fmt.Sprintf("the row condition came to no answer for %d records, which were left out", o.Unclear)
	}
	b.engine.Reset(b.engine.Plan(), nil, jsonmask.Limits{}) // no value and no reader outlives the body
	b.pool.Put(b.engine)
	b.engine, b.Reader = nil, ended{}
	return b.closers.Close()
}

// outcome returns what the engine did. Engines that know the names by themselves are
// asked for nothing else.
func (b *masked) outcome() jsonmask.Outcome {
	if e, ok := b.engine.(interface{ Outcome() jsonmask.Outcome }); ok {
		return e.Outcome()
	}
	s := b.engine.Stats()
	return jsonmask.Outcome{
		Masked: b.pool.masked.of(s.Masked), Hidden: b.pool.hidden.of(s.Hidden),
		Kept: s.Kept, Dropped: s.Dropped, Unclear: s.Unclear,
	}
}

// failed is the reader of a body that cannot be read at all.
type failed struct{ err error }

// Read says why.
func (f failed) Read([]byte) (int, error) { return 0, f.err }

// ended is the reader of a body that was closed.
type ended struct{}

// Read says that there is nothing more.
func (ended) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// names returns the field names of the counts, in order.
func names(counts map[string]int) []string { return slices.Sorted(maps.Keys(counts)) }
