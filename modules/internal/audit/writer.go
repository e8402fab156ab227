// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
)

// Defaults of Options.
const (
	DefaultInterval = 10 * time.Millisecond
	DefaultBatch    = 512
	DefaultQueue    = 1 << 15
	DefaultSpool    = 64 << 20
	DefaultTimeout  = 2 * time.Second
	DefaultRetry    = time.Second
)

// Options of a Writer. Chain and Store must be set.
type Options struct {
	Chain string // of this gateway alone
	Store interface {
		Sink
		Source
	}
	Strict     bool          // Append waits until the store has the record
	Spool      string        // file for records while the store is away; "" or Strict: none
	SpoolBytes int64         // greatest size of that file; 0: DefaultSpool
	Interval   time.Duration // longest wait before a commit; 0: DefaultInterval
	Batch      int           // most records in a transaction; 0: DefaultBatch
	Queue      int           // most records in memory; 0: DefaultQueue
	Timeout    time.Duration // longest wait for the store; 0: DefaultTimeout
	Retry      time.Duration // between two attempts to reach a store that is away; 0: DefaultRetry
	Clock      clock.Clock   // nil: the machine's
	Log        *slog.Logger  // store goes away, comes back, spool full; nil: nowhere
}

// UnavailableError is returned when a record could not be kept. The request it
// belongs to must be refused.
type UnavailableError struct {
	Lost int // records that were accepted before and are lost; only from Close
	Err  error
}

// Error says what happened.
func (e *UnavailableError) Error() string {
	if e.Lost > 0 {
		return fmt.Sprintf("writing the audit: %d records are lost: %v", e.Lost, e.Err)
	}
	return fmt.Sprintf("writing the audit: %v", e.Err)
}

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// ErrClosed is the cause when a Writer was closed.
var ErrClosed = errors.New("the audit is closed")

var (
	errQueueFull = errors.New("the store is away and the queue is nearly full")
	errSpooled   = errors.New("the store is away, the record waits on disk")
)

// Stats are a Writer's counters since it was opened, and its state.
type Stats struct {
	Queued   uint64 // records Append accepted
	Written  uint64 // records the store has, those that came by way of the spool included
	Spooled  uint64 // records put into the spool
	Failed   uint64 // records refused or lost
	Resealed uint64 // records numbered anew because somebody else wrote to the chain

	Pending    int64 // records in memory
	InSpool    int64 // records in the spool
	SpoolBytes int64
	StoreUp    bool // the last attempt reached the store
}

// Writer puts records into the store, many in one transaction. The chain goes on
// where the store, or a spool left behind, ends.
//
// By default Append costs a few hundred nanoseconds and the record is committed
// within Interval, together with all others of that time. Killed without
// warning, a gateway loses at most the records of the last Interval and of the
// commit under way; stopped by Close it loses none. While the store is away,
// records go to the spool, each batch on disk before the next is taken; when it
// is back they are moved into the store in order. A spool that is full makes
// Append an error, and Ready one somewhat earlier.
//
// With Strict, Append returns when the store has the record, and is an error when
// the store is away: nothing is ever spooled or lost. Many callers still share
// one transaction.
type Writer struct {
	opt   Options
	wake  chan struct{} // the queue is no longer empty
	hurry chan struct{} // do not wait for Interval
	quit  chan struct{}
	ended chan struct{}

	mu       sync.Mutex
	room     sync.Cond // records left the queue, or it was closed
	groups   []*group
	spare    *group
	queued   int
	refusing error // why Append is refused
	closed   bool
	closeErr error

	// What the committing goroutine alone uses.
	head    Head // the store's
	spool   *spool
	retryAt time.Time

	nQueued, nWritten, nSpooled, nFailed, nResealed atomic.Uint64
	inSpool, spoolBytes                             atomic.Int64
	up                                              atomic.Bool
}

// group is what goes into one transaction.
type group struct {
	rs      []Record
	done    chan struct{} // made when somebody waits
	spooled bool          // they wait on disk; this and err are set before done is closed
	err     error
}

// Open reads where the chain ends, checks the spool, moves what it holds into the
// store and starts the Writer. A store that does not answer and a damaged spool
// are errors.
func Open(ctx context.Context, opt Options) (*Writer, error) {
	if opt.Chain == "" || opt.Store == nil {
		return nil, errors.New("opening the audit: a chain and a store are needed")
	}
	opt.setDefaults()
	w := &Writer{
		opt: opt, wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1),
		quit: make(chan struct{}), ended: make(chan struct{}),
	}
	w.room.L = &w.mu
	w.up.Store(true)
	head, err := opt.Store.AuditHead(ctx, opt.Chain)
	if err != nil {
		return nil, fmt.Errorf("opening the audit: %w", err)
	}
	head.Chain = opt.Chain
	w.head = head
	if opt.Spool != "" {
		if w.spool, err = openSpool(opt.Spool, opt.SpoolBytes); err != nil {
			return nil, fmt.Errorf("opening the audit: %w", err)
		}
		if err := w.drain(); err != nil && opt.Strict {
			return nil, errors.Join(fmt.Errorf("opening the audit: emptying the spool: %w", err), w.spool.close())
		}
		w.noteSpool()
	}
	go w.run()
	return w, nil
}

func (o *Options) setDefaults() {
	defaults(&o.SpoolBytes, DefaultSpool)
	defaults(&o.Interval, DefaultInterval)
	defaults(&o.Batch, DefaultBatch)
	defaults(&o.Queue, DefaultQueue)
	defaults(&o.Timeout, DefaultTimeout)
	defaults(&o.Retry, DefaultRetry)
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func defaults[T int | int64 | time.Duration](v *T, to T) {
	if *v <= 0 {
		*v = to
	}
}

// Append takes a record. Chain, Seq, Prev and Hash are set here, Time when it is
// zero; the record is brought within its bounds. Its lists must not be changed
// afterwards. The error is an *UnavailableError, and then the record was not
// taken.
func (w *Writer) Append(r Record) error {
	if w.opt.Strict {
		return w.AppendNow(context.Background(), r)
	}
	_, err := w.add(&r, false)
	return err
}

// AppendNow is Append that returns when the record is durable: in the store, or
// in the spool when the store is away and the Writer is not Strict. When ctx ends
// first the record may or may not be written.
func (w *Writer) AppendNow(ctx context.Context, r Record) error {
	_, err := w.append(ctx, &r)
	return err
}

// AppendStored is AppendNow for a caller to whom only the store counts: a record that
// had to go to the spool is kept there, and is an error nonetheless.
func (w *Writer) AppendStored(ctx context.Context, r Record) error {
	spooled, err := w.append(ctx, &r)
	if err == nil && spooled {
		return &UnavailableError{Err: errSpooled}
	}
	return err
}

// append waits until the record is durable, and says whether in the spool.
func (w *Writer) append(ctx context.Context, r *Record) (spooled bool, err error) {
	g, err := w.add(r, true)
	if err != nil {
		return false, err
	}
	select {
	case <-g.done: // made before add returned, never changed since
		return g.spooled, g.err
	case <-ctx.Done():
		return false, &UnavailableError{Err: ctx.Err()}
	}
}

// Ready says whether a record would be taken, with enough room left for the
// requests that are already under way: the gate asks before it lets a request
// through.
func (w *Writer) Ready() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return &UnavailableError{Err: ErrClosed}
	case w.refusing != nil:
		return &UnavailableError{Err: w.refusing}
	case w.up.Load():
		return nil
	case w.queued > w.opt.Queue/2:
		return &UnavailableError{Err: errQueueFull}
	case w.spoolBytes.Load() > w.opt.SpoolBytes/10*9:
		return &UnavailableError{Err: errSpoolFull}
	}
	return nil
}

// add puts the record into the group under construction. A full queue makes the
// caller wait: the committer always makes room or starts to refuse.
func (w *Writer) add(r *Record, wait bool) (*group, error) {
	if r.Time.IsZero() {
		r.Time = w.opt.Clock.Now()
	}
	Bound(r)
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.queued >= w.opt.Queue && !w.closed && w.refusing == nil {
		w.room.Wait()
	}
	if w.closed || w.refusing != nil {
		w.nFailed.Add(1)
		if w.closed {
			return nil, &UnavailableError{Err: ErrClosed}
		}
		return nil, &UnavailableError{Err: w.refusing}
	}
	if len(w.groups) == 0 {
		signal(w.wake)
	}
	var g *group
	if n := len(w.groups); n > 0 && len(w.groups[n-1].rs) < w.opt.Batch {
		g = w.groups[n-1]
	} else {
		if g, w.spare = w.spare, nil; g == nil {
			g = &group{rs: make([]Record, 0, 32)}
		}
		w.groups = append(w.groups, g)
	}
	g.rs = append(g.rs, *r)
	w.queued++
	w.nQueued.Add(1)
	if wait && g.done == nil {
		g.done = make(chan struct{})
	}
	if wait || len(g.rs) == w.opt.Batch {
		signal(w.hurry)
	}
	return g, nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Close commits or spools what is in the queue and ends the Writer. An
// *UnavailableError says how many records found no place; without Strict and with
// room in the spool there are none.
func (w *Writer) Close() error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.quit)
		w.room.Broadcast()
	}
	w.mu.Unlock()
	<-w.ended
	return w.closeErr
}

// Stats returns the counters.
func (w *Writer) Stats() Stats {
	w.mu.Lock()
	pending := w.queued
	w.mu.Unlock()
	return Stats{
		Queued: w.nQueued.Load(), Written: w.nWritten.Load(), Spooled: w.nSpooled.Load(),
		Failed: w.nFailed.Load(), Resealed: w.nResealed.Load(),
		Pending: int64(pending), InSpool: w.inSpool.Load(), SpoolBytes: w.spoolBytes.Load(), StoreUp: w.up.Load(),
	}
}
