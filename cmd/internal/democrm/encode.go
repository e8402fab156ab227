// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// flat is a record as one object: {"ProspectID":"..","FirstName":null,...}.
type flat struct {
	s    *schema
	cols []int
	rec  *record
}

// MarshalJSONTo writes the columns in order; values are strings or null.
func (f flat) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginObject); err != nil {
		return err
	}
	for _, i := range f.cols {
		if err := enc.WriteToken(jsontext.String(f.s.cols[i].name)); err != nil {
			return err
		}
		if err := enc.WriteToken(cellToken(f.rec.cells[i])); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndObject)
}

func cellToken(p *string) jsontext.Token {
	if p == nil {
		return jsontext.Null
	}
	return jsontext.String(*p)
}

// pairList is a record as a list of {"Attribute","Value"}. total, when not
// negative, is echoed as a last pair.
type pairList struct {
	flat
	total int
}

// MarshalJSONTo writes one pair per column, in order.
func (p pairList) MarshalJSONTo(enc *jsontext.Encoder) error {
	if err := enc.WriteToken(jsontext.BeginArray); err != nil {
		return err
	}
	for _, i := range p.cols {
		if err := writePair(enc, p.s.cols[i].name, cellToken(p.rec.cells[i])); err != nil {
			return err
		}
	}
	if p.total >= 0 {
		if err := writePair(enc, "Total", jsontext.String(strconv.Itoa(p.total))); err != nil {
			return err
		}
	}
	return enc.WriteToken(jsontext.EndArray)
}

func writePair(enc *jsontext.Encoder, name string, value jsontext.Token) error {
	for _, tok := range []jsontext.Token{
		jsontext.BeginObject, jsontext.String("Attribute"), jsontext.String(name),
		jsontext.String("Value"), value, jsontext.EndObject,
	} {
		if err := enc.WriteToken(tok); err != nil {
			return err
		}
	}
	return nil
}

func flats(s *schema, cols []int, rows []*record) []flat {
	out := make([]flat, 0, len(rows))
	for _, r := range rows {
		out = append(out, flat{s, cols, r})
	}
	return out
}

// The list envelopes. Names follow the response families of docs/demo-crm.md.
type (
	leadPairs struct { // RB
		RecordCount int
		Leads       []leadProperties
	}
	leadProperties struct{ LeadPropertyList pairList }
	leadList       struct { // RC
		RecordCount int
		Leads       []flat
	}
	companyPairs struct { // RD
		RecordCount int
		Companies   []companyProperties
	}
	companyProperties struct {
		CompanyPropertyList pairList `json:"companyPropertyList"`
	}
	rowList struct { // RF
		RecordCount int
		List        []flat
	}
)

func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, err = w.Write(body)
	return err
}
