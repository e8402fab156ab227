// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"go.yaml.in/yaml/v3"
)

// leakCase is one hostile answer, who asks for it, and what may come of it. That
// no canary comes through is expected of all of them.
type leakCase struct {
	ID     string     // L33, or a variant of it: L33-b
	What   string     // what the CRM does
	Map    string     // leadsquared (default) or shapes
	As     string     // role; sales_manager by default
	Limit  bool       // the gateway does not hold it: docs/limits.md says why
	Only   string     // h1 or h2, where only one of them can ask so
	Ask    leakAsk    //
	Answer leakAnswer //
	Want   leakWant   //
	file   string
}

// leakAsk is the request.
type leakAsk struct {
	Method  string            // GET
	Path    string            // /v2/LeadManagement.svc/Leads.GetById?id=1
	Headers map[string]string // {etag} is the entity tag of the answer to After
	Body    string
	After   string // the role that asks the same first
}

// leakAnswer is what the CRM says.
type leakAnswer struct {
	Status   int                  // 200
	Headers  map[string]leakTexts // Content-Type: application/json unless it is given; "" for none
	Body     string               // one lead with all canaries unless it is given
	Fill     leakFill             // what {fill} in the body stands for
	Form     []string             // what is done to the body, in order: see encodeBody
	Framing  string               // length (default), chunked or close
	Length   *int                 // another Content-Length than the body's
	Trailers map[string]string    // behind a chunked body
	Early    []map[string]string
	Cut      int      // bytes of the body after which the connection breaks
	Raw      string   // the whole answer, in place of all else
	Socket   []string // it opens a WebSocket, and says these messages; see socketFrame
	HTTP2    bool     `yaml:"http2"` // the CRM speaks HTTP/2
}

// leakFill is text that would be long to write out.
type leakFill struct {
	Text  string
	Times int
}

// leakWant is what the client must get.
type leakWant struct {
	Status  int
	Cut     bool              // the answer breaks off
	Clear   bool              // the person may see canaries
	Socket  bool              // a WebSocket: what is said on it is the body
	Has     []string          // in the decoded body, byte for byte
	Lacks   []string          // not in it
	Headers map[string]string // value, or a part of it
	Absent  []string          // header names
	Reason  string            // of a refusal
	Asked   *bool             // whether the CRM is asked at all; it is
	CRM     map[string]string `yaml:"crm"` // headers of the request the CRM gets; "" for not there
}

// leakTexts is one text or several.
type leakTexts []string

// UnmarshalYAML reads a text or a list of them.
func (t *leakTexts) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.SequenceNode {
		return n.Decode((*[]string)(t))
	}
	*t = leakTexts{n.Value}
	return nil
}

const (
	leakPath = "/v2/LeadManagement.svc/Leads.GetById?id=1"
	leakLead = `{"ProspectID":"1","OwnerId":"seller-1","FirstName":"Asha","Phone":"+91-9812345670","EmailAddress":"meera.nair@canary.example","mx_PAN_Number":"BQKPN4821L","Score":17.50}`
)

// leakCases reads the corpus.
func leakCases(t testing.TB) []*leakCase {
	t.Helper()
	files, err := filepath.Glob("../../testdata/leaks/[a-z]*-*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("there is no corpus: %v", err)
	}
	var all []*leakCase
	ids := map[string]string{}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		d := yaml.NewDecoder(bytes.NewReader(raw))
		d.KnownFields(true)
		var cases []*leakCase
		if err := d.Decode(&cases); err != nil {
			t.Fatalf("reading %s: %v", name, err)
		}
		for _, c := range cases {
			c.file = filepath.Base(name)
			if was := ids[c.ID]; c.ID == "" || c.What == "" || was != "" {
				t.Fatalf("%s: case %q has no id, no words, or an id that %s has too", c.file, c.ID, was)
			}
			ids[c.ID] = c.file
			if err := c.complete(); err != nil {
				t.Fatalf("%s: %s: %v", c.file, c.ID, err)
			}
			all = append(all, c)
		}
	}
	return all
}

// complete fills in what a case need not say.
func (c *leakCase) complete() error {
	for to, usual := range map[*string]string{&c.Map: "leadsquared", &c.As: "sales_manager", &c.Ask.Method: "GET", &c.Ask.Path: leakPath, &c.Answer.Framing: "length"} {
		if *to == "" {
			*to = usual
		}
	}
	a := &c.Answer
	if a.Status == 0 {
		a.Status = 200
	}
	if a.Body == "" && a.Raw == "" && a.Socket == nil {
		a.Body = "[" + leakLead + "]"
	}
	a.Body = strings.ReplaceAll(a.Body, "{lead}", leakLead)
	a.Body = strings.ReplaceAll(a.Body, "{fill}", strings.Repeat(a.Fill.Text, a.Fill.Times))
	a.Raw = strings.ReplaceAll(strings.ReplaceAll(a.Raw, "{lead}", leakLead), "\n", "\r\n")
	if a.Headers == nil {
		a.Headers = map[string]leakTexts{}
	}
	if _, ok := a.Headers["Content-Type"]; !ok {
		a.Headers["Content-Type"] = leakTexts{"application/json; charset=utf-8"}
	}
	if c.Want.Status == 0 && !c.Want.Cut {
		return fmt.Errorf("it expects no status")
	}
	body := []byte(a.Body)
	for _, form := range a.Form {
		var err error
		if body, err = encodeBody(form, body); err != nil {
			return err
		}
	}
	md, sum := md5.Sum([]byte(a.Body)), sha256.Sum256([]byte(a.Body))
	phone, mail := sha256.Sum256([]byte("+91-9812345670")), md5.Sum([]byte("meera.nair@canary.example"))
	words := strings.NewReplacer("{body-md5}", base64.StdEncoding.EncodeToString(md[:]), "{body-sha256}", base64.StdEncoding.EncodeToString(sum[:]),
		"{phone-sha256}", hex.EncodeToString(phone[:]), "{email-md5}", hex.EncodeToString(mail[:]))
	for name, values := range a.Headers {
		for i, v := range values {
			a.Headers[name][i] = words.Replace(v)
		}
	}
	a.Body = string(body)
	for _, m := range a.Socket {
		a.Body += string(socketFrame(strings.ReplaceAll(m, "{lead}", leakLead)))
	}
	return nil
}

// socketFrame writes a message as a frame. A word in front says what it is if it
// is no whole text: "part:" and "more:" (pieces), "end:" (the last piece),
// "ping:", "close:", "binary:", "packed:" (with an extension's bit).
func socketFrame(m string) []byte {
	head := byte(0x81)
	for word, h := range map[string]byte{"part:": 0x01, "more:": 0x00, "end:": 0x80, "ping:": 0x89, "close:": 0x88, "binary:": 0x82, "packed:": 0xC1} {
		if rest, is := strings.CutPrefix(m, word); is {
			head, m = h, rest
		}
	}
	if head == 0x88 {
		m = "\x03\xe8" + m
	}
	out := []byte{head, byte(len(m))}
	if len(m) > 125 {
		out = []byte{head, 126, byte(len(m) >> 8), byte(len(m))}
	}
	return append(out, m...)
}

// packWorkbook makes a workbook of one sheet. The body is its rows, or its parts,
// each behind a line "== name", and "rows" for those of the sheet; what a workbook
// needs beside them is there. What is not UTF-8 in it is not tried here.
func packWorkbook(out *bytes.Buffer, body string) ([]byte, error) {
	const main, rel = "http://schemas.openxmlformats.org/spreadsheetml/2006/main", "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	if !strings.HasPrefix(body, "== ") {
		body = "== rows\n" + body
	}
	parts := map[string]string{}
	for _, p := range strings.Split(body, "== ")[1:] {
		name, text, _ := strings.Cut(p, "\n")
		parts[name] = strings.TrimSuffix(text, "\n")
	}
	rels := func(s string) string {
		return `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` + s + `</Relationships>`
	}
	for name, usual := range map[string]string{
		"_rels/.rels":              rels(`<Relationship Id="r1" Type="` + rel + `/officeDocument" Target="xl/workbook.xml"/>`),
		"xl/workbook.xml":          `<workbook xmlns="` + main + `" xmlns:r="` + rel + `"><sheets><sheet name="Leads" sheetId="1" r:id="r1"/>` + parts["sheets"] + `</sheets>` + parts["names"] + `</workbook>`,
		"xl/worksheets/sheet1.xml": parts["prolog"] + `<worksheet xmlns="` + main + `"><sheetData>` + parts["rows"] + `</sheetData>` + parts["behind"] + `</worksheet>`,
		"xl/sharedStrings.xml":     `<sst xmlns="` + main + `">` + parts["strings"] + `</sst>`,
		"xl/styles.xml":            `<styleSheet xmlns="` + main + `">` + parts["styles"] + `</styleSheet>`,
		"xl/_rels/workbook.xml.rels": rels(`<Relationship Id="r1" Type="` + rel + `/worksheet" Target="worksheets/sheet1.xml"/><Relationship Id="r2" Type="` + rel + `/worksheet" Target="worksheets/sheet2.xml"/>` +
			`<Relationship Id="r3" Type="` + rel + `/sharedStrings" Target="sharedStrings.xml"/><Relationship Id="r4" Type="` + rel + `/styles" Target="styles.xml"/>`),
	} {
		if _, given := parts[name]; !given {
			parts[name] = usual
		}
	}
	w := zip.NewWriter(out)
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if !strings.ContainsAny(name, "/.") {
			continue // a piece of another part
		}
		p, err := w.Create(name)
		if err == nil {
			_, err = p.Write([]byte(parts[name]))
		}
		if err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

// unpackWorkbook returns the parts of a zip behind each other, or what is no zip
// as it is.
func unpackWorkbook(b []byte) []byte {
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return b
	}
	var out bytes.Buffer
	for _, f := range z.File {
		fmt.Fprintf(&out, "== %s\n", f.Name)
		if r, err := f.Open(); err == nil {
			_, _ = io.Copy(&out, io.LimitReader(r, 16<<20))
			_ = r.Close()
		}
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// encodeBody turns a body into another charset or puts a content coding on it.
func encodeBody(form string, b []byte) ([]byte, error) {
	var out bytes.Buffer
	write := func(w interface {
		Write([]byte) (int, error)
		Close() error
	},
	) ([]byte, error) {
		if _, err := w.Write(b); err != nil {
			return nil, err
		}
		err := w.Close()
		return out.Bytes(), err
	}
	switch form {
	case "gzip":
		return write(gzip.NewWriter(&out))
	case "deflate": // with the zlib wrapper
		return write(zlib.NewWriter(&out))
	case "raw-deflate":
		w, err := flate.NewWriter(&out, flate.DefaultCompression)
		if err != nil {
			return nil, err
		}
		return write(w)
	case "br":
		return write(brotli.NewWriter(&out))
	case "zstd":
		w, err := zstd.NewWriter(&out)
		if err != nil {
			return nil, err
		}
		return write(w)
	case "latin1": // every character is one byte, so that any bytes can be written
		for _, r := range string(b) {
			out.WriteByte(byte(r))
		}
		return out.Bytes(), nil
	case "utf-16le", "utf-16be", "utf-32le":
		for _, r := range string(b) {
			for _, u := range utf16.Encode([]rune{r}) {
				pair := []byte{byte(u), byte(u >> 8)}
				switch form {
				case "utf-16be":
					pair[0], pair[1] = pair[1], pair[0]
				case "utf-32le":
					pair = append(pair, 0, 0)
				}
				out.Write(pair)
			}
		}
		return out.Bytes(), nil
	case "base64":
		return []byte(base64.StdEncoding.EncodeToString(b)), nil
	case "twice": // the body, and itself behind it
		return append(bytes.Clone(b), b...), nil
	case "workbook":
		return packWorkbook(&out, string(b))
	case "half":
		return b[:len(b)/2], nil
	}
	return nil, fmt.Errorf("nobody knows the form %q", form)
}
