// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/testpeer"
)

// A real CRM behind the gateway: Tryton, whose one URL takes the model and the
// verb in the body, positions in place of names, and a session of its own.

var trytonPasswords = map[string]string{"sally": "Tiger7#quilt-Bay", "mark": "Ferry9%moss-Dune"}

// trytonCanaries are in no answer to whoever must not see what they mark.
var trytonCanaries = []string{"canary", "CANARY", "555 01", "55501"}

// startTryton starts Tryton and the gateway before it, with sally who sells and
// mark who manages.
func startTryton(t *testing.T) (*demo, *testpeer.Tryton) {
	t.Helper()
	crm := testpeer.StartTryton(t, "../../testdata/tryton/seed.py", trytonPasswords)
	policy, err := filepath.Abs("../../caddyfiles/tryton-policy.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d := &demo{data: t.TempDir(), Admin: freeAddr(t)}
	_, port, _ := net.SplitHostPort(freeAddr(t))
	d.Gateway = "https://localhost:" + port
	d.process, _ = start(t, []string{
		"CRMGATE_DATA=" + d.data, "CRMGATE_ADMIN=" + d.Admin, "CRMGATE_PORT=" + port,
		"CRMGATE_TRYTON_POLICY=" + policy, "CRM_ADDRESS=" + crm.Addr,
	}, "run", "--config", "../../caddyfiles/tryton.Caddyfile", "--adapter", "caddyfile")
	d.ready(t)
	d.pool = certPool(t, filepath.Join(d.data, "caddy", "pki", "authorities", "local", "root.crt"))
	d.handshake(t)
	for login, role := range map[string]string{"sally": "sales_user", "mark": "sales_manager"} {
		d.add(t, login+"@acme.test", role, crmUser{ID: strconv.Itoa(crm.Seed.Employees[login])})
	}
	return d, crm
}

// trytonClient is Tryton's own client, behind the gateway.
type trytonClient struct {
	*browser
	auth string // the value of the Authorization header
}

// trytonSignIn signs somebody in to the gateway, then to Tryton through it.
func trytonSignIn(t testing.TB, d *demo, login string) *trytonClient {
	t.Helper()
	c := &trytonClient{browser: visitor(t, d, login+"@acme.test")}
	var said struct{ Result []any }
	c.call("common.db.login", login, map[string]string{"password": trytonPasswords[login]}, "en").json(t, &said)
	if len(said.Result) != 2 {
		t.Fatalf("%s did not get a session of Tryton's: %v", login, said)
	}
	c.auth = session(login, int(said.Result[0].(float64)), said.Result[1].(string))
	return c
}

// session writes the header of a session of Tryton's.
func session(login string, uid int, key string) string {
	return "Session " + base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%s:%d:%s", login, uid, key))
}

// call makes one call, without a context.
func (c *trytonClient) call(method string, params ...any) *answer {
	c.t.Helper()
	if params == nil {
		params = []any{}
	}
	body, err := json.Marshal(map[string]any{"id": 1, "method": method, "params": params})
	if err != nil {
		c.t.Fatal(err)
	}
	return c.post("/crm/", string(body), "Authorization", c.auth)
}

// model calls a method of a model, with an empty context last.
func (c *trytonClient) model(method string, params ...any) *answer {
	c.t.Helper()
	return c.call("model."+method, append(params, map[string]any{})...)
}

// trytonRecords decodes the records of an answer.
func trytonRecords(t testing.TB, a *answer) []map[string]any {
	t.Helper()
	var said struct{ Result []map[string]any }
	if a.StatusCode != http.StatusOK {
		t.Fatalf("%s %s", a.Status, a.text())
	}
	a.json(t, &said)
	return said.Result
}

// sealed fails when an answer holds a canary in any byte, header or body.
func sealed(t testing.TB, what string, a *answer) {
	t.Helper()
	all := headerText(a.Header) + a.text()
	for _, canary := range trytonCanaries {
		if strings.Contains(all, canary) {
			t.Errorf("%s: %q left the gateway:\n%.600s", what, canary, all)
		}
	}
}

func TestTryton(t *testing.T) {
	began := time.Now()
	d, crm := startTryton(t)
	t.Logf("Tryton and the gateway stand after %s", time.Since(began).Round(time.Second))
	sally, mark := trytonSignIn(t, d, "sally"), trytonSignIn(t, d, "mark")
	t.Run("masked", func(t *testing.T) { trytonMasked(t, sally, crm.Seed) })
	t.Run("far ways", func(t *testing.T) { trytonFarWays(t, sally, crm.Seed) })
	t.Run("questions", func(t *testing.T) { trytonQuestions(t, sally, crm.Seed) })
	t.Run("own rows", func(t *testing.T) { trytonOwnRows(t, sally, crm.Seed) })
	t.Run("refused", func(t *testing.T) { trytonRefused(t, sally, crm.Seed) })
	t.Run("forms", func(t *testing.T) { trytonForms(t, sally) })
	t.Run("in clear", func(t *testing.T) { trytonInClear(t, mark, crm) })
	t.Run("sessions", func(t *testing.T) { trytonSessions(t, d, sally, mark, crm.Seed) })
	t.Run("audit", func(t *testing.T) {
		out, err := runBinary(t, "", "audit", "verify", "--address", d.Admin)
		if err != nil {
			t.Errorf("audit verify: %v\n%s", err, out)
		}
		listed, err := runBinary(t, "", "audit", "list", "--json", "--limit", "1000", "--address", d.Admin)
		if err != nil || strings.Contains(listed, trytonPasswords["sally"]) || strings.Contains(listed, "canary") {
			t.Errorf("the audit cannot be read, or holds what it must not: %v", err)
		}
	})
	t.Run("sign-out", func(t *testing.T) { trytonSignOut(t, mark, crm.Seed) })
}

var trytonPartyFields = []string{
	"name", "code", "phone", "mobile", "email", "contact_mechanisms", "rec_name", "full_name", "addresses.street", "addresses.full_address",
	"addresses.rec_name", "contact_mechanisms.value", "contact_mechanisms.rec_name", "contact_mechanisms.value_compact", "contact_mechanisms.type",
}

// trytonMasked: contact data is masked wherever it comes up, and nothing else is.
func trytonMasked(t *testing.T, sally *trytonClient, seed testpeer.TrytonSeed) {
	for what, a := range map[string]*answer{
		"search_read": sally.model("party.party.search_read", []any{[]any{"id", "in", seed.Parties}}, 0, 10, nil, trytonPartyFields),
		"read":        sally.model("party.party.read", seed.Parties, trytonPartyFields),
	} {
		sealed(t, what, a)
		records := trytonRecords(t, a)
		if len(records) != 3 {
			t.Fatalf("%s: %d parties, want 3", what, len(records))
		}
		for _, r := range records {
			name, _ := r["name"].(string)
			phone, _ := r["phone"].(string)
			if r["rec_name"] != name || !strings.HasPrefix(phone, "+1") || !strings.HasSuffix(phone, "017"+phone[max(0, len(phone)-1):]) {
				t.Errorf("%s: %v is masked in the wrong place", what, r)
			}
			mechanisms, _ := r["contact_mechanisms."].([]any)
			if len(mechanisms) != 4 || mechanisms[0].(map[string]any)["type"] == "" {
				t.Errorf("%s: the contact mechanisms of %s are %v, want four with their types", what, name, mechanisms)
			}
		}
	}
	a := sally.model("party.contact_mechanism.search_read", []any{}, 0, 100, nil,
		[]string{"type", "value", "rec_name", "email", "url", "value_compact", "other_value", "skype", "party.name", "party.phone"})
	sealed(t, "contact mechanisms", a)
	if n := len(trytonRecords(t, a)); n < 12 {
		t.Errorf("%d contact mechanisms, want all of them, masked", n)
	}
	sealed(t, "addresses", sally.model("party.address.search_read", []any{}, 0, 100, nil,
		[]string{"street", "postal_code", "full_address", "rec_name", "city", "party.rec_name", "party.contact_mechanisms.value"}))
}

// trytonFarWays: whatever way leads to a contact, it is masked at its end.
func trytonFarWays(t *testing.T, sally *trytonClient, seed testpeer.TrytonSeed) {
	for _, c := range []struct {
		model  string
		fields []string
		want   int
	}{
		{"sale.opportunity", []string{"employee", "comment", "party.phone", "party.contact_mechanisms.value", "company.party.email", "create_uid.employee.party.phone"}, 200},
		{"company.employee", []string{"party.phone", "party.contact_mechanisms.rec_name", "company.party.email"}, 200},
		{"company.company", []string{"party.contact_mechanisms.value", "party.addresses.street"}, 200},
		{"res.user", []string{"employee.party.email", "create_uid.employee.party.email", "company.party.contact_mechanisms.rec_name", "employees.party.phone"}, 200},
		{"currency.currency", []string{"create_uid.employee.party.phone", "create_uid.employee.party.contact_mechanisms.value"}, 200},
		{"party.party", []string{"create_uid.employee.party.email", "contact_mechanisms.party.phone"}, 200},
		{"ir.lang", []string{"create_uid.employee.party.phone"}, 200},
		{"currency.currency", []string{"rates.create_uid.employee.party.phone"}, 403}, // a way the map does not know
		{"ir.ui.menu", []string{"groups.users.employee.party.phone"}, 403},
	} {
		a := sally.model(c.model+".search_read", []any{}, 0, 5, nil, c.fields)
		sealed(t, c.model+" "+strings.Join(c.fields, ","), a)
		if a.StatusCode != c.want || strings.Contains(a.text(), `"error"`) != (c.want != 200) {
			t.Errorf("%s %v: %s %.300s, want %d", c.model, c.fields, a.Status, a.text(), c.want)
		}
	}
	sealed(t, "global search", sally.model("ir.model.global_search", "Ada Foundry", 10, "party.party"))
}

// trytonQuestions: nobody guesses a masked value by conditions on it.
func trytonQuestions(t *testing.T, sally *trytonClient, seed testpeer.TrytonSeed) {
	const opportunity, party = "sale.opportunity", "party.party"
	for _, c := range []struct {
		what, model   string
		domain, order any
		refused       bool
	}{
		{"by phone", party, []any{[]any{"phone", "like", "%0171"}}, nil, true},
		{"by e-mail", party, []any{[]any{"email", "=", "canary.ada@example.test"}}, nil, true},
		{"by a contact's value", party, []any{[]any{"contact_mechanisms.value", "like", "%0171"}}, nil, true},
		{"by a contact", party, []any{[]any{"contact_mechanisms", "ilike", "%0171"}}, nil, true},
		{"by contacts where", party, []any{[]any{"contact_mechanisms", "where", []any{[]any{"value", "like", "%0171"}}}}, nil, true},
		{"by a name that is found by phone", party, []any{[]any{"rec_name", "ilike", "%0171"}}, nil, true},
		{"by an address", party, []any{[]any{"addresses", "ilike", "%7 Canary%"}}, nil, true},
		{"buried in OR", party, []any{"OR", []any{[]any{"name", "=", "x"}, []any{"phone", "like", "%0171"}}}, nil, true},
		{"by the party's phone", opportunity, []any{[]any{"party.phone", "like", "%0171"}}, nil, true},
		{"by the party's name", opportunity, []any{[]any{"party", "ilike", "%0171"}}, nil, true},
		{"by the employee's name", opportunity, []any{[]any{"employee", "ilike", "%0179"}}, nil, true},
		{"in the order of phones", party, []any{}, []any{[]any{"phone", "ASC"}}, true},
		{"in the order of contacts", opportunity, []any{}, []any{[]any{"contact", "ASC"}}, true},
		{"by name", party, []any{[]any{"name", "ilike", "Ada%"}}, []any{[]any{"name", "ASC"}}, false},
		{"by the party's id", opportunity, []any{[]any{"party", "=", seed.Parties[0]}}, nil, false},
	} {
		a := sally.model(c.model+".search_read", c.domain, 0, 5, c.order, []string{"employee"}[:min(1, strings.Count(c.model, "opp"))])
		if c.refused != (a.reason() == "query_denied") {
			t.Errorf("%s: %s %.300s, want refused=%v", c.what, a.Status, a.text(), c.refused)
		}
		sealed(t, c.what, a)
		if c.model != party {
			continue
		}
		if a := sally.model("party.party.search_count", c.domain); c.refused && c.order == nil && a.StatusCode < 400 {
			t.Errorf("counting %s: %s %s, want refused", c.what, a.Status, a.text())
		}
	}
}

// trytonOwnRows: of the opportunities, the ones of one's own employee.
func trytonOwnRows(t *testing.T, sally *trytonClient, seed testpeer.TrytonSeed) {
	fields := []string{"description", "comment", "employee", "employee.rec_name", "party.rec_name", "amount", "start_date"}
	for what, a := range map[string]*answer{
		"search_read": sally.model("sale.opportunity.search_read", []any{}, 0, 10, nil, fields),
		"read":        sally.model("sale.opportunity.read", seed.Opportunities, fields),
	} {
		sealed(t, what, a)
		records := trytonRecords(t, a)
		if len(records) != 2 {
			t.Errorf("%s: %d opportunities, want her 2 of 4: %s", what, len(records), a.text())
		}
		for _, r := range records {
			amount, _ := r["amount"].(map[string]any)
			if r["employee"] != float64(seed.Employees["sally"]) || amount["decimal"] != "1250.50" {
				t.Errorf("%s: %v is not hers, or not whole", what, r)
			}
		}
	}
	// Without the employee nobody can tell whose they are.
	if a := sally.model("sale.opportunity.search_read", []any{}, 0, 10, nil, []string{"description"}); len(trytonRecords(t, a)) != 0 {
		t.Errorf("opportunities of nobody knows whom: %s", a.text())
	}
	for _, method := range []string{"search", "search_count"} {
		params := []any{[]any{}}
		if method == "search" {
			params = []any{[]any{}, 0, 10, nil}
		}
		if a := sally.model("sale.opportunity."+method, params...); a.StatusCode < 400 {
			t.Errorf("%s of all opportunities: %s %s, want refused", method, a.Status, a.text())
		}
	}
}
