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

// Lookup returns what is known about ip: the zero Flags for nothing. An IPv6 address
// that is made of an IPv4 address is known for what is known of that one as well.
func (r *Reputation) Lookup(ip netip.Addr) Flags {
	if r == nil {
		return 0
	}
	ip = ip.Unmap()
	f, _ := r.table.Lookup(ip)
	if v4, ok := embedded(ip); ok {
		g, _ := r.table.Lookup(v4)
		f |= g // and no merge: it must not lift what the address itself is known for
	}
	return f
}

// embedded returns the IPv4 address an IPv6 address is made of: that of a 6to4 network
// (RFC 3056), of a client behind NAT64's well-known prefix (RFC 6052) or Teredo (RFC
// 4380). The lists know hosts by IPv4, and these are other spellings of it.
func embedded(ip netip.Addr) (netip.Addr, bool) {
	if !ip.Is6() {
		return netip.Addr{}, false
	}
	b := ip.As16()
	switch {
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6])), true
	case [12]byte(b[:12]) == [12]byte{0, 0x64, 0xff, 0x9b}:
		return netip.AddrFrom4([4]byte(b[12:])), true
	case [4]byte(b[:4]) == [4]byte{0x20, 0x01}:
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}), true
	}
	return netip.Addr{}, false
}
