// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"net/netip"

	"github.com/gaissmai/bart"
)

// Reputation is everything known about addresses, in one table. It is immutable;
// nil knows nothing.
type Reputation struct {
	table *bart.Table[Flags]
}

// NewReputation merges a database and a Tor list; either may be nil. Where both
// know an address, or one network lies within another, the flags add up.
func NewReputation(db *AnonymousDB, tor *TorList) *Reputation {
	table := new(bart.Table[Flags])
	if db != nil {
		table = db.table
	}
	if tor != nil {
		for _, exit := range tor.Exits {
			table = withFlags(table, exit, flagOf(Tor))
		}
	}
	return &Reputation{table: table}
}

// withFlags returns a table in which every address of p has f in addition. It
// shares what it can with the table it came from, which stays as it is.
func withFlags(table *bart.Table[Flags], p netip.Prefix, f Flags) *bart.Table[Flags] {
	var narrower []netip.Prefix
	for sub := range table.Subnets(p) {
		narrower = append(narrower, sub)
	}
	around, _ := table.LookupPrefix(p)
	table = table.InsertPersist(p, merge(around, f))
	for _, sub := range narrower {
		if sub == p {
			continue
		}
		own, _ := table.Get(sub)
		table = table.InsertPersist(sub, merge(own, f))
	}
	return table
}

// merge adds two sets; "anonymous" gives way to a kind with a name.
func merge(a, b Flags) Flags {
	f := a | b
	if named := f &^ flagOf(Anonymous); named != 0 {
		return named
	}
	return f
}

// Lookup returns what is known about ip: the zero Flags for nothing.
func (r *Reputation) Lookup(ip netip.Addr) Flags {
	if r == nil {
		return 0
	}
	f, _ := r.table.Lookup(ip.Unmap())
	return f
}
