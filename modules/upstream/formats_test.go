// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/modules/internal/xlsxmask"
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
