// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/records/sqlite"
)

// shelf keeps credentials in memory; after crashAfter writes it is dead.
type shelf struct {
	mu         sync.Mutex
	clock      clock.Clock
	creds      map[string]records.Credential
	writes     int
	crashAfter int // 0: never
	order      []string
}

var errCrash = errors.New("the gateway died")

func (s *shelf) Credential(_ context.Context, personID, kind string) (records.Credential, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.creds[personID+"/"+kind]
	if !ok {
		return records.Credential{}, records.ErrNotFound
	}
	return c, nil
}

func (s *shelf) SwapCredential(_ context.Context, c records.Credential, old []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.crashAfter > 0 && s.writes >= s.crashAfter {
		return errCrash
	}
	have, ok := s.creds[c.PersonID+"/"+c.Kind]
	if ok != (old != nil) || ok && !bytes.Equal(have.Secret, old) {
		return records.ErrConflict
	}
	s.writes++
	s.order = append(s.order, c.Kind)
	c.Updated = s.clock.Now()
	s.creds[c.PersonID+"/"+c.Kind] = c
	return nil
}

type keeperWorld struct {
	*Keeper
	shelf  *shelf
	clock  *clock.Fake
	policy Policy
	ended  atomic.Int32
	t      *testing.T
}

var mona = Person{ID: "p1", Name: "Mona Darcy", Email: "mona@example.com"}

func newKeeper(t *testing.T, p Policy) *keeperWorld {
	t.Helper()
	w := &keeperWorld{clock: clock.NewFake(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)), policy: p, t: t}
	w.shelf = &shelf{clock: w.clock, creds: map[string]records.Credential{}}
	w.Keeper = w.over(w.shelf)
	return w
}

func (w *keeperWorld) over(s Store) *Keeper {
	return NewKeeper(KeeperOptions{
		Records: s, Hasher: newHasher(w.t, Options{Workers: 4, Wait: time.Minute}), Clock: w.clock, Policy: func() Policy { return w.policy },
		Changed: func(context.Context, string) error { w.ended.Add(1); return nil },
	})
}

func (w *keeperWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *keeperWorld) renewed(password string) (since time.Time) {
	w.t.Helper()
	since, err := w.Renew(w.t.Context(), mona, password)
	w.must(err)
	return since
}

// holds says whether a password is the present one.
func (w *keeperWorld) holds(password string) bool {
	w.t.Helper()
	cred, err := w.shelf.Credential(w.t.Context(), mona.ID, CredentialKind)
	if err != nil {
		return false
	}
	res, err := w.o.Hasher.Verify(w.t.Context(), string(cred.Secret), password)
	w.must(err)
	return res.OK
}

func kindOf(err error) Kind {
	if pe, ok := errors.AsType[*PolicyError](err); ok {
		return pe.Problems[0].Kind
	}
	return ""
}

func word(n int) string { return fmt.Sprintf("violin tundra %d", n) }

func TestChange(t *testing.T) {
	w := newKeeper(t, Policy{History: 2, MinAge: time.Hour})
	ctx := t.Context()
	if err := w.Change(ctx, mona, "", word(1)); !errors.Is(err, ErrWrong) {
		t.Fatalf("without a password, an empty one changed it: %v", err)
	}
	if err := w.Change(ctx, mona, "no account has this password", word(1)); !errors.Is(err, ErrWrong) {
		t.Fatalf("without a password, the dummy's changed it: %v", err)
	}
	w.must(w.SetByAdmin(ctx, mona, word(1), false))
	if err := w.Change(ctx, mona, word(1), word(2)); err == nil {
		t.Fatal("the smallest age does not hold")
	} else if tooSoon := (*TooSoonError)(nil); !errors.As(err, &tooSoon) || !tooSoon.Until.Equal(w.clock.Now().Add(time.Hour)) {
		t.Fatalf("the person is not told when: %v", err)
	}
	w.clock.Advance(time.Hour)
	if err := w.Change(ctx, mona, "wrong", "short"); !errors.Is(err, ErrWrong) {
		t.Errorf("somebody without the password learns about the new one: %v", err)
	}
	for _, c := range []struct {
		password string
		want     Kind
	}{{"short", KindMinLength}, {word(1), KindSame}} {
		if err := w.Change(ctx, mona, word(1), c.password); kindOf(err) != c.want {
			t.Errorf("%q: %v, want %s", c.password, err, c.want)
		}
	}
	if n := w.ended.Load(); n != 1 || !w.holds(word(1)) {
		t.Fatalf("refused changes had an effect (%d ends)", n)
	}
	for i := 2; i <= 4; i++ {
		w.must(w.Change(ctx, mona, word(i-1), word(i)))
		w.clock.Advance(time.Hour)
	}
	if w.ended.Load() != 4 {
		t.Error("sessions and devices outlive a change of the password")
	}
	for i := 2; i <= 3; i++ {
		if err := w.Change(ctx, mona, word(4), word(i)); kindOf(err) != KindHistory {
			t.Errorf("password %d of the last two came back: %v", i, err)
		}
	}
	if err := w.Change(ctx, mona, word(4), word(1)); err != nil {
		t.Errorf("a password beyond the history is refused: %v", err)
	}
}

func TestAgeAndDemand(t *testing.T) {
	w := newKeeper(t, Policy{MaxAge: 90 * 24 * time.Hour, MinAge: time.Hour})
	ctx := t.Context()
	status := func() Status {
		t.Helper()
		s, err := w.Status(ctx, mona.ID)
		w.must(err)
		return s
	}
	if s := status(); s != (Status{}) || s.Due() {
		t.Errorf("somebody without a password: %+v", s)
	}
	w.must(w.SetByAdmin(ctx, mona, word(1), true))
	if s := status(); !s.MustChange || !s.Due() || !s.MayChange.IsZero() {
		t.Errorf("an administrator's password may stay: %+v", s)
	}
	if _, err := w.Renew(ctx, mona, word(1)); kindOf(err) != KindSame {
		t.Errorf("the administrator still knows the password: %v", err)
	}
	w.must(w.Change(ctx, mona, word(1), word(2)))
	s := status()
	if s.Due() || s.MustChange || s.Expires != w.clock.Now().Add(90*24*time.Hour) || s.MayChange.IsZero() {
		t.Errorf("after the change: %+v", s)
	}
	v := s.Version
	w.clock.Advance(90*24*time.Hour - time.Nanosecond)
	if s := status(); s.Expired {
		t.Error("expired too early")
	}
	w.clock.Advance(time.Nanosecond)
	if s := status(); !s.Expired || !s.Due() || s.Version != v {
		t.Errorf("a password beyond its age still signs in: %+v", s)
	}
	w.renewed(word(3))
	if s := status(); s.Due() || s.Version == v {
		t.Errorf("after it was renewed: %+v", s)
	}
	w.must(w.Demand(ctx, mona.ID))
	if s := status(); !s.Due() || !s.Changed.Equal(w.clock.Now()) {
		t.Errorf("a demand to change it: %+v", s)
	}
	if err := w.Demand(ctx, "p2"); !errors.Is(err, records.ErrNotFound) {
		t.Errorf("a demand to change what is not there: %v", err)
	}
}

func TestImportThenAgeCountsFromTheImport(t *testing.T) {
	w := newKeeper(t, Policy{MaxAge: 24 * time.Hour, History: 1})
	w.must(w.Import(t.Context(), mona.ID, imported["bcrypt"], false))
	if err := w.Import(t.Context(), mona.ID, "5f4dcc3b5aa765d61d8327deb882cf99", false); !errors.Is(err, ErrStored) {
		t.Errorf("an unsalted hash was stored: %v", err)
	}
	// An upgrade of the hash at sign-in must not make the password young again.
	w.clock.Advance(24 * time.Hour)
	cred, _ := w.shelf.Credential(t.Context(), mona.ID, CredentialKind)
	hash, err := w.o.Hasher.Hash(t.Context(), secret)
	w.must(err)
	w.must(w.shelf.SwapCredential(t.Context(), records.Credential{PersonID: mona.ID, Kind: CredentialKind, Secret: []byte(hash)}, cred.Secret))
	if s, err := w.Status(t.Context(), mona.ID); err != nil || !s.Expired {
		t.Errorf("%+v, %v", s, err)
	}
}

// A gateway dies after every single write of every kind of change: somebody can
// still sign in with the old or the new password, the old one never comes back
// once the new one holds, and a demand is never lost.
func TestACrashLosesNothing(t *testing.T) {
	for crash := 1; crash <= 3; crash++ {
		for _, byAdmin := range []bool{false, true} {
			w := newKeeper(t, Policy{History: 1})
			w.must(w.SetByAdmin(t.Context(), mona, word(1), !byAdmin))
			w.shelf.writes, w.shelf.order, w.shelf.crashAfter = 0, nil, crash
			var err error
			if byAdmin {
				err = w.SetByAdmin(t.Context(), mona, word(2), true)
			} else {
				_, err = w.Renew(t.Context(), mona, word(2))
			}
			name := fmt.Sprintf("dead after %d writes, by an administrator %v", crash, byAdmin)
			if (err == nil) != (crash == 3) {
				t.Errorf("%s: %v", name, err)
			}
			if w.holds(word(1)) == w.holds(word(2)) || w.holds(word(2)) != (crash >= 2) {
				t.Errorf("%s: it is not exactly one password that holds", name)
			}
			if crash == 3 && !slices.Equal(w.shelf.order, []string{HistoryKind, CredentialKind, HistoryKind}) {
				t.Errorf("the order of writing is %v, the type's text tells another", w.shelf.order)
			}
			w.shelf.crashAfter = 0
			s, err := w.Status(t.Context(), mona.ID)
			w.must(err)
			if wantDemand := byAdmin || crash < 3; s.MustChange != wantDemand {
				t.Errorf("%s: must change %v, want %v", name, s.MustChange, wantDemand)
			}
			if w.holds(word(2)) {
				if _, err := w.Renew(t.Context(), mona, word(1)); kindOf(err) != KindHistory {
					t.Errorf("%s: the old password is not in the history: %v", name, err)
				}
			}
			w.renewed(word(3))
		}
	}
}

func TestUnreadableHistoryIsMendedByAnAdministratorOnly(t *testing.T) {
	for _, raw := range []string{"", "x", "{}x", `{"hashes":[""]}`, `{"must":true}`, `{"must_change":false,"must_change":true}`, `{"hashes":["` + fmt.Sprintf("%0*d", 2000, 1) + `"`} {
		w := newKeeper(t, Policy{History: 1})
		w.must(w.SetByAdmin(t.Context(), mona, word(1), false))
		cred, _ := w.shelf.Credential(t.Context(), mona.ID, HistoryKind)
		w.must(w.shelf.SwapCredential(t.Context(), records.Credential{PersonID: mona.ID, Kind: HistoryKind, Secret: []byte(raw)}, cred.Secret))
		if _, err := w.Status(t.Context(), mona.ID); !errors.Is(err, ErrHistory) {
			t.Errorf("%.20q: a demand to change the password may be lost: %v", raw, err)
		}
		if err := w.Change(t.Context(), mona, word(1), word(2)); !errors.Is(err, ErrHistory) || !w.holds(word(1)) {
			t.Errorf("%.20q: %v", raw, err)
		}
		w.must(w.SetByAdmin(t.Context(), mona, word(2), true))
		w.renewed(word(3))
	}
}

// On real records: of 20 changes at the same moment by two gateways one wins, and
// those who lose are told so.
func TestOneOfManyChangesWins(t *testing.T) {
	w := newKeeper(t, Policy{History: 3})
	db, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "r.db"), Account: "a"})
	w.must(err)
	defer db.Close()
	_, err = db.PutPerson(t.Context(), records.Person{ID: mona.ID, Email: mona.Email, Status: records.Active, UserType: "regular"})
	w.must(err)
	one, two := w.over(db), w.over(db)
	w.must(one.SetByAdmin(t.Context(), mona, word(0), false))
	w.ended.Store(0)
	var wg sync.WaitGroup
	var won, lost atomic.Int32
	for i := range 20 {
		wg.Go(func() {
			k := one
			if i%2 == 1 {
				k = two
			}
			switch err := k.Change(t.Context(), mona, word(0), word(i+1)); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, ErrConflict), errors.Is(err, ErrWrong):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 19 || w.ended.Load() != 1 {
		t.Errorf("%d won, %d lost, sessions ended %d times: somebody believes in a password that does not hold", won.Load(), lost.Load(), w.ended.Load())
	}
}

func FuzzHistory(f *testing.F) {
	f.Add([]byte(`{"hashes":["$argon2id$v=19$m=8192,t=1,p=1$c2FsdA$AAAA"],"changed":"2026-03-01T09:00:00Z","must_change":true}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		doc, err := decodeDocument(raw)
		if err == nil && (len(doc.Hashes) > MaxHistory+1 || slices.Contains(doc.Hashes, "")) {
			t.Fatalf("%q was taken", raw)
		}
		if err != nil && !errors.Is(err, ErrHistory) {
			t.Fatalf("an error that may quote: %v", err)
		}
	})
}

// Since moves with every change, and with nothing else.
func TestSince(t *testing.T) {
	w := newKeeper(t, Policy{})
	since := func() time.Time {
		t.Helper()
		at, err := w.Since(t.Context(), mona.ID)
		w.must(err)
		return at
	}
	if !since().IsZero() {
		t.Errorf("nobody has a password, and it was set at %v", since())
	}
	w.must(w.Import(t.Context(), mona.ID, "$2a$04$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", false))
	imported := since()
	w.clock.Advance(time.Minute)
	old, err := w.shelf.Credential(t.Context(), mona.ID, CredentialKind)
	w.must(err)
	hash, err := w.o.Hasher.Hash(t.Context(), word(1))
	w.must(err)
	w.must(w.shelf.SwapCredential(t.Context(), records.Credential{PersonID: mona.ID, Kind: CredentialKind, Secret: []byte(hash)}, old.Secret))
	w.must(w.Demand(t.Context(), mona.ID))
	if imported.IsZero() || !since().Equal(imported) {
		t.Errorf("a hash made anew for the same password, and a demand to change it, moved %v to %v", imported, since())
	}
	if renewed := w.renewed(word(2)); !renewed.After(imported) || !since().Equal(renewed) {
		t.Errorf("a change at %v after %v says %v", w.clock.Now(), imported, since())
	}
	w.shelf.creds[mona.ID+"/"+HistoryKind] = records.Credential{Secret: []byte(`{"changed":1}`)}
	if _, err := w.Since(t.Context(), mona.ID); !errors.Is(err, ErrHistory) {
		t.Errorf("what cannot be read: %v", err)
	}
}
