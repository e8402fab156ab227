// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/testpeer"
)

// trytonRefused: every other door to the same data.
func trytonRefused(t *testing.T, sally *trytonClient, seed testpeer.TrytonSeed) {
	party, deal := []int{seed.Parties[0]}, []int{seed.Opportunities[0]}
	values := map[string]any{"name": "X"}
	for what, a := range map[string]*answer{
		"create":                sally.model("party.party.create", []any{values}),
		"write":                 sally.model("party.party.write", party, values),
		"delete":                sally.model("party.party.delete", party),
		"copy":                  sally.model("party.party.copy", party, map[string]any{}),
		"write through a party": sally.model("party.party.write", party, map[string]any{"contact_mechanisms": []any{[]any{"delete", []int{1}}}}),
		"write one's own deal":  sally.model("sale.opportunity.write", deal, map[string]any{"description": "X"}),
		"a step of a deal":      sally.model("sale.opportunity.lost", deal),
		"an export":             sally.model("party.party.export_data", party, []string{"name", "phone"}),
		"an export by domain":   sally.model("party.party.export_data_domain", []any{}, []string{"name", "phone"}, 0, 10, nil),
		"an import":             sally.model("party.party.import_data", []string{"name"}, []any{[]string{"X"}}),
		"a report":              sally.call("report.party.label.execute", party, map[string]any{"model": "party.party", "ids": party, "id": party[0]}, map[string]any{}),
		"a wizard":              sally.call("wizard.party.erase.create", map[string]any{}),
		"another model":         sally.model("ir.attachment.search_read", []any{}, 0, 10, nil, []string{"name"}),
		"a ledger":              sally.model("account.move.line.search_read", []any{}, 0, 10, nil, []string{"party"}),
		"an identifier":         sally.model("party.identifier.search_read", []any{}, 0, 10, nil, []string{"code"}),
		"a special call":        sally.model("party.party.autocomplete", "x"),
		"a user's name":         sally.model("res.user.write", []int{seed.Users["sally"]}, map[string]any{"name": "X"}),
		"the client's messages": sally.model("ir.message.write", []int{1}, map[string]any{"text": "X"}),
		"a batch":               sally.post("/crm/", `[{"id":1,"method":"model.party.party.read","params":[[4],["phone"],{}]}]`, "Authorization", sally.auth),
		"the CSV door":          sally.get("/crm/data/party.party?f=name&f=phone", "Authorization", sally.auth),
		"the CSV door, encoded": sally.get("/crm/%64ata/party.party?f=name&f=phone", "Authorization", sally.auth),
		"XML-RPC":               sally.post("/crm/", `<?xml version="1.0"?><methodCall><methodName>model.party.party.read</methodName></methodCall>`, "Authorization", sally.auth, "Content-Type", "text/xml"),
		"two methods in one":    sally.post("/crm/", `{"id":1,"method":"model.party.party.fields_get","Method":"x","method":"model.party.party.read","params":[[4],["phone"],{}]}`, "Authorization", sally.auth),
		"a database's name":     sally.post("/CRM/", `{"id":1,"method":"model.party.party.merge","params":[[4],{}]}`, "Authorization", sally.auth),
	} {
		sealed(t, what, a)
		if a.StatusCode < 400 || a.StatusCode > 404 || a.reason() == "" {
			t.Errorf("%s: %s %.300s, want the gateway's refusal", what, a.Status, a.text())
		}
	}
}

// trytonForms: the client can draw itself: what describes a masked field is whole.
func trytonForms(t *testing.T, sally *trytonClient) {
	var said struct {
		Result map[string]map[string]any
	}
	sally.model("party.party.fields_get", []string{"name", "phone", "email"}).json(t, &said)
	for _, field := range []string{"name", "phone", "email"} {
		if said.Result[field]["type"] != "char" {
			t.Errorf("the description of %s is %v; the client's forms need it", field, said.Result[field])
		}
	}
	var view struct {
		Result struct {
			Arch   string
			Fields map[string]map[string]any
		}
	}
	sally.model("party.contact_mechanism.fields_view_get", nil, "form").json(t, &view)
	if view.Result.Fields["value"]["string"] == nil || !strings.Contains(view.Result.Arch, "<form") {
		t.Errorf("the form of a contact mechanism has no value: %v", view.Result.Fields)
	}
	var prefs struct{ Result map[string]any }
	sally.model("res.user.get_preferences", false).json(t, &prefs)
	if prefs.Result["employee"] == nil {
		t.Errorf("her preferences are %v", prefs.Result)
	}
	for _, call := range []string{"ir.ui.icon.list_icons", "party.party.view_toolbar_get"} {
		if a := sally.model(call); a.StatusCode != http.StatusOK {
			t.Errorf("%s: %s %.200s", call, a.Status, a.text())
		}
	}
}

// trytonInClear: a manager sees and does everything, byte for byte.
func trytonInClear(t *testing.T, mark *trytonClient, crm *testpeer.Tryton) {
	body := `{"id":1,"method":"model.party.party.read","params":[[` + strconv.Itoa(crm.Seed.Parties[0]) + `],["name","phone","email","contact_mechanisms.value","addresses.full_address"],{}]}`
	through := mark.post("/crm/", body, "Authorization", mark.auth)
	req, err := http.NewRequest(http.MethodPost, crm.String(), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", mark.auth)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	direct, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if through.text() != string(direct) || !strings.Contains(through.text(), "canary.ada@example.test") {
		t.Errorf("a manager's answer is not Tryton's own:\n%s\n%s", through.text(), direct)
	}
	if n := len(trytonRecords(t, mark.model("sale.opportunity.search_read", []any{}, 0, 10, nil, []string{"description"}))); n != 4 {
		t.Errorf("a manager sees %d opportunities, want 4", n)
	}
	if a := mark.model("party.party.write", []int{crm.Seed.Parties[2]}, map[string]any{"name": "Cobalt Press Ltd"}); a.StatusCode != http.StatusOK || strings.Contains(a.text(), `"error"`) {
		t.Errorf("a manager's edit: %s %s", a.Status, a.text())
	}
	if a := mark.get("/crm/data/party.party?f=name&f=phone", "Authorization", mark.auth); a.StatusCode != http.StatusOK || !strings.Contains(a.text(), "Ada Foundry,+1 202 555 0171") {
		t.Errorf("a manager's CSV: %s %.200s", a.Status, a.text())
	}
}

// trytonSessions: a session of Tryton's is good under the gateway session that got
// it and nowhere else, and nothing but such a session proves anybody.
func trytonSessions(t *testing.T, d *demo, sally, mark *trytonClient, seed testpeer.TrytonSeed) {
	read := func(c *trytonClient, auth string) *answer {
		other := *c
		other.auth = auth
		return other.model("party.party.read", seed.Parties, []string{"name", "phone"})
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("mark:"+trytonPasswords["mark"]))
	for what, a := range map[string]*answer{
		"mark's session under sally's":        read(sally, mark.auth),
		"sally's session under mark's":        read(mark, sally.auth),
		"a session nobody got":                read(mark, session("mark", seed.Users["mark"], strings.Repeat("f", 64))),
		"mark's key under sally's name":       read(sally, session("sally", seed.Users["sally"], keyOf(mark.auth))),
		"a password in every request":         read(mark, basic),
		"the same in small letters":           read(mark, "basic"+basic[5:]),
		"an application's key":                read(mark, "Bearer 0123456789abcdef"),
		"a session that is none":              read(mark, "Session !!!"),
		"a session without the gateway's own": (&trytonClient{browser: d.browser(t), auth: mark.auth}).model("party.party.read", seed.Parties, []string{"name"}),
	} {
		sealed(t, what, a)
		if a.StatusCode != http.StatusForbidden && a.StatusCode != http.StatusUnauthorized && a.StatusCode != http.StatusBadRequest || a.reason() == "" {
			t.Errorf("%s: %s %.200s, want the gateway's refusal", what, a.Status, a.text())
		}
	}
	if a := read(mark, ""); a.StatusCode != http.StatusUnauthorized && a.StatusCode != http.StatusForbidden {
		t.Errorf("no session of Tryton's: %s %.200s, want refused", a.Status, a.text())
	}
	a := (&trytonClient{browser: visitor(t, d, "sally@acme.test")}).call("common.db.login", "sally", map[string]string{"password": "wrong"}, "en")
	if a.StatusCode != http.StatusUnauthorized {
		t.Errorf("a wrong password of Tryton's: %s %.200s, want Tryton's 401", a.Status, a.text())
	}
	if a := d.browser(t).post("/crm/", `{"id":1,"method":"common.db.login","params":["mark",{"password":"x"},"en"]}`); a.StatusCode != http.StatusUnauthorized || a.reason() != "no_session" {
		t.Errorf("Tryton's sign-in without the gateway's: %s %.200s, want 401 no_session", a.Status, a.text())
	}
	if a := d.browser(t).post("/", `{"id":1,"method":"common.server.version","params":[]}`); !strings.Contains(a.text(), `"6.0`) {
		t.Errorf("Tryton's version, which its client asks before anything: %s %.200s", a.Status, a.text())
	}
	if a := d.browser(t).get("/", "Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"); a.StatusCode/100 != 3 || !strings.HasPrefix(a.Header.Get("Location"), "/.crmgate/sign-in") {
		t.Errorf("the client's page without a session: %s to %q, want the gateway's sign-in", a.Status, a.Header.Get("Location"))
	}
	// She signs in to Tryton as him: what she gets is judged as hers.
	c := &trytonClient{browser: sally.browser}
	var said struct{ Result []any }
	c.call("common.db.login", "mark", map[string]string{"password": trytonPasswords["mark"]}, "en").json(t, &said)
	c.auth = session("mark", int(said.Result[0].(float64)), said.Result[1].(string))
	a = c.model("party.party.read", seed.Parties, trytonPartyFields)
	sealed(t, "somebody else's Tryton account", a)
	if n := len(trytonRecords(t, a)); n != 3 {
		t.Errorf("somebody else's Tryton account: %d parties, want 3 masked ones", n)
	}
}

// keyOf takes the key out of a session's header.
func keyOf(auth string) string {
	raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(auth, "Session "))
	return string(raw)[strings.LastIndexByte(string(raw), ':')+1:]
}

// trytonSignOut: a session that was signed out of is no session, on either side.
func trytonSignOut(t *testing.T, mark *trytonClient, seed testpeer.TrytonSeed) {
	if a := mark.call("common.db.logout"); a.StatusCode != http.StatusOK || !strings.Contains(a.text(), `"result":null`) {
		t.Fatalf("signing out of Tryton: %s %s", a.Status, a.text())
	}
	if a := mark.model("party.party.read", seed.Parties, []string{"name"}); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("after signing out of Tryton: %s %.200s, want 401", a.Status, a.text())
	}
	again := trytonSignIn(t, &demo{Gateway: mark.base, pool: mark.Transport.(*http.Transport).TLSClientConfig.RootCAs}, "mark")
	if a := again.post("/.crmgate/api/sign-out", ""); a.StatusCode != http.StatusNoContent {
		t.Fatalf("signing out of the gateway: %s %s", a.Status, a.text())
	}
	if a := again.model("party.party.read", seed.Parties, []string{"name"}); a.StatusCode != http.StatusUnauthorized || a.reason() != "no_session" {
		t.Errorf("after signing out of the gateway: %s %.200s, want 401 no_session", a.Status, a.text())
	}
	third := trytonSignIn(t, &demo{Gateway: mark.base, pool: mark.Transport.(*http.Transport).TLSClientConfig.RootCAs}, "mark")
	third.auth = again.auth
	if a := third.model("party.party.read", seed.Parties, []string{"name"}); a.StatusCode != http.StatusForbidden {
		t.Errorf("a Tryton session of a gateway session that ended: %s %.200s, want refused", a.Status, a.text())
	}
	u, _ := url.Parse(mark.base)
	if len(again.Jar.Cookies(u)) != 0 {
		t.Error("signing out left the session's cookie in the browser")
	}
}
