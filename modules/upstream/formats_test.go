// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/modules/internal/coding"
	"github.com/crmgate/crmgate/modules/internal/xlsxmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// Where almost any text is one of the format, an answer must call itself so.
func TestTakes(t *testing.T) {
	for _, c := range []struct {
		format plan.Format
		kind   string
		want   bool
	}{
		{plan.JSON, "text/html", true}, // what is no strict JSON is refused by reading it
		{plan.NDJSON, "", true},
		{plan.SSE, "text/event-stream; charset=utf-8", true},
		{plan.SSE, "application/json", false},
		{plan.CSV, "Text/CSV; header=present", true},
		{plan.CSV, "text/html", false},
		{plan.CSV, "", false},
		{plan.XLSX, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", true},
		{plan.XLSX, "application/octet-stream", true},
		{plan.XLSX, "text/csv", false},
		{plan.XLSX, "application/zip", false},
		{plan.XML, "application/soap+xml", true},
		{plan.XML, "application/xhtml+xml", false},
		{plan.HTML, "text/html", true},
		{plan.HTML, "application/xhtml+xml", false},
		{plan.Multipart, "multipart/mixed; boundary=x", true},
		{plan.Multipart, "multipart/form-data; boundary=x", false},
		{plan.WebSocket, "application/json", false}, // no answer is a socket
	} {
		if err := formatOf(&plan.Plan{Format: c.format}).takes(c.kind); (err == nil) != c.want {
			t.Errorf("%s that calls itself %q: %v", c.format, c.kind, err)
		}
	}
}

// TestWestern: a table and a page in windows-1252 go out in it, and what repeats a masked
// value is found in them, however it is written.
func TestWestern(t *testing.T) {
	name := &plan.Treatment{Field: "name", Effect: plan.Mask, Mask: &mask.Func{}}
	e := &plan.Entity{Fields: map[string]*plan.Treatment{"name": name, "city": {Field: "city"}}, Unknown: &plan.Treatment{Effect: plan.Detect}}
	csv := &plan.Plan{Format: plan.CSV, Fallback: e, Root: &plan.Node{Elements: &plan.Node{Record: &plan.Record{Entity: e}}}}
	html := &plan.Plan{Format: plan.HTML, Fallback: e, Elements: []*plan.Element{{ID: "name", Treat: name, Entity: e}}}
	for _, c := range []struct {
		p              *plan.Plan
		kind, in, want string // want is empty where nothing may go out
	}{
		{csv, "text/csv; charset=iso-8859-1", "name,city,note\nJos\xe9 Mu\xf1oz,K\xf6ln,for jos\xe9 mu\xf1oz \x96 5 \x80\n", "name,city,note\nXXXXXXXX,K\xf6ln,for XXXXXXXX \x96 5 \x80\n"},
		{csv, "text/csv; charset=utf-8", "name,city\nJos\xe9,K\xf6ln\n", ""},
		{csv, "text/csv; charset=windows-1252", "\xef\xbb\xbfname,city\nJos\xc3\xa9,x\n", ""},
		{csv, "text/csv; charset=windows-1252", "name,city\nx,\x81\n", ""},
		{
			html, "text/html; charset=windows-1252", "<meta charset=iso-8859-1><b id=name>Conor O\x92Brien</b><p title='5 &#8377; \xe9' x=conor>\x97 Conor O&rsquo;Brien, \xe9</p>",
			"<meta charset=iso-8859-1><b id=name>XXXXXXXX</b><p title='5 &#8377; \xe9' x=conor>\x97 XXXXXXXX, \xe9</p>",
		},
		{html, "text/html; charset=windows-1252", "<p title='9812345670 &#8377;'>", "<p title=\"XXXXXXXX &#8377;\">"},
		{html, "text/html; charset=windows-1252", "<meta charset=utf-8><p>x</p>", ""},
		{html, "text/html", "<p>\xe9</p>", ""},
	} {
		if err := formatOf(c.p).reads(c.kind); err != nil {
			t.Errorf("%s is not read: %v", c.kind, err)
		}
		b := new(maskers).open(c.p, new(crmgate.Decision), c.kind, iotest.OneByteReader(strings.NewReader(c.in)))
		got, err := io.ReadAll(b)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s %q goes out as %q", c.kind, c.in, got)
			}
			continue
		}
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %v\ngot  %q\nwant %q", c.kind, err, got, c.want)
		}
	}
	for _, format := range []plan.Format{plan.JSON, plan.NDJSON, plan.XML, plan.XLSX, plan.SSE, plan.Multipart} {
		if err := formatOf(&plan.Plan{Format: format}).reads("x/y; charset=iso-8859-1"); !errors.Is(err, coding.ErrUnknownCharset) {
			t.Errorf("%s in windows-1252 is read: %v", format, err)
		}
	}
}

// Each format has an engine of its own, and one that is used again for another
// body has the plan it is asked with.
func TestEngines(t *testing.T) {
	show := &plan.Entity{Fields: map[string]*plan.Treatment{"a": {Field: "a"}}, Unknown: &plan.Treatment{Effect: plan.Detect}}
	table := &plan.Node{Elements: &plan.Node{Record: &plan.Record{Entity: show}}}
	for format, body := range map[plan.Format]string{
		plan.JSON: `{"a":1}`, plan.NDJSON: "{\"a\":1}\n", plan.JSONSeq: "\x1e{\"a\":1}\n", plan.SSE: "data: {\"a\":1}\n\n",
		plan.CSV: "a,b\n1,2\n", plan.XML: "<a>1</a>", plan.HTML: "<p>1</p>", plan.Multipart: "--x\r\n\r\n{}\r\n--x--\r\n",
	} {
		p := &plan.Plan{Format: format, Root: &plan.Node{}, Fallback: show}
		if format == plan.CSV {
			p.Root = table
		}
		m := new(maskers)
		for range 2 {
			b := m.open(p, new(crmgate.Decision), "multipart/mixed; boundary=x", strings.NewReader(body))
			got, err := io.ReadAll(b)
			if err != nil || string(got) != body {
				t.Errorf("%s: %q goes out as %q, %v", format, body, got, err)
			}
			if err := b.Close(); err != nil {
				t.Error(err)
			}
			if _, err := b.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s: a body that was closed is read", format)
			}
		}
	}
	b := new(maskers).open(&plan.Plan{Format: plan.XLSX, Root: table, Fallback: show}, new(crmgate.Decision), workbook, strings.NewReader("a,b\n1,2\n"))
	if got, err := io.ReadAll(b); !errors.Is(err, xlsxmask.ErrWorkbook) || len(got) > 0 {
		t.Errorf("a table in place of a workbook: %q, %v", got, err)
	}
	b = new(maskers).open(&plan.Plan{Format: plan.Multipart}, new(crmgate.Decision), "text/plain", strings.NewReader("x"))
	if got, err := io.ReadAll(b); err == nil || len(got) > 0 {
		t.Errorf("parts without a boundary: %q, %v", got, err)
	}
}
