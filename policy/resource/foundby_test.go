// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"strings"
	"testing"
)

const foundByMap = `
version: 1
map: found
names: {path: "."}
entities:
  deal:
    found_by: {name: [title], over: [number]}
    fields: {title: title, number: number, partner: {names: [partner], entity: partner}}
  partner:
    found_by: {name: [title], over: [name, contact.title, boss]}
    fields: {title: title, name: name, boss: {names: [boss], entity: partner}}
  contact:
    found_by: {over: [value]}
    fields: {title: title, value: value, partner: {names: [partner], entity: partner}}
routes:
  - id: list
    on: POST /deals
    entity: deal
    action: view
    request: {read: [{body: /where, as: domain}, {body: /order, as: order}, {body: /names, as: names, use: select}]}
    response: {format: json}
`

// A CRM that looks a text up in more than the field that was named must not
// become a way to ask about a masked one.
func TestFoundBy(t *testing.T) {
	m, err := Parse("found.yaml", []byte(foundByMap))
	if err != nil {
		t.Fatal(err)
	}
	partner := " [filter partner.name] [filter contact.title] [filter partner.boss]"
	for _, c := range []struct{ name, body, want string }{
		{"a text where a record is named", `{"where":[["partner","like","9%"]]}`, "[filter deal.partner]" + partner},
		{"a list with a text", `{"where":[["partner","in",[1,"9"]]]}`, "[filter deal.partner]" + partner},
		{"an id", `{"where":[["partner","=",9],["partner","in",[1,2]],["partner","=",null]]}`, "[filter deal.partner] [filter deal.partner] [filter deal.partner]"},
		{"the name itself", `{"where":[["title","=",9]]}`, "[filter deal.title] [filter deal.number]"},
		{"the name through a record", `{"where":[["partner.title","like","9%"]]}`, "[filter partner.title]" + partner},
		{"a record through a record, which is found by itself", `{"where":[["partner.boss","like","9%"]]}`, "[filter partner.boss]" + partner},
		{"another field through a record", `{"where":[["partner.name","like","9%"]]}`, "[filter partner.name]"},
		{"an order", `{"order":["partner"]}`, "[sort deal.partner] [sort partner.name] [sort contact.title] [sort partner.boss]"},
		{"a column is no question", `{"names":["title","partner","partner.title"]}`, "[select deal.title] [select deal.partner] [select partner.title]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ops, err := send(m, "POST /deals", c.body, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := tell(ops); got != "list deal.view "+c.want {
				t.Errorf("a question goes unjudged:\n got %s\nwant list deal.view %s", got, c.want)
			}
		})
	}
}

func TestFoundByMistakes(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"over: [number]", "over: [numbers]", `"numbers", which deal does not have`},
		{"over: [number]", "over: [contacts.value]", `entity contacts`},
		{"name: [title], over: [number]", "name: [titel], over: [number]", `"titel", which is no field of deal`},
		{"{over: [value]}", "{}", "found_by of contact has no over"},
	} {
		_, err := Parse("found.yaml", []byte(strings.Replace(foundByMap, c.from, c.to, 1)))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s for %s: %v, want a line with %q", c.to, c.from, err, c.want)
		}
	}
}
