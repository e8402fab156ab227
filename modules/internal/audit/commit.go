// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// run is the one goroutine that commits, so that the chain has one end.
func (w *Writer) run() {
	defer close(w.ended)
	for {
		var retry <-chan time.Time
		if w.waiting() {
			retry = time.After(time.Until(w.retryAt))
		}
		select {
		case <-w.wake:
			w.linger()
		case <-w.hurry:
		case <-retry:
		case <-w.quit:
			w.finish()
			return
		}
		w.flush()
	}
}

// linger lets more records come, for at most Interval.
func (w *Writer) linger() {
	t := time.NewTimer(w.opt.Interval)
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.hurry:
	case <-w.quit:
	}
}

// waiting says whether something waits for the store to come back.
func (w *Writer) waiting() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.refusing != nil || w.spool != nil && !w.spool.empty()
}

func (w *Writer) finish() {
	w.retryAt = time.Time{} // one more attempt, whatever the last one said
	w.flush()
	w.mu.Lock()
	lost, why := w.queued, w.refusing
	for _, g := range w.groups {
		g.end(&UnavailableError{Err: ErrClosed})
	}
	w.groups, w.queued = nil, 0
	w.mu.Unlock()
	if lost > 0 {
		w.nFailed.Add(uint64(lost))
		w.closeErr = &UnavailableError{Lost: lost, Err: why}
	}
	if w.spool != nil {
		if err := w.spool.close(); err != nil && w.closeErr == nil {
			w.closeErr = fmt.Errorf("closing the audit's spool: %w", err)
		}
	}
}

// flush finds a place for every group that is in the queue now.
func (w *Writer) flush() {
	w.mu.Lock()
	gs := w.groups
	w.groups = nil
	w.mu.Unlock()
	if len(gs) == 0 && w.waiting() && w.due() && w.spool != nil {
		if err := w.drain(); err == nil {
			w.setRefusing(nil)
		}
	}
	for i, g := range gs {
		n := len(g.rs)
		err := w.place(g)
		if err != nil && !w.opt.Strict {
			// Accepted is accepted: they stay first in the queue.
			w.setRefusing(err)
			w.mu.Lock()
			w.groups = append(gs[i:], w.groups...)
			w.mu.Unlock()
			return
		}
		if err != nil {
			w.nFailed.Add(uint64(n))
			err = &UnavailableError{Err: err}
		} else {
			w.setRefusing(nil)
		}
		reuse := g.done == nil
		g.end(err)
		w.mu.Lock()
		w.queued -= n
		if reuse && w.spare == nil {
			clear(g.rs)
			g.rs, g.spooled = g.rs[:0], false
			w.spare = g
		}
		w.room.Broadcast()
		w.mu.Unlock()
	}
}

func (g *group) end(err error) {
	if g.done != nil {
		g.err = err
		close(g.done)
	}
}

func (w *Writer) setRefusing(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil && w.refusing == nil {
		w.opt.Log.Error("audit records can be kept nowhere, requests are refused", "error", err)
	}
	w.refusing = err
	w.room.Broadcast()
}

// due says whether a store that was away should be tried again.
func (w *Writer) due() bool { return w.up.Load() || !time.Now().Before(w.retryAt) }

// place puts a group's records into the store or, when it is away, into the spool.
func (w *Writer) place(g *group) error {
	rs := g.rs
	err := errors.New("the store is away")
	if w.opt.Strict || w.due() {
		if err = w.drain(); err == nil {
			err = w.commit(rs)
		}
	}
	if err == nil || w.opt.Strict || w.spool == nil {
		return err
	}
	end := w.head
	if !w.spool.empty() {
		end = w.spool.end
	}
	Seal(end, rs)
	if err := w.spool.append(rs); err != nil {
		return fmt.Errorf("spooling: %w", err)
	}
	g.spooled = true
	w.nSpooled.Add(uint64(len(rs)))
	w.noteSpool()
	return nil
}

func (w *Writer) noteSpool() {
	w.inSpool.Store(w.spool.count)
	w.spoolBytes.Store(w.spool.size - w.spool.done)
}

// drain moves the spool into the store, in order.
func (w *Writer) drain() error {
	for w.spool != nil && !w.spool.empty() {
		if err := w.drainSome(); err != nil {
			w.storeIs(false, err)
			return err
		}
		w.noteSpool()
	}
	return nil
}

func (w *Writer) drainSome() error {
	rs, behind, err := w.spool.next(w.opt.Batch)
	if err != nil {
		return fmt.Errorf("reading the spool: %w", err)
	}
	n := len(rs)
	if rs, err = w.notYetStored(rs); err != nil {
		return err
	}
	if err := w.commit(rs); err != nil {
		return err
	}
	if err := w.spool.taken(behind, n); err != nil {
		return fmt.Errorf("emptying the spool: %w", err)
	}
	return nil
}

// notYetStored leaves out the records that came into the store before the spool
// could be emptied: a crash lies between, or an answer that never came.
func (w *Writer) notYetStored(rs []Record) ([]Record, error) {
	if rs[0].Seq > w.head.Seq {
		return rs, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), w.opt.Timeout)
	defer cancel()
	stored, err := w.opt.Store.Audit(ctx, Query{Chain: w.opt.Chain, AfterSeq: rs[0].Seq - 1, Limit: len(rs), Ascending: true})
	if err != nil {
		return nil, err
	}
	n := 0
	for n < len(rs) && n < len(stored) && stored[n].Hash == rs[n].Hash {
		n++
	}
	return rs[n:], nil
}

// attempts is how often a commit follows a chain that somebody else moves on.
const attempts = 5

// commit links records to the store's end of the chain and stores them. Whether
// a failed attempt did get through is asked, never guessed.
func (w *Writer) commit(rs []Record) error {
	var err error
	moved := len(rs) > 0 && rs[0].Hash != "" && rs[0].Prev != w.head.Hash
	for range attempts {
		if len(rs) == 0 {
			w.storeIs(true, nil)
			return nil
		}
		before := w.head
		after := Seal(before, rs)
		if err = w.try(rs); err == nil {
			w.head = after
			if moved {
				w.nResealed.Add(uint64(len(rs)))
			}
			w.nWritten.Add(uint64(len(rs)))
			w.storeIs(true, nil)
			return nil
		}
		head, headErr := w.storesHead()
		if headErr != nil || head == before {
			break // away, or there and refusing
		}
		w.head = head
		rest, restErr := w.notYetStored(rs)
		if restErr != nil {
			break
		}
		w.nWritten.Add(uint64(len(rs) - len(rest)))
		rs, moved = rest, head != after
	}
	w.storeIs(false, err)
	return err
}

func (w *Writer) try(rs []Record) error {
	ctx, cancel := context.WithTimeout(context.Background(), w.opt.Timeout)
	defer cancel()
	return w.opt.Store.AppendAudit(ctx, rs)
}

func (w *Writer) storesHead() (Head, error) {
	ctx, cancel := context.WithTimeout(context.Background(), w.opt.Timeout)
	defer cancel()
	head, err := w.opt.Store.AuditHead(ctx, w.opt.Chain)
	head.Chain = w.opt.Chain
	return head, err
}

// storeIs notes whether the store is there, and says so when that changes.
func (w *Writer) storeIs(up bool, err error) {
	if !up {
		w.retryAt = time.Now().Add(w.opt.Retry)
	}
	if w.up.Swap(up) == up {
		return
	}
	if up {
		w.opt.Log.Info("the audit is written to the store again")
	} else {
		w.opt.Log.Error("the audit cannot be written to the store", "error", err, "spool", w.spool != nil && !w.opt.Strict)
	}
}
