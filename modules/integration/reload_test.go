// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// load is people asking all the time.
type load struct {
	stop  chan struct{}
	wg    sync.WaitGroup
	mu    sync.Mutex
	asked int
	bad   []string
}

// askAll starts one goroutine a session; judge says what is wrong with an answer.
func askAll(sessions []*browser, judge func(*http.Response, []byte) string) *load {
	l := &load{stop: make(chan struct{})}
	for _, b := range sessions {
		l.wg.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				for _, path := range []string{"/app/api/leads/" + knownLead, "/app/api/leads?size=20", "/app/api/leads/" + knownLead + "/activities"} {
					wrong := l.one(b, path, judge)
					l.mu.Lock()
					l.asked++
					if wrong != "" && len(l.bad) < 10 {
						l.bad = append(l.bad, path+": "+wrong)
					}
					l.mu.Unlock()
				}
			}
		})
	}
	return l
}

func (*load) one(b *browser, path string, judge func(*http.Response, []byte) string) string {
	req, err := http.NewRequest(http.MethodGet, b.base+path, nil)
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Accept", "application/json")
	res, err := b.Do(req)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		return err.Error()
	}
	return judge(res, body.Bytes())
}

// answers waits until so many more requests were answered.
func (l *load) answers(t *testing.T, more int) {
	t.Helper()
	l.mu.Lock()
	until := l.asked + more
	l.mu.Unlock()
	eventually(t, 60*time.Second, "requests are answered", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.asked >= until
	})
}

func (l *load) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.wg.Wait()
	for _, b := range l.bad {
		t.Error(b)
	}
	t.Logf("%d requests during the changes", l.asked)
}

// masked judges one of asha's answers.
func masked(res *http.Response, body []byte) string {
	switch {
	case res.StatusCode != http.StatusOK:
		return fmt.Sprintf("%s %.200s", res.Status, body)
	case bytes.Contains(body, []byte("9876543210")), bytes.Contains(body, []byte("mx_PAN_Number")), bytes.Contains(body, []byte(`"Phone":"+9198`)):
		return fmt.Sprintf("asha reads what is masked: %.300s", body)
	case !bytes.Contains(body, []byte("XXXX")):
		return fmt.Sprintf("there is nothing masked in it: %.200s", body)
	}
	return ""
}

// TestReloadPolicy: good, broken, good again, while asha asks.
func TestReloadPolicy(t *testing.T) {
	d := startDemo(t, "", "--leads", "300")
	file := filepath.Join(d.data, "policy.yaml")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var people []*browser
	for range 4 {
		people = append(people, d.signedIn(t, "asha@acme.test"))
	}
	digest := func() string {
		var in struct {
			Digest string `json:"policy_digest"`
		}
		_ = json.Unmarshal([]byte(d.admin(t, http.MethodGet, "/crmgate/info", "")), &in)
		return in.Digest
	}
	l := askAll(people, masked)
	first := digest()
	l.answers(t, 50)

	// A change that is seen by itself.
	write(t, file, strings.Replace(string(good), "Works own leads", "Works her own leads", 1))
	eventually(t, 20*time.Second, "the new policy is in force", func() bool { return digest() != first })
	second := digest()
	l.answers(t, 50)

	// Broken ones: each is refused with a line that says where, and the last good
	// one stays.
	for name, broken := range map[string]string{
		"unknown key":    strings.Replace(string(good), "version: 1", "version: 1\nsettigns: {}", 1),
		"half a file":    string(good[:bytes.LastIndexByte(good, '[')+1]),
		"empty":          "",
		"its beginning":  string(good[:bytes.Index(good, []byte("\ntemplates:"))+1]),
		"its first line": string(good[:bytes.IndexByte(good, '\n')+1]),
		"no such field":  strings.Replace(string(good), "mask: [phone, email]", "mask: [phon, email]", 1),
		"not YAML":       "\x00\x01\x02",
	} {
		write(t, file, broken)
		status, text := d.tryAdmin(http.MethodPost, "/crmgate/refresh", "{}")
		if status != http.StatusBadRequest || strings.Contains(text, "\\n") || !strings.Contains(text, "policy.yaml") {
			t.Errorf("%s: the admin API says %d %s, want one line that names the file", name, status, text)
		}
		l.answers(t, 20)
		if digest() != second {
			t.Errorf("%s: the last good policy did not stay", name)
		}
	}
	write(t, file, string(good[:bytes.Index(good, []byte("\ntemplates:"))+1]))
	changed := strings.Replace(d.admin(t, http.MethodGet, "/config/", ""), `"title":"Acme CRM"`, `"title":"Acme"`, 1)
	if status, text := d.tryAdmin(http.MethodPost, "/load", changed); status == http.StatusOK || !strings.Contains(text, "cut short") {
		t.Errorf("a reload takes the beginning of the policy: %d %s", status, text)
	}
	if _, m := d.tryAdmin(http.MethodGet, "/metrics", ""); !strings.Contains(m, `caddy_crmgate_last_reload_successful{file="policy"} 0`) {
		t.Error("a reload that failed ends the alarm")
	}
	l.answers(t, 20)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if status, text := d.tryAdmin(http.MethodPost, "/crmgate/refresh", "{}"); status != http.StatusBadRequest {
		t.Errorf("the file is gone: %d %s", status, text)
	}
	l.answers(t, 20)
	if _, m := d.tryAdmin(http.MethodGet, "/metrics", ""); !strings.Contains(m, `caddy_crmgate_last_reload_successful{file="policy"} 0`) {
		t.Error("no metric says that the newest policy was refused")
	}

	// And a good one again.
	write(t, file, string(good))
	if status, text := d.tryAdmin(http.MethodPost, "/crmgate/refresh", "{}"); status != http.StatusOK || digest() != first {
		t.Errorf("the good policy is back: %d %s, digest %s, want %s", status, text, digest(), first)
	}
	l.answers(t, 50)
	l.end(t)
	if _, m := d.tryAdmin(http.MethodGet, "/metrics", ""); !strings.Contains(m, `caddy_crmgate_last_reload_successful{file="policy"} 1`) {
		t.Error("no metric says that the policy is good again")
	}
}

// TestReloadConfig: the same with Caddy's own configuration.
// How many sessions a person may have holds from the next sign-in on.
func TestReloadMaxSessions(t *testing.T) {
	s := &setup{crm: serve(t, new(recorder))}
	d := s.start(t)
	d.add(t, "asha@example.com", "administrator", crmUser{})
	one, two := d.signedIn(t, "asha@example.com"), d.signedIn(t, "asha@example.com")
	before := d.admin(t, http.MethodGet, "/crmgate/info", "")
	write(t, filepath.Join(filepath.Dir(s.data), filepath.Base(s.data)+"-policy.yaml"), rolesOnly+"settings: {sign_in: {max_sessions: 1}}\n")
	eventually(t, 20*time.Second, "the new policy is in force", func() bool {
		return d.admin(t, http.MethodGet, "/crmgate/info", "") != before
	})
	if !one.inside() || !two.inside() {
		t.Error("sessions ended before anybody signed in")
	}
	last := d.signedIn(t, "asha@example.com")
	if one.inside() || two.inside() || !last.inside() {
		t.Errorf("of one session that may be there are %t, %t and the last %t", one.inside(), two.inside(), last.inside())
	}
}

func TestReloadConfig(t *testing.T) {
	d := startDemo(t, "", "--leads", "300")
	var people []*browser
	for range 4 {
		people = append(people, d.signedIn(t, "asha@acme.test"))
	}
	config := d.admin(t, http.MethodGet, "/config/", "")
	l := askAll(people, masked)
	l.answers(t, 50)
	for i := range 3 {
		title := fmt.Sprintf("Acme %d", i)
		changed := strings.Replace(config, `"title":"Acme CRM"`, `"title":"`+title+`"`, 1)
		if changed == config {
			t.Fatal("the configuration has no title to change")
		}
		if status, text := d.tryAdmin(http.MethodPost, "/load", changed); status != http.StatusOK {
			t.Fatalf("loading a good configuration: %d %s", status, text)
		}
		l.answers(t, 40)
	}
	for name, change := range map[string][2]string{
		"no policy":      {`"policy":"`, `"policy":"/nowhere/`},
		"no map":         {`"map":"leadsquared"`, `"map":"nobody"`},
		"an unknown key": {`"title":"`, `"titel":"`},
		"another key":    {`"account":"acme"`, `"account":"acme","key":"{env.CRMGATE_OTHER_KEY}"`},
		"other stores":   {`"account":"acme"`, `"account":"other"`},
		"no proxy":       {`"handler":"crmgate"`, `"handler":"crmgat"`},
	} {
		changed := strings.Replace(config, change[0], change[1], 1)
		if changed == config {
			t.Fatalf("%s: the configuration has no %s", name, change[0])
		}
		status, text := d.tryAdmin(http.MethodPost, "/load", changed)
		if status == http.StatusOK {
			t.Errorf("%s: a broken configuration was accepted", name)
		}
		if strings.Count(strings.TrimSpace(text), "\n") != 0 || len(text) > 1500 {
			t.Errorf("%s: not one clear line: %s", name, text)
		}
		t.Logf("%s: %s", name, text)
		l.answers(t, 40)
	}
	l.end(t)
	if a := d.signedIn(t, "ravi@acme.test").get("/app/api/leads/" + knownLead); a.StatusCode != http.StatusNotFound {
		t.Errorf("after all reloads ravi asks for asha's lead: %s", a.Status)
	}
}

// TestRestart: sessions and locks outlive the process, however it ends.
func TestRestart(t *testing.T) {
	data := t.TempDir()
	gateway, admin := freeAddr(t), freeAddr(t)
	again := func() *demo { return startDemo(t, data, "--leads", "50", "--listen", gateway, "--admin", admin) }
	d := again()
	asha, ravi := d.signedIn(t, "asha@acme.test"), d.signedIn(t, "ravi@acme.test")
	d.admin(t, http.MethodPost, "/crmgate/locks", `{"target":"role","value":"marketing_user","message":"Until Monday."}`)
	d.process.stop(t)

	d = again()
	asha.CloseIdleConnections()
	ravi.CloseIdleConnections()
	for name, b := range map[string]*browser{"asha": asha, "ravi": ravi} {
		if a := b.get("/app/api/me"); a.StatusCode != http.StatusOK || !strings.Contains(a.text(), name+"@") {
			t.Errorf("%s after a restart: %s %s", name, a.Status, a.text())
		}
	}
	manager := d.signedIn(t, "manager@acme.test")
	if a := ravi.post("/.crmgate/api/sign-out", ""); a.StatusCode != http.StatusNoContent {
		t.Fatalf("ravi signing out: %s", a.Status)
	}
	d.kill()

	d = again()
	for name, b := range map[string]*browser{"asha": asha, "manager": manager} {
		b.CloseIdleConnections()
		if a := b.get("/app/api/me"); a.StatusCode != http.StatusOK {
			t.Errorf("%s after kill -9: %s %s", name, a.Status, a.text())
		}
	}
	ravi.CloseIdleConnections()
	u := ravi.get("/app/api/me")
	if u.StatusCode != http.StatusUnauthorized {
		t.Errorf("ravi had signed out before kill -9: %s", u.Status)
	}
	if a := d.browser(t).signIn("marketing@acme.test", "meadow-compass-56"); a.StatusCode != http.StatusForbidden || !strings.Contains(a.text(), "Until Monday.") {
		t.Errorf("the lock did not outlive two restarts: %s", a.Status)
	}
}
