// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
)

// compact is a list of records as programs write it, with one in the middle that is
// what a case is about. Others belong to somebody else.
func compact(middle string) string {
	const own = `{"Id":"` + far + `","OwnerId":"u1","Phone":"` + number + `","Notes":"s","City":"` + far + `"}`
	const alien = `{"Id":"` + far + `","OwnerId":"u9","Phone":"` + number + `","City":"` + far + `"}`
	return `[` + strings.Join([]string{own, alien, own, middle, own, alien, alien, own}, ",") + `]`
}

// spaced is in with a blank in front of each record, where none is read in a row.
func spaced(in string) string { return strings.ReplaceAll(in, ",{", ", {") }

// TestRecordsInARow holds that records which are read one behind the other come out as
// those do that are read one by one, however the body is cut.
func TestRecordsInARow(t *testing.T) {
	p := benchPlan(plan.Show, &plan.Rows{Scope: plan.Own, Owner: []string{"ownerid"}})
	for name, middle := range map[string]string{
		"as the others":            `{"Id":"` + far + `","OwnerId":"u1","Phone":"` + number + `","City":"x"}`,
		"a short record":           `{"OwnerId":"u1"}`,
		"an empty record":          `{}`,
		"another name first":       `{"City":"` + far + `","OwnerId":"u1","Id":"1","Phone":"` + number + `"}`,
		"a hidden name first":      `{"Notes":"s","Id":"1","OwnerId":"u1"}`,
		"a masked name first":      `{"Phone":"` + number + `","OwnerId":"u1"}`,
		"an escape in front":       `{"Id":"a\"b","OwnerId":"u1","Phone":"` + number + `"}`,
		"no text in front":         `{"Id":null,"OwnerId":"u1","Phone":"` + number + `"}`,
		"an object in front":       `{"Id":{"Phone":"` + number + `"},"OwnerId":"u1"}`,
		"null":                     `null`,
		"somebody else's":          `{"Id":"` + far + `","OwnerId":"u9","Phone":"` + number + `"}`,
		"nobody's":                 `{"Id":"` + far + `","Phone":"` + number + `"}`,
		"the first name twice":     `{"Id":"` + far + `","OwnerId":"u1","Id":"` + far + `"}`,
		"the first name twice now": `{"Id":"` + far + `","Id":"` + far + `","OwnerId":"u1"}`,
		"half a record":            `{"Id":"` + far + `"`,
		"a record that goes on":    `{"Id":"` + far + `","OwnerId":"u1"}1`,
		"a comma at the end":       `{"Id":"` + far + `","OwnerId":"u1",}`,
		"a comma too many":         `{"Id":"` + far + `","OwnerId":"u1"},`,
		"text":                     `"x"`,
		"bytes that are no text":   `{"Id":"` + "\xff" + far + `","OwnerId":"u1"}`,
	} {
		in := compact(middle)
		m := New(p, viewer, Limits{})
		want, wantErr := m.Append(nil, []byte(spaced(in)))
		for size := range 30 {
			if size == 0 {
				size = 1 << 20
			}
			m.Reset(p, viewer, Limits{})
			got, err := io.ReadAll(m.Reader(&fixed{[]byte(in), size}))
			if (err == nil) != (wantErr == nil) || err == nil && spaced(string(got)) != string(want) {
				t.Errorf("%s, in pieces of %d: records in a row are shown otherwise than one by one\ngot  %s, %v\nwant %s, %v", name, size, got, err, want, wantErr)
			}
			if kept := m.Stats().Kept; err == nil && strings.Count(string(got), "OwnerId") != kept-strings.Count(string(got), "{}") {
				t.Errorf("%s, in pieces of %d: %d records are said to be kept of %s", name, size, kept, got)
			}
		}
	}
}

// TestLimitsHoldInARow holds that records read one behind the other are held to the
// limits of each.
func TestLimitsHoldInARow(t *testing.T) {
	p := benchPlan(plan.Show, nil)
	for name, c := range map[string]struct {
		middle string
		lim    Limits
	}{
		"size":    {`{"Id":"` + strings.Repeat("x", 200) + `"}`, Limits{Record: 150}},
		"members": {`{"Id":"` + far + `","a":1,"b":1,"c":1,"d":1,"e":1}`, Limits{Members: 5}},
		"nesting": {`{"Id":"` + far + `","a":[[1]]}`, Limits{Depth: 3}},
		"names":   {`{"Id":"` + far + `","` + strings.Repeat("n", 20) + `":1}`, Limits{Name: 19}},
	} {
		var le *LimitError
		if out, err := New(p, viewer, c.lim).Append(nil, []byte(compact(c.middle))); !errors.As(err, &le) {
			t.Errorf("%s: %v: one record may make the gateway hold more than it should: %s", name, err, out)
		}
		if _, err := New(p, viewer, c.lim).Append(nil, []byte(compact("null"))); err != nil {
			t.Errorf("%s: without that record: %v: the test shows nothing", name, err)
		}
	}
}

// TestForeseenScalarsAreStrict holds that a number or a literal behind a name that was
// foreseen is passed over only where it is one.
func TestForeseenScalarsAreStrict(t *testing.T) {
	p := benchPlan(plan.Show, nil)
	values := []string{"nullx", "nul", "truee", "fals", "false1", "falsy", "0", "-0", "00", "01", "0.", "0.0", "0.0.0", ".0", "1.", "1..2", "-", "--1", "+1", "1-", "1e", "1e5", "1E+5", "1e5.0", "0e1", "1 2", "1.5e-3", "0x1", strings.Repeat("9", 90), strings.Repeat("9", 90) + "x", "1." + strings.Repeat("9", 90), strings.Repeat("9", 69) + "." + "1", strings.Repeat("9", 60) + "." + strings.Repeat("1", 8) + "."}
	for n := 40; n < 75; n++ {
		values = append(values, strings.Repeat("1", n), strings.Repeat("1", n)+".5", strings.Repeat("1", n)+"..", strings.Repeat("1", n)+".x")
	}
	for _, v := range values {
		for _, in := range []string{
			compact(`{"Id":"` + far + `","n":` + v + `,"City":"` + far + far + far + far + far + `"}`),
			compact(`{"Id":"` + far + `","City":"x","n":` + v + `}`),
		} {
			m := New(p, viewer, Limits{})
			_, _ = m.Append(nil, []byte(compact(`{"Id":"x","n":1,"City":"x","n1":1}`)))
			m.Reset(p, viewer, Limits{})
			_, _ = m.Append(nil, []byte(compact(`{"Id":"x","City":"x","n":1}`)))
			m.Reset(p, viewer, Limits{})
			if _, err := m.Append(nil, []byte(in)); (err == nil) != json.Valid([]byte(in)) {
				t.Errorf("%s: %v: what is no JSON goes through, or what is some does not", v, err)
			}
		}
	}
}

// TestTextOfEveryLengthInARow holds that text is passed over to its end and no farther,
// however long it is and whatever stands in it: the number behind it is masked, and what is
// no text is refused.
func TestTextOfEveryLengthInARow(t *testing.T) {
	const record, pair = `{"Id":"` + far + `","OwnerId":"u1","City":"%","Phone":"` + number + `"}`,
		`{"LeadPropertyList":[{"Attribute":"Id","Value":"1"},{"Attribute":"City","Value":"%"},{"Attribute":"Phone","Value":"` + number + `"}]}`
	for _, unknown := range []plan.Effect{plan.Show, plan.Detect} {
		m := New(benchPlan(unknown, nil), viewer, Limits{})
		shown := func(in string) (string, error) {
			m.Reset(m.Plan(), viewer, Limits{})
			out, err := m.Append(nil, []byte(in))
			return string(out), err
		}
		for n := range 140 {
			for _, odd := range []string{"", `\"`, "\u00e9", `\u0041`, "\x01", "\xff", `"`} {
				for _, at := range []int{0, 1, 55, 56, 57, 58, 111, 112, 113, 114, n} {
					text := strings.Repeat("x", min(at, n)) + odd + strings.Repeat("y", n-min(at, n))
					for _, form := range []string{record, pair} {
						one := strings.Replace(form, "%", text, 1)
						in := `[` + strings.Repeat(strings.Replace(form, "%", far, 1)+",", 3) + one + `,` + one + `]`
						want, wantErr := shown(spaced(in))
						got, err := shown(in)
						if (err == nil) != (wantErr == nil) || err == nil && spaced(got) != want || strings.Contains(got, number) {
							t.Fatalf("%q: records in a row are shown otherwise than one by one\ngot  %s, %v\nwant %s, %v", text, got, err, want, wantErr)
						}
					}
				}
			}
		}
	}
}

// TestRecordsInARowAreSearched holds the same for values that come a second time, in a
// list and in an object, which is walked again as a whole.
func TestRecordsInARowAreSearched(t *testing.T) {
	p := echoPlan(&plan.Rows{Scope: plan.Own, Owner: []string{"ownerid"}})
	list := `[{"n":"nothing","ownerid":"u1","who":"Anil Kumar"},{"n":"Meera Nair","ownerid":"u1","who":"Meera Nair"},{"n":"Meera Nair","ownerid":"u9","who":"Ravi Menon"},` +
		`{"n":"Ravi Menon","ownerid":"u1"},{"n":"Meera Nair","ownerid":"u1","who":"Lakshmi Rao"},{"n":"nothing","ownerid":"u1","who":"Meera Nair"},{"n":"Lakshmi Rao","ownerid":"u9"},{"n":"nothing","ownerid":"u1"}]`
	for _, in := range []string{list, `{"rows":` + list + `}`} {
		m := New(p, viewer, Limits{})
		want, err := m.Append(nil, []byte(spaced(in)))
		if err != nil || strings.Contains(string(want), "Nair") {
			t.Fatalf("%s shows a masked value: %v", want, err)
		}
		stats := m.Stats()
		for range 3 {
			m.Reset(p, viewer, Limits{})
			got, err := m.Append(nil, []byte(in))
			if string(got) != strings.ReplaceAll(string(want), ", {", ",{") || err != nil {
				t.Errorf("records in a row become\n%s, %v, in place of\n%s", got, err, want)
			}
			if now := m.Stats(); !reflect.DeepEqual(now, stats) {
				t.Errorf("records in a row count as %v in place of %v", now, stats)
			}
		}
	}
}
