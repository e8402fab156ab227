// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import "github.com/crmgate/crmgate/policy/plan"

// searched is how a text is treated that is no field and stays.
var searched = &plan.Treatment{Effect: plan.Detect}

// aside walks an address or a cursor. It stays where unknown fields are masked or
// hidden, but is searched as they are; an address goes out as Limits.Link has it, unless
// something was found in it.
func (w *walker) aside(v int, n *plan.Node, e env) (end int, err error) {
	if t := e.ent.Unknown; t != nil && max(t.Effect, e.floor) == plan.Show {
		end, err = w.scalar(v)
	} else {
		end, err = w.detect(v, searched)
	}
	if err != nil || !n.Link || w.lim.Link == nil || w.from == end { // it was written anew
		return end, err
	}
	w.value = appendDecoded(w.value[:0], w.in[v:end])
	was := string(w.value)
	if is := w.lim.Link(was); is != was {
		w.put(v, end)
		w.out = appendQuoted(w.out, []byte(is))
	}
	return end, nil
}
