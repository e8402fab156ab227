// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package address says what addresses mean: which part of a client's is his own to
// change, and which ones a request of the gate's own may not be sent to.
package address

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// Source is the part of a client's address that limits count: an IPv4 address, or
// the /64 an IPv6 client moves in as it likes. IPv4 in IPv6 notation is IPv4, zones
// play no part. The invalid address is a source too, the same for everybody whose
// address is not known.
func Source(a netip.Addr) string {
	if a = a.Unmap().WithZone(""); a.Is6() {
		return netip.PrefixFrom(a, 64).Masked().String()
	}
	return a.String()
}

// ErrNotPublic is returned, wrapped by net, when a name leads to a private, local
// or otherwise special address that is not listed.
var ErrNotPublic = errors.New("not a public address; list its network to allow it")

// special are networks beyond those netip knows: carrier-grade NAT, benchmarking,
// documentation, protocol assignments, and IPv6 forms that hold an IPv4 address
// (the special-purpose registries of RFC 6890).
var special = func() (out []netip.Prefix) {
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"240.0.0.0/4", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "fec0::/10",
	} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}()

// Public says whether the gate may send something of its own to an address: a
// public one, or one in a network that is listed.
func Public(a netip.Addr, listed []netip.Prefix) bool {
	a = a.Unmap().WithZone("")
	for _, p := range listed {
		if p.Contains(a) {
			return true
		}
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// Dialer connects to public addresses and to those listed. It looks at the address
// it is about to connect to, so that a name that changes between look-up and
// connection gains nothing.
func Dialer(listed []netip.Prefix, timeout time.Duration) *net.Dialer {
	return &net.Dialer{
		Timeout: timeout,
		Control: func(_, address string, _ syscall.RawConn) error {
			a, err := netip.ParseAddrPort(address)
			if err != nil || !Public(a.Addr(), listed) {
				return ErrNotPublic
			}
			return nil
		},
	}
}
