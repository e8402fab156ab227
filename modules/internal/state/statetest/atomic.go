// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package statetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/state"
)

const crowd = 50

// together runs fn in fifty goroutines that start at once and counts the wins.
func together(t *testing.T, fn func(i int) (won bool, err error)) int {
	t.Helper()
	var wins atomic.Int32
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for i := range crowd {
		wg.Go(func() {
			<-gate
			won, err := fn(i)
			if err != nil {
				t.Errorf("goroutine %d: %v", i, err)
			}
			if won {
				wins.Add(1)
			}
		})
	}
	close(gate)
	wg.Wait()
	return int(wins.Load())
}

func (s suite) parallelPutNew(t *testing.T) {
	st, _ := s.setup(t)
	for round := range 5 {
		key := fmt.Sprint("once/", round)
		wins := together(t, func(i int) (bool, error) {
			return st.PutNew(bg(t), key, []byte(strconv.Itoa(i)), time.Hour)
		})
		if wins != 1 {
			t.Fatalf("%d of %d PutNew won; a code could be used more than once", wins, crowd)
		}
	}
}

func (s suite) parallelTake(t *testing.T) {
	st, _ := s.setup(t)
	for round := range 5 {
		key := fmt.Sprint("ticket/", round)
		must(t, st.Put(bg(t), key, []byte("x"), time.Hour))
		wins := together(t, func(int) (bool, error) {
			_, err := st.Take(bg(t), key)
			if errors.Is(err, state.ErrNotFound) {
				return false, nil
			}
			return err == nil, err
		})
		if wins != 1 {
			t.Fatalf("%d of %d Take got the entry; want exactly one", wins, crowd)
		}
	}
}

func (s suite) parallelReplace(t *testing.T) {
	st, _ := s.setup(t)
	for round := range 5 {
		key := fmt.Sprint("token/", round)
		must(t, st.Put(bg(t), key, []byte("old"), time.Hour))
		wins := together(t, func(i int) (bool, error) {
			return st.Replace(bg(t), key, []byte("old"), []byte(strconv.Itoa(i)), time.Hour)
		})
		if wins != 1 {
			t.Fatalf("%d of %d Replace won; a token could be rotated twice", wins, crowd)
		}
	}
}

func (s suite) increments(t *testing.T) {
	st, _ := s.setup(t)
	must(t, st.Put(bg(t), "n", []byte("0"), 0))
	together(t, func(int) (bool, error) {
		for {
			e, err := st.Get(bg(t), "n")
			if err != nil {
				return false, err
			}
			n, err := strconv.Atoi(string(e.Value))
			if err != nil {
				return false, err
			}
			if ok, err := st.Replace(bg(t), "n", e.Value, []byte(strconv.Itoa(n+1)), 0); ok || err != nil {
				return ok, err
			}
		}
	})
	wantValue(t, st, "n", []byte(strconv.Itoa(crowd)))
}
