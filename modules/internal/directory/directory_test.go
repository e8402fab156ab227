// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/state"
)

func open(t *testing.T, p *people, f *fanout) *Directory {
	t.Helper()
	d, err := Open(t.Context(), Options{Records: p, State: f})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func add(t *testing.T, d *Directory, id, email string) records.Person {
	t.Helper()
	p, err := d.Add(t.Context(), records.Person{ID: id, Email: email, Role: "sales_user", OwnerIDs: []string{"own-" + id}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := newPeople(), new(fanout)
		d := open(t, p, f)
		asha := add(t, d, "", "Asha@Example.COM")
		if len(asha.ID) != 32 || asha.Email != "asha@example.com" || asha.Status != records.Active || asha.UserType != Regular || asha.Version != 1 {
			t.Errorf("a new person is %+v", asha)
		}
		if err := d.SetCRMKey(t.Context(), records.CRMKey{PersonID: asha.ID, Lookup: "look", Sealed: []byte("s")}); err != nil {
			t.Fatal(err)
		}
		for name, find := range map[string]func() (*records.Person, bool){
			"id":             func() (*records.Person, bool) { return d.ByID(asha.ID) },
			"e-mail":         func() (*records.Person, bool) { return d.ByEmail("asha@example.com") },
			"e-mail, loud":   func() (*records.Person, bool) { return d.ByEmail("ASHA@EXAMPLE.COM") },
			"CRM key":        func() (*records.Person, bool) { return d.ByCRMKey("look") },
			"CRM key, older": func() (*records.Person, bool) { return d.ByCRMKey("new", "look") },
		} {
			if got, ok := find(); !ok || got.ID != asha.ID {
				t.Errorf("by %s: %+v, %v", name, got, ok)
			}
		}
		for name, find := range map[string]func() (*records.Person, bool){
			"id":         func() (*records.Person, bool) { return d.ByID("") },
			"e-mail":     func() (*records.Person, bool) { return d.ByEmail("") },
			"look-alike": func() (*records.Person, bool) { return d.ByEmail("asha@e\u212aample.com") },
			"CRM key":    func() (*records.Person, bool) { return d.ByCRMKey("") },
			"no CRM key": func() (*records.Person, bool) { return d.ByCRMKey() },
		} {
			if got, ok := find(); ok || got != nil {
				t.Errorf("a wrong %s finds %+v", name, got)
			}
		}
		if k, ok := d.CRMKey(asha.ID); !ok || string(k.Sealed) != "s" {
			t.Errorf("the CRM key is %+v, %v", k, ok)
		}
		if got := d.OwnersOf("Asha@example.com"); len(got) != 1 || got[0] != "own-" {
			t.Errorf("the owner ids are %q", got)
		}
		if got := d.OwnersOf("x@example.com"); got != nil {
			t.Errorf("nobody's owner ids are %q", got)
		}
		if len(d.People()) != 1 {
			t.Errorf("%d people", len(d.People()))
		}
	})
}

func TestUnknownStatusIsInactive(t *testing.T) {
	p := newPeople()
	for i, status := range []records.Status{"", "ACTIVE", "suspended", records.Active} {
		id := fmt.Sprint(i)
		p.list[id] = records.Person{ID: id, Email: id + "@example.com", Status: status, Version: 1}
	}
	d := open(t, p, new(fanout))
	for _, x := range d.People() {
		if want := x.ID == "3"; (x.Status == records.Active) != want {
			t.Errorf("person %s has status %q", x.ID, x.Status)
		}
	}
}

func TestActsAreCheckedAndTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := newPeople(), new(fanout)
		d := open(t, p, f)
		asha := add(t, d, "p1", "asha@example.com")
		if len(f.puts) != 1 {
			t.Errorf("adding somebody was told %d times", len(f.puts))
		}
		for _, c := range []struct {
			name string
			p    records.Person
			want error
		}{
			{"no e-mail", records.Person{Role: "r"}, ErrEmail},
			{"bad e-mail", records.Person{Role: "r", Email: "a@b@c"}, ErrEmail},
			{"no role", records.Person{Email: "a@example.com"}, ErrNoRole},
			{"user type", records.Person{Email: "a@example.com", Role: "r", UserType: "robot"}, records.ErrInvalid},
			{"taken", records.Person{Email: "ASHA@example.com", Role: "r"}, records.ErrConflict},
		} {
			if _, err := d.Add(t.Context(), c.p); !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.name, err, c.want)
			}
		}
		if len(f.puts) != 1 {
			t.Error("refused acts were told")
		}
		asha.Name = "Asha R"
		changed, err := d.Update(t.Context(), asha)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := d.ByID("p1"); got.Name != "Asha R" || got.Version != changed.Version {
			t.Errorf("after Update returned the directory says %+v", got)
		}
		if _, err := d.Update(t.Context(), asha); !errors.Is(err, records.ErrConflict) {
			t.Errorf("a stale update: %v", err)
		}
		asha.Version = 0
		if _, err := d.Update(t.Context(), asha); !errors.Is(err, records.ErrInvalid) {
			t.Errorf("an update without version: %v", err)
		}
		if err := d.SetPassword(t.Context(), "p1", []byte("$argon2id$")); err != nil || string(p.creds["p1/password"]) != "$argon2id$" {
			t.Errorf("setting a password: %v, %q", err, p.creds)
		}
		if err := d.SetPassword(t.Context(), "p1", nil); err != nil || len(p.creds) != 0 {
			t.Errorf("taking a password away: %v, %q", err, p.creds)
		}
		if len(f.puts) != 4 {
			t.Errorf("told: %q", f.puts)
		}
		for i, put := range f.puts[1:] {
			if put == f.puts[i] {
				t.Error("two changes were told with the same version: a store that only tells of differences swallows one")
			}
		}
	})
}

func TestDeactivation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := newPeople(), new(fanout)
		here, there := open(t, p, f), open(t, p, f)
		add(t, here, "p1", "asha@example.com")
		synctest.Wait()
		if _, ok := there.ByID("p1"); !ok {
			t.Fatal("a person added on one gateway is not known on the other")
		}
		if _, err := here.SetStatus(t.Context(), "p1", records.Inactive); err != nil {
			t.Fatal(err)
		}
		if got, _ := here.ByID("p1"); got.Status != records.Inactive {
			t.Error("a person is still active here after SetStatus returned")
		}
		start := time.Now()
		synctest.Wait()
		if got, _ := there.ByID("p1"); got.Status != records.Inactive || time.Since(start) > time.Second {
			t.Error("a deactivated person is still active on another gateway")
		}
		// Somebody changes the same person at the same moment: the lock still wins.
		p.rush = func() {
			x := p.list["p1"]
			x.Name, x.Version = "changed meanwhile", x.Version+1
			p.list["p1"] = x
		}
		got, err := here.SetStatus(t.Context(), "p1", records.Active)
		if err != nil || got.Status != records.Active || got.Name != "changed meanwhile" {
			t.Errorf("%+v, %v", got, err)
		}
		if _, err := here.SetStatus(t.Context(), "nobody", records.Inactive); !errors.Is(err, records.ErrNotFound) {
			t.Errorf("deactivating nobody: %v", err)
		}
	})
}

func TestFanoutBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := newPeople(), &fanout{deaf: true}
		here, there := open(t, p, f), open(t, p, f)
		add(t, here, "p1", "asha@example.com")
		time.Sleep(29 * time.Second)
		if _, ok := there.ByID("p1"); ok {
			t.Error("the test's fan-out is not deaf")
		}
		time.Sleep(2 * time.Second)
		if _, ok := there.ByID("p1"); !ok {
			t.Error("after 30 s without word the records were not read")
		}
		f.tell(state.Lost)
		synctest.Wait()
		add(t, here, "p2", "ravi@example.com")
		time.Sleep(strict + time.Millisecond)
		if _, ok := there.ByID("p2"); !ok {
			t.Error("while the fan-out is known to be broken a change takes more than a second")
		}
		p.mu.Lock()
		p.list["p3"] = records.Person{ID: "p3", Email: "x@example.com"}
		p.mu.Unlock()
		f.tell(state.Resync)
		synctest.Wait()
		if _, ok := there.ByID("p3"); !ok {
			t.Error("after a gap the records were not read again")
		}
		before := p.reads
		time.Sleep(10 * time.Second)
		if p.reads != before {
			t.Errorf("with the fan-out whole again the records were read %d times in 10 s", p.reads-before)
		}
	})
}

func TestStoresAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, f := newPeople(), new(fanout)
		p.setAway(true)
		if _, err := Open(t.Context(), Options{Records: p, State: f}); !errors.Is(err, records.ErrUnavailable) {
			t.Errorf("opened without records: %v", err)
		}
		p.setAway(false)
		f.away = true
		if _, err := Open(t.Context(), Options{Records: p, State: f}); !errors.Is(err, state.ErrUnavailable) {
			t.Errorf("opened without a watch: %v", err)
		}
		f.away = false
		d := open(t, p, f)
		other := open(t, p, f)
		add(t, d, "p1", "asha@example.com")
		f.mu.Lock()
		f.away = true
		f.mu.Unlock()
		_, err := d.SetStatus(t.Context(), "p1", records.Inactive)
		if got, _ := d.ByID("p1"); !errors.Is(err, ErrUnannounced) || got.Status != records.Inactive {
			t.Errorf("with the state store away: %v, %+v: the admin must know that it holds here only", err, got)
		}
		time.Sleep(net + time.Second)
		if got, _ := other.ByID("p1"); got.Status != records.Inactive {
			t.Error("a change that could not be told never arrived")
		}
		p.setAway(true)
		if _, err := d.SetStatus(t.Context(), "p1", records.Active); !errors.Is(err, records.ErrUnavailable) {
			t.Errorf("with the records away an act gives %v", err)
		}
		time.Sleep(2 * net)
		if got, ok := d.ByID("p1"); !ok || got.Status != records.Inactive {
			t.Error("with the records away the last reading is gone")
		}
		p.mu.Lock()
		p.away = false
		p.list["p2"] = records.Person{ID: "p2", Email: "x@example.com"}
		p.mu.Unlock()
		time.Sleep(strict + time.Millisecond)
		if _, ok := d.ByID("p2"); !ok {
			t.Error("a second after the records came back they were not read")
		}
	})
}

// TestSlowReadingNeverReplacesNewer: a reading that began before a deactivation
// and ends after it must not bring the person back.
func TestSlowReadingNeverReplacesNewer(t *testing.T) {
	p, f := newPeople(), &fanout{deaf: true}
	d := open(t, p, f)
	add(t, d, "p1", "asha@example.com")
	slow, inside := make(chan struct{}), make(chan struct{})
	p.mu.Lock()
	p.slow, p.inside = slow, inside
	p.mu.Unlock()
	loaded := make(chan error)
	go func() { loaded <- d.Load(t.Context()) }()
	<-inside
	p.mu.Lock()
	p.slow = nil
	p.mu.Unlock()
	done := make(chan error)
	go func() {
		_, err := d.SetStatus(t.Context(), "p1", records.Inactive)
		done <- err
	}()
	close(slow)
	if err := errors.Join(<-loaded, <-done); err != nil {
		t.Fatal(err)
	}
	if got, _ := d.ByID("p1"); got.Status != records.Inactive {
		t.Error("an older reading brought a deactivated person back")
	}
}

func TestFindingAllocatesNothing(t *testing.T) {
	p := newPeople()
	for i := range 10_000 {
		id := fmt.Sprint(i)
		p.list[id] = records.Person{ID: id, Email: id + "@example.com", Status: records.Active}
	}
	d := open(t, p, new(fanout))
	if n := testing.AllocsPerRun(100, func() {
		d.ByID("77")
		d.ByEmail("77@example.com")
		d.ByCRMKey("x")
		d.CRMKey("77")
	}); n != 0 {
		t.Errorf("finding a person allocates %v times: every request pays for it", n)
	}
}

func BenchmarkByEmail(b *testing.B) {
	p := newPeople()
	for i := range 10_000 {
		id := fmt.Sprint(i)
		p.list[id] = records.Person{ID: id, Email: id + "@example.com", Status: records.Active}
	}
	list, _ := p.People(b.Context())
	d := new(Directory)
	d.now.Store(newSnapshot(list, nil, time.Time{}))
	b.ReportAllocs()
	for range b.N {
		if _, ok := d.ByEmail("77@example.com"); !ok {
			b.Fatal("not found")
		}
	}
}
