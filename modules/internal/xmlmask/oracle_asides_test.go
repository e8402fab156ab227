// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"strings"

	"github.com/crmgate/crmgate/policy/plan"
)

// atGate is where addresses lead in tests.
func atGate(address string) string {
	if rest, is := strings.CutPrefix(address, "http://crm"); is {
		return "https://gate" + rest
	}
	return address
}

// stays says that what is said to lead on is a field that is restricted.
func (o *oracle) stays(n *plan.Node, ent *plan.Entity, name string) bool {
	f := ent.Fields[fold(name)]
	return n != nil && (n.Link || n.Cursor) && f != nil && f.Field != "" && f.Effect > plan.Show
}

func (o *oracle) isAside(n *plan.Node, ent *plan.Entity, name string) bool {
	return n != nil && (n.Link || n.Cursor) && !o.stays(n, ent, name)
}

// aside is an address or a cursor.
func (o *oracle) aside(text, raw string, n *plan.Node, ent *plan.Entity) string {
	if ent.Unknown == nil || ent.Unknown.Effect != plan.Show {
		if out, hits := o.known.Search(nil, []byte(text)); hits > 0 {
			return escaper.Replace(string(out))
		}
	}
	address := strings.TrimSpace(text)
	if is := atGate(address); n.Link && is != address {
		at := strings.Index(text, address)
		return escaper.Replace(text[:at] + is + text[at+len(address):])
	}
	return raw
}
