// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

var allFormats = []Format{
	FormatJSON, FormatNDJSON, FormatJSONSeq, FormatCSV, FormatHTML, FormatPage, FormatXML, FormatXLSX, FormatSSE,
	FormatWebSocket, FormatMultipart, FormatOpaque, FormatNone,
}

// documents are the formats whose answers are documents, in which places can be pointed at.
var documents = []Format{FormatJSON, FormatNDJSON, FormatJSONSeq, FormatSSE, FormatWebSocket, FormatMultipart, FormatXML}

// response reads a shape in place, the name of one, or one with "use" and more.
func (d *decoder) response(n *yaml.Node) *Response {
	r := &Response{Format: FormatJSON}
	used := func(n *yaml.Node) {
		shape := d.responses[n.Value]
		if n.Kind != yaml.ScalarNode || shape == nil {
			d.fail(n, "declare it under responses:, above where it is used"+closest(n.Value, mapKeys(d.responses)), "unknown response shape %q", shorten(n.Value))
			return
		}
		*r = *shape
	}
	if n.Kind == yaml.ScalarNode {
		used(n)
		return r
	}
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == "use" {
			used(n.Content[i+1])
		}
	}
	pointers := func(to *[]Pointer, what string) func(*yaml.Node) {
		return func(n *yaml.Node) {
			d.list(n, func(i *yaml.Node) {
				if p, ok := d.pointer(i, what); ok {
					*to = append(*to, p)
				}
			})
		}
	}
	d.object(n, "response", keys{
		"use":         func(*yaml.Node) {},
		"format":      setWord(d, &r.Format, "format", allFormats...),
		"prefix":      d.setName(&r.Prefix, "prefix"),
		"records":     func(n *yaml.Node) { r.Records = d.recordSets(n) },
		"single":      d.setFlag(&r.Single, "single"),
		"not_found":   func(n *yaml.Node) { r.NotFound = d.canned(n) },
		"empty":       func(n *yaml.Node) { r.Empty = d.canned(n) },
		"max_records": d.setNumber(&r.MaxRecords, "max_records", 1, 1000000),
		"inject":      func(n *yaml.Node) { r.Inject = d.inject(n) },
		"total":       d.setName(&r.Total, "total"),
		"links":       pointers(&r.Links, "links"),
		"cursors":     pointers(&r.Cursors, "cursors"),
		"metadata":    pointers(&r.Metadata, "metadata"),
		"messages":    d.setFlag(&r.Messages, "messages"),
		"errors":      func(n *yaml.Node) { r.Errors = d.errorShape(n) },
		"elements":    func(n *yaml.Node) { d.list(n, func(i *yaml.Node) { r.Elements = append(r.Elements, d.element(i)) }) },
		"say":         d.setTexts(&r.Say, "say"),
		"table":       func(n *yaml.Node) { r.Table = d.tableShape(n) },
		"parts":       setWord(d, &r.Parts, "kind of parts", "json", "http"),
	})
	switch {
	case r.Prefix != "" && r.Format != FormatJSON:
		d.fail(n, "leave it out", "a prefix stands in front of json alone, not of %s", r.Format)
	case len(r.Elements) > 0 && r.Format != FormatHTML:
		d.fail(n, "leave it out, or give format: html", "elements are in html alone, not in %s", r.Format)
	case len(r.Say) > 0 && r.Format != FormatWebSocket:
		d.fail(n, "leave it out, or give format: websocket", "clients say something on a websocket alone, not in %s", r.Format)
	case len(r.Links)+len(r.Cursors) > 0 && !slices.Contains(documents, r.Format):
		d.fail(n, "leave them out", "links and cursors are found in documents of JSON and XML alone, not in %s", r.Format)
	case len(r.Links) > 0 && r.Format == FormatWebSocket:
		d.fail(n, "leave them out", "links are led to the gate in answers alone, not in messages of a websocket")
	case len(r.Links)+len(r.Cursors) > 0 && r.Format == FormatSSE && !r.Messages && len(r.Records) == 0:
		d.fail(n, "say where their records are, or give messages: true", "links and cursors of events that hold no records are read by nobody")
	case len(r.Links) > 0 && r.Format == FormatXML && atDocument(r.Records):
		d.fail(n, "point at the elements within it", "a document of xml has a name, so that none is a record at /, and its links are read by nobody")
	case r.Table != nil && r.Format != FormatCSV && r.Format != FormatXLSX:
		d.fail(n, "leave it out, or give format: csv or xlsx", "a table is written in csv and xlsx, not in %s", r.Format)
	case r.Parts != "" && r.Format != FormatMultipart:
		d.fail(n, "leave it out, or give format: multipart", "an answer has parts in multipart alone, not in %s", r.Format)
	case r.Table != nil && r.Table.Delimiter != "" && r.Format != FormatCSV:
		d.fail(n, "leave it out", "cells have a delimiter in csv alone, not in %s", r.Format)
	}
	return r
}

// atDocument reports whether the document itself is said to be a record.
func atDocument(sets []*RecordSet) bool {
	return slices.ContainsFunc(sets, func(s *RecordSet) bool { return len(s.At.Steps) == 0 })
}

func (d *decoder) tableShape(n *yaml.Node) *Table {
	t := &Table{}
	d.object(n, "table", keys{
		"delimiter": setWord(d, &t.Delimiter, "delimiter", ",", ";", "|", "\t"),
		"columns":   d.setTexts(&t.Columns, "columns"),
		"hidden":    setWord(d, &t.Hidden, "way of hidden columns", "drop", "empty"),
	})
	return t
}

func (d *decoder) canned(n *yaml.Node) *Canned {
	c := &Canned{Status: 200, ContentType: "application/json"}
	d.object(n, "canned answer", keys{
		"status":       d.setNumber(&c.Status, "status", 100, 599),
		"content_type": d.setName(&c.ContentType, "content_type"),
		"body":         d.setText(&c.Body, "body"),
	})
	return c
}

func (d *decoder) inject(n *yaml.Node) *Inject {
	i := &Inject{}
	d.object(n, "inject", keys{
		"query": d.setName(&i.Query, "query"),
		"body":  func(n *yaml.Node) { i.InBody = true; d.setPointer(&i.Body, "body")(n) },
		"many":  setWord(d, &i.Many, "way of many", "comma"),
	})
	if count(i.Query != "", i.InBody) != 1 {
		d.fail(n, "give one of query, body", "inject needs one place in the request")
	}
	if !i.Body.Fixed() {
		d.fail(n, "point at one place, without *", "inject cannot write to many places")
	}
	return i
}

func (d *decoder) recordSets(n *yaml.Node) []*RecordSet {
	var out []*RecordSet
	d.list(n, func(item *yaml.Node) { out = append(out, d.recordSet(item)) })
	return out
}

func (d *decoder) recordSet(n *yaml.Node) *RecordSet {
	s := &RecordSet{Style: ObjectRecord}
	if n.Kind == yaml.ScalarNode { // records: /Leads/*
		d.setPointer(&s.At, "records")(n)
		return s
	}
	at := false
	d.object(n, "record set", keys{
		"at":      func(n *yaml.Node) { at = true; d.setPointer(&s.At, "at")(n) },
		"style":   setWord(d, &s.Style, "record style", ObjectRecord, PairsRecord, IDRecord, IDNameRecord, MatrixRecord, HistoryRecord),
		"entity":  d.setName(&s.Entity, "entity"),
		"set":     d.setName(&s.Set, "set"),
		"total":   func(n *yaml.Node) { var p Pointer; d.setPointer(&p, "total")(n); s.Total = &p },
		"owner":   d.setTexts(&s.Owner, "owner"),
		"id":      d.setTexts(&s.ID, "id"),
		"name":    d.setTexts(&s.Name, "name"),
		"value":   d.setTexts(&s.Value, "value"),
		"columns": func(n *yaml.Node) { s.Columns = d.columns(n) },
		"parts":   func(n *yaml.Node) { d.list(n, func(i *yaml.Node) { s.Parts = append(s.Parts, d.part(i)) }) },
		"nested":  func(n *yaml.Node) { s.Nested = d.recordSets(n) },
	})
	switch {
	case !at:
		d.fail(n, "give at, such as /Leads/*", "a record set does not say where its records are")
	case (s.Style == PairsRecord || s.Style == HistoryRecord) && (len(s.Name) == 0 || len(s.Value) == 0):
		d.fail(n, "give name and value", "records as %s need the members that hold name and value", s.Style)
	case (s.Style == MatrixRecord) != (s.Columns != nil):
		d.fail(n, "give style: matrix and columns together", "a matrix has columns, and nothing else has")
	}
	if s.Total != nil && !s.Total.Fixed() {
		d.fail(n, "point at one place, without *", "total cannot stand in many places")
	}
	return s
}

func (d *decoder) part(n *yaml.Node) *Part {
	p := &Part{}
	d.object(n, "part", keys{
		"at":     d.setPointer(&p.At, "at"),
		"style":  setWord(d, &p.Style, "part style", "pairs", "map"),
		"name":   d.setTexts(&p.Name, "name"),
		"value":  d.setTexts(&p.Value, "value"),
		"nested": d.setTexts(&p.Nested, "nested"),
		"entity": d.setName(&p.Entity, "entity"),
	})
	switch {
	case len(p.At.Steps) == 0:
		d.fail(n, "give at, such as Fields", "a part does not say where it is")
	case p.Style == "":
		d.fail(n, "give style: pairs or map", "a part does not say how it is written")
	case p.Style == "pairs" && (len(p.Name) == 0 || len(p.Value) == 0):
		d.fail(n, "give name and value", "pairs need the members that hold name and value")
	}
	return p
}

func (d *decoder) columns(n *yaml.Node) *Columns {
	c := &Columns{}
	d.object(n, "columns", keys{
		"at":      func(n *yaml.Node) { var p Pointer; d.setPointer(&p, "at")(n); c.At = &p },
		"rows":    func(n *yaml.Node) { var p Pointer; d.setPointer(&p, "rows")(n); c.Rows = &p },
		"request": d.setFlag(&c.Request, "request"),
	})
	if (c.At != nil) == c.Request {
		d.fail(n, "give one of at, request: true", "columns need one place to come from")
	}
	return c
}

// linkRecords checks entities and paths of record sets.
func (d *decoder) linkRecords(n *yaml.Node, r *Route, sets []*RecordSet, captures map[string]bool) {
	for _, s := range sets {
		if strings.Contains(s.Entity, "{") {
			d.entityRef(n, s.Entity, captures)
		} else if s.Entity != "" {
			d.needEntity(n, s.Entity)
		} else if r.Entity == "" {
			d.fail(n, "give entity in the record set or the route", "route %q answers records of no entity", r.ID)
		}
		for _, p := range s.Parts {
			if p.Entity != "" {
				d.needEntity(n, p.Entity)
			}
		}
		d.linkRecords(n, r, s.Nested, captures)
	}
}
