// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"maps"
	"slices"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
)

// TestOutcomeNamesWhatStatsCounts holds what the audit is told to what was done, from body
// to body: names of the last body must not stand for this one.
func TestOutcomeNamesWhatStatsCounts(t *testing.T) {
	p := benchPlan(plan.Show, nil)
	m := New(p, viewer, Limits{})
	for _, doc := range []string{
		`{"Leads":[{"Phone":"+919812345678","Mobile":"9812345678","Notes":"x"}]}`,
		`{"Leads":[{"Mobile":"9812345678","Notes":"x"}]}`,
		`{"Leads":[{"Notes":"x","mx_Date_of_Birth":"1990-01-01"}]}`,
		`{"Leads":[]}`,
		`{"Leads":[{"EmailAddress":"a@example.com","Phone":"+919812345678"}]}`,
		`{"Leads":[{"EmailAddress":"a@example.com","Phone":"+919812345678"}]}`,
		`{"Leads":[{"EmailAddress":"a@example.com","Phone":"+919812345678"},3]}`,
	} {
		m.Reset(p, viewer, Limits{})
		_, _ = m.Append(nil, []byte(doc))
		s, o := m.Stats(), m.Outcome()
		if masked := slices.Sorted(maps.Keys(s.Masked)); !slices.Equal(o.Masked, masked) {
			t.Errorf("%s: the audit says that %q were masked, and it was %q", doc, o.Masked, masked)
		}
		if hidden := slices.Sorted(maps.Keys(s.Hidden)); !slices.Equal(o.Hidden, hidden) {
			t.Errorf("%s: the audit says that %q were hidden, and it was %q", doc, o.Hidden, hidden)
		}
		if o.Kept != s.Kept || o.Dropped != s.Dropped || o.Unclear != s.Unclear {
			t.Errorf("%s: records are counted in two ways: %+v, %+v", doc, o, s)
		}
	}
}
