// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// A provider proves somebody once more only where the step page would send him
// there: in a session that began at it, of somebody without a second factor.
func TestSignInStepUpAtAProvider(t *testing.T) {
	l := newLesson(t, func(s *setup) {
		s.policy = strings.Replace(s.policy, "trusted_device", "second_factor: {step_up: 10s}\n    trusted_device", 1)
	}, nil)
	again := func(b *browser, email string) *answer {
		res := b.get("/.crmgate/sso/google/start?for=step-up", lessonPage...)
		return b.get(l.op.answer(t, res.Header.Get("Location"), email), append(lessonPage, "Sec-Fetch-Site", "cross-site")...)
	}
	stale := func(b *browser) bool {
		return b.post("/.crmgate/api/factors/begin", `{"kind":"passkey"}`).reason() == "step_up"
	}
	cases := []struct {
		name           string
		provider, totp bool
		want           bool
		b              *browser
	}{
		{name: "began there", provider: true, want: true},
		{name: "began there, with a second factor", provider: true, totp: true},
		{name: "began with a password"},
		{name: "began with a password, with a second factor", totp: true},
	}
	for i := range cases {
		c := &cases[i]
		email := string(rune('a'+i)) + "@example.test"
		l.add(t, email, "administrator", crmUser{})
		if c.b = l.browser(t); c.provider {
			l.throughProvider(c.b, email)
		} else {
			c.b.signIn(email, password)
		}
		if !c.b.inside() {
			t.Fatalf("%s: nobody is signed in", c.name)
		}
		if c.totp {
			c.b.lessonTOTP()
		}
	}
	for i := range cases {
		c := &cases[i]
		t.Run(c.name, func(t *testing.T) {
			eventually(t, 30*time.Second, "the proof is too old", func() bool { return stale(c.b) })
			res := again(c.b, string(rune('a'+i))+"@example.test")
			if stale(c.b) == c.want {
				t.Errorf("after the provider's answer (%s) the proof is fresh: %t, want %t", res.Status, !c.want, c.want)
			}
			if !c.want && res.StatusCode != http.StatusUnauthorized {
				t.Errorf("the provider's answer is taken: %s", res.Status)
			}
			if !c.b.inside() {
				t.Error("the session is lost")
			}
		})
	}
}
