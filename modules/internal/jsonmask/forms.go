// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"

	"github.com/crmgate/crmgate/modules/internal/textform"
	"github.com/crmgate/crmgate/policy/plan"
)

// formed rewrites the string v to end, whose text c has, by the form its treatment
// declares. A text that is not in that form is masked fully, and so is one that
// cannot be put back into it.
func (w *walker) formed(v, end int, t *plan.Treatment, e env, c *walker) {
	text := bytes.Clone(c.text)
	doc, ok := textform.Open(t.Text.Form, text)
	if !ok {
		w.masksFully(v, end, t)
		return
	}
	c.text = append(c.text[:0], doc...)
	keep, changed, err := c.document(t.Text, e.ent)
	if err != nil || !keep {
		w.masksFully(v, end, t)
		return
	}
	if changed {
		out, ok := textform.Close(t.Text.Form, text, c.out)
		if !ok {
			w.masksFully(v, end, t)
			return
		}
		w.put(v, end)
		w.out = appendQuoted(w.out, out)
	}
	w.adopt(v, end, c)
}

// adopt counts what was done to a document within the string v to end, and notes what
// stands in it.
func (w *walker) adopt(v, end int, c *walker) {
	w.overhear(v, end, c)
	w.events = append(w.events, c.events...)
	w.kept += c.kept
	w.free += c.free
	w.drops += c.drops
}
