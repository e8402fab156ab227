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
		if errors.Is(err, io.EOF) && len(open) == 1 && len(top.kids) == 1 {
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
