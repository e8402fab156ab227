// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package socketmask

import (
	"bytes"
	"io"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// plans are those that connections are rewritten by: one record a message, whose
// owner counts, and a list of anybody's with a count beside it.
func plans() []*plan.Plan {
	one := leads()
	one.Fallback.Fields["pan"] = &plan.Treatment{Field: "pan", Effect: plan.Hide}
	list := leads()
	e := list.Fallback
	e.Fields["pan"] = one.Fallback.Fields["pan"]
	rows := &plan.Rows{Scope: plan.Own, Owner: []string{"owner"}}
	list.Root = &plan.Node{Members: map[string]*plan.Node{
		"data": {Elements: &plan.Node{Record: &plan.Record{Entity: e, Set: "l", Rows: rows}}}, "total": {Total: "l"},
	}}
	list.Say = []string{"", "ping", "secret"}
	return []*plan.Plan{one, list}
}

// FuzzFrames holds both ways of a connection to the oracle, whatever the pieces:
// to the byte, up to the same end. The first body is frames as they are, the
// second one line a message, in frames of its own.
func FuzzFrames(f *testing.F) {
	for _, s := range []string{
		`{"owner":"u1","phone":"secret"}`, `{"owner":"u2","phone":"secret"}` + "\n" + `{"owner":"u1","note":"call 9812345670","PAN":{"x":"secret"}}`,
		`{"data":[{"owner":"u1","Phone":"secret"},{"owner":"u2"}],"total":2}`, "ping\nsecret", `{"phone":1,"phone":"secret"}`, `{"owner":"u1","phone":"canaryaaby"}` + "\n" + `{"owner":"u1","note":"of canaryaaby"}`, " {}\n[]\nnull\n",
	} {
		f.Add(text(s), []byte(s), uint8(3))
		f.Add(join(text(s), appendFrame(nil, opClose, []byte("\x03\xe8secret 9812345670"))), []byte(s), uint8(0x84))
	}
	f.Add(join([]byte{1, 3}, []byte(`{"p`), []byte{0x89, 0}, []byte{0x80, 1, '}'}), []byte("{}"), uint8(1))
	f.Add(join(said(opText, false, "pi"), said(opPong, true, "x"), said(opMore, true, "ng"), said(opText, true, "ping ")), []byte{}, uint8(2))
	f.Add(join([]byte{1, 1, '{'}, text(`{"owner":"u1"}`), []byte{0x80, 1, '}'}), []byte("{}"), uint8(4))
	f.Add(join([]byte{1, 9}, []byte(`{"owner":`), text(`"u1"}`)), []byte("{}"), uint8(4))
	f.Add(join(appendFrame(nil, opPing, []byte("9812345670")), appendFrame(nil, opPong, []byte("meera@canary.example"))), []byte("{}"), uint8(5))
	f.Add(join(said(opText, false, "p"), said(opText, true, "ping"), said(opMore, true, "x")), []byte{}, uint8(6))
	f.Add([]byte{0x81, 127, 0, 0, 0, 0, 0, 0, 0, 2, '{', '}', 0x88, 0}, []byte("\xEF\xBB\xBF{}"), uint8(9))
	all := plans()
	f.Fuzz(func(t *testing.T, frames, lines []byte, choice uint8) {
		if len(frames)+len(lines) > 1<<15 {
			return
		}
		p, size := all[int(choice>>7)], int(choice&7)+1
		check(t, p, plant(frames), size)
		var hers, his []byte
		for i, line := range bytes.Split(plant(lines), []byte("\n")) {
			hers = append(hers, inFrames(line, int(choice>>3&15)+i)...)
			word := string(line[:min(len(line), 100)])
			cut := min(int(choice>>3&15), len(word))
			his = join(his, said(opText, cut == 0, word[:len(word)-cut]))
			if cut > 0 {
				his = join(his, said(opPong, true, "x"), said(opMore, true, word[len(word)-cut:]))
			}
		}
		check(t, p, hers, size)
		check(t, p, his, size)
	})
}

// inFrames writes a message in several frames, with a ping between.
func inFrames(message []byte, cut int) []byte {
	cut = min(cut*3, len(message))
	if cut%2 == 0 {
		return put(1, message)
	}
	first := put(1, message[:cut])
	first[0] -= 128
	return join(first, put(9, []byte("are you there")), put(0, message[cut:]))
}

func check(t *testing.T, p *plan.Plan, in []byte, size int) {
	t.Helper()
	want, secret, wantErr := heard(p, in)
	for _, size := range []int{size, 1 << 20} {
		got, err := io.ReadAll(New(&wire{in: in, size: size}, p, viewer, jsonmask.Limits{}))
		if !bytes.Equal(got, want) || (err == nil) != (wantErr == nil) {
			t.Fatalf("in pieces of %d\n%q\ngot  %q, %v\nwant %q, %v", size, in, got, err, want, wantErr)
		}
		for _, s := range secret {
			if bytes.Contains(got, []byte(s)) {
				t.Fatalf("%s is shown, %v\n%q\n%q", s, err, in, got)
			}
		}
		if err == nil && size == 1<<20 {
			if _, err := io.ReadAll(New(&wire{in: got, size: size}, p, viewer, jsonmask.Limits{})); err != nil {
				t.Fatalf("what comes out cannot be rewritten again: %v\n%q\n%q", err, in, got)
			}
		}
		want, wantErr := spoken(p, in)
		w := &wire{}
		c := New(w, p, viewer, jsonmask.Limits{})
		err = nil
		for rest := in; len(rest) > 0 && err == nil; {
			n := min(size, len(rest))
			_, err = c.Write(rest[:n])
			rest = rest[n:]
		}
		if !bytes.Equal(w.sent.Bytes(), want) || (err == nil) != (wantErr == nil) {
			t.Fatalf("the CRM gets %q, %v\nwant %q, %v", w.sent.Bytes(), err, want, wantErr)
		}
		if _, again := c.Write(said(opText, true, "ping")); err != nil && (again == nil || w.sent.Len() != len(want)) {
			t.Fatalf("what comes behind a refusal reaches the CRM: %q", w.sent.Bytes())
		}
	}
}
