// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package textmask

import (
	"bytes"
	"unicode"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// Heading returns the name of a column of ent's by which the plan knows it. The head of a
// table is written to be looked at: it has line ends and hard spaces where the name has
// spaces, and a second byte order mark in front of its first name. A name that nobody
// knows as it is written is compared without them, as names are without spaces.
func (j *Judge) Heading(ent *plan.Entity, rec *plan.Record, name []byte) []byte {
	if j.knows(ent, rec, name) {
		return name
	}
	bare := bytes.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) {
			return -1
		}
		return r
	}, name)
	if j.knows(ent, rec, bare) {
		return bare
	}
	return name
}

// knows reports whether the plan says anything of a column by its name.
func (j *Judge) knows(ent *plan.Entity, rec *plan.Record, name []byte) bool {
	j.fold = resource.AppendFold(j.fold[:0], name)
	if ent.Fields[string(j.fold)] != nil {
		return true
	}
	return rec != nil && (rec.Nested[string(j.fold)] != nil || j.Owns(rec.Rows, name) || j.Needs(rec.Rows, name) > 0)
}
