// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestExplainSaysWhatHappens: what explain says of a request is what the gate does
// with it.
func TestExplainSaysWhatHappens(t *testing.T) {
	d := (&setup{crm: serve(t, new(recorder))}).start(t)
	d.add(t, "asha@acme.test", "sales_user", crmUser{ID: "1"})
	const get, update = "/v2/LeadManagement.svc/Leads.GetById?id=1", "/v2/LeadManagement.svc/Lead.Update?leadId=1"
	explain := func(method, url, body string) string {
		in := fmt.Sprintf(`{"email":"asha@acme.test","method":%q,"url":%q,"body":%q}`, method, url, body)
		var out struct {
			Allow, Depends bool
			Reason         string
		}
		if err := json.Unmarshal([]byte(d.admin(t, http.MethodPost, "/crmgate/policy/explain", in)), &out); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(out.Allow, " ", out.Reason, " ", out.Depends)
	}
	said := func(want string, got string) {
		t.Helper()
		if got != want {
			t.Errorf("explain says %s, want %s", got, want)
		}
	}
	b := d.signedIn(t, "asha@acme.test")
	said("true allowed false", explain("GET", get, ""))
	said("false row_denied true", explain("POST", update, `[{"Attribute":"FirstName","Value":"Ada"}]`))
	if out, err := d.command(t, "", "policy", "explain", "asha@acme.test", update, "--method", "POST", "--body", `[{"Attribute":"FirstName","Value":"Ada"}]`); err != nil || !strings.Contains(out, "denied unless the record as it is now allows it") {
		t.Errorf("crmgate policy explain: %v\n%s", err, out)
	}
	var l struct{ ID string }
	if err := json.Unmarshal([]byte(d.admin(t, http.MethodPost, "/crmgate/locks", `{"target":"role","value":"sales_user"}`)), &l); err != nil {
		t.Fatal(err)
	}
	said("false locked false", explain("GET", get, ""))
	said("false "+b.get(get).reason()+" false", explain("GET", get, ""))
	d.admin(t, http.MethodDelete, "/crmgate/locks/"+l.ID, "")
	said("true allowed false", explain("GET", get, ""))
	d.admin(t, http.MethodPatch, "/crmgate/people/asha@acme.test", `{"status":"inactive"}`)
	said("false deactivated false", explain("GET", get, ""))
}
