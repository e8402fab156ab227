// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package framed

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// answers is a plan of parts that are HTTP answers with one record each.
func answers(rows bool) *plan.Plan {
	p := leads(plan.Multipart, rows)
	p.HTTP = true
	p.Problem = &plan.Plan{Root: &plan.Node{}, Fallback: &plan.Entity{Fields: p.Fallback.Fields, Unknown: &plan.Treatment{Effect: plan.Detect}}}
	if rows {
		p.NotFound = &plan.Canned{Status: 404, ContentType: "application/json", Body: []byte(`{"gone":true}`)}
	}
	return p
}

// cleanHeader stands in for the header rules of whole answers.
func cleanHeader(h http.Header) http.Header {
	h.Del("Etag")
	h.Del("Content-Length")
	for _, values := range h {
		for i, v := range values {
			out, _ := mask.Detect(nil, []byte(v))
			values[i] = string(out)
		}
	}
	return h
}

func runAnswers(p *plan.Plan, body string, wrap func(io.Reader) io.Reader) (string, error) {
	m := New(p, viewer, jsonmask.Limits{})
	m.Clean = cleanHeader
	if err := m.Header("multipart/mixed; boundary=b"); err != nil {
		return "", err
	}
	var src io.Reader = strings.NewReader(body)
	if wrap != nil {
		src = wrap(src)
	}
	out, err := io.ReadAll(m.Reader(src))
	return string(out), err
}

const gone = "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"gone\":true}"

// A part that is an HTTP answer goes out as an answer that was rewritten by itself
// would, or the whole body is refused.
func TestAnswersInParts(t *testing.T) {
	const (
		kind = "Content-Type: application/json\r\n"
		head = "--b\r\nContent-Type: application/http\r\n\r\n"
		ok   = "HTTP/1.1 200 OK\r\n" + kind + "\r\n"
		last = "\r\n--b--\r\n"
	)
	part := func(s string) string { return head + s + last }
	same := func(s string) [2]string { return [2]string{part(ok + s + mine), part(ok + s + masked)} }
	set := func(parts string) string {
		return "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n" + parts + "--c--" + last
	}
	const inSet = "--c\r\nContent-Type: application/http\r\nContent-ID: 1\r\n\r\n"
	plainOK := same("")
	for _, c := range []struct {
		name string
		rows bool
		in   string
		want string // "" for a refusal
	}{
		{"an answer", false, plainOK[0], plainOK[1]},
		{
			"parameters, and a coding that is none", false,
			"--b\r\nContent-Type: application/http; msgtype=response; version=1.1\r\nContent-Transfer-Encoding: binary\r\nContent-Length: 99\r\n\r\n" + ok + mine + last,
			"--b\r\nContent-Type: application/http; msgtype=response; version=1.1\r\nContent-Transfer-Encoding: binary\r\n\r\n" + ok + masked + last,
		},
		{"lines by LF", false, strings.ReplaceAll(plainOK[0], "\r", ""), strings.ReplaceAll(plainOK[1], "\r", "")},
		{"two answers", false, head + ok + mine + "\r\n" + head + ok + mine + last, head + ok + masked + "\r\n" + head + ok + masked + last},
		{"the length is made anew", false, part("HTTP/1.1 200 OK\r\ncontent-length: " + strconv.Itoa(len(mine)) + "\r\n" + kind + "\r\n" + mine), part("HTTP/1.1 200 OK\r\ncontent-length: " + strconv.Itoa(len(masked)) + "\r\n" + kind + "\r\n" + masked)},
		{"a length that counts the line end too", false, part("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}\r\n"), part("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{}\r\n")},
		{"a length that is too small", false, part("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}"), ""},
		{"a length that is too large", false, part("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}"), ""},
		{"two lengths", false, part("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}"), ""},
		{"a length with a sign", false, part("HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}"), ""},
		{"no body", false, part("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"), part("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")},
		{"a body where none may be", false, part("HTTP/1.1 204 No Content\r\n\r\n{}"), ""},
		{"no empty line behind the header", false, part("HTTP/1.1 204 No Content"), ""},
		{"no empty line in front of the body", false, part("HTTP/1.1 200 OK\r\n" + mine), ""},
		{"two status lines", false, part("HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\n\r\n" + mine), ""},
		{"an answer that is on its way", false, part("HTTP/1.1 100 Continue\r\n\r\n" + ok + mine), ""},
		{"an answer behind an answer", false, part(ok + "{}\r\n" + ok + mine), ""},
		{"another protocol", false, part("HTTP/2 200\r\n\r\n" + mine), ""},
		{"a request", false, part("GET /leads HTTP/1.1\r\n\r\n"), ""},
		{"words that tell", false, part("HTTP/1.1 200 call 9812345670\r\n\r\n{}"), part("HTTP/1.1 200 OK\r\n\r\n{}")},
		{"no words", false, part("HTTP/1.0 200\r\n\r\n{}"), part("HTTP/1.0 200 OK\r\n\r\n{}")},
		{"a header that tells", false, part("HTTP/1.1 200 OK\r\nX-Call: +91-9812345670\r\nETag: \"x\"\r\nX-A:  1\r\n\r\n{}"), part("HTTP/1.1 200 OK\r\nX-Call: XXXXXXXX\r\nX-A:  1\r\n\r\n{}")},
		{"a folded header", false, part("HTTP/1.1 200 OK\r\nX-A: 1\r\n 9812345670\r\n\r\n{}"), ""},
		{"a carriage return in a header", false, part("HTTP/1.1 200 OK\r\nX-A: 1\rX-B: 2\r\n\r\n{}"), ""},
		{"a blank in front of a colon", false, part("HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n{}"), ""},
		{"more header than anybody needs", false, part("HTTP/1.1 200 OK\r\n" + strings.Repeat("A: 1\r\n", maxFields+1) + "\r\n{}"), ""},
		{"a long line", false, part("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", maxField) + "\r\n\r\n{}"), ""},
		{"gzip", false, part("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n{}"), ""},
		{"chunks", false, part("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), ""},
		{"a piece", false, part("HTTP/1.1 206 Partial Content\r\n\r\n{}"), ""},
		{"a piece that does not say so", false, part("HTTP/1.1 200 OK\r\nContent-Range: bytes 0-1/9\r\n\r\n{}"), ""},
		{"text", false, part("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n9812345670"), ""},
		{"two types", false, part("HTTP/1.1 200 OK\r\n" + kind + kind + "\r\n{}"), ""},
		{"UTF-16", false, part("HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-16\r\n\r\n{}"), ""},
		{"no JSON", false, part(ok + "9812345670 called"), ""},
		{"a delimiter in the body", false, part(ok + "{\"id\":1,\r\n--b\r\n\"phone\":\"+91-9812345670\"}"), ""},
		{"almost a delimiter in the body", false, part(ok + "{\"id\":1,\r\n--bb\r\n\"phone\":\"+91-9812345670\"}"), ""},
		{"an error", false, part("HTTP/1.1 409 Conflict\r\n\r\n{\"error\":\"there is 9812345670\",\"pan\":\"BQKPN4821L\"}"), part("HTTP/1.1 409 Conflict\r\n\r\n{\"error\":\"there is XXXXXXXX\"}")},
		{"a redirect", false, part("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n{\"see\":\"9812345670\"}"), part("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n")},
		{"another's record", true, head + ok + yours + "\r\n" + head + ok + mine + last, head + gone + "\r\n" + head + ok + masked + last},
		{"a record that is not there", true, part("HTTP/1.1 404 No Such Thing\r\nX: 1\r\n\r\n{\"id\":2}"), part(gone)},
		{"JSON without an answer around it", false, "--b\r\nContent-Type: application/json\r\n\r\n" + mine + last, ""},
		{"an answer that does not say so", false, "--b\r\n\r\n" + ok + mine + last, ""},
		{"two types of a part", false, "--b\r\nContent-Type: application/http\r\nContent-Type: application/http\r\n\r\n" + ok + mine + last, ""},
		{"an answer that calls itself a request", false, "--b\r\nContent-Type: application/http; msgtype=request\r\n\r\n" + ok + mine + last, ""},
		{"an empty part", false, "--b\r\nContent-Type: application/http\r\n\r\n\r\n--b--\r\n", ""},

		{"a change set", false, set(inSet + ok + mine + "\r\n" + inSet + ok + mine + "\r\n"), set(inSet + ok + masked + "\r\n" + inSet + ok + masked + "\r\n")},
		{"a change set with words around it", false, set("9812345670\r\n" + inSet + ok + mine + "\r\n--c--\r\n9812345670\r\n"), strings.Replace(set(inSet+ok+masked+"\r\n"), "--c--", "--c--\r\n", 1)},
		{"a change set without an end", false, strings.Replace(set(inSet+ok+mine+"\r\n"), "--c--", "", 1), ""},
		{"a change set without a boundary", false, strings.Replace(set(inSet+ok+mine+"\r\n"), "; boundary=c", "", 1), ""},
		{"a change set by the boundary around it", false, strings.ReplaceAll(strings.ReplaceAll(set(inSet+ok+mine+"\r\n"), "--c", "--b"), "boundary=c", "boundary=b"), ""},
		{"a change set whose boundary is the value", false, strings.ReplaceAll(strings.ReplaceAll(set(inSet+ok+mine+"\r\n"), "--c", "--9812345670"), "boundary=c", "boundary=9812345670"), ""},
		{"three deep", false, set("--c\r\nContent-Type: multipart/mixed; boundary=d\r\n\r\n--d\r\nContent-Type: application/http\r\n\r\n" + ok + mine + "\r\n--d--\r\n"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := answers(c.rows)
			got, err := runAnswers(p, c.in, nil)
			if c.want == "" && err == nil {
				t.Fatalf("what two programs could read in two ways goes through:\n%q", got)
			}
			if c.want != "" && (err != nil || got != c.want) {
				t.Fatalf("%v\ngot  %q\nwant %q", err, got, c.want)
			}
			if slow, slowErr := runAnswers(p, c.in, iotest.OneByteReader); slow != got || (slowErr == nil) != (err == nil) {
				t.Fatalf("byte by byte another answer comes out:\n%q, %v\n%q, %v", got, err, slow, slowErr)
			}
			if err == nil {
				compareAnswers(t, p, c.in, got)
			}
		})
	}
}

// Where nobody says how headers are cleaned, nothing of them goes out but the type.
func TestHeadersThatNobodyCleans(t *testing.T) {
	in := "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}\r\n--b--\r\n"
	got, _, err := run(answers(false), in, nil)
	if want := strings.Replace(in, "X-A: 1\r\n", "", 1); err != nil || got != want {
		t.Errorf("%v\ngot  %q\nwant %q", err, got, want)
	}
}

// Headers that cleaning made longer than a line are none.
func TestHeadersThatBecomeLines(t *testing.T) {
	m := New(answers(false), viewer, jsonmask.Limits{})
	m.Clean = func(http.Header) http.Header { return http.Header{"X-A": {"1\r\nX-B: 2"}} }
	_ = m.Header("multipart/mixed; boundary=b")
	got, err := io.ReadAll(m.Reader(strings.NewReader("--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n{}\r\n--b--\r\n")))
	if err != nil || bytes.Contains(got, []byte("X-B")) {
		t.Errorf("a value becomes a line of its own: %q, %v", got, err)
	}
}

// found is what the standard library reads in a part.
type found struct {
	status int
	body   string
}

// readAnswers reads parts and what is in them with mime/multipart and net/http;
// false where these are stricter than we are, or see another body because they
// follow a length.
func readAnswers(body, boundary string) ([]found, bool) {
	var out []found
	r := multipart.NewReader(strings.NewReader(body), boundary)
	for {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out, true
		}
		if err != nil {
			return nil, false
		}
		text, err := io.ReadAll(part)
		if err != nil {
			return nil, false
		}
		kind, params, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil {
			return nil, false
		}
		if strings.HasPrefix(kind, "multipart/") {
			within, ok := readAnswers(string(text), params["boundary"])
			if !ok {
				return nil, false
			}
			out = append(out, within...)
			continue
		}
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), &http.Request{Method: http.MethodGet})
		if err != nil {
			return nil, false
		}
		b, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, false
		}
		out = append(out, found{res.StatusCode, string(b)})
	}
}

// compareAnswers holds what went out to what the standard library reads on both
// sides: as many answers, of the same statuses, with bodies that were rewritten by
// themselves, and a length that is the body's.
func compareAnswers(t *testing.T, p *plan.Plan, body, got string) {
	in, readable := readAnswers(body, "b")
	out, ok := readAnswers(got, "b")
	if !readable {
		return
	}
	if !ok || len(in) != len(out) {
		t.Fatalf("of %d answers %d can be read behind the gateway (%v):\n%q\n%q", len(in), len(out), ok, body, got)
	}
	for i, a := range in {
		b := out[i]
		with := p
		if a.status >= 400 {
			with = p.Problem
		}
		want, status := a.body, a.status
		if p.NotFound != nil && a.status == p.NotFound.Status {
			want = string(p.NotFound.Body)
		} else if a.status >= 300 && a.status < 400 {
			want = ""
		} else if !blank([]byte(a.body)) {
			raw, err := jsonmask.New(with, viewer, jsonmask.Limits{}).Append(nil, []byte(a.body))
			switch {
			case errors.Is(err, jsonmask.ErrNotVisible):
				want, status = `{"gone":true}`, 404
			case err != nil:
				t.Fatalf("an answer is let through that cannot be read: %v\n%q", err, a.body)
			default:
				want = string(raw)
			}
		}
		if strings.TrimSpace(b.body) != strings.TrimSpace(want) || b.status != status {
			t.Fatalf("the client reads %d %q, want %d %q\nof %q", b.status, b.body, status, want, body)
		}
	}
}
