// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"bytes"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/modules/internal/textmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// words takes text that is between elements. Comments and sections part it, and
// still it is one text to whoever reads what comes out.
func (m *Masker) words(text, raw []byte) error {
	if m.state != within {
		if len(bytes.TrimSpace(text)) > 0 || bytes.Contains(raw, []byte("<!")) {
			return bad("text outside of the document's element")
		}
		m.out = append(m.out, raw...)
		return nil
	}
	m.looseRaw = joined(m.looseRaw, text, raw)
	m.loose = append(m.loose, text...)
	if len(m.looseRaw) > m.lim.Record {
		return &jsonmask.LimitError{What: "size of a text or a tag", Limit: m.lim.Record}
	}
	return nil
}

// remark takes a comment or a processing instruction, which stays where everything is
// shown.
func (m *Masker) remark(raw []byte) error {
	switch {
	case !m.plan.Open:
		return nil
	case m.state != within:
		m.out = append(m.out, raw...)
		return m.yield()
	}
	return m.words(nil, raw)
}

func (u *emitter) remark(raw []byte) {
	if u.m.plan.Open {
		u.bytes = append(u.bytes, raw...)
	}
}

// between writes the text in front of a tag, treated where it is more than white space.
func (m *Masker) between() {
	if len(m.looseRaw) == 0 {
		return
	}
	text, raw := m.loose, m.looseRaw
	m.loose, m.looseRaw = text[:0], raw[:0]
	if len(bytes.TrimSpace(text)) == 0 || m.plan.Open {
		m.out = append(m.out, raw...)
		return
	}
	ent := m.frames[len(m.frames)-1].ent
	t := ent.Unknown
	if t == nil {
		return
	}
	m.judge.Remember(text, t)
	if t.Effect == plan.Hide {
		return
	}
	if t.Effect == plan.Show {
		t = textmask.Searched
	}
	m.out = m.treatText(m.out, text, raw, t, ent)
}

// treatText appends a text, as it stands or rewritten.
func (m *Masker) treatText(dst, text, raw []byte, t *plan.Treatment, ent *plan.Entity) []byte {
	value, v := m.judge.Text(nil, text, t, ent)
	switch v {
	case textmask.Changed:
		return appendEscaped(dst, value)
	case textmask.Hidden:
		return dst
	}
	return append(dst, raw...)
}
