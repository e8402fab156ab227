// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// read goes through everything a request can say: parameters, captures,
// headers, form fields and body.
func (rd *reading) read() error {
	shape := rd.route.Request
	if err := rd.params(rd.request.Query, shape.params, shape.bracket, "query"); err != nil {
		return err
	}
	for _, read := range shape.simple {
		if err := rd.readSimple(read); err != nil {
			return err
		}
	}
	switch shape.Body {
	case FormBody:
		if rd.body != nil {
			if err := rd.params(rd.body.form, shape.forms, nil, "form"); err != nil {
				return err
			}
		}
	case JSONBody:
		if rd.body != nil && rd.body.doc != nil {
			if err := rd.walk(rd.body.doc, shape.tree, nil); err != nil {
				return err
			}
		}
	case MultipartBody, XMLBody, GraphQLBody:
		rd.unknown("body as " + string(shape.Body))
	}
	for _, read := range shape.Reads {
		if read.Required {
			there, err := rd.present(read.Source)
			if err != nil {
				return err
			}
			if !there {
				return fmt.Errorf("%w: %s is missing", ErrUnreadable, read.Source)
			}
		}
	}
	if len(shape.Pages) > 0 {
		return rd.page(shape.Pages)
	}
	return nil
}

// params reads query parameters or form fields. The ones nobody declared are
// unknown uses; the CRM's own credentials are the gate's business.
func (rd *reading) params(from map[string][]string, reads map[string]*Read, brackets []*Read, what string) error {
	var room [16]string
	names := room[:0]
	for name := range from {
		names = append(names, name)
	}
	slices.Sort(names) // the same request reads the same, whatever the order of a Go map
	for _, name := range names {
		values := from[name]
		var buf [64]byte
		fold := AppendFold(buf[:0], []byte(name))
		read := reads[string(fold)]
		if read == nil {
			if rd.credential(name) || rd.bracketed(name, brackets) {
				continue
			}
			rd.unknown(what + " " + name)
			continue
		}
		for ; read != nil; read = read.next {
			if read.As == AsIgnore {
				continue
			}
			for i := range values {
				if err := rd.take(read, &value{kind: '"', text: values[i]}, name); err != nil {
					return err
				}
			}
		}
	}
	return rd.checkLimit()
}

func (rd *reading) credential(name string) bool {
	for _, c := range rd.m.Credentials.Query {
		if foldsTo(name, Fold(c)) {
			return true
		}
	}
	return false
}

// bracketed reads a parameter such as filter[phone][_contains].
func (rd *reading) bracketed(name string, brackets []*Read) bool {
	base, rest, ok := strings.Cut(name, "[")
	if !ok || len(brackets) == 0 || !strings.HasSuffix(rest, "]") {
		return false
	}
	for _, read := range brackets {
		if !foldsTo(base, Fold(read.Source.Query)) {
			continue
		}
		field, op := "", ""
		for seg := range strings.SplitSeq(strings.TrimSuffix(rest, "]"), "][") {
			_, err := strconv.Atoi(seg)
			operator := strings.HasPrefix(seg, "_") || strings.HasPrefix(seg, "$")
			switch {
			case err == nil || seg == "":
			case operator && field == "":
			case operator:
				op = seg
			case field == "":
				field = seg
			default:
				rd.unknown("query " + name)
				return true
			}
		}
		if field == "" {
			return false
		}
		rd.name(rd.entityOf(read), field, read.Use, op)
		return true
	}
	return false
}

// readSimple reads a capture or a header.
func (rd *reading) readSimple(read *Read) error {
	if read.Source.Capture != "" {
		if text, ok := rd.capture(read.Source.Capture); ok {
			return rd.take(read, &value{kind: '"', text: text}, read.Source.Capture)
		}
		return nil
	}
	values, _ := requestValues(rd.request, read.Source)
	for i := range values {
		if err := rd.take(read, &value{kind: '"', text: values[i]}, read.Source.Header); err != nil {
			return err
		}
	}
	return nil
}

// page notes how many records are asked for: the most that any of the dialects
// says.
func (rd *reading) page(dialects []*Paging) error {
	usual := 0
	for _, p := range dialects {
		usual = max(usual, p.Usual)
		if p.Size == nil {
			continue
		}
		text, err := rd.one(*p.Size)
		if err != nil {
			return err
		}
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n <= 0 || p.Max > 0 && n > p.Max {
			n = p.Max // not a number, or none: the CRM may take it for everything
		}
		rd.limit = max(rd.limit, n)
	}
	if rd.limit == 0 {
		rd.limit = usual
	}
	return nil
}

// one returns the text at a source, "" when there is none.
func (rd *reading) one(src Source) (string, error) {
	if src.InBody {
		if rd.body == nil || rd.body.doc == nil {
			return "", nil
		}
		v, err := rd.body.doc.at(src.Body)
		if err != nil {
			return "", fmt.Errorf("%w: %s: %w", ErrUnreadable, src.Body, err)
		}
		if v == nil {
			return "", nil
		}
		text, _ := v.scalar()
		return text, nil
	}
	values, _ := requestValues(rd.request, src)
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", fmt.Errorf("%w: %s stands there twice", ErrUnreadable, src)
}

// trail is the way from the root to a place, for messages only.
type trail struct {
	up    *trail
	name  string
	index int
}

func (t *trail) String() string {
	if t == nil {
		return ""
	}
	if t.index >= 0 {
		return t.up.String() + "/" + strconv.Itoa(t.index)
	}
	return t.up.String() + "/" + t.name
}

// wrong is a value of another shape than the map declares.
func wrong(t *trail, what string) error {
	at := t.String()
	if at == "" {
		at = "/"
	}
	return fmt.Errorf("%w: body %s is not %s", ErrUnreadable, at, what)
}

// walk goes through a body along the tree of declared places.
func (rd *reading) walk(v *value, p *place, t *trail) error {
	for _, read := range p.reads {
		var err error
		if read.As == AsObject {
			err = rd.object(read, v, p, t)
		} else {
			err = rd.takeAt(read, v, t)
		}
		if err != nil {
			return err
		}
	}
	if len(p.reads) > 0 && p.leaf() || v.kind == 'n' {
		return rd.checkLimit()
	}
	switch v.kind {
	case '{':
		if len(p.members) == 0 && p.keyed == nil {
			if len(p.reads) > 0 {
				return nil
			}
			return wrong(t, "what the map declares")
		}
		return rd.walkObject(v, p, t)
	case '[':
		if p.elements == nil && len(p.byIndex) == 0 {
			return wrong(t, "what the map declares")
		}
		for i := range v.items {
			child := p.byIndex[i]
			if child == nil {
				child = p.elements
			}
			if child == nil {
				rd.unknown("body " + (&trail{t, "", i}).String())
				continue
			}
			if err := rd.walk(&v.items[i], child, &trail{t, "", i}); err != nil {
				return err
			}
		}
		return rd.checkLimit()
	}
	return wrong(t, "an object or a list")
}

// walkObject follows the declared members; two spellings of one declared name
// cannot be read. Members an AsObject read takes for fields are not unknown.
func (rd *reading) walkObject(v *value, p *place, t *trail) error {
	fields := false
	for _, read := range p.reads {
		fields = fields || read.As == AsObject
	}
	var seen map[*place]bool
	for i, name := range v.names {
		var buf [64]byte
		child := p.members[string(AppendFold(buf[:0], []byte(name)))]
		if child != nil {
			if seen[child] {
				return wrong(&trail{t, name, -1}, "there once: two spellings of one name")
			}
			if seen == nil {
				seen = make(map[*place]bool, len(v.names))
			}
			seen[child] = true
		} else if child = p.keyed; child == nil {
			if !fields {
				rd.unknown("body " + (&trail{t, name, -1}).String())
			}
			continue
		}
		if err := rd.walk(&v.items[i], child, &trail{t, name, -1}); err != nil {
			return err
		}
	}
	return rd.checkLimit()
}

// entityOf returns the entity a read speaks of; nil when there is none.
func (rd *reading) entityOf(read *Read) *Entity {
	if read.Entity == "" {
		return rd.entity
	}
	return rd.resolve(read.Entity)
}

// unknown notes something that may be a query and that nobody could read. On
// routes without an entity there is nothing it could ask about.
func (rd *reading) unknown(name string) {
	if rd.entity == nil && len(rd.route.Also) == 0 {
		return
	}
	entity := ""
	if rd.entity != nil {
		entity = rd.entity.Name
	}
	rd.named++
	rd.uses = append(rd.uses, FieldUse{Entity: entity, Name: name, Use: Unknown})
}

// name notes one use of a field by its wire name, which may lead through other
// records ("party.phone") where the map says names have parts.
func (rd *reading) name(e *Entity, wire string, use Use, op string) {
	at, f := rd.notes(e, wire, use, op)
	rd.asked(at, f, wire, use, op)
}

// notes the use itself, and returns the field when the map knows it.
func (rd *reading) notes(e *Entity, wire string, use Use, op string) (*Entity, *Field) {
	wire = strings.TrimSpace(wire)
	if wire == "" {
		return nil, nil
	}
	if e == nil {
		rd.unknown(wire)
		return nil, nil
	}
	rd.named++
	at, f := rd.m.FieldNamed(e, wire)
	u := FieldUse{Entity: e.Name, Name: wire, Use: use, Op: op}
	switch {
	case at == nil:
		u.Use = Unknown
	case f == nil:
		u.Entity = at.Name
	default:
		u.Entity, u.Field = at.Name, f.Name
	}
	rd.uses = append(rd.uses, u)
	return at, f
}

// checkLimit refuses requests that name more than the map allows.
func (rd *reading) checkLimit() error {
	if rd.named > rd.m.MaxItems {
		return fmt.Errorf("%w: it names more than %d records and fields", ErrUnreadable, rd.m.MaxItems)
	}
	return nil
}
