// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"net/netip"
	"slices"
	"strings"
	"time"
)

// lockIndex finds the locks that match some facts, in time that does not grow
// with the number of locks. It is immutable; the manager swaps it.
type lockIndex struct {
	size     int
	byValue  [kinds]map[string][]*Lock // of each kind; nil where there are none: then nothing is looked up
	byPrefix map[netip.Prefix][]*Lock
	bits     [2][]int // lengths of the prefixes locked: IPv4, IPv6
}

// Where locks of a kind stand in byValue. Those of addresses have no place there.
const (
	atEveryone = iota
	atRole
	atGroup
	atUser
	atSession
	atDevice
	atKey
	kinds // how many there are
)

// kindOf returns a kind's place in byValue, -1 for those that have none.
func kindOf(k TargetKind) int {
	switch k {
	case Everyone:
		return atEveryone
	case ByRole:
		return atRole
	case ByGroup:
		return atGroup
	case ByUser:
		return atUser
	case BySession:
		return atSession
	case ByDevice:
		return atDevice
	case ByKey:
		return atKey
	}
	return -1
}

func newLockIndex(locks map[string]*Lock) *lockIndex {
	x := &lockIndex{size: len(locks)}
	if x.size == 0 {
		return x
	}
	x.byPrefix = map[netip.Prefix][]*Lock{}
	for _, l := range locks {
		if i := kindOf(l.Target.Kind); i >= 0 {
			if x.byValue[i] == nil {
				x.byValue[i] = map[string][]*Lock{}
			}
			x.byValue[i][l.Target.Value] = append(x.byValue[i][l.Target.Value], l)
			continue
		}
		p, err := parsePrefix(l.Target.Value)
		if err != nil || l.Target.Kind != ByIP {
			continue // normal() has refused it before
		}
		x.byPrefix[p] = append(x.byPrefix[p], l)
		family := &x.bits[familyOf(p.Addr())]
		if !slices.Contains(*family, p.Bits()) {
			*family = append(*family, p.Bits())
		}
	}
	return x
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// verdict is what the locks say about some facts.
type verdict struct {
	hold *Lock // refuses now; nil: none does
	over *Lock // has ended the session for good; nil: none has
}

// match looks for locks. A zero created means that the facts are no session.
func (x *lockIndex) match(f *Facts, created, now time.Time) verdict {
	var v verdict
	if x.size == 0 {
		return v
	}
	x.try(&v, atEveryone, "", f, created, now)
	x.try(&v, atRole, f.Role, f, created, now)
	x.try(&v, atSession, f.SessionID, f, created, now)
	x.try(&v, atDevice, f.Device, f, created, now)
	x.try(&v, atKey, f.Key, f, created, now)
	for _, was := range f.Earlier { // rotating is no way out of a lock
		x.try(&v, atSession, was, f, created, now)
	}
	if x.byValue[atUser] != nil {
		x.try(&v, atUser, strings.ToLower(f.PersonID), f, created, now)
		x.try(&v, atUser, strings.ToLower(f.Email), f, created, now)
	}
	for _, g := range f.Groups {
		x.try(&v, atGroup, g, f, created, now)
	}
	if len(x.byPrefix) > 0 && f.IP.IsValid() {
		a := f.IP.Unmap().WithZone("")
		for _, bits := range x.bits[familyOf(a)] {
			p, err := a.Prefix(bits)
			if err != nil {
				continue // bits are of this family's prefixes
			}
			x.judge(&v, x.byPrefix[p], f, created, now)
		}
	}
	return v
}

func (x *lockIndex) try(v *verdict, at int, value string, f *Facts, created, now time.Time) {
	if locks := x.byValue[at]; locks != nil && (value != "" || at == atEveryone) {
		x.judge(v, locks[value], f, created, now)
	}
}

func (x *lockIndex) judge(v *verdict, locks []*Lock, f *Facts, created, now time.Time) {
	for _, l := range locks {
		if l.spares(f) {
			continue
		}
		if l.Holds(now) {
			v.hold = l
		}
		if l.ends(created) {
			v.over = l
		}
	}
}

// after returns a time of sign-in that none of the ending locks matching f
// reaches: somebody forced out may sign in again, even within one tick of the
// clock or through a gateway whose clock is behind.
func (x *lockIndex) after(f *Facts, created time.Time) time.Time {
	for {
		v := x.match(f, created, created)
		if v.over == nil {
			return created
		}
		created = v.over.At.Add(1)
	}
}
