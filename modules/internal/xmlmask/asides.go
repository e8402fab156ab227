// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"bytes"

	"github.com/crmgate/crmgate/modules/internal/textmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// onward reports whether a node is an address or a cursor.
func onward(n *plan.Node) bool { return n.Link || n.Cursor }

// restricted reports whether a name is that of a field that is not shown as it is.
func restricted(f *plan.Treatment) bool { return f.Field != "" && f.Effect > plan.Show }

// looked is how a text is treated that leads on: it stays where unknown fields are masked or
// hidden, but is searched as they are.
func looked(ent *plan.Entity) *plan.Treatment {
	if ent.Unknown != nil && ent.Unknown.Effect == plan.Show {
		return ent.Unknown
	}
	return textmask.Searched
}

// aside rewrites an element whose text is an address or a cursor. An address in which
// nothing was found goes out as Limits.Link has it.
func (u *emitter) aside(el *element, n *plan.Node, ent *plan.Entity) error {
	if n.Entity != nil {
		ent = n.Entity
	}
	if err := u.attrs(el, ent, plan.Show, n, nil); err != nil {
		return err
	}
	text := el.text()
	if u.noting || el.empty() || len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	u.led(text, el.open, el.close, n, looked(ent), ent)
	return nil
}

// asideAttr is aside for an attribute. It reports false for one that is a namespace or a field that is
// restricted.
func (u *emitter) asideAttr(a attr, n *plan.Node, ent *plan.Entity) bool {
	if a.space || restricted(u.m.judge.Field(ent, []byte(a.name))) {
		return false
	}
	if !u.noting {
		u.led([]byte(a.text), a.value, a.end, n, looked(ent), ent)
	}
	return true
}

// led writes the text between two places as it goes out, white space around it as it came.
func (u *emitter) led(text []byte, from, to int, n *plan.Node, t *plan.Treatment, ent *plan.Entity) {
	if value, v := u.m.judge.Text(nil, text, t, ent); v == textmask.Changed {
		u.cut(from, to)
		u.out = appendEscaped(u.out, value)
		return
	}
	if !n.Link || u.m.lim.Link == nil {
		return
	}
	address := bytes.TrimSpace(text)
	at := bytes.Index(text, address)
	is := u.m.lim.Link(string(address))
	if is == string(address) {
		return
	}
	u.cut(from, to)
	u.out = appendEscaped(u.out, text[:at])
	u.out = appendEscaped(u.out, []byte(is))
	u.out = appendEscaped(u.out, text[at+len(address):])
}

// follow writes an element of which everything is shown: its addresses lead to the gate,
// and nothing else of it changes.
func (u *emitter) follow(el *element, n *plan.Node) {
	if n == nil || u.noting {
		return
	}
	if n.Record != nil {
		n = &plan.Node{Members: n.Record.Nested}
	}
	for _, a := range el.attrs {
		if next := n.Members[fold(a.name)]; next != nil && next.Link && !a.space {
			u.led([]byte(a.text), a.value, a.end, next, &plan.Treatment{}, nil)
		}
	}
	if n.Link && !el.parents && !el.empty() {
		u.led(el.text(), el.open, el.close, n, &plan.Treatment{}, nil)
	}
	for _, k := range el.kids {
		if k.el != nil {
			u.follow(k.el, child(n, k.el.name))
		}
	}
}
