// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package address

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestSourceIsWhatAClientCannotChange(t *testing.T) {
	for a, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "::ffff:203.0.113.7": "203.0.113.7",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "2001:db8:1:2::9%eth0": "2001:db8:1:2::/64", "fe80::1%eth0": "fe80::/64",
	} {
		if got := Source(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s counts as %s, want %s: a client gets new tries by changing what is his to change", a, got, want)
		}
	}
	if got := Source(netip.Addr{}); got != "invalid IP" {
		t.Errorf("an unknown address counts as %q: unknown addresses do not share one place", got)
	}
}

func TestNothingIsSentToWhatIsNotPublic(t *testing.T) {
	for a, want := range map[string]bool{
		"1.1.1.1": true, "2606:4700::1111": true, "::ffff:1.1.1.1": true,
		"10.0.0.1": false, "172.16.0.1": false, "192.168.0.1": false, "127.0.0.1": false, "169.254.169.254": false, "100.64.0.1": false,
		"0.0.0.0": false, "0.1.2.3": false, "192.0.0.8": false, "192.0.2.1": false, "198.18.0.1": false, "203.0.113.9": false,
		"224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false, "::ffff:192.168.0.1": false,
		"::1": false, "::": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false, "ff02::1": false, "64:ff9b::a00:1": false,
		"2002:a00:1::": false, "2001::1": false, "2001:db8::1": false, "fec0::1": false,
	} {
		addr := netip.MustParseAddr(a)
		if got := Public(addr, nil); got != want {
			t.Errorf("%s is public: %v", a, got)
		}
		plain := addr.Unmap().WithZone("")
		if !Public(addr, []netip.Prefix{netip.PrefixFrom(plain, plain.BitLen())}) {
			t.Errorf("%s is listed and refused all the same", a)
		}
	}
	if Public(netip.Addr{}, nil) {
		t.Error("no address is a public one")
	}
	if Public(netip.MustParseAddr("10.2.2.3"), []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}) {
		t.Error("a network beside the listed one is allowed")
	}
}

func TestDialerLooksAtWhatANameLedTo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, host := range []string{"127.0.0.1", "localhost"} {
		_, err := Dialer(nil, time.Second).DialContext(t.Context(), "tcp", net.JoinHostPort(host, port))
		if !errors.Is(err, ErrNotPublic) {
			t.Errorf("%s was connected to: %v", host, err)
		}
	}
	c, err := Dialer([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, 5*time.Second).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("a listed network cannot be reached: %v", err)
	}
	_ = c.Close()
}
