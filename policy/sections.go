// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"strings"

	"github.com/crmgate/crmgate/policy/internal/shape"
)

// sections are the keys of a policy that rule something, and what each is
// written as when there is nothing in it.
var sections = []struct{ key, empty string }{
	{"settings", "{}"}, {"roles", "{}"}, {"groups", "{}"}, {"templates", "{}"}, {"assign", "[]"}, {"switches", "{}"}, {"defaults", "{}"},
}

// Continues refuses a document that is to take the place of before and lacks the
// section before ends with. What is left of a file that was cut short is often a
// good policy of fewer rules, and its end is what it has lost; so who wants to be
// rid of that section writes it empty. The error is an *Error.
func (d *Document) Continues(before *Document) error {
	var last shape.Pos
	lost := false
	var gone, mend []string
	for _, s := range sections {
		at := shape.Join("", s.key)
		pos, had := before.place[at]
		if !had {
			continue
		}
		_, has := d.place[at]
		if pos.Line > last.Line || pos.Line == last.Line && pos.Col > last.Col {
			last, lost = pos, !has
		}
		if !has {
			gone, mend = append(gone, s.key), append(mend, s.key+": "+s.empty)
		}
	}
	if !lost {
		return nil
	}
	return &Error{
		File: d.name(), Pos: shape.Pos{Line: 1, Col: 1},
		What: fmt.Sprintf("the policy in force has %s, and this file says nothing of it: it may have been cut short", strings.Join(gone, ", ")),
		Mend: "complete it; a section that is to go is written empty, as " + strings.Join(mend, ", "),
	}
}
