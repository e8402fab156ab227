// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/crmgate/crmgate/policy/echo"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// expected says what must be read out of the workbook that comes out: rows by the
// names of their sheets, cells as read spells them.
func expected(p *plan.Plan, w workbook) (map[string][][]string, error) {
	o := oracle{p: p, w: &w, rec: p.Root.Elements.Record}
	out := map[string][][]string{}
	var sheets [][][]string
	for _, rows := range w.sheets {
		s, err := o.sheet(rows)
		if err != nil {
			return nil, err
		}
		sheets = append(sheets, s)
	}
	for i, name := range o.names() {
		out[name] = sheets[i]
	}
	if p.NotFound != nil && o.kept == 0 && o.dropped > 0 {
		return nil, errOracle
	}
	return out, nil
}

type oracle struct {
	p             *plan.Plan
	w             *workbook
	rec           *plan.Record
	kept, dropped int
	known         echo.Set // values of the rows before and of the one at hand
}

// names are those of the sheets, or numbers where one of them may tell something.
func (o *oracle) names() []string {
	e := o.rec.Entity
	keep := e.Unknown.Effect <= plan.Detect && (o.rec.Rows == nil || o.rec.Rows.Scope == plan.All && o.rec.Rows.Where == nil)
	var numbers, lower []string
	for i, name := range o.w.names {
		numbers, lower = append(numbers, fmt.Sprintf("Sheet%d", i+1)), append(lower, strings.ToLower(name))
		_, n := o.known.Search(nil, []byte(name))
		keep = keep && n == 0 && name != "" && len([]rune(name)) <= 31 && !strings.ContainsAny(name, `\/?*[]:`)
	}
	slices.Sort(lower)
	if !keep || len(slices.Compact(lower)) < len(numbers) {
		return numbers
	}
	return o.w.names
}

func (o *oracle) treat(name string) *plan.Treatment {
	e := o.rec.Entity
	if t := e.Fields[resource.Fold(name)]; t != nil {
		return t
	}
	if _, n := mask.Detect(nil, []byte(name)); n > 0 && e.Unknown.Effect == plan.Detect {
		return &plan.Treatment{Effect: plan.Hide}
	}
	return e.Unknown
}

// unseen are the characters of a heading that do not count.
var unseen = regexp.MustCompile("[\\s\\v\u0085\\p{Z}\\p{Cf}]+")

// heading is the name of a column as it is written, or where nobody knows that, without
// what nobody sees of it.
func heading(rec *plan.Record, name string) string {
	for _, n := range []string{name, unseen.ReplaceAllString(name, "")} {
		f := resource.Fold(n)
		if rec.Entity.Fields[f] != nil || rec.Nested[f] != nil ||
			rec.Rows != nil && (slices.Contains(rec.Rows.Owner, f) || rec.Rows.Where != nil && slices.Contains(rec.Rows.Where.Needs(), f)) {
			return n
		}
	}
	return name
}

func (o *oracle) sheet(rows [][]value) (out [][]string, err error) {
	names := o.p.Table.Columns
	header := names == nil
	for _, row := range rows {
		if names == nil {
			names = make([]string, row[len(row)-1].column+1)
			for _, c := range row {
				names[c.column] = heading(o.rec, c.text)
			}
		}
		if row[len(row)-1].column >= len(names) {
			return nil, errOracle
		}
		if !header {
			if !o.visible(names, row) {
				o.dropped++
				continue
			}
			o.kept++
			o.learn(names, row)
		}
		line := make([]string, len(names))
		for _, c := range row {
			t := o.treat(names[c.column])
			switch {
			case !header:
				line[c.column] = o.cell(c, t)
			case t.Effect != plan.Hide || t.Field != "":
				line[c.column] = c.text
			}
		}
		header = false
		var kept []string
		for i, name := range names {
			if o.p.Table.Empty || name == "" || o.treat(name).Effect != plan.Hide {
				kept = append(kept, line[i])
			}
		}
		out = append(out, kept)
	}
	return out, nil
}

// learn remembers what of a row nobody may see. What is true, false or a fault says
// nothing.
func (o *oracle) learn(names []string, row []value) {
	for _, c := range row {
		switch t := o.treat(names[c.column]); {
		case t.Effect < plan.Mask || c.kind == "b" || c.kind == "e":
		case c.kind == "":
			o.known.AddNumber([]byte(c.text), t.Mask, t.Effect == plan.Hide)
		default:
			o.known.Add([]byte(c.text), t.Mask, t.Effect == plan.Hide)
		}
	}
}

// cell is a cell as it must be read.
func (o *oracle) cell(c value, t *plan.Treatment) string {
	if t.Effect == plan.Detect && c.computed {
		t = &plan.Treatment{Effect: plan.Mask, Mask: &mask.Func{Name: "full"}}
	}
	switch t.Effect {
	case plan.Hide:
		return ""
	case plan.Mask:
		return string(t.Mask.AppendString(nil, c.text))
	case plan.Detect:
		day, fraction, _ := strings.Cut(c.text, ".")
		n, _ := strconv.Atoi(day)
		if c.kind == "" && o.w.date(c.style) && fraction != "" && !strings.HasPrefix(day, "-") && len(day) > 0 && len(day) <= 7 && n <= 2958465 && len(o.known.Finds([]byte(c.text))) == 0 {
			break
		}
		if b, n := o.known.Search(nil, []byte(c.text)); n > 0 {
			return string(b)
		}
	}
	out := c.text
	if c.kind != "" && c.kind != "s" {
		out = c.kind + ":" + out
	}
	if c.style != "" {
		out += "@" + c.style
	}
	return out
}

func (o *oracle) visible(names []string, row []value) bool {
	rows := o.rec.Rows
	var owners, stages []string
	for _, c := range row {
		text := strings.TrimSpace(c.text)
		if rows == nil || text == "" {
			continue
		}
		name := resource.Fold(names[c.column])
		if slices.Contains(rows.Owner, name) {
			owners = append(owners, text)
		}
		if name != "stage" {
			continue
		}
		switch {
		case c.kind == "e" || c.kind == "" && o.w.date(c.style):
			text = "Lost"
		case c.kind == "b":
			text = map[string]string{"1": "true", "0": "false"}[text]
		case c.kind == "" && !regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`).MatchString(text):
			f, _ := strconv.ParseFloat(text, 64)
			text = strconv.FormatFloat(f, 'f', -1, 64)
		}
		stages = append(stages, text)
	}
	if rows != nil && rows.Scope != plan.All && (len(owners) == 0 || slices.ContainsFunc(owners, func(id string) bool { return plan.FoldID(id) != "u1" })) {
		return false
	}
	slices.Sort(stages)
	if stages = slices.Compact(stages); rows != nil && rows.Where != nil && (len(stages) != 1 || stages[0] == "Lost") {
		return false
	}
	return o.p.MaxRows == 0 || o.kept < o.p.MaxRows
}
