// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

// Whoever has somebody's password signs in without end, so that some of it is under
// way at the moment in which the password is changed: none of the sessions that come
// of it may outlive the change.
func TestSignInUnderWayEndsWithThePassword(t *testing.T) {
	s := &setup{crm: serve(t, new(recorder)), policy: "version: 1\naccount: acme\nsettings: {throttle: {failures: 100}}\n"}
	d := s.start(t)
	d.add(t, "asha@example.com", "administrator", crmUser{})
	old := password
	for round := range 4 {
		next := fmt.Sprintf("%s-%d", password, round)
		var (
			mu   sync.Mutex
			in   []*browser
			all  sync.WaitGroup
			over = make(chan struct{})
		)
		for range 8 {
			all.Go(func() {
				for {
					select {
					case <-over:
						return
					default:
					}
					b := d.browser(t)
					if b.signIn("asha@example.com", old).StatusCode == http.StatusOK {
						mu.Lock()
						in = append(in, b)
						mu.Unlock()
					}
				}
			})
		}
		time.Sleep(300 * time.Millisecond)
		d.admin(t, http.MethodPatch, "/crmgate/people/asha@example.com", `{"password":"`+next+`","must_change":false}`)
		close(over)
		all.Wait()
		if len(in) == 0 {
			t.Fatal("nobody signed in with the password that held")
		}
		for _, b := range in {
			if b.inside() {
				t.Errorf("round %d: a session made with the old password outlives its change", round)
			}
		}
		old = next
	}
	if d.browser(t).signIn("asha@example.com", old).StatusCode != http.StatusOK {
		t.Error("the new password opens nothing")
	}
}
