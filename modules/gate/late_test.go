// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A request that lasts is a live connection after 300 ms at the latest, whenever it
// came, so that a lock or a sign-out cuts it; one that is over before is none.
func TestWhatLastsIsLiveSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var live, detached atomic.Int32
		p := &pending{watch: func(x *exchange) func() {
			if age := time.Since(x.start); age > soon {
				t.Errorf("it is %s old: nobody could cut it until now", age)
			}
			live.Add(1)
			return func() { detached.Add(1) }
		}}
		for wave := range 3 {
			before := live.Load()
			var all []*exchange
			for range 100 {
				x := &exchange{start: time.Now()}
				p.add(x)
				all = append(all, x)
				time.Sleep(7 * time.Millisecond)
			}
			for _, x := range all[90:] {
				p.end(x)
			}
			time.Sleep(soon)
			synctest.Wait()
			if got := live.Load() - before; got != 90 {
				t.Fatalf("wave %d: %d of 90 that last are live: a lock would not cut the others, or cuts what is over", wave, got)
			}
			for _, x := range all[:90] {
				p.end(x)
			}
			if detached.Load() != live.Load() {
				t.Fatalf("wave %d: %d of %d are taken out again", wave, detached.Load(), live.Load())
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if p.looking.Load() {
				t.Fatalf("wave %d: somebody goes on looking at nothing", wave)
			}
		}
	})
}

// Coming, becoming live and going at the same time leave nothing behind.
func TestComingAndGoing(t *testing.T) {
	var live atomic.Int32
	p := &pending{watch: func(*exchange) func() {
		live.Add(1)
		return func() { live.Add(-1) }
	}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 2000 {
				x := &exchange{start: time.Now()}
				if i%2 == 0 {
					x.start = x.start.Add(-soon)
				}
				p.add(x)
				if i%16 == 0 {
					p.look()
				}
				p.end(x)
			}
		})
	}
	wg.Wait()
	for i := range p.shards {
		if p.shards[i].first != nil {
			t.Fatal("a request that is over still waits")
		}
	}
	if live.Load() != 0 {
		t.Fatalf("%d requests that are over are still live connections", live.Load())
	}
}
