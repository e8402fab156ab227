// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"

	"github.com/crmgate/crmgate/modules/internal/coding"
	"github.com/crmgate/crmgate/modules/internal/csvmask"
	"github.com/crmgate/crmgate/modules/internal/framed"
	"github.com/crmgate/crmgate/modules/internal/htmlmask"
	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/modules/internal/xlsxmask"
	"github.com/crmgate/crmgate/modules/internal/xmlmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// engine rewrites one body after the other, of one format and by one plan.
type engine interface {
	Plan() *plan.Plan
	Reset(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits)
	Reader(src io.Reader) io.Reader
	Stats() jsonmask.Stats
}

// headed is an engine that must know how the answer calls itself.
type headed interface {
	Header(contentType string) error
}

// format is how bodies of one format are asked for, recognised and rewritten.
type format struct {
	accept string   // what the CRM is asked for
	types  []string // media types an answer may come with; nil for any
	live   bool     // each part goes out as soon as it is judged
	// western brings rewritten text back to windows-1252; nil where only UTF-8 is read.
	western func(io.Reader) io.Reader
	engine  func(*plan.Plan, *plan.Viewer, jsonmask.Limits) engine
}

func newJSON(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) engine { return jsonmask.New(p, v, l) }

func newFramed(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) engine {
	m := framed.New(p, v, l)
	m.Clean = cleanPart
	return m
}
func newCSV(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) engine { return csvmask.New(p, v, l) }
func newHTML(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) engine {
	return htmlmask.New(p, v, l)
}
func newXML(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) engine { return xmlmask.New(p, v, l) }
func newXLSX(p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) engine {
	return xlsxmask.New(p, v, l)
}

// workbook is the media type of a workbook.
const workbook = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

// formats are those that an engine reads. What is no strict JSON is no body of
// the JSON formats, whatever it calls itself; where almost any text is one of the
// format, the answer must at least be called so.
var formats = map[plan.Format]*format{
	plan.JSON:    {accept: "application/json", engine: newJSON},
	plan.NoBody:  {accept: "application/json", engine: newJSON},
	plan.NDJSON:  {accept: "application/x-ndjson, application/jsonl, application/json;q=0.5", engine: newFramed},
	plan.JSONSeq: {accept: "application/json-seq", engine: newFramed},
	plan.SSE:     {accept: "text/event-stream", types: []string{"text/event-stream"}, live: true, engine: newFramed},
	plan.Multipart: {accept: "multipart/mixed, multipart/parallel;q=0.5", engine: newFramed, types: []string{
		"multipart/mixed", "multipart/parallel", "multipart/related",
	}},
	// What comes in place of a socket is none; see Transport.socket.
	plan.WebSocket: {accept: "application/json", engine: newJSON, types: []string{"no answer but a socket"}},
	plan.CSV: {accept: "text/csv", engine: newCSV, western: coding.ToWestern, types: []string{
		"text/csv", "application/csv", "text/comma-separated-values", "text/tab-separated-values", "text/plain",
		"application/vnd.ms-excel", "application/octet-stream",
	}},
	plan.HTML: {accept: "text/html", engine: newHTML, western: coding.ToWesternPage, types: []string{"text/html"}},
	plan.XML: {accept: "application/xml, text/xml", engine: newXML, types: []string{
		"application/xml", "text/xml", "application/soap+xml", "application/atom+xml", "application/rss+xml",
	}},
	plan.XLSX: {accept: workbook, engine: newXLSX, types: []string{
		workbook, "application/vnd.ms-excel", "application/octet-stream",
	}},
}

// formatOf returns the format of a plan. A plan of a format that nobody reads is
// never decided; should there be one, its answer is read as JSON, which it is not.
func formatOf(p *plan.Plan) *format {
	if f := formats[p.Format]; f != nil {
		return f
	}
	return formats[plan.JSON]
}

// takes refuses an answer that calls itself something else than was declared.
func (f *format) takes(contentType string) error {
	if f.types == nil {
		return nil
	}
	t, _, err := mime.ParseMediaType(contentType)
	if err != nil || !slices.Contains(f.types, strings.ToLower(t)) {
		return fmt.Errorf("the answer is %.60q, and the map declares one of %s", contentType, strings.Join(f.types, ", "))
	}
	return nil
}

// reads refuses an answer whose charset this format is not read in.
func (f *format) reads(contentType string) error {
	charset, err := coding.CharsetOf(contentType)
	if err == nil && charset != coding.UTF8 && f.western == nil {
		err = fmt.Errorf("%w: %.60q, and this format is read in UTF-8 alone", coding.ErrUnknownCharset, contentType)
	}
	return err //nolint:wrapcheck // it says all there is to say
}

// reader runs e over a body of this Content-Type, whose charset it keeps.
func (f *format) reader(e engine, contentType string, src io.Reader) io.Reader {
	if f.western != nil {
		if charset, err := coding.CharsetOf(contentType); err == nil && charset == coding.Western {
			return f.western(e.Reader(coding.FromWestern(src)))
		}
	}
	return e.Reader(src)
}
