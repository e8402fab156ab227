// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package socketmask

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

func leads() *plan.Plan {
	e := &plan.Entity{
		Fields: map[string]*plan.Treatment{
			"owner": {Field: "owner"}, "phone": {Field: "phone", Effect: plan.Mask, Mask: &mask.Func{Name: "full"}},
		},
		Unknown: &plan.Treatment{Effect: plan.Detect},
	}
	r := &plan.Record{Entity: e, Rows: &plan.Rows{Scope: plan.Own, Owner: []string{"owner"}}}
	return &plan.Plan{Format: plan.WebSocket, Root: &plan.Node{Record: r}, Fallback: e, Say: []string{"ping", `{"sub":"leads"}`}}
}

// wire is a connection whose other end has said something, a few bytes at a time.
type wire struct {
	in   []byte
	size int
	sent bytes.Buffer
}

func (w *wire) Read(p []byte) (int, error) {
	if len(w.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, w.in[:min(len(w.in), w.size)])
	w.in = w.in[n:]
	return n, nil
}
func (w *wire) Write(p []byte) (int, error) { return w.sent.Write(p) }
func (w *wire) Close() error                { return nil }

var viewer = &plan.Viewer{Own: map[string]struct{}{"u1": {}}}

func hear(t *testing.T, in []byte) ([]byte, error) {
	t.Helper()
	var first []byte
	var firstErr error
	for size := 1; size < 8; size++ {
		c := New(&wire{in: in, size: size}, leads(), viewer, jsonmask.Limits{})
		out, err := io.ReadAll(c)
		if size == 1 {
			first, firstErr = out, err
		} else if !bytes.Equal(out, first) || (err == nil) != (firstErr == nil) {
			t.Fatalf("in pieces of %d another answer comes out:\n%q, %v\n%q, %v", size, first, firstErr, out, err)
		}
	}
	return first, firstErr
}

func text(s string) []byte { return appendFrame(nil, opText, []byte(s)) }

func join(f ...[]byte) []byte { return bytes.Join(f, nil) }

func TestMessages(t *testing.T) {
	mine, masked := `{"owner":"u1","phone":"9812345670"}`, `{"owner":"u1","phone":"XXXXXXXX"}`
	long := strings.Repeat(" ", 70_000)
	for _, c := range []struct {
		name string
		in   []byte
		want []byte // nil for the end of the connection
	}{
		{"a message", text(mine), text(masked)},
		{"lengths of all sizes", join(text(mine+long[:200]), text(mine+long)), join(text(masked+long[:200]), text(masked+long))},
		{"a message in frames, a ping between", join([]byte{1, 10}, []byte(mine[:10]), []byte{0x89, 1, 'x'}, []byte{0x80, byte(len(mine) - 10)}, []byte(mine[10:])), join([]byte{0x89, 1, 'x'}, text(masked))},
		{"a record of another", join(text(`{"owner":"u2","phone":"x"}`), text(mine)), text(masked)},
		{"the end, and personal data in its reason", appendFrame(nil, opClose, []byte("\x03\xe8call 9812345670")), appendFrame(nil, opClose, []byte("\x03\xe8call XXXXXXXX"))},
		{"the end without a reason", []byte{0x88, 0}, []byte{0x88, 0}},
		{"personal data in a ping", join(appendFrame(nil, opPing, []byte("9812345670")), text(mine)), text(masked)},
		{
			"values that come again", join(text(`{"owner":"u1","phone":"zebra-77"}`), appendFrame(nil, opPing, []byte("zebra-77")), appendFrame(nil, opClose, []byte("\x03\xe8zebra-77"))),
			join(text(`{"owner":"u1","phone":"XXXXXXXX"}`), appendFrame(nil, opClose, []byte("\x03\xe8XXXXXXXX"))),
		},
		{"no JSON", text("9812345670"), nil},
		{"two documents", text(mine + mine), nil},
		{"a binary message", appendFrame(nil, 2, []byte(mine)), nil},
		{"a compressed message", join([]byte{0xC1, 2, 1, 2}), nil},
		{"a masked frame", []byte{0x81, 0x82, 1, 2, 3, 4, 5, 6}, nil},
		{"a frame of no kind", []byte{0x83, 1, 'x'}, nil},
		{"a frame that goes on with nothing", []byte{0x80, 1, 'x'}, nil},
		{"a message within a message", join([]byte{1, 1, '{'}, text(mine)), nil},
		{"a long control frame", join([]byte{0x89, 126, 0, 126}, make([]byte, 126)), nil},
		{"a torn control frame", []byte{0x09, 1, 'x'}, nil},
		{"a message without end", []byte{0x81, 127, 0x7F, 0, 0, 0, 0, 0, 0, 0}, nil},
	} {
		got, err := hear(t, c.in)
		if c.want == nil && err == nil {
			t.Errorf("%s: goes through as %q", c.name, got)
		}
		if c.want != nil && (err != nil || !bytes.Equal(got, c.want)) {
			t.Errorf("%s: %v\ngot  %q\nwant %q", c.name, err, got, c.want)
		}
	}
}

// said is a frame as a client writes it.
func said(op byte, fin bool, s string) []byte {
	head := op
	if fin {
		head |= 0x80
	}
	out := []byte{head, 0x80 | byte(len(s)), 1, 2, 3, 4}
	for i := range len(s) {
		out = append(out, s[i]^byte(1+i&3))
	}
	return out
}

// A client says what the map declares, and nothing else reaches the CRM.
func TestClients(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		sent int // bytes the CRM gets
		ok   bool
	}{
		{"a declared word", said(opText, true, "ping"), 10, true},
		{"in two frames", join(said(opText, false, "pi"), said(opMore, true, "ng")), 16, true},
		{"two of them", join(said(opText, true, "ping"), said(opText, true, `{"sub":"leads"}`)), 31, true},
		{"a pong and the end", join(said(opPong, true, "x"), said(opClose, true, "\x03\xe8")), 15, true},
		{"half a frame", said(opText, true, "ping")[:7], 0, true},
		{"another word", said(opText, true, "ping "), 0, false},
		{"a query", join(said(opText, true, "ping"), said(opText, true, `{"phone":"98"}`)), 10, false},
		{"a binary message", said(2, true, "ping"), 0, false},
		{"no mask", text("ping"), 0, false},
		{"a frame out of order", said(opMore, true, "ping"), 0, false},
		{"a long message", bytes.Repeat(said(opText, false, "ping"), 1)[:10], 0, true},
	} {
		for _, size := range []int{1, 3, 100} {
			w := &wire{}
			conn := New(w, leads(), viewer, jsonmask.Limits{})
			var err error
			for in := c.in; len(in) > 0 && err == nil; {
				n := min(size, len(in))
				_, err = conn.Write(in[:n])
				in = in[n:]
			}
			if (err == nil) != c.ok || w.sent.Len() != c.sent || !bytes.HasPrefix(c.in, w.sent.Bytes()) {
				t.Errorf("%s, in pieces of %d: the CRM gets %q, %v", c.name, size, w.sent.Bytes(), err)
			}
			if _, again := conn.Write(said(opText, true, "ping")); err != nil && (again == nil || w.sent.Len() != c.sent) {
				t.Errorf("%s: what comes behind a refusal reaches the CRM", c.name)
			}
		}
	}
	w := &wire{}
	conn := New(w, leads(), viewer, jsonmask.Limits{})
	_, err := conn.Write(said(opText, false, "x"))
	for range 2 * maxSaid {
		if err == nil {
			_, err = conn.Write(said(opMore, false, "x"))
		}
	}
	if err == nil || w.sent.Len() > 0 {
		t.Errorf("a message without end fills the memory, or reaches the CRM: %v", err)
	}
}

// all is a connection whose other end has said everything at once.
type all struct{ wire }

func (a *all) Read(p []byte) (int, error) {
	a.size = len(p)
	return a.wire.Read(p)
}

// TestSmallFramesBehindALargeOne: what waits is not moved for each of the small frames in
// front of it. Where it was, two megabytes of pings behind a large message took minutes.
func TestSmallFramesBehindALargeOne(t *testing.T) {
	in := join(text(`{"owner":"u1","x":"`+strings.Repeat("y", 1<<20-100)+`"}`), bytes.Repeat([]byte{0x89, 0}, 200_000))
	c := New(&all{wire{in: in}}, leads(), viewer, jsonmask.Limits{})
	moved, before := 0, 0
	buf := make([]byte, 1<<20)
	for {
		_, err := c.Read(buf)
		if len(c.in) < before {
			moved += len(c.in)
		}
		before = len(c.in)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if moved > 4*len(in) {
		t.Errorf("%d bytes are moved to read %d", moved, len(in))
	}
}
