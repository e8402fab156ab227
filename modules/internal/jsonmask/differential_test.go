// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
)

// chopped gives a body in pieces of random size, often of one byte.
type chopped struct {
	r    *rand.Rand
	rest []byte
	max  int
}

func (c *chopped) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := min(len(p), len(c.rest), 1+c.r.IntN(c.max))
	copy(p, c.rest[:n])
	c.rest = c.rest[n:]
	return n, nil
}

var viewer = &plan.Viewer{
	Own:   map[string]struct{}{"u1": {}},
	Group: map[string]struct{}{"u1": {}, "u2": {}},
}

// compare holds one masker to the oracle for one document. The quick ways are left
// near the end of a window, so that a document is often given as a whole, and with
// blanks behind it.
func compare(m *Masker, p *plan.Plan, doc []byte, r *rand.Rand) (fault string) {
	pushed := r.IntN(2) == 0
	most := 1 + r.IntN(40)
	if r.IntN(2) == 0 {
		most = 1 << 17
		doc = append(bytes.Clone(doc), bytes.Repeat([]byte(" "), r.IntN(2)*2*glueReach)...)
	}
	want, wantErr := runOracle(p, viewer, doc, pushed)
	defer func(was bool) { wide = was }(wide)
	wide = wide && r.IntN(4) > 0 // as on a processor that cannot
	m.Reset(p, viewer, Limits{Pushed: pushed, Link: linked})
	got, err := readOrFill(r, m.Reader(&chopped{r, doc, most}))
	switch {
	case wantErr == nil && err != nil:
		return "refused: " + err.Error()
	case wantErr != nil && err == nil:
		return "let through, yet: " + wantErr.Error() + "\n" + string(got)
	case wantErr != nil:
		if errors.Is(wantErr, ErrNotVisible) && (!errors.Is(err, ErrNotVisible) || len(got) > 0) {
			return "a record that is not visible is announced: " + err.Error()
		}
		return ""
	}
	t, err := parse(got)
	if err != nil {
		return "broken output: " + err.Error() + "\n" + string(got)
	}
	if !equal(want, t) {
		return "got\n" + string(got) + "\nwant\n" + want.String()
	}
	return ""
}

// readOrFill reads all of a body, now and then the beginning by Fill.
func readOrFill(r *rand.Rand, body io.Reader) ([]byte, error) {
	if r.IntN(3) > 0 {
		return io.ReadAll(body)
	}
	most := 1 << r.IntN(18)
	got, err := body.(reader).Fill(bytes.Repeat([]byte("left behind "), r.IntN(50)), most)
	switch {
	case errors.Is(err, io.EOF):
		return got, nil
	case err != nil:
		return nil, err
	case len(got) != most:
		return got, fmt.Errorf("%d bytes in place of %d, and not the end", len(got), most)
	}
	rest, err := io.ReadAll(body)
	return append(got, rest...), err
}

func TestDifferential(t *testing.T) {
	plans := uint64(6000)
	if testing.Short() {
		plans = 600
	}
	accepted, refused := 0, 0
	for seed := range plans {
		g := newGenerator(seed)
		m := New(g.plan, viewer, Limits{})
		for k := range 12 {
			whole := g.document(g.plan.Root)
			doc := []byte(g.damage(whole))
			if fault := compare(m, g.plan, doc, g.Rand); fault != "" {
				t.Fatalf("plan %d, document %d: another answer than decoding, masking and comparing gives\n%s\n%s", seed, k, doc, fault)
			}
			if errors.Is(m.err, io.EOF) {
				accepted++
			} else {
				refused++
			}
			for range 3 { // what was just learned, and then something that is almost it
				doc := []byte(g.damage(whole))
				if fault := compare(m, g.plan, doc, g.Rand); fault != "" {
					t.Fatalf("plan %d, behind document %d: another answer than decoding, masking and comparing gives\n%s\n%s\n%s", seed, k, whole, doc, fault)
				}
			}
		}
	}
	t.Logf("%d documents accepted, %d refused", accepted, refused)
	if accepted < refused/4 || refused < accepted/20 {
		t.Errorf("the documents do not try both sides: %d accepted, %d refused", accepted, refused)
	}
}

func TestSameAtEveryChunkSize(t *testing.T) {
	for seed := range uint64(150) {
		g := newGenerator(seed)
		doc := []byte(g.document(g.plan.Root))
		m := New(g.plan, viewer, Limits{})
		want, wantErr := io.ReadAll(m.Reader(bytes.NewReader(doc)))
		for size := 1; size < 12; size++ {
			m.Reset(g.plan, viewer, Limits{})
			got, err := io.ReadAll(m.Reader(&fixed{doc, size}))
			if (err == nil) != (wantErr == nil) || err == nil && !bytes.Equal(got, want) {
				t.Fatalf("plan %d in chunks of %d: %v, %v\n%s\n%s\n%s", seed, size, wantErr, err, doc, want, got)
			}
		}
	}
}

// fixed gives a body in pieces of one size.
type fixed struct {
	rest []byte
	size int
}

func (f *fixed) Read(p []byte) (int, error) {
	n := copy(p, f.rest[:min(f.size, len(f.rest))])
	if f.rest = f.rest[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}
