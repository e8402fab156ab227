// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// people is as much of a records.Store as a directory uses; several directories
// share one, as gateways share a database.
type people struct {
	records.Store
	mu     sync.Mutex
	away   bool
	rush   func() // called once before the next write
	list   map[string]records.Person
	creds  map[string][]byte
	keys   map[string]records.CRMKey
	reads  int
	slow   chan struct{} // when set, People answers what it read after this closes
	inside chan struct{}
}

func newPeople() *people {
	return &people{list: map[string]records.Person{}, creds: map[string][]byte{}, keys: map[string]records.CRMKey{}}
}

func (p *people) err() error {
	if p.away {
		return records.ErrUnavailable
	}
	return nil
}

func (p *people) setAway(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
}

func (p *people) People(context.Context) ([]records.Person, error) {
	p.mu.Lock()
	p.reads++
	var out []records.Person
	for _, x := range p.list {
		out = append(out, x)
	}
	err, slow, inside := p.err(), p.slow, p.inside
	p.mu.Unlock()
	if slow != nil {
		close(inside)
		<-slow
	}
	slices.SortFunc(out, func(a, b records.Person) int { return strings.Compare(a.ID, b.ID) })
	return out, err
}

func (p *people) CRMKeys(context.Context) ([]records.CRMKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []records.CRMKey
	for _, k := range p.keys {
		out = append(out, k)
	}
	return out, p.err()
}

func (p *people) Person(_ context.Context, id string) (records.Person, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	x, ok := p.list[id]
	if !ok && p.err() == nil {
		return x, records.ErrNotFound
	}
	return x, p.err()
}

func (p *people) PutPerson(_ context.Context, x records.Person) (records.Person, error) {
	p.mu.Lock()
	rush := p.rush
	p.rush = nil
	p.mu.Unlock()
	if rush != nil {
		rush()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.away {
		return x, records.ErrUnavailable
	}
	for _, other := range p.list {
		if other.ID != x.ID && other.Email == x.Email {
			return x, records.ErrConflict
		}
	}
	if p.list[x.ID].Version != x.Version {
		return x, records.ErrConflict
	}
	x.Version++
	p.list[x.ID] = x
	return x, nil
}

func (p *people) PutCredential(_ context.Context, c records.Credential) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.creds[c.PersonID+"/"+c.Kind] = c.Secret
	return p.err()
}

func (p *people) DeleteCredential(_ context.Context, id, kind string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.creds, id+"/"+kind)
	return p.err()
}

func (p *people) PutCRMKey(_ context.Context, k records.CRMKey) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys[k.PersonID] = k
	return p.err()
}

// fanout is as much of a state.Store as a directory uses.
type fanout struct {
	state.Store
	mu       sync.Mutex
	away     bool
	deaf     bool // what is put is not heard
	watchers []func(state.Change)
	puts     []string
}

func (f *fanout) Watch(_ context.Context, prefix string, fn func(state.Change)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return state.ErrUnavailable
	}
	if prefix != VersionKey {
		panic("watches " + prefix)
	}
	f.watchers = append(f.watchers, fn)
	return nil
}

func (f *fanout) Put(_ context.Context, key string, value []byte, _ time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return state.ErrUnavailable
	}
	f.puts = append(f.puts, key+"="+string(value))
	if !f.deaf {
		for _, fn := range f.watchers {
			go fn(state.Change{Entry: state.Entry{Key: key, Value: value}})
		}
	}
	return nil
}

func (f *fanout) tell(kind state.ChangeKind) {
	for _, fn := range f.watchers {
		fn(state.Change{Kind: kind})
	}
}
