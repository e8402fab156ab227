// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// taught is an envelope that teaches a masker what the cases below are nearly like.
const taught = `{"RecordCount":2,"Status":"ok","Page":{"Size":25,"More":false},"Leads":[{"OwnerId":"u1","Phone":"+919812345678","City":"Pune","Notes":"x"},` +
	`{"OwnerId":"u1","Phone":"+919812345679","City":"Delhi","Notes":"y"}],"Took":17,"Tail":null}`

// envelopes are answers whose envelope begins like taught. Each case is one way in which
// going through it in one go could go wrong.
func envelopes() map[string]string {
	in := func(old, with string) string { return strings.Replace(taught, old, with, 1) }
	lead := `{"OwnerId":"u1","Phone":"+919812345678","City":"Pune","Notes":"x"}`
	other := strings.Replace(lead, "u1", "u7", 1)
	return map[string]string{
		"as taught":                      taught,
		"another count":                  in(":2,", ":123456,"),
		"a count of nothing":             in(":2,", ":0,"),
		"a count that begins with zero":  in(":2,", ":02,"),
		"a count below zero":             in(":2,", ":-2,"),
		"a count with a fraction":        in(":2,", ":2.5,"),
		"a count with an exponent":       in(":2,", ":2e3,"),
		"a count in quotes":              in(":2,", `:"2",`),
		"a count that is no number":      in(":2,", ":true,"),
		"a count that is null":           in(":2,", ":null,"),
		"a count that is an object":      in(":2,", ":{},"),
		"a blank behind the count":       in(":2,", ":2 ,"),
		"a bracket behind the count":     in(":2,", ":2],"),
		"no comma behind the count":      in(":2,", ":2"),
		"two commas":                     in(":2,", ":2,,"),
		"a long count":                   in(":2,", ":"+strings.Repeat("9", 100)+","),
		"the count twice":                in(`"Status"`, `"RecordCount":2,"Status"`),
		"the count in another spelling":  in(`"Status"`, `"recordcount":2,"Status"`),
		"the status twice":               in(`"Page"`, `"Status":"ok","Page"`),
		"the list twice":                 in(`"Took"`, `"Leads":[],"Took"`),
		"a status with a control":        in(`"ok"`, "\"o\x01k\""),
		"a status that is not UTF-8":     in(`"ok"`, "\"o\xffk\""),
		"a status with an escape":        in(`"ok"`, `"o\u006b"`),
		"a status with an unknown one":   in(`"ok"`, `"o\qk"`),
		"a status that is a number":      in(`"ok"`, `+919812345678`),
		"a status that is personal":      in(`"ok"`, `"+919812345678"`),
		"a status that has one":          in(`"ok"`, `"call +919812345678 now"`),
		"a status that is an object":     in(`"ok"`, `{"Phone":"+919812345678"}`),
		"a status that is a list":        in(`"ok"`, `["+919812345678"]`),
		"a page that is a list":          in(`{"Size":25,"More":false}`, `[25]`),
		"a page that is empty":           in(`{"Size":25,"More":false}`, `{}`),
		"a page that has a phone":        in(`"Size":25`, `"Phone":"+919812345678"`),
		"a page with its first hidden":   in(`"Size":25`, `"Notes":"x"`),
		"a page all hidden":              in(`"Size":25,"More":false`, `"Notes":"x","mx_Date_of_Birth":"1990-01-01"`),
		"the first member is hidden":     in(`"RecordCount"`, `"Notes":"x","RecordCount"`),
		"the first member is masked":     in(`"RecordCount"`, `"Phone":"+919812345678","RecordCount"`),
		"no records":                     in(taught[strings.Index(taught, "[")+1:strings.Index(taught, "]")], ""),
		"a list that is null":            in(taught[strings.Index(taught, "["):strings.Index(taught, "]")+1], "null"),
		"a list that is an object":       in(taught[strings.Index(taught, "["):strings.Index(taught, "]")+1], lead),
		"a record that is a list":        in(`[{"OwnerId"`, `[[],{"OwnerId"`),
		"a record that is null":          in(`[{"OwnerId"`, `[null,{"OwnerId"`),
		"a record that is a text":        in(`[{"OwnerId"`, `["x",{"OwnerId"`),
		"a comma before the records":     in(`[{"OwnerId"`, `[,{"OwnerId"`),
		"a comma behind the records":     in(`],"Took"`, `,],"Took"`),
		"a blank before the records":     in(`[{"OwnerId"`, `[ {"OwnerId"`),
		"a brace for the list":           in(`],"Took"`, `},"Took"`),
		"somebody else's first":          in(`[{"OwnerId"`, `[`+other+`,{"OwnerId"`),
		"three of somebody else's first": in(`[{"OwnerId"`, `[`+other+`,`+other+`,`+other+`,{"OwnerId"`),
		"somebody else's alone":          in(taught[strings.Index(taught, "[")+1:strings.Index(taught, "]")], other),
		"somebody else's last":           in(`],"Took"`, `,`+other+`],"Took"`),
		"a duplicate in the first":       in(`"City":"Pune"`, `"City":"Pune","City":"Pune"`),
		"another duplicate in the first": in(`"City":"Pune"`, `"City":"Pune","PHONE":"+919812345678"`),
		"a first record that is empty":   in(`[{"OwnerId"`, `[{},{"OwnerId"`),
		"a value that comes again":       in(`"City":"Pune"`, `"City":"+919812345678"`),
		"one around that comes again":    in(`"Tail":null`, `"Tail":"ask 9812345678"`),
		"bytes behind it":                taught + "x",
		"another behind it":              taught + taught,
		"blanks behind it":               taught + " \n\t\r",
		"a blank before it":              " " + taught,
		"a byte order mark":              "\xEF\xBB\xBF" + taught,
		"a byte order mark alone":        "\xEF\xBB\xBF",
		"nothing":                        "",
		"a list in place of it":          `[` + lead + `,` + other + `,` + lead + `]`,
		"an empty object":                `{}`,
		"an empty list":                  `[]`,
		"a brace":                        `{`,
		"not ended":                      taught[:len(taught)-1],
		"not ended within the list":      taught[:strings.Index(taught, "]")],
		"not ended within a record":      taught[:strings.Index(taught, "]")-5],
		"not ended within the count":     taught[:len(`{"RecordCount":2`)],
		"not ended within the status":    taught[:len(`{"RecordCount":2,"Status":"o`)],
		"a bracket for a brace":          taught[:len(taught)-1] + "]",
	}
}

// TestWhatAnEnvelopeTaughtChangesNothing reads answers by maskers that know their envelope
// and by new ones, whole and in pieces: both must do the same, errors and counts included.
func TestWhatAnEnvelopeTaughtChangesNothing(t *testing.T) {
	plans := map[string]*plan.Plan{
		"shown":    benchPlan(plan.Show, nil),
		"searched": benchPlan(plan.Detect, nil),
		"rows":     benchPlan(plan.Show, &plan.Rows{Scope: plan.Own, Owner: []string{"ownerid"}}),
		"no rows":  benchPlan(plan.Detect, &plan.Rows{Scope: plan.Own}),
		"capped":   benchPlan(plan.Show, nil),
		"keyed":    benchPlan(plan.Show, nil),
		"prefixed": benchPlan(plan.Show, nil),
		"nested":   benchPlan(plan.Show, &plan.Rows{Scope: plan.Own, Owner: []string{"ownerid"}}),
		"alone":    benchPlan(plan.Show, &plan.Rows{Scope: plan.Own, Owner: []string{"ownerid"}}),
	}
	plans["capped"].MaxRows = 1
	plans["keyed"].Root.Members["page"] = &plan.Node{Keyed: true, Elements: &plan.Node{}}
	plans["prefixed"].Prefix = `{"Record`
	plans["nested"].Root = &plan.Node{Members: map[string]*plan.Node{"page": {}, "leads": plans["nested"].Root.Members["leads"], "took": {Total: "leads"}}}
	plans["nested"].Fallback.Fields["status"] = &plan.Treatment{Field: "status", Effect: plan.Mask, Mask: compiled(mask.Spec{Fn: "full"})}
	plans["alone"].Root.Members["page"] = plans["alone"].Root.Elements
	for name, p := range plans {
		for _, l := range []Limits{{}, {Members: 3}, {Record: 50}, {Depth: 2}, {Hold: 8}, {Pushed: true}} {
			m := New(p, viewer, Limits{Name: 100})
			for c, in := range envelopes() {
				for k, cut := range []func(io.Reader) io.Reader{plainly, iotest.DataErrReader, iotest.OneByteReader, iotest.HalfReader, sevens} {
					m.Reset(p, viewer, Limits{Name: 100})
					_, _ = m.Append(nil, []byte(taught))
					l.Name = 100
					m.Reset(p, viewer, l)
					got := told(m, cut(strings.NewReader(in)))
					if want := told(New(p, viewer, l), cut(strings.NewReader(in))); !reflect.DeepEqual(got, want) {
						t.Errorf("%s, %+v, %s, cut %d: what was read before changes what comes out\n%s\nhas  %v\nwant %v", name, l, c, k, in, got, want)
					}
				}
			}
		}
	}
}

func plainly(r io.Reader) io.Reader { return r }

// sevens reads seven bytes at a time.
func sevens(r io.Reader) io.Reader { return &cutter{r} }

type cutter struct{ io.Reader }

func (c *cutter) Read(p []byte) (int, error) { return c.Reader.Read(p[:min(7, len(p))]) }

// told is all that a masker says of a body; of one that is refused not how much came
// through before.
func told(m *Masker, src io.Reader) []any {
	var out bytes.Buffer
	_, err := io.Copy(&out, m.Reader(src))
	if err != nil {
		return []any{fmt.Sprint(err)}
	}
	return []any{out.String(), m.Stats()}
}
