// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package statetest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
)

func wantValue(t *testing.T, st state.Store, key string, want []byte) state.Entry {
	t.Helper()
	e, err := st.Get(bg(t), key)
	if err != nil {
		t.Fatalf("Get(%q): %v; a value that was stored is lost", key, err)
	}
	if e.Key != key || !bytes.Equal(e.Value, want) {
		t.Fatalf("Get(%q) = key %q, %d bytes %.40q; want %d bytes %.40q", key, e.Key, len(e.Value), e.Value, len(want), want)
	}
	return e
}

func wantNone(t *testing.T, st state.Store, key string) {
	t.Helper()
	if e, err := st.Get(bg(t), key); !errors.Is(err, state.ErrNotFound) {
		t.Fatalf("Get(%q) = %.40q, %v; want ErrNotFound: what is over must not be honoured", key, e.Value, err)
	}
}

func (s suite) putGet(t *testing.T) {
	st, _ := s.setup(t)
	must(t, st.Ping(bg(t)))
	wantNone(t, st, "a")
	must(t, st.Put(bg(t), "a", []byte("one"), 0))
	if e := wantValue(t, st, "a", []byte("one")); !e.Expires.IsZero() {
		t.Errorf("an entry without end expires at %v", e.Expires)
	}
	must(t, st.Put(bg(t), "a", []byte("two"), time.Hour))
	e := wantValue(t, st, "a", []byte("two"))
	if s.opts.RealTime {
		if d := time.Until(e.Expires); d < 59*time.Minute || d > 61*time.Minute {
			t.Errorf("the entry ends in %v, want about an hour", d)
		}
	} else if !e.Expires.Equal(start.Add(time.Hour)) {
		t.Errorf("the entry ends at %v, want an hour after %v", e.Expires, start)
	}
}

func (s suite) values(t *testing.T) {
	st, _ := s.setup(t)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for name, v := range map[string][]byte{
		"nil": nil, "empty": {}, "zero byte": {0}, "all bytes": all,
		"not UTF-8": {0xff, 0xfe, 0xc0}, "64 KiB": bytes.Repeat(all, 256),
	} {
		must(t, st.Put(bg(t), name, v, time.Hour))
		wantValue(t, st, name, v)
		if ok, err := st.Replace(bg(t), name, v, []byte("next"), time.Hour); !ok || err != nil {
			t.Errorf("%s: Replace = %v, %v; it does not know the value it stored", name, ok, err)
		}
		must(t, st.Put(bg(t), name, v, time.Hour))
		if e, err := st.Take(bg(t), name); err != nil || !bytes.Equal(e.Value, v) {
			t.Errorf("%s: Take = %d bytes, %v; want %d", name, len(e.Value), err, len(v))
		}
	}
}

func (s suite) keys(t *testing.T) {
	st, _ := s.setup(t)
	keys := []string{"", " ", "a b", "a/b:c{d}", "{x}", "nul\x00l", "\xff\xfe", "ключ", "a\nb", "%41", "A", "a"}
	for i, k := range keys {
		must(t, st.Put(bg(t), k, []byte{byte(i)}, time.Hour))
	}
	for i, k := range keys {
		wantValue(t, st, k, []byte{byte(i)})
	}
	if got := listed(t, st, ""); len(got) != len(keys) {
		t.Errorf("List found %d of %d odd keys", len(got), len(keys))
	}
}

func (s suite) aliasing(t *testing.T) {
	st, _ := s.setup(t)
	v := []byte("clean")
	must(t, st.Put(bg(t), "a", v, 0))
	v[0] = 'X'
	e := wantValue(t, st, "a", []byte("clean"))
	e.Value[0] = 'X'
	wantValue(t, st, "a", []byte("clean"))
	must(t, st.List(bg(t), "a", func(e state.Entry) bool { e.Value[0] = 'X'; return true }))
	wantValue(t, st, "a", []byte("clean"))
}

func (s suite) expiry(t *testing.T) {
	const ttl = 60 * time.Millisecond
	st, pass := s.setup(t)
	must(t, st.Put(bg(t), "stays", []byte("x"), 0))
	must(t, st.Put(bg(t), "long", []byte("x"), time.Hour))
	for _, k := range []string{"get", "take", "replace", "new", "list"} {
		must(t, st.Put(bg(t), k, []byte("x"), ttl))
	}
	if !s.opts.RealTime {
		pass(ttl - 1)
		wantValue(t, st, "get", []byte("x"))
		pass(1)
	} else {
		pass(2 * ttl)
	}
	wantNone(t, st, "get")
	if _, err := st.Take(bg(t), "take"); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("Take of an expired entry: %v, want ErrNotFound", err)
	}
	if _, err := st.Replace(bg(t), "replace", []byte("x"), []byte("y"), time.Hour); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("Replace of an expired entry: %v, want ErrNotFound: it would live again", err)
	}
	if ok, err := st.PutNew(bg(t), "new", []byte("y"), time.Hour); !ok || err != nil {
		t.Errorf("PutNew over an expired entry = %v, %v; want it stored", ok, err)
	}
	if got := listed(t, st, ""); len(got) != 3 || got["stays"] == nil || got["long"] == nil || got["new"] == nil {
		t.Errorf("List shows %d entries, want stays, long and new", len(got))
	}
}

func (s suite) negativeTTL(t *testing.T) {
	st, _ := s.setup(t)
	must(t, st.Put(bg(t), "a", []byte("x"), 0))
	must(t, st.Put(bg(t), "a", []byte("x"), -time.Nanosecond))
	wantNone(t, st, "a")
	if ok, err := st.PutNew(bg(t), "b", []byte("x"), -time.Hour); ok || err != nil {
		t.Errorf("PutNew with a ttl that is over = %v, %v; want false", ok, err)
	}
	wantNone(t, st, "b")
	must(t, st.Put(bg(t), "c", []byte("x"), 0))
	if ok, err := st.Replace(bg(t), "c", []byte("x"), []byte("y"), -time.Hour); !ok || err != nil {
		t.Errorf("Replace with a ttl that is over = %v, %v; want true", ok, err)
	}
	wantNone(t, st, "c")
}

func (s suite) extend(t *testing.T) {
	const ttl = 100 * time.Millisecond
	st, pass := s.setup(t)
	must(t, st.Put(bg(t), "put", []byte("x"), ttl))
	must(t, st.Put(bg(t), "replaced", []byte("x"), ttl))
	must(t, st.Put(bg(t), "forever", []byte("x"), ttl))
	must(t, st.Put(bg(t), "put", []byte("x"), time.Hour))
	if ok, err := st.Replace(bg(t), "replaced", []byte("x"), []byte("y"), time.Hour); !ok || err != nil {
		t.Fatalf("Replace = %v, %v", ok, err)
	}
	must(t, st.Put(bg(t), "forever", []byte("x"), 0))
	pass(2 * ttl)
	wantValue(t, st, "put", []byte("x"))
	wantValue(t, st, "replaced", []byte("y"))
	wantValue(t, st, "forever", []byte("x"))
	if got := listed(t, st, ""); len(got) != 3 {
		t.Errorf("List shows %d of 3 extended entries", len(got))
	}
}

func (s suite) putNew(t *testing.T) {
	st, _ := s.setup(t)
	if ok, err := st.PutNew(bg(t), "a", []byte("one"), time.Hour); !ok || err != nil {
		t.Fatalf("first PutNew = %v, %v", ok, err)
	}
	if ok, err := st.PutNew(bg(t), "a", []byte("two"), time.Hour); ok || err != nil {
		t.Fatalf("second PutNew = %v, %v; a code could be used twice", ok, err)
	}
	wantValue(t, st, "a", []byte("one"))
	must(t, st.Delete(bg(t), "a"))
	if ok, err := st.PutNew(bg(t), "a", []byte("three"), 0); !ok || err != nil {
		t.Fatalf("PutNew after Delete = %v, %v", ok, err)
	}
}

func (s suite) replace(t *testing.T) {
	st, _ := s.setup(t)
	if ok, err := st.Replace(bg(t), "a", nil, []byte("x"), 0); ok || !errors.Is(err, state.ErrNotFound) {
		t.Fatalf("Replace of nothing = %v, %v; want ErrNotFound", ok, err)
	}
	wantNone(t, st, "a")
	must(t, st.Put(bg(t), "a", []byte("one"), 0))
	for _, old := range []string{"", "on", "one ", "two"} {
		if ok, err := st.Replace(bg(t), "a", []byte(old), []byte("x"), 0); ok || err != nil {
			t.Fatalf("Replace of %q = %v, %v; want false", old, ok, err)
		}
	}
	wantValue(t, st, "a", []byte("one"))
	if ok, err := st.Replace(bg(t), "a", []byte("one"), []byte("two"), 0); !ok || err != nil {
		t.Fatalf("Replace = %v, %v", ok, err)
	}
	wantValue(t, st, "a", []byte("two"))
}

func (s suite) replaceDeleted(t *testing.T) {
	st, _ := s.setup(t)
	must(t, st.Put(bg(t), "a", []byte("x"), 0))
	must(t, st.Delete(bg(t), "a"))
	if ok, err := st.Replace(bg(t), "a", []byte("x"), []byte("y"), 0); ok || !errors.Is(err, state.ErrNotFound) {
		t.Fatalf("Replace after Delete = %v, %v; a session that was ended would live again", ok, err)
	}
	wantNone(t, st, "a")
}

func (s suite) take(t *testing.T) {
	st, _ := s.setup(t)
	must(t, st.Put(bg(t), "a", []byte("x"), time.Hour))
	if e, err := st.Take(bg(t), "a"); err != nil || e.Key != "a" || string(e.Value) != "x" || e.Expires.IsZero() {
		t.Fatalf("Take = %+v, %v", e, err)
	}
	if _, err := st.Take(bg(t), "a"); !errors.Is(err, state.ErrNotFound) {
		t.Fatalf("second Take: %v; a one-time thing was given twice", err)
	}
	wantNone(t, st, "a")
	if got := listed(t, st, ""); len(got) != 0 {
		t.Errorf("List still shows the entry that was taken")
	}
}

func (s suite) delete(t *testing.T) {
	st, _ := s.setup(t)
	must(t, st.Delete(bg(t)))
	must(t, st.Delete(bg(t), "absent"))
	for _, k := range []string{"a", "b", "c"} {
		must(t, st.Put(bg(t), k, nil, 0))
	}
	must(t, st.Delete(bg(t), "a", "absent", "c", "a"))
	wantNone(t, st, "a")
	wantNone(t, st, "c")
	wantValue(t, st, "b", nil)
}

func (s suite) accounts(t *testing.T) {
	for _, pair := range [][2]string{{"acme", "acme2"}, {"a", "a:k:"}, {"a", "a}"}, {"a}:k:", "a"}, {"{a}", "a"}, {"a*", "ab"}, {"A", "a"}, {"", "a"}, {"ü", "u"}} {
		t.Run(pair[0]+" and "+pair[1], func(t *testing.T) {
			var clk clock.Clock = clock.System{}
			one, two := s.openFor(t, pair[0], clk), s.openFor(t, pair[1], clk)
			ctx, heard := s.listen(t, two, "")
			must(t, one.Put(ctx, "k", []byte("secret"), 0))
			wantNone(t, two, "k")
			if got := listed(t, two, ""); len(got) != 0 {
				t.Errorf("account %q lists %d entries of account %q", pair[1], len(got), pair[0])
			}
			must(t, two.Put(ctx, "k", []byte("own"), 0))
			must(t, two.Delete(ctx, "k"))
			wantValue(t, one, "k", []byte("secret"))
			heard.wait(t, 2)
			for _, c := range heard.all() {
				if string(c.Entry.Value) == "secret" {
					t.Errorf("account %q hears the changes of account %q", pair[1], pair[0])
				}
			}
		})
	}
}

func (s suite) closed(t *testing.T) {
	st := s.open(t, "acme", clock.System{})
	must(t, st.Put(bg(t), "a", []byte("x"), 0))
	must(t, st.Close())
	must(t, st.Close())
	wantUnavailable(t, st, bg(t))
}

func (s suite) cancelled(t *testing.T) {
	st, _ := s.setup(t)
	ctx, cancel := context.WithCancel(bg(t))
	cancel()
	for name, err := range map[string]error{
		"Put":    st.Put(ctx, "a", nil, 0),
		"Delete": st.Delete(ctx, "a"),
		"Watch":  st.Watch(ctx, "", func(state.Change) {}),
	} {
		if !errors.Is(err, state.ErrUnavailable) {
			t.Errorf("%s under an ended context: %v; want ErrUnavailable, so that callers fail closed", name, err)
		}
	}
}

// wantUnavailable calls every method and wants ErrUnavailable from each.
func wantUnavailable(t *testing.T, st state.Store, ctx context.Context) {
	t.Helper()
	calls := map[string]func() error{
		"Get":     func() error { _, err := st.Get(ctx, "a"); return err },
		"Put":     func() error { return st.Put(ctx, "a", nil, 0) },
		"PutNew":  func() error { _, err := st.PutNew(ctx, "z", nil, 0); return err },
		"Replace": func() error { _, err := st.Replace(ctx, "a", nil, nil, 0); return err },
		"Take":    func() error { _, err := st.Take(ctx, "a"); return err },
		"Delete":  func() error { return st.Delete(ctx, "a") },
		"List":    func() error { return st.List(ctx, "", func(state.Entry) bool { return true }) },
		"Admit": func() error {
			v, err := st.Admit(ctx, "a", state.Limit{Events: 1, Per: time.Second})
			if v.Allowed {
				t.Error("Admit let an event through without a store")
			}
			return err
		},
		"Watch": func() error { return st.Watch(ctx, "", func(state.Change) {}) },
		"Ping":  func() error { return st.Ping(ctx) },
	}
	for name, call := range calls {
		err := call()
		if !errors.Is(err, state.ErrUnavailable) || errors.Is(err, state.ErrNotFound) {
			t.Errorf("%s without a store: %v; want ErrUnavailable, so that callers fail closed", name, err)
		}
	}
}

// WantUnavailable checks that every method of st fails with ErrUnavailable.
func WantUnavailable(t *testing.T, st state.Store) {
	t.Helper()
	wantUnavailable(t, st, bg(t))
}
