// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package statetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
)

// listed returns what List shows; an entry shown twice fails the test.
func listed(t *testing.T, st state.Store, prefix string) map[string][]byte {
	t.Helper()
	got := map[string][]byte{}
	must(t, st.List(bg(t), prefix, func(e state.Entry) bool {
		if _, twice := got[e.Key]; twice {
			t.Errorf("List shows %q twice", e.Key)
		}
		got[e.Key] = append([]byte{}, e.Value...)
		return true
	}))
	return got
}

func (s suite) listMany(t *testing.T) {
	st, _ := s.setup(t)
	const n = 3000
	var wg sync.WaitGroup
	for g := range 20 {
		wg.Go(func() {
			for i := g; i < n; i += 20 {
				if err := st.Put(bg(t), fmt.Sprintf("session/%04d", i), []byte(fmt.Sprint(i)), time.Hour); err != nil {
					t.Errorf("Put: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, other := range []string{"session", "session0", "sessioo/1", "lock/1", "Session/1"} {
		must(t, st.Put(bg(t), other, nil, 0))
	}
	got := listed(t, st, "session/")
	if len(got) != n {
		t.Fatalf("List shows %d of %d entries", len(got), n)
	}
	for i := range n {
		if string(got[fmt.Sprintf("session/%04d", i)]) != fmt.Sprint(i) {
			t.Fatalf("entry %d is missing or has another's value", i)
		}
	}
	if got := listed(t, st, "session/00"); len(got) != 100 {
		t.Errorf("List of a narrower prefix shows %d, want 100", len(got))
	}
	if got := listed(t, st, "none/"); len(got) != 0 {
		t.Errorf("List of a prefix without entries shows %d", len(got))
	}
}

func (s suite) listGlobs(t *testing.T) {
	st, _ := s.setup(t)
	keys := []string{"a*b", "axb", "a?b", "a[xy]b", `a\b`, `a\*b`, "a%b", "a_b", "\xffa", "\xff\xff", "\xff\xffz", "b"}
	for _, k := range keys {
		must(t, st.Put(bg(t), k, []byte(k), time.Hour))
	}
	for prefix, want := range map[string]int{
		"a*": 1, "a?": 1, "a[": 1, "a[xy]": 1, `a\`: 2, `a\*`: 1, "a%": 1, "a_": 1, "*": 0, "?": 0, "a": 8, "\xff": 3, "\xff\xff": 2, "": len(keys),
	} {
		if got := listed(t, st, prefix); len(got) != want {
			t.Errorf("List(%q) shows %d entries, want %d", prefix, len(got), want)
		}
	}
}

func (s suite) listStops(t *testing.T) {
	st, _ := s.setup(t)
	for i := range 10 {
		must(t, st.Put(bg(t), fmt.Sprint("k", i), nil, 0))
	}
	n := 0
	must(t, st.List(bg(t), "k", func(e state.Entry) bool {
		n++
		must(t, st.Delete(bg(t), e.Key)) // fn may use the store
		return n < 3
	}))
	if n != 3 {
		t.Errorf("fn was called %d times after it said stop at 3", n)
	}
	if got := listed(t, st, "k"); len(got) != 7 {
		t.Errorf("%d entries are left, want 7", len(got))
	}
}
