// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

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

func TestParseEmail(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"asha@example.com", "asha@example.com"},
		{"Asha.R+crm@Sales.Example.COM", "asha.r+crm@sales.example.com"},
		{"o'neill@example.com", "o'neill@example.com"},
		{"आशा@उदाहरण.भारत", "आशा@उदाहरण.भारत"},
		{"ÉLODIE@example.com", "élodie@example.com"},
		{"root@localhost", "root@localhost"},
		{strings.Repeat("a", 242) + "@example.com", strings.Repeat("a", 242) + "@example.com"},
	} {
		if got, err := ParseEmail(c.in); err != nil || got != c.want {
			t.Errorf("%q: %q, %v", c.in, got, err)
		}
	}
	for _, in := range []string{
		"", "@", "a@", "@b", "asha", "a@b@c", "a@@b", " a@b.c", "a@b.c ", "a b@c.d", "a@b\n.c", "a@b.c\x00", "a@b.c\r\nBcc: x@y.z",
		"a\xff@b.c", "a@b..c", "a@.b", "a@b.", "a@-b.c", "a@b-.c", "a\u200b@b.c", "a\u202e@b.c", "a\u00a0@b.c", "a\u00ad@b.c",
		`"a b"@c.d`, "Asha <a@b.c>", "a@[127.0.0.1]", "a@b.c,d@e.f", "mailto:a@b.c", "a(x)@b.c", `a\@b.c`,
		strings.Repeat("a", 243) + "@example.com",
	} {
		if got, err := ParseEmail(in); !errors.Is(err, ErrEmail) || got != "" {
			t.Errorf("%q was taken as %q, %v", in, got, err)
		}
	}
}

func FuzzParseEmail(f *testing.F) {
	for _, s := range []string{"Asha@Example.com", "a@b@c", "\u212a@x", "İ@x.y", "a@b\x00", strings.Repeat("Ⱥ", 83) + "@x.yy"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseEmail(s)
		if err != nil {
			return
		}
		again, err := ParseEmail(got)
		if err != nil || again != got {
			t.Fatalf("%q gives %q, which gives %q, %v", s, got, again, err)
		}
		if len(got) > MaxEmail || strings.Count(got, "@") != 1 || strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }) {
			t.Fatalf("%q was taken as %q", s, got)
		}
		for i, r := range []rune(s) {
			if g := []rune(got)[i]; r > 127 && g < 128 {
				t.Fatalf("%q became %q: it reads as somebody else's address", s, got)
			}
		}
	})
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
