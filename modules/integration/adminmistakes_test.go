// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestAdminMistakes: a name that is misspelt is an error of the admin API, never
// something that seems to have happened.
func TestAdminMistakes(t *testing.T) {
	d := startDemo(t, "", "--leads", "50")
	asha := d.signedIn(t, "asha@acme.test")
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		says               string
	}{
		"no such call":              {"GET", "/crmgate/poeple", "", 404, "no such call"},
		"another method":            {"DELETE", "/crmgate/info", "", 405, "GET"},
		"no body":                   {"POST", "/crmgate/people", "", 400, "the body is empty"},
		"a huge body":               {"POST", "/crmgate/people", `{"name":"` + strings.Repeat("a", 5<<20) + `"}`, 413, "too large"},
		"somebody who is there":     {"POST", "/crmgate/people", `{"email":"ASHA@acme.test","role":"sales_user"}`, 409, "in the directory already"},
		"another address":           {"PATCH", "/crmgate/people/asha@acme.test", `{"email":"asha@acme.example"}`, 400, "cannot be changed"},
		"a role nobody has":         {"POST", "/crmgate/locks", `{"target":"role","value":"sales_users"}`, 400, `no role "sales_users"`},
		"a group that is not there": {"POST", "/crmgate/locks", `{"target":"group","value":"nroth"}`, 400, `no group "nroth"`},
		"a device":                  {"POST", "/crmgate/locks", `{"target":"device","value":"d1"}`, 400, "would keep nobody out"},
		"a key":                     {"POST", "/crmgate/locks", `{"target":"key","value":"AKIA1"}`, 400, "would keep nobody out"},
		"nobody is spared":          {"POST", "/crmgate/locks", `{"target":"everyone","exempt":["asha@acme.tset"]}`, 404, "asha@acme.tset"},
		"a session by half its id":  {"DELETE", "/crmgate/sessions/" + d.sessionID(t, "asha@acme.test")[:12], "", 404, "finding the session"},
		"a session of another id":   {"DELETE", "/crmgate/sessions/" + strings.Repeat("0", 64), "", 404, "finding the session"},
		"a lock that is not there":  {"DELETE", "/crmgate/locks/0123456789abcdef", "", 404, "finding the lock"},
		"a decision nobody makes":   {"GET", "/crmgate/audit?decision=denied", "", 400, "allow or deny"},
		"an order nobody knows":     {"GET", "/crmgate/audit?order=up", "", 400, "asc or desc"},
		"a selection nobody knows":  {"GET", "/crmgate/audit/export?emial=asha@acme.test", "", 400, `"emial"`},
	} {
		status, text := d.tryAdmin(c.method, c.path, c.body)
		var e map[string]string
		if err := json.Unmarshal([]byte(text), &e); err != nil || len(e) != 1 || !strings.Contains(e["error"], c.says) || status != c.status {
			t.Errorf("%s: %d %.300s, want %d and %q", name, status, text, c.status, c.says)
		}
	}
	if a := asha.get("/app/api/me"); a.StatusCode != http.StatusOK {
		t.Errorf("a mistake signed somebody out: %s", a.Status)
	}
	if locks := d.admin(t, http.MethodGet, "/crmgate/locks", ""); strings.TrimSpace(locks) != "[]" {
		t.Errorf("a mistake set a lock: %s", locks)
	}

	d.admin(t, http.MethodPatch, "/crmgate/people/asha@acme.test", `{"email":"Asha@acme.test","name":"Asha R."}`)
	d.admin(t, http.MethodDelete, "/crmgate/sessions/"+d.sessionID(t, "asha@acme.test"), "")
	if a := asha.get("/app/api/me"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("the session has ended: %s", a.Status)
	}
}

// TestCommandMistakes: the commands say the same, in a line and not in a document.
func TestCommandMistakes(t *testing.T) {
	d := startDemo(t, "", "--leads", "50")
	for name, c := range map[string]struct {
		stdin string
		args  []string
		says  string
	}{
		"a misspelt role":        {"", []string{"lock", "--role", "sales_users"}, `the gateway refused: setting the lock: the policy has no role "sales_users"`},
		"half an id":             {"", []string{"sessions", "end", "0123456789ab"}, "the gateway refused: finding the session"},
		"a lock on a key":        {"", []string{"lock", "--key", "AKIA1"}, "unknown flag: --key"},
		"a lock of another id":   {"", []string{"unlock", "zzz"}, `the gateway refused: finding the lock "zzz"`},
		"a key pair and a third": {"key\nsecret\nkey\n", []string{"user", "key", "asha@acme.test"}, "must hold two lines"},
	} {
		out, err := runBinary(t, c.stdin, append(c.args, "--address", d.Admin)...)
		if err == nil || !strings.Contains(out, c.says) || strings.Contains(out, `{"error"`) {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
	// Caddy would share the port, and the demo's people be added to the other gateway.
	for _, flag := range []string{"--admin", "--listen"} {
		args := []string{"demo", "--leads", "10", "--crm-listen", freeAddr(t), "--listen", freeAddr(t), "--admin", freeAddr(t)}
		taken := map[string]string{"--admin": d.Admin, "--listen": strings.Replace(strings.TrimPrefix(d.Gateway, "https://"), "localhost", "127.0.0.1", 1)}
		code, out := runFails(t, append(args, flag, taken[flag])...)
		if code == 0 || !strings.Contains(out, "choose another address with "+flag) {
			t.Errorf("a demo beside another on its %s: %d %.500s", flag, code, out)
		}
	}
	if out, err := runBinary(t, "\ufeffanother-key\r\nanother-secret\r\n\r\n", "user", "key", "asha@acme.test", "--address", d.Admin); err != nil {
		t.Errorf("a key pair as an editor of Windows leaves it: %v %s", err, out)
	}
}

// sessionID is the id of somebody's newest session.
func (d *demo) sessionID(t testing.TB, email string) string {
	t.Helper()
	var list []struct{ ID string }
	if err := json.Unmarshal([]byte(d.admin(t, http.MethodGet, "/crmgate/sessions?email="+email, "")), &list); err != nil || len(list) == 0 {
		t.Fatalf("%s has no session: %v", email, err)
	}
	return list[0].ID
}
