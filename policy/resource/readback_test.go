// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"errors"
	"strings"
	"testing"
)

const readBackMap = `
version: 1
map: x
entities:
  lead:
    names: [crm.lead]
    id: [id, LeadId]
    owner: [owner]
    read_back: {route: many, body: '{"m":"{entity}.read","ids":{record_ids},"f":{fields}}', max: 3}
    fields: {phone: [phone, mobile], owner: owner}
  deal:
    id: [id]
    owner_via: [{at: lead, entity: lead}]
    read_back: {route: deal, args: {id: "{record_id}"}}
    fields: {lead: {names: [lead], entity: lead}}
  call:
    id: [id]
    read_back: {route: call, args: {id: "{record_id}"}}
    fields: {n: n}
routes:
  - id: many
    on: "POST /{db}/leads"
    when: {body: /m, is: crm.lead.read}
    entity: lead
    action: view
    request: {read: [{body: /ids, as: id}, {body: /f, as: names, use: select}]}
    response: {records: {at: /rows/*, parts: [{at: list, style: pairs, name: [k], value: [v]}]}}
  - {id: deal, on: "GET /{db}/deals/{id}", entity: deal, action: view, request: {read: {capture: id, as: id}}, response: {records: [""]}}
  - {id: call, on: GET /call, entity: call, action: view, request: {read: {query: id, as: id}}, response: {records: [""]}}
  - id: write
    on: "POST /{db}/leads/{id}"
    entity: lead
    action: edit
    write: patch
    request: {read: [{capture: id, as: id}, {body: "", as: object}]}
  - {id: deal.write, on: "POST /{db}/deals/{id}", entity: deal, action: edit, write: patch, request: {read: [{capture: id, as: id}, {body: "", as: object}]}}
`

func readBackOp(t testing.TB, path, body string) (*Map, *Operation) {
	t.Helper()
	m, err := Parse("m.yaml", []byte(readBackMap))
	if err != nil {
		t.Fatal(err)
	}
	r := &Request{Method: "POST", Path: path, Query: map[string][]string{}, Body: []byte(body)}
	mt, err := m.Match(r)
	if err != nil {
		t.Fatal(err)
	}
	ops, err := mt.Operations(r)
	if err != nil {
		t.Fatal(err)
	}
	return m, &ops[0]
}

// A read of our own is the declared route and names exactly those records, whatever
// their ids are.
func TestReadBackAsksForNothingElse(t *testing.T) {
	m, op := readBackOp(t, "/north/leads/7", `{"phone":"1"}`)
	rd, err := m.ReadBack(op, m.Entities["lead"], []string{"7", "8"}, []string{"mobile"})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"m":"crm.lead.read","ids":["7","8"],"f":["id","LeadId","owner","mobile"]}`; string(rd.Body) != want || rd.Path != "/north/leads" || rd.Method != "POST" {
		t.Errorf("%s %s %s, want %s", rd.Method, rd.Path, rd.Body, want)
	}
	rd, err = m.ReadBack(op, m.Entities["deal"], []string{"a b"}, nil)
	if err != nil || rd.Path != "/north/deals/a%20b" || rd.Body != nil {
		t.Errorf("%+v %v", rd, err)
	}
	for _, c := range []struct {
		entity string
		ids    []string
	}{
		{"deal", []string{"../leads"}},
		{"deal", []string{"a/b"}},
		{"deal", []string{"."}},
		{"deal", []string{""}},
		{"deal", []string{"%2e%2e"}},
		{"deal", []string{"1", "2"}},
		{"lead", []string{"1", "2", "3", "4"}},
		{"lead", nil},
		{"lead", []string{"1,2"}},
		{"call", []string{"1,2"}},
		{"deal", []string{"a\x00"}},
		{"deal", []string{"a;b"}},
	} {
		if rd, err := m.ReadBack(op, m.Entities[c.entity], c.ids, nil); !errors.Is(err, ErrNoReadBack) {
			t.Errorf("%s %q: %v %v: an id makes the gate ask for something else", c.entity, c.ids, rd, err)
		}
	}
	if rd, err := m.ReadBack(op, m.Entities["lead"], []string{`"],"m":"x`}, nil); err == nil && !strings.Contains(string(rd.Body), `\"`) {
		t.Errorf("an id writes JSON: %s", rd.Body)
	}
}

// What is not as the map says is no record.
func TestReadBackRecords(t *testing.T) {
	m, op := readBackOp(t, "/north/leads/7", `{"phone":"1"}`)
	rd, err := m.ReadBack(op, m.Entities["lead"], []string{"7"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	same := func(s string) string { return strings.ToLower(s) }
	for body, want := range map[string]string{ // phone of the record 7; - for none, ! for an error
		`{"rows":[{"id":"7","phone":"1"}]}`:   "1",
		`{"rows":[{"LeadId":7,"Phone":"1"}]}`: "1",
		`{"rows":[{"id":"8","phone":"1"}]}`:   "-",
		`{"rows":[]}`:                         "-",
		`{}`:                                  "-",
		`{"rows":[{"id":"7","list":[{"v":"1","k":"phone"}]}]}`:             "1",
		`{"rows":[{"id":"7","phone":"1","list":[{"k":"phone","v":"2"}]}]}`: "!",
		`{"rows":[{"id":"7","phone":"1","PHONE":"2"}]}`:                    "!",
		`{"rows":[{"id":"7","phone":"1","phone":"2"}]}`:                    "!",
		`{"rows":{"id":"7"}}`:                        "!",
		`{"rows":["7"]}`:                             "!",
		`{"rows":[{"id":"7","list":{"k":"phone"}}]}`: "!",
		`{"Status":"Error"}`:                         "-",
		`[]`:                                         "-",
		`{"rows":[{"id":"7"}]} x`:                    "!",
		"\xef\xbb\xbf{}":                             "!",
		`{"rows":[{"id":"7","list":[{"k":"id","v":"9"}],"phone":"1"}]}`:   "!",
		`{"rows":[{"id":["7"],"LeadId":null,"phone":"1"}]}`:               "-",
		`{"rows":[{"id":"7","phone":` + strings.Repeat("[", 300) + `]}]}`: "!",
	} {
		got := "-"
		list, err := rd.Records([]byte(body))
		if err != nil {
			got = "!"
		}
		for _, r := range list {
			if err == nil && r.Is("7", same) {
				got = r.Get("phone").Text
			}
		}
		if got != want {
			t.Errorf("%.80s: %s (%v), want %s", body, got, err, want)
		}
	}
}

// A body is sent without what is left out, and otherwise as it was.
func TestWithout(t *testing.T) {
	for body, want := range map[string]string{
		`{"phone":"1","a":1.50,"b":[true,null,{"c":"\u00e9\n"}]}`: `{"a":1.50,"b":[true,null,{"c":"é\n"}]}`,
		`{"a":1,"phone":"1"}`: `{"a":1}`,
		`{"phone":"1"}`:       `{}`,
	} {
		_, op := readBackOp(t, "/north/leads/7", body)
		var given []*Given
		for i := range op.Fields {
			if op.Fields[i].Field == "phone" {
				given = append(given, op.Fields[i].Given)
			}
		}
		got, err := op.Without(given)
		if err != nil || string(got) != want {
			t.Errorf("%s becomes %s %v, want %s", body, got, err, want)
		}
	}
	_, op := readBackOp(t, "/north/leads/7", `{"phone":"1"}`)
	for _, g := range []*Given{nil, {}, {value: &value{}, whole: &value{}}} {
		if b, err := op.Without([]*Given{g}); err == nil {
			t.Errorf("what stands nowhere is left out of %s", b)
		}
	}
}

// Maps that cannot be followed are refused when they are read.
func TestReadBackFaults(t *testing.T) {
	for from, to := range map[string]string{
		`"f":{fields}}'`: `"f":{fields}'`,
		`route: many, `:  `route: nowhere, `,
		`route: deal, `:  `route: write, `,
		`args: {id: "{record_id}"}}` + "\n    fields: {lead": "}\n    fields: {lead",
		"max: 3": "max: 201",
		"    read_back: {route: many, body: '{\"m\":\"{entity}.read\",\"ids\":{record_ids},\"f\":{fields}}', max: 3}\n": "",
	} {
		text := strings.Replace(readBackMap, from, to, 1)
		if text == readBackMap {
			t.Fatalf("%s is not in the map", from)
		}
		if _, err := Parse("m.yaml", []byte(text)); err == nil {
			t.Errorf("%s in place of %s is taken", to, from)
		}
	}
}
