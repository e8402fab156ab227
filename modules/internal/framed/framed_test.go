// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package framed

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// leads is a plan with one record a document: the phone is masked, the PAN
// hidden, and only u1's own are seen when rows is set.
func leads(format plan.Format, rows bool) *plan.Plan {
	phone, err := mask.Compile(mask.Spec{Fn: "phone"}, nil)
	if err != nil {
		panic(err)
	}
	e := &plan.Entity{
		Name: "lead",
		Fields: map[string]*plan.Treatment{
			"id": {Field: "id"}, "owner": {Field: "owner"},
			"phone": {Field: "phone", Effect: plan.Mask, Mask: phone},
			"pan":   {Field: "pan", Effect: plan.Hide},
		},
		Unknown: &plan.Treatment{Effect: plan.Detect},
	}
	r := &plan.Record{Entity: e, Set: "leads"}
	if rows {
		r.Rows = &plan.Rows{Scope: plan.Own, Owner: []string{"owner"}}
	}
	return &plan.Plan{ID: "t", Format: format, Root: &plan.Node{Record: r}, Fallback: e}
}

var viewer = &plan.Viewer{Own: map[string]struct{}{"u1": {}}, Group: map[string]struct{}{"u1": {}}}

func run(p *plan.Plan, body string, wrap func(io.Reader) io.Reader) (string, jsonmask.Stats, error) {
	m := New(p, viewer, jsonmask.Limits{})
	if err := m.Header("multipart/mixed; boundary=b"); err != nil {
		return "", jsonmask.Stats{}, err
	}
	var src io.Reader = strings.NewReader(body)
	if wrap != nil {
		src = wrap(src)
	}
	out, err := io.ReadAll(m.Reader(src))
	return string(out), m.Stats(), err
}

const (
	mine   = `{"id":1,"owner":"u1","phone":"+91-9812345670","pan":"BQKPN4821L"}`
	masked = `{"id":1,"owner":"u1","phone":"+91XXXXXX5670"}`
	secret = `{"id":1,"pan":"zebra-77"}`
	yours  = `{"id":2,"owner":"u2","phone":"+91-9812345670","note":"secret"}`
)

func TestBodies(t *testing.T) {
	for _, c := range []struct {
		name   string
		format plan.Format
		rows   bool
		in     string
		want   string // "" for a refusal
	}{
		{"lines", plan.NDJSON, false, mine + "\n" + mine + "\r\n", masked + "\n" + masked + "\r\n"},
		{"no line feed at the end", plan.NDJSON, false, mine + "\n" + mine, masked + "\n" + masked},
		{"empty lines stay", plan.NDJSON, false, "\n\r\n" + mine + "\n\n", "\n\r\n" + masked + "\n\n"},
		{"a byte order mark goes", plan.NDJSON, false, "\xEF\xBB\xBF" + mine + "\n", masked + "\n"},
		{"a record of another disappears", plan.NDJSON, true, yours + "\n" + mine + "\n" + yours + "\n", masked + "\n"},
		{"two documents on a line", plan.NDJSON, false, mine + mine + "\n", ""},
		{"a document over two lines", plan.NDJSON, false, "{\"phone\":\n\"+91-9812345670\"}\n", ""},
		{"a doubled name", plan.NDJSON, false, `{"phone":"1","phone":"+91-9812345670"}` + "\n", ""},
		{"no JSON", plan.NDJSON, false, "+91-9812345670\n", ""},
		{"bytes that are not UTF-8", plan.NDJSON, false, "{\"note\":\"\xff9812345670\"}\n", ""},
		{"an unterminated last line", plan.NDJSON, false, mine + "\n" + `{"phone":"+91-98123`, ""},

		{"a sequence", plan.JSONSeq, false, "\x1e" + mine + "\n\x1e" + mine + "\n", "\x1e" + masked + "\n\x1e" + masked + "\n"},
		{"separators without a document", plan.JSONSeq, false, "\x1e\x1e" + mine + "\n\x1e\n", "\x1e\x1e" + masked + "\n\x1e\n"},
		{"a pretty document", plan.JSONSeq, false, "\x1e{\n\"phone\": \"+91-9812345670\"\n}\n", "\x1e{\n\"phone\": \"+91XXXXXX5670\"\n}\n"},
		{"a record of another in a sequence", plan.JSONSeq, true, "\x1e" + yours + "\n\x1e" + mine + "\n", "\x1e" + masked + "\n"},
		{"bytes in front of a sequence", plan.JSONSeq, false, mine + "\n\x1e" + mine + "\n", ""},
		{"two documents behind one separator", plan.JSONSeq, false, "\x1e" + mine + "\n" + mine + "\n", ""},

		{"an event", plan.SSE, false, "event: lead\nid: 7\ndata: " + mine + "\n\n", "event: lead\nid: 7\ndata: " + masked + "\n\n"},
		{"an event without blanks, lines by CR LF", plan.SSE, false, "data:" + mine + "\r\nid:7\r\n\r\n", "data:" + masked + "\r\nid:7\r\n\r\n"},
		{"lines by CR", plan.SSE, false, "data:" + mine + "\r\rdata:" + mine + "\r\r", "data:" + masked + "\r\rdata:" + masked + "\r\r"},
		{"a document over several lines", plan.SSE, false, "data: {\"id\":1,\ndata: \"phone\":\"+91-9812345670\"\ndata: }\n\n", "data: {\"id\":1,\ndata: \"phone\":\"+91XXXXXX5670\"\ndata: }\n\n"},
		{"a value over two lines", plan.SSE, false, "data: {\"note\":\"98123\ndata: 45670\"}\n\n", ""},
		{"nothing to mask", plan.SSE, false, "data:{\"id\":1,\ndata\ndata:   \"x\":2}\nretry: 3000\n\n", "data:{\"id\":1,\ndata\ndata:   \"x\":2}\nretry: 3000\n\n"},
		{"a comment, and personal data in it", plan.SSE, false, ": hello\n\n: call 9812345670\n\n", ": hello\n\n: call XXXXXXXX\n\n"},
		{
			"values that come again in comments and ids", plan.SSE, false, ": zebra-77 is read\n\ndata: " + secret + "\nid: zebra-77\n: of zebra-77\nevent: zebra-77\n\n: and zebra-77\n\n",
			": zebra-77 is read\n\ndata: {\"id\":1}\nid: XXXXXXXX\n: of XXXXXXXX\nevent: zebra-77\n\n: and XXXXXXXX\n\n",
		},
		{
			"a value that comes again in the id of a part", plan.Multipart, false, "--b\r\nContent-ID: <zebra-77>\r\n\r\n" + secret + "\r\n--b\r\nContent-ID: <zebra-77>\r\n\r\n{}\r\n--b--",
			"--b\r\nContent-ID: <zebra-77>\r\n\r\n{\"id\":1}\r\n--b\r\n\r\n{}\r\n--b--",
		},
		{"personal data in id and event", plan.SSE, false, "id: meera.nair@canary.example\nevent: 9812345670\ndata: {}\n\n", "id: XXXXXXXX\nevent: XXXXXXXX\ndata: {}\n\n"},
		{"lines that no client reads", plan.SSE, false, "phone: 1\nData: x\nretry: 9812345670\nretry: x\ndata: {}\n\n", "data: {}\n\n"},
		{"an event of another's record", plan.SSE, true, ": one\n\nid: 2\ndata: " + yours + "\n\ndata: " + mine + "\n\n", ": one\n\ndata: " + masked + "\n\n"},
		{"a text in place of a document", plan.SSE, false, "data: 9812345670 called\n\n", ""},
		{"an event that breaks off", plan.SSE, false, "data: " + mine, "data: " + masked},
		{"empty data", plan.SSE, false, "data\n\ndata: \n\n", "data\n\ndata: \n\n"},
		{"a byte order mark in front of events", plan.SSE, false, "\xEF\xBB\xBFdata: " + mine + "\n\n", "data: " + masked + "\n\n"},
		{"an event that is not UTF-8", plan.SSE, false, "id: \xff\ndata: {}\n\n", ""},

		{"parts", plan.Multipart, false, "junk 9812345670\r\n--b\r\nContent-Type: application/json\r\nContent-Id: 1\r\n\r\n" + mine + "\r\n--b\r\n\r\n" + mine + "\r\n--b--\r\n9812345670", "--b\r\nContent-Type: application/json\r\nContent-Id: 1\r\n\r\n" + masked + "\r\n--b\r\n\r\n" + masked + "\r\n--b--\r\n"},
		{"lines by LF", plan.Multipart, false, "--b\n\n" + mine + "\n--b-- \n", "--b\n\n" + masked + "\n--b-- \n"},
		{"a part over several lines", plan.Multipart, false, "--b\r\n\r\n{\r\n\"id\": 1\r\n}\r\n--b--", "--b\r\n\r\n{\r\n\"id\": 1\r\n}\r\n--b--"},
		{"header fields that tell", plan.Multipart, false, "--b\r\nX-Phone: 9812345670\r\nContent-Length: 98\r\nContent-Id: 9812345670\r\nContent-Type: application/vnd.x+json\r\n\r\n{}\r\n--b--\r\n", "--b\r\nContent-Type: application/vnd.x+json\r\n\r\n{}\r\n--b--\r\n"},
		{"a part of another's record", plan.Multipart, true, "--b\r\n\r\n" + yours + "\r\n--b\r\nContent-Id: 2\r\n\r\n" + mine + "\r\n--b--\r\n", "--b\r\nContent-Id: 2\r\n\r\n" + masked + "\r\n--b--\r\n"},
		{"an empty part", plan.Multipart, false, "--b\r\n\r\n\r\n--b--\r\n", "--b\r\n\r\n\r\n--b--\r\n"},
		{"parts without an end", plan.Multipart, false, "--b\r\n\r\n" + mine + "\r\n--b\r\n\r\n" + mine + "\r\n", ""},
		{"a body that is no parts", plan.Multipart, false, mine, ""},
		{"an empty body", plan.Multipart, false, " ", ""},
		{"almost a delimiter", plan.Multipart, false, "--b\r\n\r\n{}\r\n--bc\r\n" + mine + "\r\n--b--\r\n", ""},
		{"delimiters with lines of two kinds", plan.Multipart, false, "--b\r\n\r\n{}\n--b--", ""},
		{"delimiters with lines of two other kinds", plan.Multipart, false, "--b\n\n{}\n--b\r\n\n{}\n--b--", ""},
		{"a part that is text", plan.Multipart, false, "--b\r\nContent-Type: text/plain\r\n\r\n9812345670\r\n--b--\r\n", ""},
		{"a part that is text and does not say so", plan.Multipart, false, "--b\r\n\r\n+91 9812345670\r\n--b--\r\n", ""},
		{"a part in base64", plan.Multipart, false, "--b\r\nContent-Transfer-Encoding: base64\r\n\r\neyJQaG9uZSI6IjEifQ==\r\n--b--\r\n", ""},
		{"a part in gzip", plan.Multipart, false, "--b\r\ncontent-encoding: gzip\r\n\r\n{}\r\n--b--\r\n", ""},
		{"a part in UTF-16", plan.Multipart, false, "--b\r\nContent-Type: application/json; charset=utf-16\r\n\r\n{}\r\n--b--\r\n", ""},
		{"a folded header", plan.Multipart, false, "--b\r\nContent-Type: application/json;\r\n charset=utf-16\r\n\r\n{}\r\n--b--\r\n", ""},
		{"a part that is all header", plan.Multipart, false, "--b\r\nContent-Id: 1\r\n--b--\r\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := leads(c.format, c.rows)
			got, _, err := run(p, c.in, nil)
			if c.want == "" && err == nil {
				t.Fatalf("what nobody can read goes through:\n%q", got)
			}
			if c.want != "" && (err != nil || got != c.want) {
				t.Fatalf("%v\ngot  %q\nwant %q", err, got, c.want)
			}
			slow, _, slowErr := run(p, c.in, iotest.OneByteReader)
			if slow != got || (slowErr == nil) != (err == nil) {
				t.Fatalf("byte by byte another answer comes out:\n%q, %v\n%q, %v", got, err, slow, slowErr)
			}
			for cut := range len(c.in) {
				parts, _, partsErr := run(p, c.in, func(io.Reader) io.Reader {
					return io.MultiReader(strings.NewReader(c.in[:cut]), strings.NewReader(c.in[cut:]))
				})
				if parts != got || (partsErr == nil) != (err == nil) {
					t.Fatalf("cut at %d another answer comes out:\n%q, %v\n%q, %v", cut, got, err, parts, partsErr)
				}
			}
		})
	}
}

// What was judged goes out before more is asked for: an event must not wait for
// the next one.
func TestEventsAreNotHeld(t *testing.T) {
	for format, frame := range map[plan.Format]string{plan.SSE: "data: " + mine + "\n\n", plan.NDJSON: mine + "\n"} {
		r, w := io.Pipe()
		m := New(leads(format, false), viewer, jsonmask.Limits{})
		body := m.Reader(r)
		for range 3 {
			go func() { _, _ = w.Write([]byte(frame)) }()
			want := strings.Replace(frame, mine, masked, 1)
			got := make([]byte, len(want))
			if _, err := io.ReadFull(body, got); err != nil || string(got) != want {
				t.Fatalf("%s: %q, %v: a live stream stands still", format, got, err)
			}
		}
		_ = w.Close()
	}
}

func TestLimits(t *testing.T) {
	long := `{"note":"` + strings.Repeat("x", 2<<20) + `"}`
	for format, body := range map[plan.Format]string{plan.NDJSON: long, plan.JSONSeq: "\x1e" + long, plan.SSE: "data: " + long} {
		_, _, err := run(leads(format, false), body, nil)
		if _, ok := errors.AsType[*jsonmask.LimitError](err); !ok {
			t.Errorf("%s: %v: one document may fill the memory", format, err)
		}
	}
	p := leads(plan.NDJSON, true)
	p.MaxRows = 2
	got, s, err := run(p, strings.Repeat(mine+"\n", 5), nil)
	if err != nil || strings.Count(got, "\n") != 2 || s.Kept != 2 || s.Dropped != 3 {
		t.Errorf("with a cap of 2 records: %q, %+v, %v", got, s, err)
	}
	p.Root.Record.Nested = map[string]*plan.Node{"tasks": {Elements: &plan.Node{Record: &plan.Record{Entity: p.Fallback, Set: "tasks", Free: true}}}}
	busy := `{"owner":"u1","tasks":[{"id":1},{"id":2},{"id":3}]}` + "\n"
	if got, s, err := run(p, strings.Repeat(busy, 5), nil); err != nil || got != busy+busy || s.Kept != 8 {
		t.Errorf("with a cap of 2 leads: %q, %+v, %v: leads lose tasks, or there are fewer", got, s, err)
	}
}

func TestStats(t *testing.T) {
	_, s, err := run(leads(plan.NDJSON, true), mine+"\n"+yours+"\n"+mine+"\n", nil)
	if err != nil || s.Masked["phone"] != 2 || s.Hidden["pan"] != 2 || s.Kept != 2 || s.Dropped != 1 {
		t.Errorf("the audit reads %+v, %v", s, err)
	}
}

// A masker that is used again has nothing of the body before, broken or not.
func TestReset(t *testing.T) {
	p := leads(plan.SSE, false)
	m := New(p, viewer, jsonmask.Limits{})
	for _, in := range []string{"data: " + mine + "\n\n", "data: {\"phone\"", "data: " + mine + "\n\n"} {
		m.Reset(p, viewer, jsonmask.Limits{})
		got, err := io.ReadAll(m.Reader(strings.NewReader(in)))
		if want, _, wantErr := run(p, in, nil); string(got) != want || (err == nil) != (wantErr == nil) {
			t.Errorf("%q: %q, %v; new it gives %q, %v", in, got, err, want, wantErr)
		}
	}
}
