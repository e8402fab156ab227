// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// loginCRM is a CRM with a sign-in of its own: a form, a cookie, and nothing for
// those who have none.
type loginCRM struct {
	mu       sync.Mutex
	sessions map[string]string // cookie to user
	signIns  atomic.Int32
	outs     atomic.Int32
	rotate   atomic.Bool // hand out another cookie with the next answer
	foreign  []string    // cookies that did not come from the sign-in
}

func (c *loginCRM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch r.URL.Path {
	case "/login":
		n := c.signIns.Add(1)
		if r.FormValue("login") != "asha" || r.FormValue("pw") != "crm-secret-1" {
			_, _ = io.WriteString(w, "wrong") // with 200, as many do
			return
		}
		id := fmt.Sprintf("sid%d", n)
		c.sessions[id] = "asha"
		http.SetCookie(w, &http.Cookie{Name: "CRMSESSION", Value: id, Path: "/", HttpOnly: true})
		http.SetCookie(w, &http.Cookie{Name: "lang", Value: "en"})
		w.WriteHeader(http.StatusFound)
		return
	case "/logout":
		c.outs.Add(1)
		if k, err := r.Cookie("CRMSESSION"); err == nil {
			delete(c.sessions, k.Value)
		}
		return
	}
	for _, k := range r.Cookies() {
		if k.Name != "CRMSESSION" {
			c.foreign = append(c.foreign, k.Name)
		}
	}
	k, err := r.Cookie("CRMSESSION")
	if err != nil || c.sessions[k.Value] == "" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if c.rotate.CompareAndSwap(true, false) {
		delete(c.sessions, k.Value)
		c.sessions["rotated"] = "asha"
		http.SetCookie(w, &http.Cookie{Name: "CRMSESSION", Value: "rotated"})
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"ok":true}`)
}

func (c *loginCRM) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.sessions)
}

// The gate signs people in to the CRM with stored credentials, once for any number
// of requests, renews what is over, and lets nothing of it out.
func TestSignInCredentialsBridge(t *testing.T) {
	crm := &loginCRM{sessions: map[string]string{}}
	s := &setup{crm: serve(t, crm), options: `bridge credentials {
			sign_in {crm}/login
			sign_out {crm}/logout
			field login {user}
			field pw {password}
			cookies CRMSESSION
		}`}
	s.options = strings.ReplaceAll(s.options, "{crm}", s.crm)
	d := s.start(t)
	d.add(t, "asha@example.com", "administrator", crmUser{})
	d.add(t, "ravi@example.com", "administrator", crmUser{})
	b := d.signedIn(t, "asha@example.com")

	if res := b.get("/app/api/leads"); res.StatusCode != http.StatusForbidden || res.reason() != "crm_key_missing" {
		t.Fatalf("without stored credentials: %s %s, want 403 crm_key_missing", res.Status, res.text())
	}
	if out, err := d.command(t, "asha\nwrong\n", "user", "credentials", "asha@example.com"); err != nil {
		t.Fatalf("storing credentials: %v\n%s", err, out)
	}
	for range 3 {
		if res := b.get("/app/api/leads"); res.reason() != "crm_key_missing" {
			t.Fatalf("with credentials the CRM refuses: %s %s", res.Status, res.text())
		}
	}
	if n := crm.signIns.Load(); n != 1 {
		t.Errorf("refused credentials were tried %d times: the CRM would lock the person out", n)
	}
	if out, err := d.command(t, "asha\ncrm-secret-1\n", "user", "credentials", "asha@example.com"); err != nil {
		t.Fatalf("storing credentials: %v\n%s", err, out)
	}

	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			res := b.get("/app/api/leads", "Cookie", "lang=xx; CRMSESSION=forged")
			if res.StatusCode != http.StatusOK {
				t.Errorf("with stored credentials: %s %s", res.Status, res.text())
			}
			if c := res.Header.Get("Set-Cookie"); c != "" {
				t.Errorf("the client learns the CRM's session: %s", c)
			}
		})
	}
	all.Wait()
	if n := crm.signIns.Load(); n != 2 {
		t.Errorf("20 requests at once signed in %d times, want once", n-1)
	}
	crm.rotate.Store(true)
	for range 2 { // the second one needs what the first one brought
		if res := b.get("/app/api/leads"); res.StatusCode != http.StatusOK || res.Header.Get("Set-Cookie") != "" {
			t.Fatalf("the CRM changed its cookie: %s %s", res.Status, headerText(res.Header))
		}
	}
	crm.forget()
	if res := b.get("/app/api/leads"); res.StatusCode != http.StatusOK {
		t.Errorf("a session of the CRM that is over is not renewed: %s %s", res.Status, res.text())
	}
	if n := crm.signIns.Load(); n != 3 {
		t.Errorf("%d sign-ins, want 3", n)
	}
	if len(crm.foreign) > 0 {
		t.Errorf("the client's cookies %v reached the CRM: it could bring a session of its own", crm.foreign)
	}
	ravi := d.signedIn(t, "ravi@example.com")
	if res := ravi.get("/app/api/leads"); res.reason() != "crm_key_missing" {
		t.Errorf("somebody else is let in with asha's credentials: %s", res.Status)
	}
	if log := d.log(); strings.Contains(log, "crm-secret-1") || strings.Contains(log, "sid2") {
		t.Error("the log holds the credentials or the session of the CRM")
	}
}
