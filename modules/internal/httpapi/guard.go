// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package httpapi

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// errAddress says that the name leads to where nothing may be sent.
var errAddress = errors.New("the name leads to a private, local or special address that is not listed")

// special are networks beyond those netip knows: carrier-grade NAT, benchmarking,
// documentation, protocol assignments, and IPv6 forms that hold an IPv4 address.
var special = func() (out []netip.Prefix) {
	for _, s := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
		"240.0.0.0/4", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "fec0::/10",
	} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}()

// guard returns a dialer that looks at the address it is about to connect to, so
// that a name that changes between look-up and connection gains nothing.
func guard(private []netip.Prefix, timeout time.Duration) *net.Dialer {
	return &net.Dialer{
		Timeout: timeout,
		Control: func(_, address string, _ syscall.RawConn) error {
			a, err := netip.ParseAddrPort(address)
			if err != nil || !allowed(a.Addr(), private) {
				return errAddress
			}
			return nil
		},
	}
}

func allowed(a netip.Addr, private []netip.Prefix) bool {
	a = a.Unmap().WithZone("")
	for _, p := range private {
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

// reason words a failure without quoting the request: its URL may hold a password.
func reason(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.Is(err, errAddress):
		return errAddress.Error()
	case isTimeout(err):
		return "there was no answer in time"
	case errors.As(err, &dns):
		return "its name cannot be looked up"
	case isTLS(err):
		return "TLS does not hold: " + tlsReason(err)
	case errors.As(err, &op):
		return fmt.Sprintf("the connection failed (%s)", op.Op)
	}
	return "the connection or the answer broke"
}
