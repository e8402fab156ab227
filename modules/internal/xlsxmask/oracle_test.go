// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// The oracle reads a workbook with archive/zip and encoding/xml, each part into a
// tree, and says which cells a program must read out of the new one.

var errOracle = errors.New("the oracle reads no workbook")

// branch is an element of a part: its name, its own text, what is in it.
type branch struct {
	name, space, text string
	attrs             map[string]string
	kids              []*branch
}

// grow reads a part. It panics with errOracle for one that is not well-formed.
func grow(text string) *branch {
	top := &branch{}
	open := []*branch{top}
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		tok, err := d.Token()
		if err == io.EOF && len(open) == 1 && len(top.kids) == 1 {
			return top.kids[0]
		}
		if err != nil {
			panic(errOracle)
		}
		in := open[len(open)-1]
		switch tok := tok.(type) {
		case xml.StartElement:
			b := &branch{name: tok.Name.Local, space: tok.Name.Space, attrs: map[string]string{}}
			for _, a := range tok.Attr {
				if a.Name.Space == relSpace || a.Name.Space == relStrict {
					a.Name.Local = "r:" + a.Name.Local
				} else if a.Name.Space != "" {
					continue
				}
				b.attrs[a.Name.Local] = a.Value
			}
			in.kids = append(in.kids, b)
			open = append(open, b)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			in.text += string(tok)
		}
	}
}

// is says whether an element is one of spreadsheets.
func (b *branch) is(name string) bool {
	return b.name == name && (b.space == mainSpace || b.space == mainStrict)
}

func (b *branch) all(name string) (out []*branch) {
	for _, k := range b.kids {
		if k.is(name) {
			out = append(out, k)
		}
	}
	return out
}

// said is what a string item says: its own texts and those of its runs.
func (b *branch) said() string {
	out := ""
	for _, k := range b.kids {
		if k.is("t") {
			out += k.text
		}
		if k.is("r") {
			for _, t := range k.all("t") {
				out += t.text
			}
		}
	}
	return shown(out)
}

// shown undoes the spelling of characters by their numbers.
func shown(s string) string {
	return regexp.MustCompile(`(?:_x[0-9A-Fa-f]{4}_)+`).ReplaceAllStringFunc(s, func(s string) string {
		var units []uint16
		for i := 0; i < len(s); i += 7 {
			n, _ := strconv.ParseUint(s[i+2:i+6], 16, 16)
			units = append(units, uint16(n))
		}
		return string(utf16.Decode(units))
	})
}

// value is a cell as it is read: its text, and how that is written ("" a number, s a
// text, or b, e, d).
type value struct {
	column   int
	kind     string
	text     string
	style    string
	computed bool
}

// workbook is what the oracle reads.
type workbook struct {
	names   []string
	sheets  [][][]value // rows with values alone
	formats []int
	codes   map[int]string
}

func readBook(body []byte) (w workbook, err error) {
	defer func() {
		if r := recover(); r != nil {
			if r != any(errOracle) { // what is broken in another way is broken too
				err = fmt.Errorf("%w: %v", errOracle, r)
			} else {
				err = errOracle
			}
		}
	}()
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return w, errOracle
	}
	part := func(name string) *branch {
		for _, f := range z.File {
			if strings.EqualFold(f.Name, name) {
				r, err := f.Open()
				if err != nil {
					panic(errOracle)
				}
				text, err := io.ReadAll(r)
				if err != nil {
					panic(errOracle)
				}
				return grow(strings.TrimPrefix(string(text), "\uFEFF"))
			}
		}
		panic(errOracle)
	}
	to := func(rels, dir string) (byID, byKind map[string]string) {
		byID, byKind = map[string]string{}, map[string]string{}
		for _, r := range part(rels).kids {
			target := path.Join(dir, r.attrs["Target"])
			if strings.HasPrefix(r.attrs["Target"], "/") {
				target = r.attrs["Target"][1:]
			}
			byID[r.attrs["Id"]], byKind[path.Base(r.attrs["Type"])] = target, target
		}
		return byID, byKind
	}
	_, top := to("_rels/.rels", "")
	main := top["officeDocument"]
	byID, byKind := to(path.Join(path.Dir(main), "_rels", path.Base(main)+".rels"), path.Dir(main))
	var texts []string
	if name := byKind["sharedStrings"]; name != "" {
		for _, si := range part(name).all("si") {
			texts = append(texts, si.said())
		}
	}
	w.codes = map[int]string{}
	if name := byKind["styles"]; name != "" {
		w.readStyles(part(name))
	}
	for _, sheets := range part(main).all("sheets") {
		for _, s := range sheets.all("sheet") {
			if state := s.attrs["state"]; state == "hidden" || state == "veryHidden" {
				continue
			}
			w.names = append(w.names, shown(s.attrs["name"]))
			w.sheets = append(w.sheets, readRows(part(byID[s.attrs["r:id"]]), texts))
		}
	}
	return w, nil
}

func (w *workbook) readStyles(b *branch) {
	for _, k := range b.kids {
		for _, x := range k.kids {
			n, _ := strconv.Atoi(x.attrs["numFmtId"])
			switch {
			case k.is("numFmts"):
				if plainCode(x.attrs["formatCode"]) {
					w.codes[n] = x.attrs["formatCode"]
				}
			case k.is("cellXfs"):
				w.formats = append(w.formats, n)
			}
		}
	}
}

// date says whether a style shows numbers as days or times.
func (w *workbook) date(style string) bool {
	i, _ := strconv.Atoi(style)
	if i >= len(w.formats) {
		return false
	}
	n := w.formats[i]
	if code, own := w.codes[n]; own {
		return showsDate(code)
	}
	return n >= 14 && n <= 22 || n >= 27 && n <= 36 || n >= 45 && n <= 47 || n >= 50 && n <= 58
}

func readRows(b *branch, texts []string) (out [][]value) {
	for _, data := range b.all("sheetData") {
		for _, r := range data.all("row") {
			var line []value
			next := 0
			for _, c := range r.all("c") {
				if at := c.attrs["r"]; at != "" {
					next = 0
					for _, letter := range strings.TrimRight(at, "0123456789") {
						next = next*26 + int(letter-'A') + 1
					}
					next--
				}
				if v := readCell(c, texts); v.text != "" {
					v.column = next
					line = append(line, v)
				}
				next++
			}
			if len(line) > 0 {
				out = append(out, line)
			}
		}
	}
	return out
}

func readCell(c *branch, texts []string) value {
	v := value{style: strings.TrimLeft(c.attrs["s"], "0")}
	for _, f := range c.all("f") {
		v.computed = f.text != "TRUE()" && f.text != "FALSE()"
	}
	for _, is := range c.all("is") {
		v.kind, v.text = "s", is.said()
	}
	for _, x := range c.all("v") {
		v.kind, v.text = c.attrs["t"], x.text
	}
	word := strings.TrimSpace(v.text)
	switch v.kind {
	case "s":
		if len(c.all("v")) > 0 {
			n, _ := strconv.Atoi(word)
			v.text = texts[n]
		}
	case "str":
		v.kind, v.text = "s", shown(v.text)
	case "", "n":
		v.kind, v.text = "", word
		if strings.Trim(word, "0123456789") != "" || len(word) > 40 {
			f, err := strconv.ParseFloat(word, 64)
			if err != nil {
				panic(errOracle)
			}
			if v.text = strconv.FormatFloat(f, 'f', -1, 64); len(v.text) > 40 {
				v.text = strconv.FormatFloat(f, 'E', -1, 64)
			}
		}
	case "b":
		v.text = map[string]string{"1": "1", "true": "1", "0": "0", "false": "0"}[word]
	case "e":
		if v.text = word; !slices.Contains(faults, word) {
			v.kind = "s"
		}
	case "d":
		if v.text = word; strings.Trim(word, "0123456789-:.TZ+") != "" {
			v.kind = "s"
		}
	}
	return v
}

// book says what must be read out of the workbook that comes out: rows by the
// names of their sheets, cells as read spells them.
func expected(p *plan.Plan, w workbook) (map[string][][]string, error) {
	o := oracle{p: p, w: &w, rec: p.Root.Elements.Record}
	out := map[string][][]string{}
	var err error
	for i, name := range o.names() {
		if out[name], err = o.sheet(w.sheets[i]); err != nil {
			return nil, err
		}
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
}

// names are those of the sheets, or numbers where one of them may tell something.
func (o *oracle) names() []string {
	e := o.rec.Entity
	keep := e.Unknown.Effect <= plan.Detect && (o.rec.Rows == nil || o.rec.Rows.Scope == plan.All && o.rec.Rows.Where == nil)
	var numbers, lower []string
	for i, name := range o.w.names {
		numbers, lower = append(numbers, fmt.Sprintf("Sheet%d", i+1)), append(lower, strings.ToLower(name))
		_, n := mask.Detect(nil, []byte(name))
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

func (o *oracle) sheet(rows [][]value) (out [][]string, err error) {
	names := o.p.Table.Columns
	header := names == nil
	for _, row := range rows {
		if names == nil {
			names = make([]string, row[len(row)-1].column+1)
			for _, c := range row {
				names[c.column] = c.text
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
		if c.kind == "" && o.w.date(c.style) && fraction != "" && !strings.HasPrefix(day, "-") && len(day) > 0 && len(day) <= 7 && n <= 2958465 {
			break
		}
		if b, n := mask.Detect(nil, []byte(c.text)); n > 0 {
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
