// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/resource"
)

// What hangs on a record is the viewer's when that record is, and no other whose id
// reads the same but for its case and its dashes.
func TestWhoseParents(t *testing.T) {
	lead := &resource.Entity{Name: "lead", ID: []string{"Id"}, Owner: []string{"Owner"}}
	record := func(id, owner string) *resource.Record {
		text := func(s string) resource.Value { return resource.Value{Kind: '"', Text: s} }
		return resource.NewRecord(lead, map[string]resource.Value{"Id": text(id), "Owner": text(owner)})
	}
	mine := func(rec *resource.Record) bool { return rec.Get("Owner").Text == "me" }
	for name, c := range map[string]struct {
		asked string
		reads map[string][]*resource.Record // by the ids that were asked for at once
		want  string
	}{
		"mine":                          {"a1", map[string][]*resource.Record{"a1": {record("a1", "me")}}, "a1"},
		"written otherwise":             {"{A-1}", map[string][]*resource.Record{"{A-1}": {record("a1", "me")}}, "a1"},
		"another's":                     {"a1", map[string][]*resource.Record{"a1": {record("a1", "you")}}, ""},
		"nobody answers":                {"a1", nil, ""},
		"another record came":           {"a1", map[string][]*resource.Record{"a1": {record("b2", "me")}}, ""},
		"mine and another's, by one":    {"a1 A1", map[string][]*resource.Record{"a1": {record("a1", "me")}, "A1": {record("A1", "you")}}, ""},
		"mine and another's, at once":   {"a1 A1", map[string][]*resource.Record{"a1 A1": {record("A1", "you"), record("a1", "me")}}, ""},
		"mine and one nobody may see":   {"a1 A1", map[string][]*resource.Record{"a1": {record("a1", "me")}}, ""},
		"one record in two spellings":   {"a1 A-1", map[string][]*resource.Record{"a1 A-1": {record("A-1", "me")}}, "a1"},
		"it came twice, once another's": {"a1", map[string][]*resource.Record{"a1": {record("a1", "you"), record("a1", "me")}}, ""},
	} {
		list, found := map[string]string{}, map[string]bool{}
		for id := range strings.FieldsSeq(c.asked) {
			list[id] = policy.FoldID(id)
		}
		for ids, records := range c.reads {
			note(found, strings.Fields(ids), records, mine)
		}
		if got := strings.Join(slices.Sorted(maps.Keys(whose(list, found))), " "); got != c.want {
			t.Errorf("%s: %q are the viewer's, want %q", name, got, c.want)
		}
	}
}
