// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

const writebackPolicy = `
version: 1
templates:
  t:
    entities:
      lead:
        view: {partial: {mask: [phone, email], hide: [pan]}}
        edit: {partial: {deny: [score], fill_if_empty: [phone]}}
        lookup: {phone: exact}
defaults: {restrict_system_fields: true}
assign:
  - {template: t, roles: [sales_manager]}
  - {template: t, roles: [sales_user]}
`

// What is written into a field that is not shown as it is, against what it holds.
func TestWriteBack(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, writebackPolicy)
	text := func(v string) resource.Value { return resource.Value{Kind: '"', Text: v} }
	null := resource.Value{Kind: 'n'}
	full := text("+919876543210")
	for name, c := range map[string]struct {
		send string
		now  map[string]resource.Value // nil: there is no such lead
		want Reason
		body string // what is sent, where a value is left out
	}{
		"the mask comes back":               {`{"Phone":"+91XXXXXX3210","FirstName":"A"}`, map[string]resource.Value{"Phone": full}, Allowed, `{"FirstName":"A"}`},
		"the fixed mask comes back":         {`{"Phone":"XXXXXXXX"}`, map[string]resource.Value{"Phone": full}, Allowed, `{}`},
		"the mask of another value":         {`{"Phone":"+91XXXXXX9999"}`, map[string]resource.Value{"Phone": full}, FieldDenied, ""},
		"the true value":                    {`{"Phone":"+919876543210"}`, map[string]resource.Value{"Phone": full}, FieldDenied, ""},
		"another value":                     {`{"Phone":"1"}`, map[string]resource.Value{"Phone": full}, FieldDenied, ""},
		"a number":                          {`{"Phone":919876543210}`, map[string]resource.Value{"Phone": full}, FieldDenied, ""},
		"cleared":                           {`{"Phone":null}`, map[string]resource.Value{"Phone": full}, FieldDenied, ""},
		"cleared to nothing":                {`{"Phone":""}`, map[string]resource.Value{"Phone": full}, FieldDenied, ""},
		"a list":                            {`{"Phone":["x"]}`, map[string]resource.Value{"Phone": full}, FieldDenied, ""},
		"filled in":                         {`{"Phone":"+911234567890"}`, map[string]resource.Value{"Phone": null}, Allowed, ""},
		"filled in while not there":         {`{"Phone":"+911234567890"}`, map[string]resource.Value{}, Allowed, ""},
		"the other of two names has one":    {`{"Mobile":"+911234567890"}`, map[string]resource.Value{"Phone": full}, FieldDenied, ""},
		"the other has one, this is empty":  {`{"Mobile":"+911234567890"}`, map[string]resource.Value{"Phone": full, "Mobile": null}, Allowed, ""},
		"a mask where nothing is":           {`{"Phone":"XXXXXXXX"}`, map[string]resource.Value{"Phone": text("")}, FieldDenied, ""},
		"the mask of what was there":        {`{"Phone":"+91XXXXXX3210"}`, map[string]resource.Value{"Phone": null}, FieldDenied, ""},
		"a masked text where nothing is":    {`{"Notes":"call XXXXXXXX"}`, map[string]resource.Value{"Notes": null}, FieldDenied, ""},
		"a text where nothing is":           {`{"Notes":"call back"}`, map[string]resource.Value{"Notes": null}, Allowed, ""},
		"nothing where nothing is":          {`{"Phone":""}`, map[string]resource.Value{"Phone": null}, Allowed, ""},
		"not to be filled in":               {`{"EmailAddress":"a@b.test"}`, map[string]resource.Value{"EmailAddress": null}, FieldDenied, ""},
		"its mask comes back all the same":  {`{"EmailAddress":"XXXXXX@b.test","FirstName":"x"}`, map[string]resource.Value{"EmailAddress": text("ada@b.test")}, Allowed, `{"FirstName":"x"}`},
		"hidden":                            {`{"mx_PAN":"x"}`, map[string]resource.Value{"mx_PAN": text("y")}, FieldDenied, ""},
		"hidden, in the words of a mask":    {`{"mx_PAN":"XXXXXXXX"}`, map[string]resource.Value{"mx_PAN": text("y")}, FieldDenied, ""},
		"hidden and empty":                  {`{"mx_PAN":"x"}`, map[string]resource.Value{"mx_PAN": null}, FieldDenied, ""},
		"text with nothing masked in it":    {`{"Notes":"new"}`, map[string]resource.Value{"Notes": text("call back")}, Allowed, ""},
		"text with a number masked in it":   {`{"Notes":"new"}`, map[string]resource.Value{"Notes": text("call +919876543210")}, FieldDenied, ""},
		"that text as it was shown":         {`{"Notes":"call XXXXXXXX"}`, map[string]resource.Value{"Notes": text("call +919876543210")}, Allowed, `{}`},
		"a document, with a mask in it":     {`{"Extra":"{\"Phone\":\"+91XXXXXX3210\"}"}`, map[string]resource.Value{"Extra": text(`{"Phone":"+919876543210"}`)}, FieldDenied, ""},
		"a document without a mask in it":   {`{"Extra":"{}"}`, map[string]resource.Value{"Extra": text(`{"FirstName":"A"}`)}, FieldDenied, ""},
		"a document where nothing was":      {`{"Extra":"{}"}`, map[string]resource.Value{"Extra": null}, Allowed, ""},
		"two names of one field":            {`{"Phone":"+91XXXXXX3210","Mobile":"2"}`, map[string]resource.Value{"Phone": full, "Mobile": full}, FieldDenied, ""},
		"there is no such lead":             {`{"Phone":"x"}`, nil, FieldDenied, ""},
		"a text with a masked value in it":  {`{"Notes":"new"}`, map[string]resource.Value{"Notes": text("ask Rao Traders"), "mx_PAN": text("Rao Traders")}, FieldDenied, ""},
		"that text with the value masked":   {`{"Notes":"ask XXXXXXXX"}`, map[string]resource.Value{"Notes": text("ask Rao Traders"), "mx_PAN": text("Rao Traders")}, Allowed, `{}`},
		"a mask of another record's value":  {`{"Notes":"ask XXXXXXXX, then call"}`, map[string]resource.Value{"Notes": text("ask Rao Traders")}, FieldDenied, ""},
		"a mask that was there before":      {`{"Notes":"XXXX asked"}`, map[string]resource.Value{"Notes": text("XXXX")}, Allowed, ""},
		"a number nobody declared":          {`{"mx_New":1}`, map[string]resource.Value{"mx_New": {Kind: '0', Text: "9876543210"}}, FieldDenied, ""},
		"a number that is a masked one":     {`{"mx_New":1}`, map[string]resource.Value{"mx_New": {Kind: '0', Text: "7654321"}, "mx_PAN": {Kind: '0', Text: "7654321"}}, FieldDenied, ""},
		"a number that is an amount":        {`{"mx_New":1}`, map[string]resource.Value{"mx_New": {Kind: '0', Text: "250000"}}, Allowed, ""},
		"a field nobody declared, empty":    {`{"mx_New":"x"}`, map[string]resource.Value{"mx_New": {Kind: '"'}}, Allowed, ""},
		"a field nobody declared, absent":   {`{"mx_New":"x"}`, map[string]resource.Value{}, FieldDenied, ""}, // it may be another name of a masked one
		"a field nobody declared, personal": {`{"mx_New":"x"}`, map[string]resource.Value{"mx_New": full}, FieldDenied, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if c.now != nil {
				c.now["ProspectID"] = text("7")
			}
			got := answer(t, s, m, "sales_manager", "POST /leads/7 "+c.send, c.now)
			if got.Reason != c.want {
				t.Fatalf("%s (%s), want %s", got.Reason, got.Detail, c.want)
			}
			if strings.Contains(got.Detail, "98765") || strings.Contains(got.Detail, "12345") {
				t.Errorf("a value stands in %q", got.Detail)
			}
			body := ""
			for op, given := range got.Leave {
				b, err := op.Without(given)
				if err != nil {
					t.Fatal(err)
				}
				body = string(b)
			}
			if body != c.body {
				t.Errorf("sent is %q, want %q: a mask is stored, or something else is lost", body, c.body)
			}
		})
	}
}

// A mask in words of the map's own is known for one, too.
func TestWriteBackOfAMaskInOwnWords(t *testing.T) {
	m, err := resource.Parse("small.yaml", []byte(strings.Replace(smallMapText(t), "mask: {fn: phone, keep_last: 4}", "mask: {fn: full, text: not for you}", 1)))
	if err != nil {
		t.Fatal(err)
	}
	s := compileSrc(t, m, writebackPolicy)
	for send, want := range map[string]Reason{`{"Phone":"not for you"}`: FieldDenied, `{"Phone":"+911234567890"}`: Allowed} {
		now := map[string]resource.Value{"ProspectID": {Kind: '"', Text: "7"}, "Phone": {Kind: 'n'}}
		if got := answer(t, s, m, "sales_manager", "POST /leads/7 "+send, now); got.Reason != want {
			t.Errorf("%s: %s (%s), want %s", send, got.Reason, got.Detail, want)
		}
	}
}

// A record whose state cannot be read, or is read wrong, is not written.
func TestPendingFailsClosed(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, writebackPolicy)
	lead := func(id, owner string) map[string]resource.Value {
		return map[string]resource.Value{"ProspectID": {Kind: '"', Text: id}, "OwnerId": {Kind: '"', Text: owner}}
	}
	for name, c := range map[string]struct {
		send    string
		records []map[string]resource.Value
		err     error
		want    Reason
	}{
		"mine":                {`POST /leads/7 {"FirstName":"x"}`, []map[string]resource.Value{lead("7", "u-ravi")}, nil, Allowed},
		"another's":           {`POST /leads/7 {"FirstName":"x"}`, []map[string]resource.Value{lead("7", "u-asha")}, nil, RowDenied},
		"nobody's":            {`POST /leads/7 {"FirstName":"x"}`, []map[string]resource.Value{lead("7", "")}, nil, RowDenied},
		"another record came": {`POST /leads/7 {"FirstName":"x"}`, []map[string]resource.Value{lead("8", "u-ravi")}, nil, RowDenied},
		"it came twice":       {`POST /leads/7 {"FirstName":"x"}`, []map[string]resource.Value{lead("7", "u-ravi"), lead("7", "u-ravi")}, nil, RowDenied},
		"nothing came":        {`POST /leads/7 {"FirstName":"x"}`, nil, nil, RowDenied},
		"it cannot be read":   {`POST /leads/7 {"FirstName":"x"}`, []map[string]resource.Value{lead("7", "u-ravi")}, resource.ErrNoReadBack, RowDenied},
		"a new activity":      {`POST /activities {"Lead":"7","Fields":{}}`, []map[string]resource.Value{lead("7", "u-ravi")}, nil, Allowed},
		"on another's lead":   {`POST /activities {"Lead":"7","Fields":{}}`, []map[string]resource.Value{lead("7", "u-asha")}, nil, RowDenied},
		"mine, and one that a CRM may tell from it": {`POST /bulk {"Ids":["a1","A-1"],"Fields":[{"Attribute":"FirstName","Value":"x"}]}`, []map[string]resource.Value{lead("a1", "u-ravi")}, nil, RowDenied},
		"the same id twice":                         {`POST /leads/7 {"FirstName":"x","ProspectID":"7"}`, []map[string]resource.Value{lead("7", "u-ravi")}, nil, Allowed},
		"deleting one's own":                        {`GET /delete/7`, []map[string]resource.Value{lead("7", "u-ravi")}, nil, Allowed},
	} {
		t.Run(name, func(t *testing.T) {
			d := s.Decide(as("sales_user"), ops(t, m, c.send), Env{})
			if d.Allow || d.Pending == nil {
				t.Fatalf("allow %v %s: it is not asked whose it is", d.Allow, d.Detail)
			}
			for reads := d.Pending.Reads(); len(reads) > 0; reads = d.Pending.Reads() {
				for _, rd := range reads {
					var list []*resource.Record
					for _, r := range c.records {
						list = append(list, resource.NewRecord(rd.Entity, r))
					}
					d.Pending.Answer(rd, list, c.err)
				}
			}
			if got := d.Pending.Settle(); got.Reason != c.want {
				t.Errorf("%s (%s), want %s", got.Reason, got.Detail, c.want)
			}
		})
	}
	// Whoever never reads, never writes.
	d := s.Decide(as("sales_user"), ops(t, m, `POST /leads/7 {"FirstName":"x"}`), Env{})
	if got := d.Pending.Settle(); got.Reason != RowDenied {
		t.Errorf("settled without a read: %s", got.Reason)
	}
	// What cannot be read at all is refused at once.
	for _, send := range []string{
		`POST /upsert [{"Attribute":"FirstName","Value":"x"}]`, `GET /tasks/7/complete`,
		`POST /leads/7 {"FirstName":"x","ProspectID":"8"}`, `POST /leads/7 {"FirstName":"x","prospect_id":8}`, `POST /leads/7 {"FirstName":"x","ProspectID":null}`,
		`POST /leads/7 {"FirstName":"x","ProspectID":["7"]}`, `POST /bulk {"Ids":["7"],"Fields":[{"Attribute":"ProspectID","Value":"8"}]}`,
	} {
		d := s.Decide(as("sales_user"), ops(t, m, send), Env{})
		if d.Allow || d.Pending != nil && len(d.Pending.Reads()) > 0 {
			t.Errorf("%s: %v", send, d.Reason)
		}
	}
}

// What is made to hang on a record belongs to whom that belongs to, so that it must be
// one that is seen: for new records and for those that are moved, however that is said.
func TestHangingOnOthersRecords(t *testing.T) {
	m := smallMap(t)
	s := compileSrc(t, m, "version: 1\n")
	text := func(v string) resource.Value { return resource.Value{Kind: '"', Text: v} }
	there := map[string]map[string]resource.Value{
		"c1": {"CallID": text("c1"), "OwnerId": text("u-ravi"), "LeadID": text("7")},
		"c2": {"CallID": text("c2"), "OwnerId": text("u-ravi"), "LeadID": text("8")},
		"7":  {"ProspectID": text("7"), "OwnerId": text("u-ravi")},
		"8":  {"ProspectID": text("8"), "OwnerId": text("u-asha")},
		"9":  {"ProspectID": text("9"), "OwnerId": text("u-ravi")},
	}
	for send, want := range map[string]Reason{
		`POST /calls {"Topic":"x","LeadID":"7"}`:                  Allowed,
		`POST /calls {"Topic":"x","LeadID":"8"}`:                  RowDenied,
		`POST /calls {"Topic":"x","lead_id":8}`:                   RowDenied,
		`POST /calls {"Topic":"x","ProspectID":"8"}`:              RowDenied,
		`POST /calls {"Topic":"x","LeadID":"7","ProspectID":"8"}`: RowDenied,
		`POST /calls {"Topic":"x","LeadID":["8"]}`:                RowDenied,
		`POST /calls {"Topic":"x"}`:                               Allowed,
		`POST /calls {"Topic":"x","LeadID":null}`:                 Allowed,
		`POST /calls/c1 {"Lead":"7","Fields":{"Topic":"x"}}`:      Allowed,
		`POST /calls/c1 {"Lead":"9","Fields":{"Topic":"x"}}`:      Allowed,
		`POST /calls/c1 {"Lead":"8","Fields":{"Topic":"x"}}`:      RowDenied,
		`POST /calls/c1 {"Lead":"10","Fields":{"Topic":"x"}}`:     RowDenied,
		`POST /calls/c2 {"Lead":"8","Fields":{"Topic":"x"}}`:      Allowed, // it hangs there already
		`POST /calls/c1 {"Fields":{"LeadID":"8"}}`:                RowDenied,
		`POST /calls/c1 {"Fields":{"LeadID":{"id":"8"}}}`:         RowDenied,
		`POST /calls/c1 {"Fields":{"Topic":"x"}}`:                 Allowed,
		`POST /calls/of {"Phone":"+919876543210","Fields":{}}`:    RowDenied,
		`POST /calls/of {"Fields":{"Topic":"x"}}`:                 Allowed,
	} {
		d := s.Decide(as("sales_user"), ops(t, m, send), Env{})
		got := d.Reason
		if d.Pending != nil {
			for reads := d.Pending.Reads(); len(reads) > 0; reads = d.Pending.Reads() {
				for _, rd := range reads {
					var found []*resource.Record
					for _, id := range rd.IDs {
						if there[id] != nil {
							found = append(found, resource.NewRecord(rd.Entity, there[id]))
						}
					}
					d.Pending.Answer(rd, found, nil)
				}
			}
			got = d.Pending.Settle().Reason
		}
		if got != want {
			t.Errorf("%s: %s (%s), want %s", send, got, d.Detail, want)
		}
		if d := s.Decide(as("sales_manager"), ops(t, m, send), Env{}); !d.Allow {
			t.Errorf("%s by somebody who sees all records: %s (%s)", send, d.Reason, d.Detail)
		}
	}
}

// A masked field may be looked up by its whole value and in no other way.
func TestExactLookup(t *testing.T) {
	b := strings.Replace(smallMapText(t), "{body: /LookupName, as: name, use: filter}", "{body: /LookupName, as: name, use: filter, op: /Op, value_at: /LookupValue}", 1)
	m, err := resource.Parse("small.yaml", []byte(strings.Replace(b, "ignore: [/LookupValue]", "ignore: [/LookupValue, /Op]", 1)))
	if err != nil {
		t.Fatal(err)
	}
	s := compileSrc(t, m, writebackPolicy)
	for send, want := range map[string]Reason{
		`{"LookupName":"Phone","Op":"=","LookupValue":"+91 98765 43210"}`:  Allowed,
		`{"LookupName":"Phone","Op":"EQ","LookupValue":"+91 98765 43210"}`: Allowed,
		`{"LookupName":"Phone","Op":"LIKE","LookupValue":"+919876543210"}`: QueryDenied,
		`{"LookupName":"Phone","LookupValue":"+919876543210"}`:             QueryDenied,
		`{"LookupName":"Phone","Op":"=","LookupValue":"98%"}`:              QueryDenied,
		`{"LookupName":"Phone","Op":"=","LookupValue":"98"}`:               QueryDenied,
		`{"LookupName":"Phone","Op":"=","LookupValue":["+919876543210"]}`:  QueryDenied,
		`{"LookupName":"Phone","Op":"="}`:                                  QueryDenied,
		`{"LookupName":"EmailAddress","Op":"=","LookupValue":"a@b.test"}`:  QueryDenied,
		`{"LookupName":"mx_PAN","Op":"=","LookupValue":"ABCDE1234F"}`:      QueryDenied,
		`{"LookupName":"Extra","Op":"LIKE","LookupValue":"98"}`:            QueryDenied,
		`{"Sort":"Phone"}`: QueryDenied,
		`{"Sort":"Extra"}`: QueryDenied,
	} {
		if d := s.Decide(as("sales_manager"), ops(t, m, "POST /search "+send), Env{}); d.Reason != want || d.LookedUp != d.Allow {
			t.Errorf("%s: %s (%s), want %s", send, d.Reason, d.Detail, want)
		}
	}
	d := s.Decide(as("sales_manager"), ops(t, m, `POST /search {"LookupName":"Phone","Op":"=","LookupValue":"9876543210"}`), Env{})
	rows := d.Plans[0].Root.Elements.Record.Rows
	for phone, want := range map[string]bool{"+91-98765 43210": true, "9876543210": true, "+919876543211": false, "98765432101": false, "3210": false, "": false} {
		if ok, err := rows.Where.Holds(d.Viewer, members(map[string]plan.Value{"Mobile": {Kind: '"', Text: phone}})); ok != want || err != nil {
			t.Errorf("found by 9876543210: a lead with %q: %v %v", phone, ok, err)
		}
	}
	if strings.Contains(d.Detail, "98765") || !slices.Contains(rows.Where.Needs(), "phone") {
		t.Error("the audit would hold the value", d.Detail)
	}
	if p := s.PlanFor(as("sales_manager"), &ops(t, m, `POST /search {"Group":"ProspectStage"}`)[0]); p.ID == d.Plans[0].ID {
		t.Error("two plans have one id")
	}
}
