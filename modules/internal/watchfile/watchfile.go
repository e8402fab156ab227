// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package watchfile keeps the parsed content of a file that somebody else
// replaces now and then: an address list, a database of networks.
//
// A new content is read whole, parsed, checked and only then swapped in, as one
// atomic act. Whatever goes wrong, the last good content stays:
//
//   - at start a missing, empty or unreadable file is an error, so that the
//     program refuses to start without what it was told to use;
//   - afterwards a file that is missing, empty, too large, an HTML page, still
//     being written or refused by its parser never replaces a good one; the
//     failure is kept in Status and told once to Options.Report;
//   - a parser that panics counts as a parser that refuses.
package watchfile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
)

// Defaults of Options.
const (
	DefaultEvery    = 2 * time.Second
	DefaultMaxBytes = 512 << 20
)

// What may be wrong with a file before its parser sees it.
var (
	ErrEmpty    = errors.New("the file is empty")
	ErrHTML     = errors.New("the file is an HTML page, most likely the error page of a download")
	ErrTooLarge = errors.New("the file is larger than allowed")
	ErrChanging = errors.New("the file changed while it was read")
)

// Options of Open. The zero value is usable.
type Options[T any] struct {
	Clock    clock.Clock   // nil: the machine's
	Every    time.Duration // how often Run looks; 0: DefaultEvery
	MaxBytes int64         // 0: DefaultMaxBytes

	// Accept may refuse a parsed content because of what it would replace: a list
	// that shrank to almost nothing, say. nil: every parsed content is taken.
	Accept func(old, new T) error
	// Swapped is called after a new content became current. It is not called for
	// the first one. One call ends before the next one begins, and the last one has
	// what is current; it must not call Refresh.
	Swapped func(T)
	// Report is called once for every new failure, and with nil when the file is
	// good again.
	Report func(error)
	// Ticks replaces the ticker of Run: one look per value.
	Ticks <-chan time.Time
}

// File is a watched file. All methods are safe for concurrent use.
type File[T any] struct {
	path    string
	parse   func([]byte) (T, error)
	o       Options[T]
	current atomic.Pointer[T]
	swap    sync.Mutex // one Swapped at a time, so that the last one told is the current one

	mu       sync.Mutex // guards what follows; never held by Current
	seen     stamp      // of the last content that was judged
	judgedAt time.Time
	pending  stamp // of a change that has yet to settle
	digest   [sha256.Size]byte
	lastGood time.Time
	lastErr  error
	mended   bool // a good look ended a failure that was told
	modTime  time.Time
}

// stamp is what tells one state of a file from another without reading it.
type stamp struct {
	mod  time.Time
	size int64
	info os.FileInfo
}

func (s stamp) same(o stamp) bool {
	return s.info != nil && o.info != nil && s.size == o.size && s.mod.Equal(o.mod) && os.SameFile(s.info, o.info)
}

// Status is what metrics and explain say about a watched file.
type Status struct {
	Path      string
	LastGood  time.Time     // when the current content was last found to be what the file holds
	ModTime   time.Time     // the file's modification time when the current content was read
	Age       time.Duration // from ModTime until now: how old the data is
	LastError error         // nil while the file is good
}

// Open reads and parses the file. It fails if the file is missing, empty, an
// HTML page or refused by parse; nothing is watched then. The bytes given to
// parse are its own to keep.
func Open[T any](path string, parse func([]byte) (T, error), o Options[T]) (*File[T], error) {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Every <= 0 {
		o.Every = DefaultEvery
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	f := &File[T]{path: path, parse: parse, o: o}
	if _, err := f.load(); err != nil {
		return nil, fmt.Errorf("loading %s: %w", path, err)
	}
	return f, nil
}

// Current returns the last good content. It costs one atomic load.
func (f *File[T]) Current() T { return *f.current.Load() }

// Status says how the file is doing.
func (f *File[T]) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Status{
		Path: f.path, LastGood: f.lastGood, ModTime: f.modTime,
		Age: max(0, f.o.Clock.Now().Sub(f.modTime)), LastError: f.lastErr,
	}
}

// Refresh reads the file now, whatever its modification time says, and reports
// whether the content changed. On an error the last good content stays.
func (f *File[T]) Refresh() (bool, error) {
	f.mu.Lock()
	changed, err := f.load()
	mended := f.takeMended()
	f.mu.Unlock()
	return f.done(changed, mended, err)
}

// Run looks at the file every Options.Every until ctx ends. A change is taken
// when the file has stood still between two looks, so that a slow writer is
// waited for.
func (f *File[T]) Run(ctx context.Context) {
	ticks := f.o.Ticks
	if ticks == nil {
		t := time.NewTicker(f.o.Every)
		defer t.Stop()
		ticks = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks:
			f.look()
		}
	}
}

// look is one step of Run.
func (f *File[T]) look() {
	f.mu.Lock()
	changed, err := f.lookLocked()
	mended := f.takeMended()
	f.mu.Unlock()
	_, _ = f.done(changed, mended, err) // told to Report and kept in Status
}

func (f *File[T]) lookLocked() (bool, error) {
	now, err := stat(f.path)
	if err != nil {
		f.pending = stamp{}
		return false, f.failed(err)
	}
	if now.same(f.seen) && !f.racy() {
		f.pending = stamp{}
		return false, nil
	}
	if !now.same(f.seen) && !now.same(f.pending) {
		f.pending = now
		return false, nil
	}
	f.pending = stamp{}
	return f.load()
}

// racy says that the content was read so soon after the file's modification
// time that a further write could carry the same time.
func (f *File[T]) racy() bool {
	return f.judgedAt.Sub(f.seen.mod).Abs() < time.Second
}

// load reads and judges the file; the caller holds mu, except in Open.
func (f *File[T]) load() (bool, error) {
	data, at, err := read(f.path, f.o.MaxBytes)
	if err != nil {
		return false, f.failed(err)
	}
	f.seen, f.judgedAt = at, f.o.Clock.Now()
	digest := sha256.Sum256(data)
	if f.current.Load() != nil && digest == f.digest {
		f.good(at)
		return false, nil
	}
	value, err := f.judge(data)
	if err != nil {
		return false, f.failed(err)
	}
	f.current.Store(&value)
	f.digest = digest
	f.good(at)
	return true, nil
}

func (f *File[T]) judge(data []byte) (value T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("parsing: the parser gave up: %v", r)
		}
	}()
	if err := precheck(data); err != nil {
		return value, err
	}
	if value, err = f.parse(data); err != nil {
		return value, err
	}
	if old := f.current.Load(); old != nil && f.o.Accept != nil {
		err = f.o.Accept(*old, value)
	}
	return value, err
}

func (f *File[T]) good(at stamp) {
	f.mended = f.lastErr != nil
	f.lastGood, f.modTime, f.lastErr = f.o.Clock.Now(), at.mod, nil
}

// failure marks an error that was not told before.
type failure struct{ error }

func (e failure) Unwrap() error { return e.error }

// failed keeps err for Status and marks it when it is news.
func (f *File[T]) failed(err error) error {
	news := f.lastErr == nil || f.lastErr.Error() != err.Error()
	f.lastErr = err
	if news {
		return failure{err}
	}
	return err
}

func (f *File[T]) takeMended() bool {
	m := f.mended
	f.mended = false
	return m
}

// done calls the hooks outside of the lock, so that they may call Status.
func (f *File[T]) done(changed, mended bool, err error) (bool, error) {
	if news, ok := errors.AsType[failure](err); ok {
		err = news.error
		if f.o.Report != nil {
			f.o.Report(fmt.Errorf("loading %s: %w", f.path, err))
		}
	}
	if mended && f.o.Report != nil {
		f.o.Report(nil)
	}
	if changed && f.o.Swapped != nil {
		f.tell()
	}
	if err != nil {
		return false, fmt.Errorf("loading %s: %w", f.path, err)
	}
	return changed, nil
}

// tell calls Swapped.
func (f *File[T]) tell() {
	f.swap.Lock()
	defer f.swap.Unlock()
	f.o.Swapped(f.Current())
}

func stat(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	return stamp{mod: info.ModTime(), size: info.Size(), info: info}, nil
}

// read returns the whole file and its stamp, provided that the file was the
// same before and after.
func read(path string, limit int64) ([]byte, stamp, error) {
	before, err := stat(path)
	if err != nil {
		return nil, stamp{}, err
	}
	if !before.info.Mode().IsRegular() {
		return nil, stamp{}, errors.New("it is not a regular file")
	}
	if before.size > limit {
		return nil, stamp{}, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, stamp{}, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, stamp{}, err
	}
	after, err := stat(path)
	if err != nil {
		return nil, stamp{}, err
	}
	if !before.same(after) || int64(len(data)) != after.size {
		return nil, stamp{}, ErrChanging
	}
	return data, after, nil
}

// precheck refuses what no parser needs to see.
func precheck(data []byte) error {
	head := bytes.TrimPrefix(data[:min(len(data), 4096)], []byte("\xef\xbb\xbf"))
	head = bytes.ToLower(bytes.TrimSpace(head))
	switch {
	case len(data) == 0, len(head) == 0 && len(bytes.TrimSpace(data)) == 0:
		return ErrEmpty
	case bytes.HasPrefix(head, []byte("<!doctype html")), bytes.HasPrefix(head, []byte("<html")):
		return ErrHTML
	}
	return nil
}
