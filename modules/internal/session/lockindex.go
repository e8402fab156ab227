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
	kinds    kinds
	byTarget map[Target][]*Lock
	byPrefix map[netip.Prefix][]*Lock
	bits     [2][]int // lengths of the prefixes locked: IPv4, IPv6
}

// kinds is a set of kinds of targets: most requests meet locks of other kinds alone,
// and look nothing up.
type kinds uint8

// kindOf returns the set of one kind; of one that nobody knows, all of them.
func kindOf(k TargetKind) kinds {
	switch k {
	case Everyone:
		return 1 << 0
	case ByRole:
		return 1 << 1
	case ByGroup:
		return 1 << 2
	case ByUser:
		return 1 << 3
	case BySession:
		return 1 << 4
	case ByDevice:
		return 1 << 5
	case ByKey:
		return 1 << 6
	case ByIP:
		return 1 << 7
	}
	return 1<<8 - 1
}

func (s kinds) has(k TargetKind) bool { return s&kindOf(k) != 0 }

func newLockIndex(locks map[string]*Lock) *lockIndex {
	x := &lockIndex{size: len(locks)}
	if x.size == 0 {
		return x
	}
	x.byTarget = make(map[Target][]*Lock, len(locks))
	x.byPrefix = map[netip.Prefix][]*Lock{}
	for _, l := range locks {
		x.kinds |= kindOf(l.Target.Kind)
		if l.Target.Kind != ByIP {
			x.byTarget[l.Target] = append(x.byTarget[l.Target], l)
			continue
		}
		p, err := parsePrefix(l.Target.Value)
		if err != nil {
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
	x.try(&v, Target{Kind: Everyone}, f, created, now)
	x.try(&v, Target{ByRole, f.Role}, f, created, now)
	x.try(&v, Target{BySession, f.SessionID}, f, created, now)
	x.try(&v, Target{ByDevice, f.Device}, f, created, now)
	x.try(&v, Target{ByKey, f.Key}, f, created, now)
	if x.kinds.has(BySession) { // rotating is no way out of a lock
		for _, was := range f.Earlier {
			x.try(&v, Target{BySession, was}, f, created, now)
		}
	}
	if x.kinds.has(ByUser) {
		x.try(&v, Target{ByUser, strings.ToLower(f.PersonID)}, f, created, now)
		x.try(&v, Target{ByUser, strings.ToLower(f.Email)}, f, created, now)
	}
	if x.kinds.has(ByGroup) {
		for _, g := range f.Groups {
			x.try(&v, Target{ByGroup, g}, f, created, now)
		}
	}
	if x.kinds.has(ByIP) && f.IP.IsValid() {
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

func (x *lockIndex) try(v *verdict, t Target, f *Facts, created, now time.Time) {
	if x.kinds.has(t.Kind) && (t.Value != "" || t.Kind == Everyone) {
		x.judge(v, x.byTarget[t], f, created, now)
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
