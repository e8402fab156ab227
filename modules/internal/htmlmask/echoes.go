// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package htmlmask

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/html"

	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// A value that is masked or hidden must not come through a second time in a text that
// nobody claims. So where a plan searches texts, the values of claimed places are
// remembered, and looked for in all that follows. Of a page that is not longer than what
// is held anyway all are known from its start on: it is gone through twice, for its title
// and its headings stand in front of whatever is claimed.

// begin starts to read the page.
func (m *Masker) begin() error {
	src := m.src
	if m.echoes && !m.learning {
		start, err := io.ReadAll(io.LimitReader(src, chunk))
		if err != nil {
			return fmt.Errorf("reading body: %w", err)
		}
		if len(start) < chunk {
			m.learn(start)
		}
		src = io.MultiReader(bytes.NewReader(start), src)
	}
	m.z = html.NewTokenizer(src)
	m.z.SetMaxBuf(m.most)
	return nil
}

// learn remembers the values of a whole page. One that is refused is so again.
func (m *Masker) learn(page []byte) {
	first := &Masker{}
	first.Reset(m.plan, m.judge.Viewer, m.lim)
	first.learning = true
	known, learned := m.judge.Known(), first.judge.Known()
	if _, err := io.Copy(io.Discard, first.Reader(bytes.NewReader(page))); err != nil {
		learned.Reset()
		return
	}
	*known, *learned = *learned, *known
}

// secret reports whether values of a place are not shown.
func secret(e *plan.Element) bool { return e.JSON || e.Treat.Effect >= plan.Mask }

// rememberText remembers what the claimed element at hand says, and where there are tags
// within it, each piece of text.
func (m *Masker) rememberText() {
	if !m.echoes {
		return
	}
	known, t := m.judge.Known(), m.claim.Treat
	known.Trim()
	all, from := bytes.TrimSpace(m.text), 0
	known.Add(all, t.Mask, t.Effect == plan.Hide)
	if seen := asSeen(nil, all); !bytes.Equal(seen, all) {
		known.Add(seen, t.Mask, t.Effect == plan.Hide)
	}
	for _, end := range m.ends {
		if piece := bytes.TrimSpace(m.text[from:end]); len(piece) < len(all) {
			known.Add(piece, nil, true)
		}
		from = end
	}
}

// rememberAttrs remembers the attributes of an element that are claimed, and its value
// where nothing is shown of the element.
func (m *Masker) rememberAttrs(attrs []attr, claims []*plan.Element, bare bool) {
	if !m.echoes {
		return
	}
	known := m.judge.Known()
	for _, a := range attrs {
		claimed := false
		for _, c := range claims {
			if !c.JSON && c.In == a.name && c.Treat.Effect >= plan.Mask {
				claimed = true
				known.Add([]byte(a.value), c.Treat.Mask, c.Treat.Effect == plan.Hide)
			}
		}
		if bare && !claimed && a.name == "value" {
			known.Add([]byte(a.value), nil, true)
		}
	}
}

// asSeen appends a text as pages show it: without characters that nobody sees, and each row of
// blanks one space, with those in front of it too.
func asSeen(dst, text []byte) []byte {
	n := len(dst)
	dst = mask.AppendSeen(dst, text)
	out := dst[:n]
	for _, c := range dst[n:] {
		if strings.IndexByte(blanks, c) >= 0 {
			if c = ' '; len(out) > 0 && out[len(out)-1] == ' ' {
				continue
			}
		}
		out = append(out, c)
	}
	return out
}

// spread reports whether a value that is known stands in a text as pages show it. As it is
// written it was looked for before.
func (m *Masker) spread(text []byte) bool {
	seen := asSeen(nil, text)
	return !bytes.Equal(seen, text) && len(m.judge.Known().Finds(seen)) > 0
}
