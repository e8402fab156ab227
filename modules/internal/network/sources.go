// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/watchfile"
)

// SourcesConfig names the files that say what addresses are known for. A file
// that is not named is not used.
type SourcesConfig struct {
	AnonymousIP string        // path of an MMDB: GeoIP2 Anonymous IP, GeoIP Anonymous Plus
	TorExits    string        // path of a list of Tor exits, see ParseTor
	Every       time.Duration // how often the files are looked at; 0: 2 s
	Clock       clock.Clock   // nil: the machine's

	// Report hears once of every file that turns bad, and nil when it is good
	// again.
	Report func(error)
	// Swapped is called with every new reputation after the first, one call at a
	// time: Engine.SetReputation, for instance.
	Swapped func(*Reputation)
}

// Sources watches the files and merges them into one Reputation.
type Sources struct {
	swapped func(*Reputation)
	db      *watchfile.File[*AnonymousDB]
	tor     *watchfile.File[*TorList]

	mu      sync.Mutex // one merge at a time, so that the newest wins
	current atomic.Pointer[Reputation]
}

// OpenSources reads the named files. One that is missing or bad is an error; a
// file that turns bad later never replaces the last good one.
func OpenSources(c SourcesConfig) (*Sources, error) {
	s := &Sources{swapped: c.Swapped}
	var err error
	if c.AnonymousIP != "" {
		s.db, err = watchfile.Open(c.AnonymousIP, ParseAnonymous, watchfile.Options[*AnonymousDB]{
			Clock: c.Clock, Every: c.Every, Report: c.Report,
			Swapped: func(*AnonymousDB) { s.merge() },
		})
		if err != nil {
			return nil, err
		}
	}
	if c.TorExits != "" {
		parse := func(data []byte) (*TorList, error) { return ParseTor(c.TorExits, data) }
		s.tor, err = watchfile.Open(c.TorExits, parse, watchfile.Options[*TorList]{
			Clock: c.Clock, Every: c.Every, Report: c.Report, Accept: acceptTor,
			Swapped: func(*TorList) { s.merge() },
		})
		if err != nil {
			return nil, err
		}
	}
	s.current.Store(s.build())
	return s, nil
}

func (s *Sources) build() *Reputation {
	var (
		db  *AnonymousDB
		tor *TorList
	)
	if s.db != nil {
		db = s.db.Current()
	}
	if s.tor != nil {
		tor = s.tor.Current()
	}
	return NewReputation(db, tor)
}

func (s *Sources) merge() {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.build()
	s.current.Store(next)
	if s.swapped != nil {
		s.swapped(next)
	}
}

// Reputation returns what is known at the moment.
func (s *Sources) Reputation() *Reputation { return s.current.Load() }

// Refresh reads every file now. Errors are joined; a file that failed keeps its
// last good content.
func (s *Sources) Refresh() error {
	var errs []error
	if s.db != nil {
		_, err := s.db.Refresh()
		errs = append(errs, err)
	}
	if s.tor != nil {
		_, err := s.tor.Refresh()
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Run watches the files until ctx ends.
func (s *Sources) Run(ctx context.Context) {
	var wg sync.WaitGroup
	if s.db != nil {
		wg.Go(func() { s.db.Run(ctx) })
	}
	if s.tor != nil {
		wg.Go(func() { s.tor.Run(ctx) })
	}
	wg.Wait()
}

// Status says how each file is doing.
func (s *Sources) Status() []watchfile.Status {
	var out []watchfile.Status
	if s.db != nil {
		out = append(out, s.db.Status())
	}
	if s.tor != nil {
		out = append(out, s.tor.Status())
	}
	return out
}
