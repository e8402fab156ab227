// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"path"
	"strconv"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
)

// book is what is known of a workbook beside its cells.
type book struct {
	pack    *pack
	sheets  []sheet
	strings [][]byte
	formats []int          // number formats, by the style of a cell
	codes   map[int]string // of formats of its own
	dates   map[int]bool   // formats that are known to show a date or a time
	since04 bool           // days are counted from 1904
	read    int64          // bytes of the texts of cells so far
}

type sheet struct{ name, part string }

// relation is one arrow between parts.
type relation struct{ kind, to string }

// open reads everything but the sheets.
func (m *Masker) open(body []byte) (*book, error) {
	p, err := openPack(body, m.bounds)
	if err != nil {
		return nil, err
	}
	b := &book{pack: p, codes: map[int]string{}, dates: map[int]bool{}}
	top, err := p.relations("", m.most)
	if err != nil {
		return nil, err
	}
	main, err := one(top, "officeDocument")
	if err != nil {
		return nil, err
	}
	if main == "" {
		return nil, bad("no workbook in it")
	}
	known := map[string]bool{main: true}
	rels, err := p.relations(main, m.most)
	if err != nil {
		return nil, err
	}
	if err := b.workbook(main, rels, known, m); err != nil {
		return nil, err
	}
	for _, k := range []struct {
		kind string
		read func(string, *Masker) error
	}{{"sharedStrings", b.readStrings}, {"styles", b.readStyles}} {
		name, err := one(rels, k.kind)
		if err != nil {
			return nil, err
		}
		if name == "" {
			continue
		}
		known[name] = true
		if err := k.read(name, m); err != nil {
			return nil, err
		}
	}
	for name := range p.parts {
		if !known[name] && !droppable(name) {
			return nil, bad("a part nobody knows")
		}
	}
	return b, nil
}

// one returns where the only relation of a kind leads, "" when there is none.
func one(rels map[string]relation, kind string) (string, error) {
	to := ""
	for _, r := range rels {
		if path.Base(r.kind) != kind {
			continue
		}
		if to != "" || r.to == "" {
			return "", bad("several parts in place of one, or one elsewhere")
		}
		to = r.to
	}
	return to, nil
}

// relations returns where a part leads, by id; "" is the package itself. What
// leads out of the package leads to "".
func (p *pack) relations(from string, most int) (map[string]relation, error) {
	dir := path.Dir(from)
	name := path.Join(dir, "_rels", path.Base(from)+".rels")
	if from == "" {
		dir, name = "", "_rels/.rels"
	}
	out := map[string]relation{}
	return out, p.part(name, "Relationships", most, func(s *scanner) error {
		id := string(s.attr("Id"))
		if _, twice := out[id]; twice || string(s.local) != "Relationship" || id == "" {
			return bad("relationships nobody understands")
		}
		to := strings.ToLower(string(s.attr("Target")))
		if rest, whole := strings.CutPrefix(to, "/"); whole {
			to = rest
		} else {
			to = path.Join(dir, to)
		}
		if mode := string(s.attr("TargetMode")); mode != "" && mode != "Internal" || !plainName(to) {
			to = ""
		}
		out[id] = relation{string(s.attr("Type")), to}
		return nil
	})
}

// workbook reads the list of sheets. Those that nobody sees are left out.
func (b *book) workbook(name string, rels map[string]relation, known map[string]bool, m *Masker) error {
	err := b.pack.part(name, "workbook", m.most, func(s *scanner) error {
		switch {
		case s.is("workbookPr"):
			on := string(s.attr("date1904"))
			b.since04 = on == "1" || on == "true"
		case s.is("sheets"):
			return s.children(func() error {
				if !s.is("sheet") {
					return bad("a sheet nobody knows")
				}
				return b.addSheet(s, rels, known)
			})
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case len(b.sheets) == 0:
		return bad("no sheet that anybody sees")
	case len(b.sheets) > m.bounds.sheets:
		return &jsonmask.LimitError{What: "sheets of a workbook", Limit: m.bounds.sheets}
	}
	return nil
}

func (b *book) addSheet(s *scanner, rels map[string]relation, known map[string]bool) error {
	r := relation{}
	for _, a := range s.attrs {
		if a.space == linkSpace && string(a.local) == "id" {
			r = rels[string(a.value)]
		}
	}
	hidden := false
	switch string(s.attr("state")) {
	case "", "visible":
	case "hidden", "veryHidden":
		hidden = true
	default:
		return bad("a sheet in a state nobody knows")
	}
	if r.to == "" || known[r.to] {
		return bad("a sheet that is not there, or there twice")
	}
	known[r.to] = true
	if hidden {
		return nil
	}
	if path.Base(r.kind) != "worksheet" {
		return bad("a sheet that is no table")
	}
	b.sheets = append(b.sheets, sheet{string(unescape(s.attr("name"))), r.to})
	return nil
}

// readStrings reads the strings that cells share.
func (b *book) readStrings(name string, m *Masker) error {
	var scratch, block []byte // many strings share a block
	return b.pack.part(name, "sst", m.most, func(s *scanner) error {
		if !s.is("si") {
			return nil
		}
		if len(b.strings) >= m.bounds.strings {
			return &jsonmask.LimitError{What: "strings of a workbook", Limit: m.bounds.strings}
		}
		var err error
		if scratch, err = s.rich(scratch[:0]); err != nil {
			return err
		}
		text := unescape(scratch)
		if cap(block)-len(block) < len(text) {
			block = make([]byte, 0, max(32<<10, len(text)))
		}
		block = append(block, text...)
		b.strings = append(b.strings, block[len(block)-len(text):len(block):len(block)])
		return nil
	})
}

// readStyles reads the number formats of cells.
func (b *book) readStyles(name string, m *Masker) error {
	id := func(s *scanner) (int, error) {
		word := string(s.attr("numFmtId"))
		n, err := strconv.ParseUint(word, 10, 31)
		if err != nil && word != "" {
			return 0, bad("a number format without a number")
		}
		return int(n), nil
	}
	err := b.pack.part(name, "styleSheet", m.most, func(s *scanner) error {
		switch {
		case s.is("numFmts"):
			return s.children(func() error {
				n, err := id(s)
				if code := string(s.attr("formatCode")); plainCode(code) && len(b.codes) < 1000 {
					b.codes[n] = code
				}
				return err
			})
		case s.is("cellXfs"):
			return s.children(func() error {
				n, err := id(s)
				if len(b.formats) >= m.bounds.formats {
					return &jsonmask.LimitError{What: "formats of a workbook", Limit: m.bounds.formats}
				}
				b.formats = append(b.formats, n)
				return err
			})
		}
		return nil
	})
	for i, n := range b.formats {
		switch code, own := b.codes[n]; {
		case own:
			b.dates[n] = showsDate(code)
		case n >= 14 && n <= 22, n >= 27 && n <= 36, n >= 45 && n <= 47, n >= 50 && n <= 58:
			b.dates[n] = true
		case n > 81: // a code that was not kept
			b.formats[i] = 0
		}
	}
	return err
}
