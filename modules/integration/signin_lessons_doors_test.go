// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// door is a way in. open prepares it for somebody who is active, and returns the
// rest of the way: whether it led to the CRM, and what was answered last.
type door struct {
	name string
	open func(t *testing.T, l *lesson, who crmUser, email string) (enter func() (bool, *answer))
}

// begun is a browser with a sign-in that waits for the code of an authenticator app.
func (l *lesson) begun(t *testing.T, email string) (b *browser, step, secret string) {
	t.Helper()
	setUp := l.signedIn(t, email)
	secret, _ = setUp.lessonTOTP()
	b = l.browser(t)
	_, s := b.begin(email, password)
	if s.Next != "second_factor" {
		t.Fatalf("no second factor is asked of %s: %+v", email, s)
	}
	return b, s.Step, secret
}

// prove gives the next code of an authenticator app.
func (b *browser) prove(step, secret string, trust bool) *answer {
	b.t.Helper()
	return b.with(step, "/.crmgate/api/step/prove", map[string]any{"kind": "totp", "code": codeAt(b.t, secret, time.Now().Add(30*time.Second)), "trust": trust})
}

var doors = []door{
	{"password", func(t *testing.T, l *lesson, _ crmUser, email string) func() (bool, *answer) {
		b := l.browser(t)
		return func() (bool, *answer) {
			res := b.signIn(email, password)
			return b.inside(), res
		}
	}},
	{"a session", func(t *testing.T, l *lesson, _ crmUser, email string) func() (bool, *answer) {
		b := l.signedIn(t, email)
		return func() (bool, *answer) { return b.inside(), b.get("/app/api/leads") }
	}},
	{"passkey", func(t *testing.T, l *lesson, _ crmUser, email string) func() (bool, *answer) {
		a, b := l.signedIn(t, email).lessonPasskey(), l.browser(t)
		return func() (bool, *answer) {
			res := b.lessonByPasskey(a)
			return b.inside(), res
		}
	}},
	{"identity provider", func(t *testing.T, l *lesson, _ crmUser, email string) func() (bool, *answer) {
		b := l.browser(t)
		return func() (bool, *answer) {
			res := l.throughProvider(b, email)
			return b.inside(), res
		}
	}},
	{"an answer of the identity provider on its way", func(t *testing.T, l *lesson, _ crmUser, email string) func() (bool, *answer) {
		b := l.browser(t)
		back := l.op.answer(t, b.get("/.crmgate/sso/google/start", lessonPage...).Header.Get("Location"), email)
		return func() (bool, *answer) {
			res := b.get(back, append(lessonPage, "Sec-Fetch-Site", "cross-site")...)
			return b.inside(), res
		}
	}},
	{"API provider", func(t *testing.T, l *lesson, _ crmUser, email string) func() (bool, *answer) {
		l.mu.Lock()
		l.api[email] = true
		l.mu.Unlock()
		b := l.browser(t)
		return func() (bool, *answer) {
			res := b.signIn(email, lessonAPIPassword)
			return b.inside(), res
		}
	}},
	{"a sign-in that waits for its second factor", func(t *testing.T, l *lesson, _ crmUser, email string) func() (bool, *answer) {
		b, step, secret := l.begun(t, email)
		return func() (bool, *answer) {
			res := b.prove(step, secret, false)
			return b.inside(), res
		}
	}},
	{"a trusted device", func(t *testing.T, l *lesson, _ crmUser, email string) func() (bool, *answer) {
		b, step, secret := l.begun(t, email)
		if res := b.prove(step, secret, true); res.StatusCode != http.StatusOK || b.cookie(t, "__Host-crmgate_device") == "" {
			t.Fatalf("trusting a device: %s %s", res.Status, res.text())
		}
		b.post("/.crmgate/api/sign-out", "{}")
		return func() (bool, *answer) {
			res := b.signIn(email, password)
			return b.inside(), res
		}
	}},
	{"a link to reset the password", func(t *testing.T, l *lesson, _ crmUser, email string) func() (bool, *answer) {
		b := l.browser(t)
		if res := b.with("", "/.crmgate/api/password/forgot", map[string]string{"email": email}); res.StatusCode != http.StatusNoContent {
			t.Fatalf("asking for a link: %s %s", res.Status, res.text())
		}
		link, err := url.QueryUnescape(l.mail.find(t, email, lessonLink))
		if err != nil {
			t.Fatal(err)
		}
		return func() (bool, *answer) {
			res := b.with("", "/.crmgate/api/password/reset", map[string]string{"link": link, "new_password": "granite-lantern-orbit-91"})
			b.signIn(email, "granite-lantern-orbit-91")
			return res.StatusCode == http.StatusNoContent || b.inside(), res
		}
	}},
	{"API key", func(t *testing.T, l *lesson, who crmUser, _ string) func() (bool, *answer) {
		b := l.browser(t)
		return func() (bool, *answer) {
			res := b.get("/app/api/ping", "x-LSQ-AccessKey", who.AccessKey, "x-LSQ-SecretKey", who.SecretKey)
			return res.StatusCode == http.StatusOK, res
		}
	}},
}

// TestDeactivatedAndLockedPeopleFindEveryDoorShut: status and locks are asked at
// every way in, and for what was begun before. The first run shows that each way
// leads in for somebody who may.
func TestDeactivatedAndLockedPeopleFindEveryDoorShut(t *testing.T) {
	l := newLesson(t, nil, nil)
	for i, d := range doors {
		for _, state := range []string{"active", "deactivated", "locked"} {
			t.Run(d.name+"/"+state, func(t *testing.T) {
				email := fmt.Sprintf("person%d-%s@example.test", i, state)
				enter := d.open(t, l, l.keyed(t, email), email)
				switch state {
				case "deactivated":
					l.admin(t, http.MethodPatch, "/crmgate/people/"+email, `{"status":"inactive"}`)
				case "locked":
					l.admin(t, http.MethodPost, "/crmgate/locks", fmt.Sprintf(`{"target":"user","value":%q,"message":"Ask the desk."}`, email))
				}
				inside, res := enter()
				if inside != (state == "active") {
					t.Fatalf("by %s somebody %s is inside: %v, after %s %.300s\n%s", d.name, state, inside, res.Status, res.text(), l.log())
				}
			})
		}
	}
}

// TestNobodyGetsMailWhoMayNotComeIn: a link to reset a password goes to active
// people only, and the answer is the same for all.
func TestNobodyGetsMailWhoMayNotComeIn(t *testing.T) {
	l := newLesson(t, nil, nil)
	for _, email := range []string{"active@example.test", "left@example.test"} {
		l.add(t, email, "administrator", crmUser{})
	}
	l.admin(t, http.MethodPatch, "/crmgate/people/left@example.test", `{"status":"inactive"}`)
	for _, email := range []string{"left@example.test", "nobody@example.test", "active@example.test"} {
		if res := l.browser(t).with("", "/.crmgate/api/password/forgot", map[string]string{"email": email}); res.StatusCode != http.StatusNoContent || res.text() != "" {
			t.Errorf("%s is answered %s %s: the answer tells who has an account", email, res.Status, res.text())
		}
	}
	l.mail.find(t, "active@example.test", lessonLink)
	if l.mail.sentTo("left@example.test") || l.mail.sentTo("nobody@example.test") {
		t.Error("somebody who may not come in was sent a link")
	}
}

// adoptedCRM is as much of Tryton as a sign-in and a call.
func adoptedCRM(got *sync.Map) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Method string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		got.Store(in.Method, true)
		w.Header().Set("Content-Type", "application/json")
		if in.Method == "common.db.login" {
			n, _ := got.LoadOrStore("sign-ins", new(atomic.Int32))
			_, _ = fmt.Fprintf(w, `{"id":1,"result":[7,"%064x"]}`, n.(*atomic.Int32).Add(1))
			return
		}
		_, _ = fmt.Fprint(w, `{"id":1,"result":[]}`)
	}
}

// TestAnAdoptedSessionEndsWithItsPerson: the CRM's own session is no way past a
// deactivation or a lock.
func TestAnAdoptedSessionEndsWithItsPerson(t *testing.T) {
	got := new(sync.Map)
	s := &setup{crm: serve(t, adoptedCRM(got)), crmMap: "tryton", options: "bridge adopt"}
	d := s.start(t)
	for _, state := range []string{"active", "deactivated", "locked"} {
		t.Run(state, func(t *testing.T) {
			email := state + "@acme.test"
			d.add(t, email, "administrator", crmUser{})
			c := &trytonClient{browser: d.signedIn(t, email)}
			var said struct{ Result []any }
			c.call("common.db.login", "sally", map[string]string{"password": "x"}, "en").json(t, &said)
			c.auth = session("sally", 7, said.Result[1].(string))
			read := func() *answer { return c.model("party.party.read", []int{1}, []string{"name"}) }
			if res := read(); res.StatusCode != http.StatusOK {
				t.Fatalf("an adopted session: %s %s\n%s", res.Status, res.text(), d.log())
			}
			switch state {
			case "active":
				return
			case "deactivated":
				d.admin(t, http.MethodPatch, "/crmgate/people/"+email, `{"status":"inactive"}`)
			case "locked":
				d.admin(t, http.MethodPost, "/crmgate/locks", fmt.Sprintf(`{"target":"user","value":%q}`, email))
			}
			got.Delete("model.party.party.read")
			res := read()
			if _, asked := got.Load("model.party.party.read"); asked || res.StatusCode == http.StatusOK {
				t.Errorf("somebody %s goes on in the CRM by its own session: %s", state, res.Status)
			}
			if res := c.call("common.db.login", "sally", map[string]string{"password": "x"}, "en"); res.StatusCode == http.StatusOK {
				t.Errorf("somebody %s signs in to the CRM: %s", state, res.Status)
			}
		})
	}
}

// TestGuessesAreCountedForTheAccountByWhateverSpelling: an account has one count of
// wrong passwords, however its address is written and wherever the guesses come
// from; a spelling that is not the account's does not open it.
func TestGuessesAreCountedForTheAccountByWhateverSpelling(t *testing.T) {
	l := newLesson(t, nil, nil)
	l.keyed(t, "kira.sastri@example.test")
	l.keyed(t, "other@example.test")
	var wait *answer
	spellings := []string{"kira.sastri@example.test", "KIRA.SASTRI@EXAMPLE.TEST", "Kira.Sastri@Example.Test", " kira.sastri@example.test ", "kira.sastri@EXAMPLE.test"}
	for i, as := range spellings {
		if res := l.browser(t).from(t, fmt.Sprintf("127.0.20.%d", i+1)).signIn(as, "wrong-password-1"); res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("guess %d, as %q: %s %s", i, as, res.Status, res.text())
		}
	}
	for i, as := range append(spellings, "kIRA.sASTRI@example.test") {
		wait = l.browser(t).from(t, fmt.Sprintf("127.0.21.%d", i+1)).signIn(as, password)
		if wait.StatusCode != http.StatusTooManyRequests {
			t.Errorf("after five guesses under five spellings, %q is answered %s: every spelling has tries of its own", as, wait.Status)
		}
	}
	if res := l.browser(t).signIn("other@example.test", password); res.StatusCode != http.StatusOK {
		t.Errorf("somebody else has to wait too: %s", res.Status)
	}
	// Look-alikes are other accounts, of which there are none.
	for i, as := range []string{
		"other@example.test\u200b", "oth\u0435r@example.test", "\uff4fther@example.test", "other@example\uff0etest", "other@example.test.", "other@@example.test",
		"other@example.test@example.test", "other\u00ad@example.test", "other@ex\u0251mple.test", "o\u0301ther@example.test", "other+x@example.test",
		"\"other\"@example.test", "<other@example.test>", "other@example.test\t", "other@example.test,x@example.test", "other%40example.test",
	} {
		b := l.browser(t).from(t, fmt.Sprintf("127.0.22.%d", i+1))
		if res := b.signIn(as, password); res.StatusCode == http.StatusOK && strings.TrimSpace(as) != "other@example.test" {
			t.Errorf("%q signs in as other@example.test", as)
		}
	}
	// A Kelvin sign is folded to a k by some: it must neither open the account nor
	// give it more tries.
	if res := l.browser(t).from(t, "127.0.23.1").signIn("\u212aira.sastri@example.test", password); res.StatusCode == http.StatusOK {
		t.Error("a look-alike of an account that has to wait opens it")
	}
}
