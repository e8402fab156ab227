// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// ahead is how far the clock of another gateway may be ahead for its sessions still to
// be the older ones.
const ahead = 10 * time.Minute

// behindAll returns when a sign-in of now begins: behind the person's sessions that are
// there, where their number is limited. So a later sign-in has a later time whatever
// clock it is made by, and which of a person's sessions are the oldest is the same for
// whoever looks.
func (m *Manager) behindAll(s *Session, now time.Time) time.Time {
	begins := now
	if m.most.Load() == 0 {
		return begins
	}
	for _, o := range m.List(s.PersonID) {
		if o.Kind == s.Kind && !o.Created.Before(begins) && o.Created.Before(now.Add(ahead)) {
			begins = o.Created.Add(time.Microsecond)
		}
	}
	return begins
}

// endSurplus ends the person's oldest sessions of a kind above the limit. Of sign-ins at
// the same moment all find the same oldest, which may be s: were each to spare itself,
// they would end each other.
func (m *Manager) endSurplus(ctx context.Context, s *Session) error {
	most := int(m.most.Load())
	if most == 0 {
		return nil
	}
	mine := slices.DeleteFunc(m.List(s.PersonID), func(o *Session) bool { return o.Kind != s.Kind })
	slices.SortFunc(mine, func(a, b *Session) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	for _, o := range mine[:max(0, len(mine)-most)] {
		if err := m.End(ctx, o.ID, ReasonReplaced); err != nil {
			return err
		}
	}
	return nil
}
