// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package network decides whether an address may reach the CRM: allow-lists of
// the account, of a role, of a person and of API calls, and what is known about
// an address (Tor exit, anonymous proxy, hosting, ...).
//
// An Engine holds two immutable snapshots, the Rules and the Reputation, each
// swapped as one atomic act. A check costs a handful of trie walks, takes no
// lock and allocates nothing, however long the lists are.
//
// Everything fails closed: an address that is missing or not understood, a list
// with one bad entry, an engine without rules: each is a refusal or an error,
// never an open door. The one thing that opens is an empty allow-list, which
// restricts nobody.
package network

import (
	"errors"
	"fmt"
	"net/netip"
)

// ErrClient is wrapped by every error of ParseClient: the request must be
// refused.
var ErrClient = errors.New("no usable client address")

// ParseClient parses the address of a client, IPv4 or IPv6 without a port. An
// IPv4 address in IPv6 clothes (::ffff:203.0.113.7) becomes the IPv4 address, so
// that it meets the same rules. Empty, unparsable, unspecified (0.0.0.0, ::)
// addresses and ones with a zone are errors that wrap ErrClient.
func ParseClient(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, fmt.Errorf("%w: it is empty", ErrClient)
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%w: %.60q is not an address", ErrClient, s)
	}
	if ip.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%w: %.60q has a zone", ErrClient, s)
	}
	if ip = ip.Unmap(); ip.IsUnspecified() {
		return netip.Addr{}, fmt.Errorf("%w: %.60q stands for no address", ErrClient, s)
	}
	return ip, nil
}

// usable says whether ParseClient could have made ip.
func usable(ip netip.Addr) bool {
	return ip.IsValid() && ip.Zone() == "" && !ip.IsUnspecified()
}
