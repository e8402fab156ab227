// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// total is a count of records that stands in the output before they are counted.
type total struct {
	at, len int
	set     string
}

// yield gives up totals that hold back more than the limit: they become empty. Where all
// waits for one record, the body is refused.
func (m *Masker) yield() error {
	if m.waits() && len(m.out) > m.lim.Hold {
		return &jsonmask.LimitError{What: "bytes in front of the record asked for", Limit: m.lim.Hold}
	}
	for len(m.totals) > 0 && len(m.out)-m.totals[0].at > m.lim.Hold {
		m.settleOne("")
	}
	return nil
}

// settleAll writes the totals of the document.
func (m *Masker) settleAll() {
	for len(m.totals) > 0 {
		text := fmt.Sprint(m.counts[m.totals[0].set])
		m.settleOne(text)
	}
}

// settleOne writes the first total.
func (m *Masker) settleOne(text string) {
	t := m.totals[0]
	if m.standing() {
		text = string(m.out[t.at : t.at+t.len])
	}
	m.out = splice(m.out, t.at, t.len, text)
	m.totals = m.totals[:copy(m.totals, m.totals[1:])]
	for i := range m.totals {
		m.totals[i].at += len(text) - t.len
	}
}

// standing says whether the CRM's own totals are right as they are. It knows nothing
// of conditions.
func (m *Masker) standing() bool { return m.lim.Pushed && !m.asked && m.judge.Stats().Dropped == 0 }

func splice(b []byte, at, n int, with string) []byte {
	tail := append([]byte(with), b[at+n:]...)
	return append(b[:at], tail...)
}

// settle writes the totals of a unit, which count what is in it.
func (u *emitter) settle() {
	for _, t := range slices.Backward(u.totals) {
		if !u.m.standing() {
			u.out = splice(u.out, t.at, t.len, fmt.Sprint(u.counts[t.set]))
		}
	}
	u.totals = u.totals[:0]
}

// total rewrites an element that counts records. Its attributes are fields like
// those of any other.
func (u *emitter) total(el *element, set string, ent *plan.Entity) error {
	if el.parents {
		return bad("a total that is no number")
	}
	if err := u.attrs(el, ent, plan.Detect, nil, nil); err != nil {
		return err
	}
	if el.empty() || len(bytes.TrimSpace(el.text())) == 0 {
		return nil
	}
	return u.count(el.open, el.close, el.text(), set)
}

// count leaves the place of a total open where records of its set are dropped.
func (u *emitter) count(from, to int, text []byte, set string) error {
	text = bytes.TrimSpace(text)
	for _, c := range text {
		if c < '0' || c > '9' {
			return bad("a total that is no number")
		}
	}
	if u.noting || !u.m.rowed[set] {
		return nil
	}
	u.cut(from, to)
	u.totals = append(u.totals, total{len(u.out), len(text), set})
	u.out = append(u.out, text...)
	return nil
}
