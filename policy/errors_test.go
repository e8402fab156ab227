// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

const errorsMap = `version: 1
map: errors
errors:
  statuses: [200, 400]
  at: /status
  is: failed
  type: /code
  message: /message
  words: [Bereits, vorhanden]
entities:
  lead:
    id: [Id]
    owner: [OwnerId]
    fields: {id: Id, phone: [Phone], city: {names: [mx_City]}, mail: {names: [EmailAddress]}}
  note: {id: [Id], fields: {id: Id}}
routes:
  - {id: notes, on: GET /notes, entity: note, action: view, response: {records: {at: /v/*}}}
  - {id: note, on: POST /notes, entity: note, action: create, request: {read: {body: /, as: object}}, response: {}}
  - {id: file, on: GET /file, entity: note, action: view, response: {format: opaque}}
  - {id: app, kind: page, on: GET /app, response: {format: page}}
  - {id: me, kind: who_am_i, on: GET /me, entity: note, action: view, response: {}}
`

func errorsSet(t *testing.T) (*Set, *resource.Map) {
	t.Helper()
	m, err := resource.Parse("errors.yaml", []byte(errorsMap))
	if err != nil {
		t.Fatal(err)
	}
	return compileSrc(t, m, "version: 1\nroles: {all: {name: All, rows: all}}\n"), m
}

// TestMessagesOfTheCRM: a message is shown when no word in it can be a value.
func TestMessagesOfTheCRM(t *testing.T) {
	s, m := errorsSet(t)
	_, message := s.errorTexts(m.Errors, refusedText)
	kind, _ := s.errorTexts(m.Errors, refusedText)
	for text, want := range map[string]bool{
		"A Lead with same Phone already exists.":         true,
		"'mx_City' is mandatory":                         true,
		"email address: invalid format":                  true,
		"Phone bereits vorhanden":                        true,
		"failed":                                         true,
		"The phone belongs to Uma":                       false,
		"Lead Uma already exists":                        false,
		"lead uma already exists":                        false,
		"Lead \u0909\u092e\u093e already exists":         false,
		"Lead 42 already exists":                         false,
		"Lead \u00bd already exists":                     false,
		"Lead with phone 98 765 already exists":          false,
		"Lead uma@example.com already exists":            false,
		"Lead U.M.A. already exists":                     false,
		"Lead\xffUma already exists":                     false,
		"Lead will already exists, may be":               false,
		"mx_Uma is mandatory":                            false,
		"A Lead with same Phone already exists in Poona": false,
	} {
		if got := string(message.Mask.AppendString(nil, text)); (got == text) != want || got != text && got != refusedText {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	for text, want := range map[string]bool{"MXDuplicateEntryException": true, "ER_DUP_ENTRY": true, "1062": true, "Uma Nair": false, "9812345670": false, "BQKPN4821L": false, "uma@example.com": false, "Um\u00e3": false} {
		if got := string(kind.Mask.AppendString(nil, text)); (got == text) != want {
			t.Errorf("as a kind, %q becomes %q", text, got)
		}
	}
}

// TestErrorsForWhoSeesNotAll: whose rows are filtered, or who may not see an entity, has
// errors reduced on every route that is about records, also where answers pass.
func TestErrorsForWhoSeesNotAll(t *testing.T) {
	s, m := errorsSet(t)
	for _, c := range []struct {
		role, route    string
		action         resource.Action
		reduced, whole bool
	}{
		{"sales_user", "notes", resource.View, true, true},
		{"sales_user", "note", resource.Create, true, false},
		{"sales_user", "file", resource.View, true, true},
		{"sales_user", "app", "", false, true},
		{"sales_user", "me", resource.View, false, true},
		{"all", "note", resource.Create, false, true},
	} {
		r := m.RouteByID(c.route)
		entity := "note"
		if c.action == "" {
			entity = ""
		}
		d := s.Decide(as(c.role), []resource.Operation{{ID: c.route, Entity: entity, Action: c.action, Kind: r.Kind, Route: r}}, Env{})
		if !d.Allow {
			t.Fatalf("%s for %s: %s", c.route, c.role, d.Detail)
		}
		p := d.Plans[0]
		if p.Pass != c.whole || (p.Problem != nil) != c.reduced {
			t.Errorf("%s for %s: pass %v, errors read %v", c.route, c.role, p.Pass, p.Problem != nil)
		}
		if c.reduced && (p.Problem.Fallback.Unknown.Effect != plan.Hide || p.Problem.Root.Entity.Fields["message"] == nil) {
			t.Errorf("%s for %s: errors are not reduced", c.route, c.role)
		}
	}
}
