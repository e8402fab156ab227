// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package textmask

import (
	"testing"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

func judge(p *plan.Plan) *Judge {
	j := &Judge{}
	j.Reset(p, &plan.Viewer{Own: map[string]struct{}{"u1": {}}, Group: map[string]struct{}{"u1": {}, "u2": {}}}, jsonmask.Limits{})
	return j
}

func TestText(t *testing.T) {
	phone, err := mask.Compile(mask.Spec{Fn: "phone"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	null, err := mask.Compile(mask.Spec{Fn: "null"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	ent := &plan.Entity{Fields: map[string]*plan.Treatment{"phone": {Field: "phone", Effect: plan.Mask, Mask: phone}}, Unknown: &plan.Treatment{Effect: plan.Detect}}
	doc := &plan.Treatment{Field: "extra", Text: &plan.Node{Entity: ent}}
	for _, c := range []struct {
		name  string
		treat *plan.Treatment
		text  string
		want  string
		v     Verdict
	}{
		{"shown", &plan.Treatment{}, "9812345670", "", Same},
		{"searched in vain", Searched, "Pune", "", Same},
		{"searched", Searched, "call 98123-45670", "call XXXXXXXX", Changed},
		{"masked", ent.Fields["phone"], "+91-9812345670", "+91XXXXXX5670", Changed},
		{"masked and empty", ent.Fields["phone"], "", "", Same},
		{"masked to nothing", &plan.Treatment{Effect: plan.Mask, Mask: null}, "9812345670", "", Changed},
		{"hidden", closed, "x", "", Hidden},
		{"a document", doc, `{"Phone":"+91-9812345670"}`, `{"Phone":"+91XXXXXX5670"}`, Changed},
		{"a document with nothing in it", doc, `{"a":1}`, "", Same},
		{"a broken document", doc, ` {"Phone":"+91-9812345670"`, mask.FullText, Changed},
		{"a document made text twice", doc, `"{\"Phone\":\"Asha\"}"`, mask.FullText, Changed},
		{"text in quotes", doc, `"Asha"`, "", Same},
		{"a doubled name", doc, `{"Phone":"1","Phone":"+91-9812345670"}`, mask.FullText, Changed},
		{"no document", doc, "call 9812345670", "call XXXXXXXX", Changed},
	} {
		j := judge(&plan.Plan{})
		got, v := j.Text([]byte("<"), []byte(c.text), c.treat, ent)
		if string(got) != "<"+c.want || v != c.v {
			t.Errorf("%s: %q is given as %q, %d, want %q, %d", c.name, c.text, got, v, c.want, c.v)
		}
	}
}

func TestField(t *testing.T) {
	ent := &plan.Entity{Fields: map[string]*plan.Treatment{"phonenumber": {Field: "phone"}}, Unknown: &plan.Treatment{Effect: plan.Detect}}
	j := judge(&plan.Plan{})
	for name, want := range map[string]*plan.Treatment{"Phone Number": ent.Fields["phonenumber"], "PHONE_number": ent.Fields["phonenumber"], "City": ent.Unknown, "9812345670": closed} {
		if got := j.Field(ent, []byte(name)); got != want {
			t.Errorf("%q is treated as %+v", name, got)
		}
	}
	if j.Field(&plan.Entity{}, []byte("x")) != closed || j.Field(j.Fallback(), []byte("x")) != closed {
		t.Error("a table without a rule for unknown fields shows them")
	}
}

// A record is seen when an owner is named and every owner named is the viewer's.
func TestVisible(t *testing.T) {
	own, group := &plan.Rows{Scope: plan.Own, Owner: []string{"ownerid"}}, &plan.Rows{Scope: plan.Group}
	for _, c := range []struct {
		name string
		rows *plan.Rows
		ids  []string
		want bool
	}{
		{"no filter", nil, nil, true},
		{"all", &plan.Rows{}, nil, true},
		{"none", &plan.Rows{Scope: plan.None}, []string{"u1"}, false},
		{"own", own, []string{" U-1 "}, true},
		{"another's", own, []string{"u2"}, false},
		{"of the group", group, []string{"u2"}, true},
		{"of nobody", own, nil, false},
		{"an empty owner", own, []string{"", "  "}, false},
		{"own and another's", own, []string{"u1", "u2"}, false},
		{"an id of nothing", own, []string{"{}"}, false},
		{"a scope nobody knows", &plan.Rows{Scope: 9}, []string{"u1"}, false},
	} {
		j := judge(&plan.Plan{})
		var o Owner
		for _, id := range c.ids {
			j.Name(&o, c.rows, []byte(id))
		}
		if got := j.Visible(c.rows, o, false); got != c.want {
			t.Errorf("%s: seen: %v, want %v", c.name, got, c.want)
		}
	}
	j := judge(&plan.Plan{MaxRows: 1, NotFound: &plan.Canned{}})
	if j.Missed() || !j.Visible(nil, Owner{}, true) || !j.Visible(nil, Owner{}, false) || j.Visible(nil, Owner{}, false) || !j.Visible(nil, Owner{}, true) || j.Missed() {
		t.Error("the cap of one record is not held, or the answer is taken for one that is not there")
	}
	j.Viewer = nil
	var o Owner
	if j.Name(&o, own, []byte("u1")); j.Visible(own, o, false) {
		t.Error("nobody sees a record of u1's")
	}
	if !j.Owns(own, []byte("Owner_ID")) || j.Owns(own, []byte("id")) || j.Owns(nil, []byte("ownerid")) {
		t.Error("the owner's id is looked for under another name")
	}
}
