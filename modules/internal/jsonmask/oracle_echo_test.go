// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"maps"

	"github.com/crmgate/crmgate/policy/echo"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// hearing is how the oracle knows a value again: it walks every part of a body twice,
// first to learn what is masked or hidden in it, then to search every text for that.
type hearing struct {
	on      bool
	known   *echo.Set
	armed   bool
	busy    bool // within a part
	secrets []oracleSecret
}

type oracleSecret struct {
	k    *tree
	t    *plan.Treatment
	hide bool
}

func (h *hearing) whole() bool { return !h.busy }

// unit walks a part.
func (o *oracle) unit(f func() (*tree, bool, error)) (*tree, bool, error) {
	h := o.heard
	h.busy = true
	defer func() { h.busy = false }()
	if !h.on {
		return f()
	}
	if h.known == nil {
		h.known = &echo.Set{}
	}
	drops, pending, totals := o.drops, o.pending, make([]int, len(o.totals))
	var counts []map[string]int
	for i := range o.counts {
		counts, totals[i] = append(counts, maps.Clone(o.counts[i])), len(o.totals[i])
	}
	if _, _, err := f(); err != nil {
		return nil, false, err
	}
	for _, s := range h.secrets {
		h.learn(s)
	}
	h.secrets = nil
	o.drops, o.pending, o.counts, o.totals = drops, pending, counts, o.totals[:len(totals)]
	for i := range totals {
		o.totals[i] = o.totals[i][:totals[i]]
	}
	h.armed = true
	out, keep, err := f()
	h.armed, h.secrets = false, nil
	return out, keep, err
}

func (o *oracle) secret(k *tree, t *plan.Treatment, hide bool) {
	if o.heard.on && !o.heard.armed {
		o.heard.secrets = append(o.heard.secrets, oracleSecret{k, t, hide})
	}
}

func (h *hearing) learn(s oracleSecret) {
	switch s.k.kind {
	case '"':
		h.known.Add([]byte(s.k.text), s.t.Mask, s.hide)
	case '0':
		h.known.AddNumber([]byte(s.k.text), s.t.Mask, s.hide)
	}
	for _, k := range s.k.kids {
		h.learn(oracleSecret{k, s.t, true})
	}
}

func (h *hearing) search(text []byte) ([]byte, int) {
	if h.armed {
		return h.known.Search(nil, text)
	}
	return mask.Detect(nil, text)
}

func (h *hearing) number(k *tree) *tree {
	if h.armed {
		if out, ok := h.known.AppendNumber(nil, []byte(k.text)); ok {
			t, err := parse(out)
			if err != nil {
				panic(err)
			}
			return t
		}
	}
	if digits, ok := mask.AppendWhole(nil, []byte(k.text)); ok && mask.IsPersonal(digits) {
		return null()
	}
	return k
}
