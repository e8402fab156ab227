// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package csvmask

import (
	"bytes"
	"encoding/csv"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/textmask"
	"github.com/crmgate/crmgate/policy/echo"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// The oracle reads a table whole, a character at a time, and says what must come
// out to the byte; encoding/csv reads both as a second witness.

// written is a cell as it stands in the table, and what it says.
type written struct{ raw, text string }

type line struct {
	cells []written
	end   string
}

var errOracle = errors.New("the oracle reads no table")

// lines reads the rows of a table up to the first that is none; rest is what was
// not read. A line with nothing in it has no cells.
func lines(body string, delimiter byte) (out []line, rest string) {
	for body != "" {
		var l line
		at, ok := 0, true
		for ok {
			var c written
			if c, at, ok = readCell(body, at, delimiter); !ok {
				return out, body
			}
			l.cells = append(l.cells, c)
			if at < len(body) && body[at] == delimiter {
				at++
				continue
			}
			break
		}
		switch tail := body[at:]; {
		case tail == "":
		case strings.HasPrefix(tail, "\n"):
			l.end = "\n"
		case strings.HasPrefix(tail, "\r\n"):
			l.end = "\r\n"
		default:
			return out, body
		}
		body = body[at+len(l.end):]
		if len(l.cells) == 1 && l.cells[0].raw == "" {
			l.cells = nil
		}
		out = append(out, l)
	}
	return out, ""
}

// readCell reads the cell at a place, up to what ends it.
func readCell(body string, at int, delimiter byte) (c written, next int, ok bool) {
	from := at
	quoted := at < len(body) && body[at] == '"'
	if quoted {
		at++
	}
	for {
		switch {
		case at == len(body) && quoted:
			return c, at, false
		case at == len(body), !quoted && (body[at] == delimiter || body[at] == '\n' || strings.HasPrefix(body[at:], "\r\n")):
			c.raw = body[from:at]
			return c, at, true
		case body[at] == '"' && !quoted:
			return c, at, false
		case body[at] == '"' && strings.HasPrefix(body[at+1:], `"`):
			at++
		case body[at] == '"':
			c.raw = body[from : at+1]
			return c, at + 1, true
		}
		c.text += body[at : at+1]
		at++
	}
}

// expected returns what must come out of a body, and the canaries that must not,
// which are known for a body that is no table too.
func expected(p *plan.Plan, body string) (want string, secret []string, err error) {
	mark := ""
	if rest, is := strings.CutPrefix(body, "\xEF\xBB\xBF"); is {
		mark, body = "\xEF\xBB\xBF", rest
	}
	rows, rest := lines(body, p.Table.Delimiter)
	if secret = canaries(rest); rest != "" {
		err = errOracle
	}
	t := table{p: p, rec: p.Root.Elements.Record}
	for _, name := range p.Table.Columns {
		t.columns = append(t.columns, t.column(name))
	}
	var out strings.Builder
	out.WriteString(mark)
	for _, row := range rows {
		switch {
		case row.cells == nil:
			out.WriteString(row.end)
		case t.columns == nil:
			for _, c := range row.cells {
				t.columns = append(t.columns, t.column(heading(t.rec, c.text)))
			}
			out.WriteString(t.names(row) + row.end)
		case len(row.cells) != len(t.columns):
			secret, err = append(secret, said(row)...), errOracle
		default:
			text, hidden := t.values(row)
			out.WriteString(text)
			secret = append(secret, hidden...)
		}
	}
	if p.NotFound != nil && t.kept == 0 && t.dropped > 0 {
		err = errOracle
	}
	return out.String(), secret, err
}

type table struct {
	p             *plan.Plan
	rec           *plan.Record
	columns       []place
	kept, dropped int
	known         echo.Set // values of the rows before and of this one
}

// place is what is known of the cells of a column.
type place struct {
	name  string // folded
	treat *plan.Treatment
}

func (t *table) column(name string) place {
	ent := t.rec.Entity
	c := place{name: resource.Fold(name)}
	if c.treat = ent.Fields[c.name]; c.treat == nil {
		c.treat = ent.Unknown
		if _, n := mask.Detect(nil, []byte(name)); n > 0 && c.treat.Effect == plan.Detect {
			c.treat = &plan.Treatment{Effect: plan.Hide}
		}
	}
	if t.rec.Nested[c.name] != nil && c.treat.Effect < plan.Mask {
		c.treat = &plan.Treatment{Effect: plan.Mask, Mask: &mask.Func{Name: "full"}}
	}
	return c
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

func (t *table) join(cells []string) string {
	if len(cells) == 1 && cells[0] == "" {
		return `""`
	}
	return strings.Join(cells, string(t.p.Table.Delimiter))
}

func (t *table) names(row line) string {
	var out []string
	for i, c := range row.cells {
		switch treat := t.columns[i].treat; {
		case treat.Effect != plan.Hide, t.p.Table.Empty && treat.Field != "":
			out = append(out, c.raw)
		case t.p.Table.Empty:
			out = append(out, "")
		}
	}
	return t.join(out)
}

func (t *table) values(row line) (text string, secret []string) {
	if !t.visible(row) {
		t.dropped++
		return "", said(row)
	}
	t.kept++
	for i, c := range row.cells {
		if treat := t.columns[i].treat; treat.Effect >= plan.Mask {
			t.known.Add([]byte(c.text), treat.Mask, treat.Effect == plan.Hide)
		}
	}
	var out []string
	for i, c := range row.cells {
		treat, now := t.columns[i].treat, c.raw
		if treat.Effect >= plan.Mask {
			secret = append(secret, canaries(c.text)...)
		}
		switch {
		case treat.Effect == plan.Hide && !t.p.Table.Empty:
			continue
		case treat.Effect == plan.Hide:
			now = ""
		case treat.Effect == plan.Mask && c.text != "":
			now = t.write(string(treat.Mask.AppendString(nil, c.text)), c.raw)
		case treat.Effect == plan.Detect:
			if b, n := t.known.Search(nil, []byte(c.text)); n > 0 {
				now = t.write(string(b), c.raw)
			}
		}
		out = append(out, now)
	}
	return t.join(out) + row.end, secret
}

// write quotes a text where the cell was quoted or has to be.
func (t *table) write(text, raw string) string {
	if raw[0] != '"' && !strings.ContainsAny(text, "\"\r\n"+string(t.p.Table.Delimiter)) {
		return text
	}
	return `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
}

func (t *table) visible(row line) bool {
	rows := t.rec.Rows
	var owners, stages []string
	for i, c := range row.cells {
		text := strings.TrimSpace(c.text)
		if text == "" {
			continue
		}
		if rows != nil && slices.Contains(rows.Owner, t.columns[i].name) {
			owners = append(owners, text)
		}
		if t.columns[i].name == "stage" {
			stages = append(stages, text)
		}
	}
	if rows != nil && rows.Scope != plan.All && (len(owners) == 0 || slices.ContainsFunc(owners, func(id string) bool { return plan.FoldID(id) != "u1" })) {
		return false
	}
	slices.Sort(stages)
	stages = slices.Compact(stages)
	if rows != nil && rows.Where != nil && (len(stages) != 1 || stages[0] == "Lost" || stages[0][0] == '=') {
		return false
	}
	return t.p.MaxRows == 0 || t.kept < t.p.MaxRows
}

var planted = regexp.MustCompile(`canary[a-p]{3}y`)

func canaries(s string) []string { return planted.FindAllString(s, -1) }

func said(row line) (out []string) {
	for _, c := range row.cells {
		out = append(out, canaries(c.raw)...)
	}
	return out
}

// decode reads a table the way Go programs do.
func decode(t *testing.T, table plan.Table, body []byte) [][]string {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xEF\xBB\xBF"))))
	r.Comma, r.FieldsPerRecord = rune(table.Delimiter), -1
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatalf("encoding/csv cannot read what was accepted: %v\n%q", err, body)
	}
	return rows
}

// seen reports whether u1 owns a row.
func seen(names, row []string) bool {
	named, alien := false, false
	for i, text := range row {
		if id := strings.TrimSpace(text); resource.Fold(names[i]) == "owner" && id != "" {
			named, alien = true, alien || plan.FoldID(id) != "u1"
		}
	}
	return named && !alien
}

// oracle masks decoded rows the simple way.
func oracle(p *plan.Plan, in [][]string) [][]string {
	if len(in) == 0 {
		return nil
	}
	ent := p.Root.Elements.Record.Entity
	var names []string
	for _, name := range in[0] {
		names = append(names, heading(p.Root.Elements.Record, name))
	}
	var out [][]string
	var known echo.Set
	for n, row := range in {
		if len(row) == len(in[0]) && n > 0 && seen(names, row) {
			for i, text := range row {
				tr := ent.Fields[resource.Fold(names[i])]
				if resource.Fold(names[i]) == "account" {
					tr = textmask.Full // a record in text
				} else if _, hits := mask.Detect(nil, []byte(in[0][i])); tr == nil && hits > 0 {
					tr = &plan.Treatment{Effect: plan.Hide} // the name is somebody's number
				}
				if tr != nil && tr.Effect >= plan.Mask {
					known.Add([]byte(text), tr.Mask, tr.Effect == plan.Hide)
				}
			}
		}
		var cells []string
		named, alien := false, false
		for i, text := range row {
			name := resource.Fold(names[i])
			tr := ent.Fields[name]
			if tr == nil {
				tr = ent.Unknown
				if _, hits := mask.Detect(nil, []byte(in[0][i])); hits > 0 {
					continue
				}
			}
			if id := strings.TrimSpace(text); name == "owner" && n > 0 && id != "" {
				named = true
				alien = alien || plan.FoldID(id) != "u1"
			}
			switch {
			case tr.Effect == plan.Hide:
				continue
			case n == 0:
			case name == "account" && text != "":
				text = mask.FullText
			case tr.Effect == plan.Mask:
				text = string(tr.Mask.AppendString(nil, text))
			case tr.Effect == plan.Detect:
				b, _ := known.Search(nil, []byte(text))
				text = string(b)
			}
			cells = append(cells, text)
		}
		if len(cells) > 0 && (n == 0 || named && !alien) {
			out = append(out, cells)
		}
	}
	return out
}
