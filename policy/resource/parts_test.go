// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"
)

const partsMap = `version: 1
map: parts
credentials: {headers: [X-Key], query: [accessKey]}
entities:
  lead: {id: [Id], owner: [OwnerId], fields: {id: Id, phone: Phone}}
routes:
  - {id: batch, on: "POST /api/$batch", batch: {parts: http, max: 3}, response: {format: multipart, parts: http}}
  - {id: list, on: GET /api/leads, entity: lead, action: view, request: {read: {query: $filter, as: field, field: phone, use: filter}}, response: {records: {at: /value/*}}}
  - {id: one, on: "GET /api/leads({id})", entity: lead, action: view, request: {read: {capture: id, as: id}}}
  - {id: save, on: "PATCH /api/leads({id})", entity: lead, action: edit, write: patch, request: {read: [{capture: id, as: id}, {body: /, as: object}]}}
  - {id: form, on: POST /api/form, entity: lead, action: edit, request: {read: {form: phone, as: field, field: phone, use: write}}}
  - {id: page, kind: page, on: GET /api/page}
  - {id: envelope, on: POST /api/envelope, batch: {items: /*}}
`

func partsOf(t testing.TB, kind, body, query string) ([]Operation, error) {
	t.Helper()
	m, err := Parse("parts.yaml", []byte(partsMap))
	if err != nil {
		t.Fatal(err)
	}
	header := map[string][]string{}
	if kind != "" {
		header["Content-Type"] = []string{kind}
	}
	return send(m, "POST /api/$batch"+query, body, header)
}

const (
	inPart  = "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
	getOne  = "GET leads(1) HTTP/1.1\r\nAccept: application/json\r\n\r\n"
	endPart = "\r\n--b--\r\n"
	ofB     = "multipart/mixed; boundary=b"
)

// Each request of a batch of parts is what it would be by itself; what two programs
// could part in two ways is refused.
func TestBatchOfParts(t *testing.T) {
	part := func(s string) string { return inPart + s + endPart }
	patch := func(head, body string) string {
		return fmt.Sprintf("PATCH /api/leads(7) HTTP/1.1\r\nContent-Type: application/json\r\n%s\r\n%s", head, body)
	}
	set := func(s string) string {
		return "--b\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n" + s + endPart
	}
	inSet := strings.Replace(inPart, "--b", "--c", 1)
	for _, c := range []struct {
		name, kind, body string
		want             string // operations, or
		err              error
	}{
		{"one", "", part(getOne), "0 one view [1] []", nil},
		{"an empty line more", "", part(getOne + "\r\n"), "0 one view [1] []", nil},
		{"two", "", inPart + getOne + "\r\n" + part("GET /api/leads?$filter=x HTTP/1.1\r\n\r\n"), "0 one view [1] []; 1 list view [] [filter phone]", nil},
		{"a write", "", part(patch("", `{"Phone":"1"}`)), "0 save edit [7] [write phone]", nil},
		{"a length", "", part(patch("Content-Length: 13\r\n", `{"Phone":"1"}`)), "0 save edit [7] [write phone]", nil},
		{"a set", "", set(inSet + patch("", `{"Phone":"1"}`) + "\r\n" + inSet + getOne + "\r\n--c--\r\n"), "0 save edit [7] [write phone]; 1 one view [1] []", nil},
		{"no line end behind", "", strings.TrimSuffix(part(getOne), "\r\n"), "0 one view [1] []", nil},
		{"quotes", `multipart/mixed;boundary="b"`, part(getOne), "0 one view [1] []", nil},

		{"another length", "", part(patch("Content-Length: 12\r\n", `{"Phone":"1"}`)), "", ErrUnreadable},
		{"something in front", "", "x\r\n" + part(getOne), "", ErrUnreadable},
		{"something behind", "", part(getOne) + inPart + getOne, "", ErrUnreadable},
		{"nothing", "", "--b--", "", ErrUnreadable},
		{"no end", "", inPart + getOne, "", ErrUnreadable},
		{"lines by LF", "", strings.ReplaceAll(part(getOne), "\r", ""), "", ErrUnreadable},
		{"a delimiter by LF", "", inPart + getOne + "\n--b\r\nContent-Type: application/http\r\n\r\nDELETE leads(1) HTTP/1.1\r\n\r\n" + endPart, "", ErrUnreadable},
		{"a delimiter in a body", "", part(patch("", `{"Phone":"--b"}`)), "", ErrUnreadable},
		{"blanks behind a delimiter", "", strings.Replace(part(getOne), "--b\r\n", "--b \r\n", 1), "", ErrUnreadable},
		{"a longer boundary", "", strings.Replace(part(getOne), "--b\r\n", "--bb\r\n", 1), "", ErrUnreadable},
		{"another type", "multipart/form-data; boundary=b", part(getOne), "", ErrUnreadable},
		{"two boundaries", ofB + "; boundary=c", part(getOne), "", ErrUnreadable},
		{"a boundary in pieces", "multipart/mixed; boundary*0=b", part(getOne), "", ErrUnreadable},
		{"no type", " ", part(getOne), "", ErrUnreadable},
		{"a part that is none", "", "--b\r\nContent-Type: application/json\r\n\r\n{}" + endPart, "", ErrUnreadable},
		{"a part that does not say", "", "--b\r\n\r\n" + getOne + endPart, "", ErrUnreadable},
		{"a part in base64", "", strings.Replace(part(getOne), "binary", "base64", 1), "", ErrUnreadable},
		{"a part with two types", "", strings.Replace(part(getOne), "--b\r\n", "--b\r\nContent-Type: application/http\r\n", 1), "", ErrUnreadable},
		{"four, where three are allowed", "", strings.Repeat(inPart+getOne+"\r\n", 4) + "--b--", "", ErrUnreadable},
		{"a set in a set", "", set("--c\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n--d\r\nContent-Type: application/http\r\n\r\n" + getOne + "\r\n--d--\r\n--c--"), "", ErrUnreadable},
		{"a set by the batch's boundary", "", strings.ReplaceAll(strings.Replace(set(inSet+getOne+"\r\n--c--"), "boundary=c", "boundary=b", 1), "--c", "--b"), "", ErrUnreadable},
		{"an answer in place of a request", "", part("HTTP/1.1 200 OK\r\n\r\n"), "", ErrUnreadable},
		{"a method in small letters", "", part("get leads(1) HTTP/1.1\r\n\r\n"), "", ErrUnreadable},
		{"a request without its version", "", part("GET leads(1)\r\n\r\n"), "", ErrUnreadable},
		{"no empty line", "", part("GET leads(1) HTTP/1.1"), "", ErrUnreadable},
		{"another method by a header", "", part("GET leads(1) HTTP/1.1\r\nX-HTTP-Method: DELETE\r\n\r\n"), "", ErrUnreadable},
		{"a key by a header", "", part("GET leads(1) HTTP/1.1\r\nX-Key: 1\r\n\r\n"), "", ErrUnreadable},
		{"a key by the query", "", part("GET leads(1)?AccessKey=1 HTTP/1.1\r\n\r\n"), "", ErrUnreadable},
		{"results sent elsewhere", "", part("GET leads(1) HTTP/1.1\r\nPrefer: respond-async, callback; url=\"https://x\"\r\n\r\n"), "", ErrUnreadable},
		{"a folded header", "", part("GET leads(1) HTTP/1.1\r\nAccept: a\r\n b\r\n\r\n"), "", ErrUnreadable},
		{"a blank in front of a colon", "", part("GET leads(1) HTTP/1.1\r\nAccept : a\r\n\r\n"), "", ErrUnreadable},
		{"chunks", "", part("PATCH leads(1) HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), "", ErrUnreadable},
		{"an absolute address", "", part("GET https://a.example.com/api/leads(1) HTTP/1.1\r\n\r\n"), "", ErrUnreadable},
		{"another host", "", part("GET //b.example.com/api/leads HTTP/1.1\r\n\r\n"), "", ErrUnreadable},
		{"what another request makes", "", part("GET $1 HTTP/1.1\r\n\r\n"), "", ErrUnreadable},
		{"a path in another form", "", part("GET /api/x/../leads(1) HTTP/1.1\r\n\r\n"), "", ErrUnreadable},
		{"an escaped path", "", part("GET /api/%6ceads HTTP/1.1\r\n\r\n"), "", ErrUnreadable},
		{"a fragment", "", part("GET /api/leads?a#b HTTP/1.1\r\n\r\n"), "", ErrUnreadable},
		{"a body nobody reads", "", part("GET /api/leads HTTP/1.1\r\n\r\n{}"), "", ErrUnreadable},
		{"a body that does not say what it is", "", part("PATCH /api/leads(7) HTTP/1.1\r\n\r\n{}"), "", ErrUnreadable},
		{"a body with a doubled name", "", part(patch("", `{"Id":1,"Id":2}`)), "", ErrUnreadable},
		{"two bodies", "", part(patch("", `{}{}`)), "", ErrUnreadable},
		{"a form", "", part("POST /api/form HTTP/1.1\r\nContent-Type: application/json\r\n\r\nphone=1"), "", ErrUnreadable},
		{"a batch", "", part("POST /api/$batch HTTP/1.1\r\nContent-Type: application/json\r\n\r\n{}"), "", ErrUnreadable},
		{"a batch of JSON", "", part("POST /api/envelope HTTP/1.1\r\nContent-Type: application/json\r\n\r\n[{}]"), "", ErrUnreadable},
		{"a page", "", part("GET /api/page HTTP/1.1\r\n\r\n"), "", ErrUnreadable},
		{"a path nobody knows", "", part("GET /api/other HTTP/1.1\r\n\r\n"), "", ErrUnmapped},
		{"one that is known and one that is not", "", inPart + getOne + "\r\n" + part("DELETE leads(1) HTTP/1.1\r\n\r\n"), "", ErrUnmapped},
	} {
		kind := c.kind
		if kind == "" {
			kind = ofB
		}
		ops, err := partsOf(t, strings.TrimSpace(kind), c.body, "")
		if !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
			continue
		}
		var got []string
		for i := range ops {
			var uses []string
			for _, f := range ops[i].Fields {
				uses = append(uses, string(f.Use)+" "+f.Field)
			}
			got = append(got, fmt.Sprint(ops[i].Item, " ", ops[i].ID, " ", ops[i].Action, " ", ops[i].Records, " ", uses))
			if !ops[i].Part || ops[i].Alone() {
				t.Errorf("%s: an operation of a batch is taken for one that stands alone", c.name)
			}
		}
		if s := strings.Join(got, "; "); s != c.want {
			t.Errorf("%s: %s, want %s", c.name, s, c.want)
		}
	}
	if _, err := partsOf(t, ofB, part(getOne), "?x=1"); !errors.Is(err, ErrUnreadable) {
		t.Errorf("a batch with a query: %v", err)
	}
	if _, err := partsOf(t, ofB, part(getOne), "?accesskey=1"); err != nil {
		t.Errorf("a batch with the CRM's key, which is not sent: %v", err)
	}
}

func TestBatchesOfPartsThatMakeNoSense(t *testing.T) {
	for _, batch := range []string{
		"batch: {parts: json}", "batch: {parts: http, items: /*}", "batch: {parts: http, method: /m, path: /p}", "batch: {parts: http}, request: {body: json}",
		"batch: {parts: http}, request: {read: {query: x, as: id}}", "batch: {parts: http}, when: {body: /a, is: b}",
	} {
		_, err := Parse("parts.yaml", []byte(strings.Replace(partsMap, "batch: {parts: http, max: 3}", batch, 1)))
		if err == nil || !strings.Contains(err.Error(), "parts.yaml:7:") {
			t.Errorf("%s is taken: %v", batch, err)
		}
	}
}

// FuzzBatchOfParts: whatever is read is what mime/multipart and the plainest reading
// of a request see, as many of them and of the same methods and targets.
func FuzzBatchOfParts(f *testing.F) {
	f.Add(inPart + getOne + endPart)
	f.Add(inPart + getOne + "\r\n" + inPart + "PATCH /api/leads(7) HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"Phone\":\"1\"}" + endPart)
	f.Add("--b\r\nContent-Type: multipart/mixed;boundary=c\r\n\r\n" + strings.Replace(inPart, "--b", "--c", 1) + getOne + "\r\n--c--\r\n" + endPart)
	f.Fuzz(func(t *testing.T, body string) {
		var all []wrapped
		if err := readParts(&all, ofB, []byte(body), 1, 50); err != nil {
			if !errors.Is(err, ErrUnreadable) || strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		var got []string
		for _, w := range all {
			got = append(got, w.method+" "+w.target+" "+strings.TrimSpace(string(w.body)))
		}
		want, err := looseParts(body, "b")
		if err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%q is judged as\n%q, and others read\n%q, %v", body, got, want, err)
		}
	})
}

// looseParts reads a batch the way a CRM may.
func looseParts(body, boundary string) ([]string, error) {
	var out []string
	r := multipart.NewReader(strings.NewReader(body), boundary)
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(p)
		if err != nil {
			return nil, err
		}
		kind, params, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		if err != nil {
			return nil, err
		}
		if kind == "multipart/mixed" {
			within, err := looseParts(string(text), params["boundary"])
			if err != nil {
				return nil, err
			}
			out = append(out, within...)
			continue
		}
		br := bufio.NewReader(bytes.NewReader(text))
		line, err := br.ReadString('\n')
		if err != nil {
			return nil, err
		}
		for {
			h, err := br.ReadString('\n')
			if err != nil {
				return nil, err
			}
			if strings.TrimSpace(h) == "" {
				break
			}
		}
		rest, _ := io.ReadAll(br)
		words := strings.Fields(line)
		out = append(out, strings.Join(words[:2], " ")+" "+strings.TrimSpace(string(rest)))
	}
}
