// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// idsOf returns which sessions of a person are there, when their number is limited.
func (m *Manager) idsOf(personID string) map[string]bool {
	if m.most.Load() == 0 {
		return nil
	}
	ids := map[string]bool{}
	for _, s := range m.List(personID) {
		ids[s.ID] = true
	}
	return ids
}

// endSurplus ends the person's oldest sessions of a kind above the limit. Those that
// were there before the sign-in began are older, whatever the clock says that made
// them. Of sign-ins at the same moment all find the same oldest, which may be s: were
// each to spare itself, they would end each other.
func (m *Manager) endSurplus(ctx context.Context, s *Session, there map[string]bool) error {
	most := int(m.most.Load())
	if most == 0 {
		return nil
	}
	mine := slices.DeleteFunc(m.List(s.PersonID), func(o *Session) bool { return o.Kind != s.Kind })
	slices.SortFunc(mine, func(a, b *Session) int {
		switch {
		case there[a.ID] && !there[b.ID]:
			return -1
		case there[b.ID] && !there[a.ID]:
			return 1
		}
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	for _, o := range mine[:max(0, len(mine)-most)] {
		if err := m.End(ctx, o.ID, ReasonReplaced); err != nil {
			return err
		}
	}
	return nil
}
