// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package integration

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/testpeer"
)

// startRaces runs a gateway that sends mail.
func startRaces(t testing.TB) *office {
	t.Helper()
	o := &office{smtp: testpeer.StartSMTP(t), read: map[string]bool{}}
	s := &setup{crm: serve(t, new(recorder)), policy: `version: 1
account: acme
settings:
  throttle: {failures: 100}
  sign_in:
    second_factor: {users: [boss@example.com, mia@example.com]}
`, options: `origin https://localhost:{port}
		mail {
			host ` + o.smtp.Host + `
			port ` + strconv.Itoa(o.smtp.Port) + `
			ca ` + o.smtp.CAFile + `
			user ` + testpeer.SMTPUser + `
			password {env.CRMGATE_TEST_SMTP}
			from crmgate@example.com
		}`}
	d := s.startWith(t, []string{"CRMGATE_TEST_SMTP=" + testpeer.SMTPPassword}, func(string) map[string]string { return nil })
	for _, email := range []string{"boss@example.com", "mia@example.com", "asha@example.com", "ravi@example.com", "lena@example.com"} {
		d.add(t, email, "administrator", crmUser{})
	}
	o.site = &site{demo: d}
	return o
}

// fifty sends fifty requests at once and counts those that were taken.
func fifty(try func(n int) bool) int {
	var taken atomic.Int32
	var all sync.WaitGroup
	begin := make(chan struct{})
	for n := range 50 {
		all.Go(func() {
			<-begin
			if try(n) {
				taken.Add(1)
			}
		})
	}
	close(begin)
	all.Wait()
	return int(taken.Load())
}

// TestSignInOnce: what is good once is good once when fifty requests bring it at
// the same time.
func TestSignInOnce(t *testing.T) {
	o := startRaces(t)
	b := o.browser(t)
	key, recovery := b.enrol("boss@example.com")

	// Several sign-ins wait at the same time, so that no single one is in the way.
	waiting := func(email string) (steps []string) {
		t.Helper()
		for range 6 {
			_, s := o.browser(t).begin(email, password)
			if s.Next != "second_factor" {
				t.Fatalf("no second factor is asked of %s: %+v", email, s)
			}
			steps = append(steps, s.Step)
		}
		return steps
	}
	prove := func(step, kind, code string) bool {
		return o.browser(t).with(step, "/.crmgate/api/step/prove", map[string]any{"kind": kind, "code": code}).StatusCode == http.StatusOK
	}
	steps, code := waiting("boss@example.com"), codeAt(t, key, time.Now().Add(30*time.Second))
	if n := fifty(func(n int) bool { return prove(steps[n%len(steps)], "totp", code) }); n > 1 { // none: as below
		t.Errorf("one step of the authenticator app was taken %d times, want once", n)
	}
	steps = waiting("boss@example.com")
	if n := fifty(func(n int) bool { return prove(steps[n%len(steps)], "recovery", recovery[3]) }); n > 1 { // none: as below
		t.Errorf("one recovery code was taken %d times, want once", n)
	}

	_, s := b.begin("mia@example.com", password)
	if res := b.with(s.Step, "/.crmgate/api/factors/begin", map[string]string{"kind": "mail"}); res.StatusCode != http.StatusOK {
		t.Fatalf("sending a code: %s %s", res.Status, res.text())
	}
	mailed := o.mail(t, "mia@example.com", mailCode)
	if n := fifty(func(int) bool {
		return o.browser(t).with(s.Step, "/.crmgate/api/factors/finish", map[string]string{"kind": "mail", "code": mailed}).StatusCode == http.StatusOK
	}); n > 1 { // none: the others have used up the tries of this one sign-in
		t.Errorf("one code by mail was taken %d times, want once", n)
	}

	if res := b.with("", "/.crmgate/api/password/forgot", map[string]string{"email": "asha@example.com"}); res.StatusCode != http.StatusNoContent {
		t.Fatalf("asking for a link: %s %s", res.Status, res.text())
	}
	link := o.mail(t, "asha@example.com", resetLink)
	_, link, _ = strings.Cut(link, "#")
	if n := fifty(func(n int) bool {
		return o.browser(t).with("", "/.crmgate/api/password/reset", map[string]string{"link": link, "new_password": "granite-window-" + strconv.Itoa(100+n)}).StatusCode == http.StatusNoContent
	}); n != 1 {
		t.Errorf("one link set the password %d times, want once", n)
	}
}

// TestSignInTimesDoNotSeparate: nobody finds out by a stop-watch who has an account.
func TestSignInTimesDoNotSeparate(t *testing.T) {
	o := startRaces(t)
	b := o.browser(t)
	took := func(try func()) time.Duration {
		begin := time.Now()
		try()
		return time.Since(begin)
	}
	for _, c := range []struct {
		name   string
		rounds int
		try    func(email string)
	}{
		{"password", 15, func(email string) { b.signIn(email, "not-the-password-1") }},
		{"forgot", 8, func(email string) {
			b.with("", "/.crmgate/api/password/forgot", map[string]string{"email": email})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.try("first@example.com") // what is done once only
			var known, unknown []time.Duration
			for i := range c.rounds {
				there := []string{"asha@example.com", "ravi@example.com", "lena@example.com"}[i%3]
				away := "nobody" + strconv.Itoa(i) + "@example.com"
				if i%2 == 0 { // a load that grows or falls hits both
					known, unknown = append(known, took(func() { c.try(there) })), append(unknown, took(func() { c.try(away) }))
				} else {
					unknown, known = append(unknown, took(func() { c.try(away) })), append(known, took(func() { c.try(there) }))
				}
			}
			// How often one of those with an account took longer than one without: half of
			// the time when nothing separates them, always or never when something does.
			wins := 0
			for _, k := range known {
				for _, u := range unknown {
					if k > u {
						wins++
					}
				}
			}
			share := float64(wins) / float64(len(known)*len(unknown))
			slices.Sort(known)
			slices.Sort(unknown)
			t.Logf("medians: %s with an account, %s without; share %.2f", known[len(known)/2], unknown[len(unknown)/2], share)
			if share < 0.08 || share > 0.92 {
				t.Errorf("the times separate (share %.2f): with an account %v, without %v", share, known, unknown)
			}
		})
	}
}
