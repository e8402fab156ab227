// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package framed

import (
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/crmgate/crmgate/policy/plan"
)

// plans are those that bodies of a format are rewritten by: one record a document,
// of which two are let through or those of one owner; and a list of records.
func plans(format plan.Format) []*plan.Plan {
	capped := leads(format, false)
	capped.MaxRows = 2
	list := leads(format, true)
	list.Root = &plan.Node{Members: map[string]*plan.Node{"data": {Elements: list.Root}, "total": {Total: "leads"}}}
	return []*plan.Plan{leads(format, true), capped, list}
}

var bodySeeds = []string{
	mine + "\n" + yours + "\n", "\x1e" + mine + "\n\x1e" + yours, "id: 1\ndata: " + mine + "\n\n: x\r\n\r\ndata: {}\r\r", "data:{\ndata:}\n\n", "--b\r\n\r\n" + mine + "\r\n--b--",
	"{\"owner\":\"u1\",\"pan\":\"secret\"}\n\n{}\r\n" + mine, "{\"owner\":\"u1\",\"phone\":\"secret\"}\n{\n", "{\"data\":[" + mine + "," + yours + "],\"total\":2}",
	"\x1e{\"owner\":\"u1\",\"phone\":\"secret\"}\x1e\n\x1e{\"data\":[]}", "data:{\"owner\":\"u1\",\ndata:\"pan\":\"secret\"}\nevent: call 9812345670\nid\nretry: 12\nretry: x\nsecret: y\n\nid:meera@canary.example\n:9812345670\rdata",
	"preamble secret\r\n--b\r\nContent-Type: application/json\r\nX: secret\r\nContent-ID: 7\r\n\r\n{\"owner\":\"u1\",\"phone\":\"secret\"}\r\n--b\r\n\r\n" + yours + "\r\n--b--\r\nsecret",
}

// FuzzFramed holds lines, sequences and events to the oracle, byte for byte and in
// front of an error too; the parts of a multipart body to what the standard library
// reads; and any chunking to the same bytes.
func FuzzFramed(f *testing.F) {
	for _, s := range bodySeeds {
		for format := range byte(12) {
			f.Add([]byte(s), format, uint8(3))
		}
	}
	for _, s := range []string{
		"--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 66\r\nX-Call: 1\r\n\r\n" + mine + "\r\n--b--",
		"--b\nContent-Type: application/http\n\nHTTP/1.1 404 Not Found\n\n{}\n--b\nContent-Type: application/http\n\nHTTP/1.1 500 x\n\n" + mine + "\n--b--",
		"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 302 Found\r\nLocation: /\r\n\r\n\r\n--c--\r\n--b--",
		"--b\nContent-Type: application/http\n\nHTTP/1.1 200 OK\n\n{\"owner\":\"u1\",\"phone\":\"secret\"}\n--b\nContent-Type: application/http\n\nHTTP/1.1 400 Bad Request\n\n{\"e\":{\"pan\":\"secret\"}}\n--b--",
	} {
		f.Add([]byte(s), byte(0xFF), uint8(3))
	}
	f.Fuzz(func(t *testing.T, body []byte, format, size uint8) {
		if format >= 0xE0 {
			fuzzAnswers(t, plant(string(body)), int(size))
			return
		}
		check(t, planOf(format), string(body), int(size)%9+1)
		check(t, planOf(format), document(planOf(format).Format, body), int(size)%9+1)
	})
}

func planOf(choice uint8) *plan.Plan {
	format := []plan.Format{plan.NDJSON, plan.JSONSeq, plan.SSE, plan.Multipart}[choice%4]
	return plans(format)[int(choice/4)%3]
}

// check rewrites a body whole and in pieces.
func check(t *testing.T, p *plan.Plan, body string, size int) {
	t.Helper()
	in := plant(body)
	got, _, err := run(p, in, nil)
	slow, _, slowErr := run(p, in, func(r io.Reader) io.Reader { return &pieces{r, size} })
	if got != slow || (err == nil) != (slowErr == nil) {
		t.Fatalf("in pieces another answer comes out:\n%q, %v\n%q, %v", got, err, slow, slowErr)
	}
	cut := len(in) * size % (len(in) + 1)
	broken, _, brokenErr := run(p, in, func(io.Reader) io.Reader {
		return io.MultiReader(strings.NewReader(in[:cut]), iotest.ErrReader(io.ErrUnexpectedEOF))
	})
	if brokenErr == nil || !strings.HasPrefix(got, broken) {
		t.Fatalf("of a source that fails after %d bytes comes %q, %v\n%s\n%q", cut, broken, brokenErr, in, got)
	}
	if p.Format == plan.Multipart {
		for _, s := range secrets(in) {
			if strings.Contains(got, s) {
				t.Fatalf("%s is shown, %v\n%q\n%q", s, err, in, got)
			}
		}
		if err == nil {
			compareParts(t, p, in, got)
			compareAround(t, in, got)
		}
	} else if want, wantErr := runOracle(p, in); got != want || (err == nil) != (wantErr == nil) {
		t.Fatalf("%q\ngot  %q, %v\nwant %q, %v", in, got, err, want, wantErr)
	}
	if _, _, again := run(p, got, nil); err == nil && again != nil {
		t.Fatalf("what comes out cannot be rewritten again: %v\n%q\n%q", again, in, got)
	}
}

// compareAround holds what stands around the documents of parts to the original:
// delimiters are lines of it, and so are header fields, of which those alone stay
// that say what a part is.
func compareAround(t *testing.T, in, got string) {
	t.Helper()
	from := strings.SplitAfter(strings.TrimPrefix(in, "\xEF\xBB\xBF"), "\n")
	header := false
	for _, line := range strings.SplitAfter(got, "\n") {
		delimiter := strings.HasPrefix(line, "--b")
		if name, _, _ := strings.Cut(strings.ToLower(line), ":"); header && strings.TrimSpace(line) != "" && !delimiter &&
			!slices.Contains([]string{"content-type", "content-id", "content-transfer-encoding"}, name) {
			t.Fatalf("the header of a part says %q\n%q\n%q", line, in, got)
		}
		if (header || delimiter) && line != "" && !slices.Contains(from, line) {
			t.Fatalf("%q is no line of the original\n%q\n%q", line, in, got)
		}
		header = delimiter || header && strings.TrimSpace(line) != ""
	}
}

// document writes a body of a format by the choices that bytes make.
func document(format plan.Format, choices []byte) string {
	next := func(n int) int {
		if len(choices) == 0 {
			return 0
		}
		c := choices[0]
		choices = choices[1:]
		return int(c) % n
	}
	pick := func(of ...string) string { return of[next(len(of))] }
	end := pick("\n", "\r\n", "\r")
	doc := func() string {
		return pick(mine, mine, yours, "{\"owner\":\"u1\",\"phone\":\"secret\"}", "{\"Owner\":\"u1\",\"PAN\":[\"secret\"],\"note\":\"call 9812345670 of secret\"}", "{\"owner\":\"u1\",\"note\":\"secret BQKPN4821L canaryaaay\"}", "{}", " ", "", "{\"owner\":\"u1\",\n\"phone\" :\n1}", "null", "[]",
			"{\"data\":["+mine+","+yours+"],\"total\":2}", "{\"data\":[]}", "{\"owner\":\"u1\",\"x\":\"\u00e9\"}\n", "{\"total\":\"7\"}", "{\"phone\":1,\"Phone\":2}", "{")
	}
	out := pick("", "", "", "\xEF\xBB\xBF", end)
	for range next(8) {
		switch format {
		case plan.NDJSON:
			out += strings.ReplaceAll(doc(), "\n", " ") + pick("\n", "\n", "\r\n", " \n", "\n\n")
		case plan.JSONSeq:
			out += "\x1e" + doc() + pick("\n", "", " ")
		case plan.SSE:
			for range next(3) {
				out += pick("id: 1", "id:9812345670", ":call 9812345670", "event: x", "retry: 10", "retry: 9812345670", "secret: x", "data", ":") + end
			}
			out += pick("data: ", "data:", "data:  ") + strings.ReplaceAll(doc(), "\n", end+pick("data:", "data: ")) + end + pick(end, end, end, "")
		default:
			out += "--b" + pick("", "", " ") + end
			for range next(3) {
				out += pick("Content-Type: application/json", "content-type: application/vnd.x+json; charset=utf-8", "Content-ID: <secret>", "X-Secret: secret", "Content-Transfer-Encoding: 8bit", "Content-Type: text/plain") + end
			}
			out += end + doc() + end
		}
	}
	if format == plan.Multipart {
		out += pick("--b--", "--b--", "--b--"+end+"secret", "--b", "")
	}
	return out
}

// TestBodiesOfTheOracle holds the seeds and many written bodies to the oracle.
func TestBodiesOfTheOracle(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 2))
	for choice := range uint8(12) {
		p, accepted := planOf(choice), 0
		for n := range 120 {
			choices := make([]byte, 4+r.IntN(40))
			for i := range choices {
				choices[i] = byte(r.UintN(256))
			}
			body := document(p.Format, choices)
			if n < len(bodySeeds) {
				body = bodySeeds[n]
			}
			check(t, p, body, 1+r.IntN(9))
			if _, _, err := run(p, body, nil); err == nil {
				accepted++
			}
		}
		if accepted < 10 {
			t.Errorf("plan %d: %d bodies are accepted: the oracle has little to look at", choice, accepted)
		}
	}
}

// fuzzAnswers holds parts that are HTTP answers to what the standard library reads
// in them, a phone that is only where phones are to never going out, and what goes
// out to being such parts again.
func fuzzAnswers(t *testing.T, body string, size int) {
	p := answers(true)
	got, err := runAnswers(p, body, nil)
	slow, slowErr := runAnswers(p, body, func(r io.Reader) io.Reader { return &pieces{r, size%5 + 1} })
	if got != slow || (err == nil) != (slowErr == nil) {
		t.Fatalf("in pieces another answer comes out:\n%q, %v\n%q, %v", got, err, slow, slowErr)
	}
	for _, s := range secrets(body) {
		if strings.Contains(got, s) {
			t.Fatalf("%s is shown, %v\n%q\n%q", s, err, body, got)
		}
	}
	const phone = `"phone":"+91-9812345670"`
	if rest := strings.ReplaceAll(body, phone, ""); !strings.Contains(rest, "98") && strings.Contains(got, "981234") {
		t.Fatalf("the phone comes through:\n%q\n%q", body, got)
	}
	if err != nil {
		return
	}
	compareAnswers(t, p, body, got)
	if _, err := runAnswers(p, got, nil); err != nil {
		t.Fatalf("what went out cannot be read: %v\n%q", err, got)
	}
}

type pieces struct {
	r io.Reader
	n int
}

func (p *pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), p.n)]) }
