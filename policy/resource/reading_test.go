// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// toy is a map with one route for each way of reading the two maps that come
// with the gate do not need.
const toyMap = `
version: 1
map: toy
limits: {body: 64KiB, items: 50}
names: {path: "."}
credentials: {query: [token]}
features: [reports]
wrappers: [{at: __class__, is: Decimal, value: decimal}]
errors: {at: /error, body: '{"error":{"kind":"{type}","text":"{message}"}}', types: {default: Denied, "404": Missing}}
session: {cookie: sid, form: "{sid}", secret: sid}
entities:
  lead:
    names: [crm.lead]
    owner: [owner]
    fields:
      id: id
      phone: {names: [phone], mask: {fn: phone, keep_last: 4}}
      name: name
      owner: owner
      partner: {names: [partner], entity: partner}
      lines: {names: [lines], entity: line}
  partner: {names: [crm.partner], fields: {id: id, email: email}}
  line: {fields: {product: product}}
routes:
  - id: brackets
    on: GET /brackets
    entity: lead
    action: view
    request: {read: [{query: filter, as: brackets}, {query: fields, as: names, use: select}, {query: order, as: order}, {query: group, as: names, use: group}]}
  - {id: odata, on: GET /odata, entity: lead, action: view, request: {read: {query: $filter, as: odata}}}
  - id: form
    on: POST /form
    entity: lead
    action: edit
    request: {read: [{form: id, as: id, required: true}, {form: phone, as: field, field: phone, entity: lead, use: write}, {form: ids, as: parent, entity: partner}]}
  - {id: form.delete, on: POST /command, when: {form: action, is: delete}, entity: lead, action: delete, request: {read: {form: id, as: id}}}
  - {id: form.edit, on: POST /command, when: {form: action, is: edit}, entity: lead, action: edit, request: {read: {form: id, as: id}}}
  - {id: multipart, on: POST /multipart, entity: lead, action: import, request: {body: multipart}}
  - {id: graphql, on: POST /graphql, entity: lead, action: view, request: {body: graphql}}
  - {id: header, on: "GET /header/{kind}.json", entity: lead, action: view, request: {read: [{header: X-Lead, as: id}, {capture: kind, as: type}]}}
  - id: odoo
    on: POST /odoo
    entity: lead
    action: edit
    request: {read: [{body: /ids, as: id}, {body: /values, as: object, commands: odoo}, {body: /domain, as: domain}, {body: /order, as: order}, {body: /options, as: options}]}
  - {id: import, on: POST /import, entity: lead, action: import, bulk: true, request: {read: {body: /columns, as: columns, rows: /rows}}}
  - id: keyed
    on: POST /keyed
    entity: lead
    action: edit
    request: {read: {body: "/leads/{*}", as: object}}
  - {id: one, on: POST /rpc, when: {body: /method, is: "{model}.delete"}, entity: "{model}", action: delete, request: {read: {body: /ids, as: id}}}
  - {id: two, on: POST /rpc, when: {body: /method, is: "{model}.read"}, entity: "{model}", action: view, only: [lead], request: {read: {body: /ids, as: id}}}
  - {id: batch, on: POST /rpc, when: {body: /, type: array}, batch: {items: /*, max: 3}}
  - {id: envelope, on: POST /batch, batch: {items: /requests/*, max: 3, method: /method, path: /url, body: /body}}
  - {id: host, hosts: [a.example.com], kind: page, on: GET /where}
  - {id: nohost, kind: page, on: GET /where, feature: reports}
  - {id: bracket.switch, kind: page, on: GET /switch, when: [{query: format, is: csv}, {header: X-Mode, is: "{mode}"}]}
  - {id: sign_in, kind: sign_in, on: POST /sign-in, grants: {sid: {reply: /sid}}}
`

func toy(t testing.TB) *Map {
	t.Helper()
	m, err := Parse("toy.yaml", []byte(toyMap))
	if err != nil {
		t.Fatalf("the toy map does not load:\n%v", err)
	}
	return m
}

// send reads "METHOD target" with a body.
func send(m *Map, line, body string, header map[string][]string) ([]Operation, error) {
	method, target, _ := strings.Cut(line, " ")
	path, query, _ := strings.Cut(target, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	r := &Request{Method: method, Host: "a.example.com", Path: path, Query: q, Header: header}
	mt, err := m.Match(r)
	if err != nil {
		return nil, err
	}
	r.Body = []byte(body)
	if !mt.NeedsBody() {
		r.Body = nil
	}
	return mt.Operations(r)
}

// tell writes operations in one line.
func tell(ops []Operation) string {
	var out []string
	for _, op := range ops {
		s := op.ID
		if op.Entity != "" {
			s += " " + op.Entity + "." + string(op.Action)
		}
		if op.Bulk {
			s += " bulk"
		}
		if op.Count > 0 {
			s += fmt.Sprintf(" n=%d", op.Count)
		}
		if len(op.Records) > 0 {
			s += " " + strings.Join(op.Records, ",")
		}
		for _, p := range op.Parents {
			s += " of " + p.Entity + " " + p.ID
		}
		if len(op.Types) > 0 {
			s += " types " + strings.Join(op.Types, ",")
		}
		for i := range op.Fields {
			s += " [" + op.Fields[i].String() + "]"
		}
		if op.Item > 0 {
			s += fmt.Sprintf(" item %d", op.Item)
		}
		out = append(out, s)
	}
	return strings.Join(out, "; ")
}

func TestReading(t *testing.T) {
	m := toy(t)
	for _, c := range []struct{ name, send, body, want string }{
		{"bracketed filters", "GET /brackets?filter[phone][_contains]=9&filter[_and][0][partner][_eq]=1", "", "brackets lead.view [filter lead.partner] [filter lead.phone]"},
		{"a bracketed filter through records", "GET /brackets?filter[partner][email]=x", "", "brackets lead.view [unknown lead query filter[partner][email]]"},
		{"a bracketed filter by nothing", "GET /brackets?filter[]=x", "", "brackets lead.view [unknown lead query filter[]]"},
		{"an order in words", "GET /brackets?order=-phone,name+desc,partner.email:asc", "", "brackets lead.view [sort lead.phone] [sort lead.name] [sort partner.email]"},
		{"grouping", "GET /brackets?group=phone", "", "brackets lead.view [group lead.phone]"},
		{"credentials are the gate's business", "GET /brackets?TOKEN=x", "", "brackets lead.view"},
		{"a language nobody reads", "GET /odata?$filter=startswith(phone,'9')", "", "odata lead.view [unknown lead query $filter as odata]"},
		{"a form", "POST /form", "id=1&phone=2&extra=3&ids=4,5", "form lead.edit n=1 1 of partner 4 of partner 5 [unknown lead form extra] [write lead.phone]"},
		{"a form tells two routes apart", "POST /command", "action=delete&id=1,2", "form.delete lead.delete bulk n=2 1,2"},
		{"multipart is not read", "POST /multipart", "", "multipart lead.import [unknown lead body as multipart]"},
		{"GraphQL is not read", "POST /graphql", "", "graphql lead.view [unknown lead body as graphql]"},
		{"a capture beside literal text", "GET /header/hot.json", "", "header lead.view types hot"},
		{
			"nested commands by number", "POST /odoo", `{"ids":[1],"values":{"phone":"9","lines":[[0,0,{"product":1}],[2,7],[6,0,[8,9]]]}}`,
			"odoo lead.edit n=1 1 [write lead.phone] [write lead.lines]; odoo line.create n=1 [write line.product]; odoo line.delete n=1 7 [write line.product]; odoo line.edit bulk n=2 8,9 [write line.product]",
		},
		{"a nested object", "POST /odoo", `{"values":{"partner":{"email":"x"}}}`, "odoo lead.edit n=1 [write lead.partner] [write partner.email]"},
		{"a nested object in no relation", "POST /odoo", `{"values":{"phone":{"x":1}}}`, "odoo lead.edit n=1 [write lead.phone] [unknown lead body /values/phone]"},
		{"a scalar in its wrapper", "POST /odoo", `{"values":{"phone":{"__class__":"Decimal","decimal":"1"}}}`, "odoo lead.edit n=1 [write lead.phone]"},
		{"a wrapper of another kind", "POST /odoo", `{"values":{"phone":{"__class__":"Other","x":1}}}`, "odoo lead.edit n=1 [write lead.phone] [unknown lead body /values/phone]"},
		{"a domain with prefix logic", "POST /odoo", `{"domain":["|",["phone","like","9%"],"!",["partner.email","=","x"]],"order":[["name","ASC"]]}`, "odoo lead.edit [filter lead.phone] [filter partner.email] [sort lead.name]"},
		{"an order as an object", "POST /odoo", `{"order":{"phone":"desc"}}`, "odoo lead.edit [sort lead.phone]"},
		{"positional rows", "POST /import", `{"columns":["name","phone"],"rows":[["a","1"],["b","2"]]}`, "import lead.import bulk n=2 [write lead.name] [write lead.phone]"},
		{"records keyed by id", "POST /keyed", `{"leads":{"1":{"phone":"9"},"2":{"name":"x"}}}`, "keyed lead.edit bulk n=2 [write lead.phone] [write lead.name]"},
		{"a batch, each item by itself", "POST /rpc", `[{"method":"crm.lead.delete","ids":[1]},{"method":"crm.lead.read","ids":[2,3]}]`, "one lead.delete n=1 1; two lead.view bulk n=2 2,3 item 1"},
		{
			"whole requests in an envelope", "POST /batch", `{"requests":[{"method":"get","url":"/brackets?group=phone"},{"method":"POST","url":"/keyed","body":{"leads":{"1":{"phone":"9"}}}}]}`,
			"brackets lead.view [group lead.phone]; keyed lead.edit n=1 [write lead.phone] item 1",
		},
		{"a host of its own", "GET /where", "", "host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ops, err := send(m, c.send, c.body, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := tell(ops); got != c.want {
				t.Errorf("a person is judged by something else than what he asks for:\n got %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestReadingRefuses(t *testing.T) {
	m := toy(t)
	deep := strings.Repeat("[", 300) + strings.Repeat("]", 300)
	for _, c := range []struct {
		name, send, body string
		want             error
	}{
		{"a batch too long", "POST /rpc", `[{"method":"lead.read"},{"method":"lead.read"},{"method":"lead.read"},{"method":"lead.read"}]`, ErrUnreadable},
		{"an empty batch", "POST /rpc", `[]`, ErrUnreadable},
		{"a batch in a batch", "POST /rpc", `[[{"method":"lead.read"}]]`, ErrUnreadable},
		{"an envelope in an envelope", "POST /batch", `{"requests":[{"method":"POST","url":"/batch","body":{"requests":[]}}]}`, ErrUnreadable},
		{"a query with a fragment in an envelope", "POST /batch", `{"requests":[{"method":"GET","url":"/leads?x=1#&y=2","body":{}}]}`, ErrUnreadable},
		{"an envelope around something unknown", "POST /batch", `{"requests":[{"method":"GET","url":"/brackets"},{"method":"GET","url":"/nosuch"}]}`, ErrUnmapped},
		{"an envelope around a path in two forms", "POST /batch", `{"requests":[{"method":"POST","url":"//keyed","body":{}}]}`, ErrUnreadable},
		{"an envelope with credentials in it", "POST /batch", `{"requests":[{"method":"get","url":"/brackets?Token=x"}]}`, ErrUnreadable},
		{"an envelope around a hidden path", "POST /batch", `{"requests":[{"method":"GET","url":"/a%2fb"}]}`, ErrUnreadable},
		{"an envelope without its list", "POST /batch", `{"requests":{}}`, ErrUnreadable},
		{"an item without its body", "POST /batch", `{"requests":[{"method":"POST","url":"/keyed"}]}`, ErrUnreadable},
		{"one bad item", "POST /rpc", `[{"method":"crm.lead.read","ids":[1]},{"method":"crm.secret.read"}]`, ErrUnmapped},
		{"an entity the route is not for", "POST /rpc", `{"method":"crm.partner.read"}`, ErrUnmapped},
		{"a condition twice", "POST /command", "action=edit&action=delete&id=1", ErrUnreadable},
		{"a condition in two spellings", "POST /command", "action=edit&Action=delete&id=1", ErrUnreadable},
		{"a required id missing", "POST /form", "phone=1", ErrUnreadable},
		{"a broken form", "POST /form", "id=%zz", ErrUnreadable},
		{"a condition of a query that is not there", "GET /switch", "", ErrUnmapped},
		{"too deep", "POST /keyed", deep, ErrUnreadable},
		{"bad UTF-8", "POST /keyed", "{\"leads\":{\"\xff\":{}}}", ErrUnreadable},
		{"a lone surrogate", "POST /keyed", `{"leads":{"\ud800":{}}}`, ErrUnreadable},
		{"a byte order mark", "POST /keyed", "\ufeff{}", ErrUnreadable},
		{"too large", "POST /keyed", `{"leads":"` + strings.Repeat("x", 70000) + `"}`, ErrUnreadable},
		{"too many things", "POST /odoo", `{"ids":[` + strings.Repeat("1,", 60) + `1]}`, ErrUnreadable},
		{"ids that are none", "POST /odoo", `{"ids":[{"x":1}]}`, ErrUnreadable},
		{"ids nested", "POST /odoo", `{"ids":[[[1]]]}`, ErrUnreadable},
		{"values that are none", "POST /odoo", `{"values":[1]}`, ErrUnreadable},
		{"options that are none", "POST /odoo", `{"options":[["phone","=",1]]}`, ErrUnreadable},
		{"a domain of two parts", "POST /odoo", `{"domain":[["phone","like"]]}`, ErrUnreadable},
		{"an order that is none", "POST /odoo", `{"order":7}`, ErrUnreadable},
		{"rows that are none", "POST /import", `{"columns":["a"],"rows":7}`, ErrUnreadable},
		{"columns that are none", "POST /import", `{"columns":"a","rows":[]}`, ErrUnreadable},
	} {
		t.Run(c.name, func(t *testing.T) {
			ops, err := send(m, c.send, c.body, nil)
			if !errors.Is(err, c.want) {
				t.Errorf("what nobody understands went through as %q, %v", tell(ops), err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error repeats what the client sent: %v", err)
			}
		})
	}
}

func TestErrorsNamePlacesAndNotContent(t *testing.T) {
	_, err := send(toy(t), "POST /odoo", `{"values":{"lines":1},"ids":{"canary":"9876543210"}}`, nil)
	if err == nil || !strings.Contains(err.Error(), "/ids") || strings.Contains(err.Error(), "9876543210") || strings.Contains(err.Error(), "canary") {
		t.Errorf("the error must say where and never what: %v", err)
	}
}

func TestOperationsDoesNotTouchABodyItDoesNotNeed(t *testing.T) {
	m := toy(t)
	r := &Request{Method: "GET", Path: "/brackets", Body: []byte("{broken")}
	mt, err := m.Match(r)
	if err != nil || mt.NeedsBody() || mt.TakesBody() || mt.Undecided() {
		t.Fatalf("a GET waits for a body: %v", err)
	}
	if _, err := mt.Operations(r); err != nil {
		t.Errorf("a request was refused over a body that is not sent on: %v", err)
	}
}

func TestUndecided(t *testing.T) {
	m := toy(t)
	mt, err := m.Match(&Request{Method: "POST", Path: "/rpc"})
	if err != nil {
		t.Fatal(err)
	}
	r := mt.Route()
	if !mt.Undecided() || !mt.NeedsBody() || mt.MaxBody() != 64<<10 || r.Kind != Data || r.Response == nil || r.Request == nil {
		t.Errorf("before the body is known the request must count as data of unknown sort: %+v", r)
	}
	if mt.MayBePublic() {
		t.Error("none of these routes is public, and one of them may be: a request without a session would be read")
	}
}

func TestConditionsOnQueryAndHeader(t *testing.T) {
	m := toy(t)
	ops, err := send(m, "GET /switch?format=csv", "", map[string][]string{"X-Mode": {"full"}})
	if err != nil || tell(ops) != "bracket.switch" {
		t.Errorf("got %q, %v", tell(ops), err)
	}
	if _, err := send(m, "GET /switch?format=csv", "", map[string][]string{"X-Mode": {"full", "none"}}); !errors.Is(err, ErrUnreadable) {
		t.Errorf("a header that stands there twice decided: %v", err)
	}
}

func TestErrorShape(t *testing.T) {
	m := toy(t)
	for status, want := range map[int]string{
		404: `{"error":{"kind":"Missing","text":"no \"such\" \u003cthing\u003e"}}`,
		403: `{"error":{"kind":"Denied","text":"no \"such\" \u003cthing\u003e"}}`,
	} {
		if got := string(m.Errors.Render(status, `no "such" <thing>`)); got != want {
			t.Errorf("status %d: the CRM's client cannot read %s, want %s", status, got, want)
		}
	}
	var none *ErrorShape
	if none.Render(403, "x") != nil {
		t.Error("a map without an error shape made one up")
	}
}

func TestExplain(t *testing.T) {
	m := toy(t)
	for _, c := range []struct{ send, body, want string }{
		{"GET /brackets?filter[phone]=9876543210", "", "filter lead.phone"},
		{"POST /rpc", `{"method":"crm.lead.delete","ids":[1]}`, "lead.delete: route one at toy.yaml:"},
		{"POST /rpc", "", "the path is shared by 3 routes; the body decides"},
		{"DELETE /brackets", "", "the path is mapped for GET"},
		{"POST /keyed", "[]", "unreadable: "},
	} {
		method, target, _ := strings.Cut(c.send, " ")
		path, query, _ := strings.Cut(target, "?")
		q, _ := url.ParseQuery(query)
		r := &Request{Method: method, Path: path, Query: q}
		if c.body != "" {
			r.Body = []byte(c.body)
		}
		got := m.Explain(r)
		if !strings.Contains(got, c.want) || strings.Contains(got, "9876543210") {
			t.Errorf("%s: expected %q (and no values) in:\n%s", c.send, c.want, got)
		}
	}
}

func TestCheckFindsDeadParts(t *testing.T) {
	_, err := Parse("m.yaml", []byte(`
version: 1
map: x
entities:
  lead: {owner: [owner], read_back: {route: a, args: {id: "{record_id}"}}, owner_via: [{at: nowhere, entity: lead}], fields: {phone: {tags: [pii]}, owner: {names: [owner], mask: {fn: full}}}}
  lonely: {}
routes:
  - {id: a, on: POST /a, entity: lead, action: view, when: {body: /m, is: x}, request: {read: {body: /m/x, as: id}}, response: {records: [{at: /x/*}, {at: /x/*}]}}
  - {id: b, on: GET /b, entity: lead, action: view, response: {format: none, records: {at: /*}}}
`))
	if err == nil {
		t.Fatal("a read below a condition's text was taken")
	}
	m, err := Parse("m.yaml", []byte(`
version: 1
map: x
entities:
  lead: {owner: [owner], read_back: {route: a, args: {id: "{record_id}"}}, owner_via: [{at: nowhere, entity: lead}], fields: {phone: {tags: [pii]}, owner: {names: [owner], mask: {fn: full}}}}
  lonely: {}
routes:
  - {id: a, on: POST /a, entity: lead, action: view, response: {records: [{at: /x/*}, {at: /x/*}]}}
  - {id: b, on: GET /b, entity: lead, action: view, response: {format: none, records: {at: /*}}}
`))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range m.Check() {
		all = append(all, f.String())
	}
	text := strings.Join(all, "\n")
	for _, want := range []string{
		"field phone of lead has no name on the wire",
		"field owner of lead holds the owner",
		`finds its owner through "nowhere"`,
		"entity lonely is used by no route",
		"two record sets at /x/*",
		"answers records in no body",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("an integrator is not told: %s\ngot:\n%s", want, text)
		}
	}
}

func FuzzOperations(f *testing.F) {
	maps := []*Map{toy(f)}
	for _, name := range []string{"leadsquared", "tryton"} {
		data, err := os.ReadFile(filepath.Join("..", "maps", name+".yaml"))
		if err != nil {
			f.Fatal(err)
		}
		m, err := Parse(name+".yaml", data)
		if err != nil {
			f.Fatal(err)
		}
		maps = append(maps, m)
	}
	for _, s := range []struct{ line, body string }{
		{"POST /rpc", `[{"method":"crm.lead.read","ids":[2,3]}]`},
		{"POST /odoo", `{"ids":[1],"values":{"lines":[[0,0,{"product":1}]]},"domain":["|",["phone","like","9%"]]}`},
		{"POST /batch", `{"requests":[{"method":"get","url":"/brackets?group=phone"}]}`},
		{"GET /brackets?filter[phone][_contains]=9&order=-a", ""},
		{"POST /form", "id=1&phone=2"},
		{"POST /v2/LeadManagement.svc/Leads.Get", `{"Parameter":{"LookupName":"Phone"},"Columns":{"Include_CSV":"a,b"}}`},
		{"POST /v2/LeadManagement.svc/Lead.Create", `[{"Attribute":"a","Value":"b","Fields":[{"Attribute":"c","Value":null}]}]`},
		{"POST /v2/LeadManagement.svc/Leads/Retrieve/BySearchParameter", `{"AdvancedSearch":"{\"Conditions\":[{\"RowCondition\":[{\"LSO\":\"Phone\"}]}]}"}`},
		{"POST /crm/", `{"method":"model.party.party.search_read","params":[[["a","=",1]],0,1,[["a","ASC"]],["b"],{}]}`},
		{"POST /crm/", `{"method":"model.party.party.write","params":[[1],{"addresses":[["create",[{"street":"x"}]]]},{}]}`},
	} {
		f.Add(s.line, []byte(s.body))
	}
	f.Fuzz(func(t *testing.T, line string, raw []byte) {
		method, target, _ := strings.Cut(line, " ")
		path, query, _ := strings.Cut(target, "?")
		path, err := Canonical(path)
		if err != nil {
			return
		}
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		for _, m := range maps {
			r := &Request{Method: method, Path: path, Query: q}
			mt, err := m.Match(r)
			if err != nil {
				if !errors.Is(err, ErrUnmapped) && !errors.Is(err, ErrUnreadable) {
					t.Fatalf("neither unmapped nor unreadable: %v", err)
				}
				continue
			}
			r.Body = raw
			ops, err := mt.Operations(r)
			if err != nil {
				if !errors.Is(err, ErrUnmapped) && !errors.Is(err, ErrUnreadable) {
					t.Fatalf("neither unmapped nor unreadable: %v", err)
				}
				continue
			}
			if len(ops) == 0 {
				t.Fatal("a request was understood as nothing at all")
			}
			again, err := mt.Operations(r)
			if err != nil || tell(again) != tell(ops) {
				t.Fatalf("the same request reads as %q and as %q", tell(ops), tell(again))
			}
			for _, op := range ops {
				if op.Route == nil || op.ID == "" || m.RouteByID(op.ID) != op.Route || op.Entity != "" && m.Entities[op.Entity] == nil {
					t.Fatalf("an operation from nowhere: %+v", op)
				}
			}
			m.Explain(r)
		}
	})
}
