// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package directory is the people of an account, in memory: every request asks
// who somebody is, and none of them may wait for a database.
//
// Reading is from an immutable snapshot. Writing goes through the directory too:
// it writes the records, renews its own snapshot, and tells the other gateways by
// the state store's key people/version; they follow within a second. Should the
// fan-out fail, they look every second while it is known to be broken, and every
// 30 seconds in any case. When the records cannot be read, the last snapshot
// stays; at the start that is an error. A person whose status is not a known one
// counts as inactive.
package directory

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// VersionKey is the key of the state store that changes with every change of a
// person.
const VersionKey = "people/version"

// How often the records are read without being told to.
const (
	net    = 30 * time.Second
	strict = time.Second // while the fan-out is broken or the last reading failed
)

// ErrUnannounced is returned when a change was made, and holds on this gateway,
// but the others could not be told: they will see it within 30 seconds.
var ErrUnannounced = errors.New("the change is made, but other gateways could not be told yet")

// Options of a Directory. Records and State must be set.
type Options struct {
	Records records.Store
	State   state.Store
	Clock   clock.Clock  // nil: the machine's
	Rand    io.Reader    // for ids of people; nil: the machine's
	Log     *slog.Logger // a reading that failed; nil: nowhere
}

// Directory is the people of an account. Safe for concurrent use.
type Directory struct {
	opt    Options
	now    atomic.Pointer[snapshot]
	mu     sync.Mutex // one reading at a time, so that none replaces a newer one
	reload chan struct{}
	lost   atomic.Bool
	cancel context.CancelFunc
	ended  chan struct{}
}

// snapshot is the directory at a moment. Nothing in it ever changes.
type snapshot struct {
	people  []records.Person
	byID    map[string]*records.Person
	byEmail map[string]*records.Person
	keys    map[string]*records.CRMKey // by person
	byKey   map[string]*records.Person // by look-up value of the CRM key
	read    time.Time
}

// Open reads the people and keeps them up to date until Close. Records that
// cannot be read and a state store that cannot be watched are errors.
func Open(ctx context.Context, opt Options) (*Directory, error) {
	if opt.Clock == nil {
		opt.Clock = clock.System{}
	}
	if opt.Rand == nil {
		opt.Rand = rand.Reader
	}
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	live, cancel := context.WithCancel(context.WithoutCancel(ctx))
	d := &Directory{opt: opt, reload: make(chan struct{}, 1), cancel: cancel, ended: make(chan struct{})}
	// Watching comes first: a change between it and the reading is heard.
	if err := opt.State.Watch(live, VersionKey, d.heard); err != nil {
		cancel()
		return nil, fmt.Errorf("opening the directory: %w", err)
	}
	if err := d.Load(ctx); err != nil {
		cancel()
		return nil, err
	}
	go d.follow(live)
	return d, nil
}

// Close ends the following; the last snapshot stays readable.
func (d *Directory) Close() {
	d.cancel()
	<-d.ended
}

// heard is called by the watch and must not block.
func (d *Directory) heard(c state.Change) {
	switch c.Kind {
	case state.Lost:
		d.lost.Store(true)
	case state.Resync:
		d.lost.Store(false)
	}
	select {
	case d.reload <- struct{}{}:
	default:
	}
}

func (d *Directory) follow(ctx context.Context) {
	defer close(d.ended)
	failed := false
	for {
		wait := net
		if failed || d.lost.Load() {
			wait = strict
		}
		t := time.NewTimer(wait)
		select {
		case <-d.reload:
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		t.Stop()
		err := d.Load(ctx)
		if err != nil && !failed && ctx.Err() == nil {
			d.opt.Log.Error("the people cannot be read again, the last reading stays", "error", err, "read", d.Read())
		}
		failed = err != nil
	}
}

// Load reads the people now and takes the result into use. When it fails, what
// was read before stays.
func (d *Directory) Load(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	read := d.opt.Clock.Now()
	people, err := d.opt.Records.People(ctx)
	if err != nil {
		return fmt.Errorf("reading the directory: %w", err)
	}
	keys, err := d.opt.Records.CRMKeys(ctx)
	if err != nil {
		return fmt.Errorf("reading the directory: %w", err)
	}
	d.now.Store(newSnapshot(people, keys, read))
	return nil
}

func newSnapshot(people []records.Person, keys []records.CRMKey, read time.Time) *snapshot {
	s := &snapshot{
		people: people, read: read,
		byID: make(map[string]*records.Person, len(people)), byEmail: make(map[string]*records.Person, len(people)),
		keys: make(map[string]*records.CRMKey, len(keys)), byKey: make(map[string]*records.Person, len(keys)),
	}
	for i := range people {
		p := &people[i]
		if p.Status != records.Active {
			p.Status = records.Inactive
		}
		s.byID[p.ID] = p
		s.byEmail[records.FoldEmail(p.Email)] = p
	}
	for i := range keys {
		if p, ok := s.byID[keys[i].PersonID]; ok {
			s.keys[p.ID], s.byKey[keys[i].Lookup] = &keys[i], p
		}
	}
	return s
}

// ByID returns a person, of whatever status. He must not be changed.
func (d *Directory) ByID(id string) (*records.Person, bool) {
	p, ok := d.now.Load().byID[id]
	return p, ok
}

// ByEmail returns the person with an address, which is folded first.
func (d *Directory) ByEmail(email string) (*records.Person, bool) {
	p, ok := d.now.Load().byEmail[records.FoldEmail(email)]
	return p, ok
}

// ByCRMKey returns the person whose CRM key has one of the look-up values, as
// vault.Lookups gives them.
func (d *Directory) ByCRMKey(lookups ...string) (*records.Person, bool) {
	s := d.now.Load()
	for _, l := range lookups {
		if p, ok := s.byKey[l]; ok {
			return p, true
		}
	}
	return nil, false
}

// CRMKey returns a person's sealed CRM key. It must not be changed.
func (d *Directory) CRMKey(personID string) (*records.CRMKey, bool) {
	k, ok := d.now.Load().keys[personID]
	return k, ok
}

// OwnersOf returns the ids under which the CRM knows the person with an address;
// nil when there is none. The list must not be changed.
func (d *Directory) OwnersOf(email string) []string {
	if p, ok := d.ByEmail(email); ok {
		return p.OwnerIDs
	}
	return nil
}

// People returns everybody, ordered by id. The list must not be changed.
func (d *Directory) People() []records.Person { return d.now.Load().people }

// Read returns when the records were read last.
func (d *Directory) Read() time.Time { return d.now.Load().read }

func (d *Directory) newID() (string, error) {
	b := make([]byte, 16)
	if _, err := io.ReadFull(d.opt.Rand, b); err != nil {
		return "", fmt.Errorf("making an id: %w", err)
	}
	return hex.EncodeToString(b), nil
}
