// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package mmdbtest makes small anonymous-IP databases for tests. Reserved
// networks are allowed, so that a client on 127.0.9.7 can be a Tor exit.
package mmdbtest

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// Network is one network of a database and the flags it carries, by the names
// of the format: "is_tor_exit_node", "is_public_proxy", ...
type Network struct {
	Prefix string // CIDR
	Flags  []string
}

// Demo is what testdata/mmdb holds: one loopback network per flag.
var Demo = []Network{
	{"127.0.9.0/24", []string{"is_anonymous", "is_tor_exit_node"}},
	{"127.0.10.0/24", []string{"is_anonymous", "is_public_proxy"}},
	{"127.0.11.0/24", []string{"is_anonymous", "is_hosting_provider"}},
	{"127.0.12.0/24", []string{"is_anonymous", "is_anonymous_vpn"}},
	{"127.0.13.0/24", []string{"is_anonymous", "is_residential_proxy"}},
	{"127.0.14.0/24", []string{"is_anonymous"}},
	{"127.0.15.0/25", []string{"is_anonymous", "is_anonymous_vpn", "is_hosting_provider"}},
	{"2001:db8:9::/48", []string{"is_anonymous", "is_tor_exit_node"}},
}

// Options of Build.
type Options struct {
	Type   string // database type; "": GeoIP2-Anonymous-IP
	Traits bool   // put the flags under "traits", as GeoLite2 City and Enterprise do
}

// Build returns the bytes of a database. The same input gives the same bytes.
func Build(o Options, networks ...Network) ([]byte, error) {
	if o.Type == "" {
		o.Type = "GeoIP2-Anonymous-IP"
	}
	tree, err := mmdbwriter.New(mmdbwriter.Options{
		DatabaseType: o.Type, BuildEpoch: 1_790_000_000, RecordSize: 28, IncludeReservedNetworks: true,
		Description: map[string]string{"en": "crmgate test database"}, Languages: []string{"en"},
	})
	if err != nil {
		return nil, fmt.Errorf("starting the MMDB: %w", err)
	}
	for _, n := range networks {
		p, err := netip.ParsePrefix(n.Prefix)
		if err != nil {
			return nil, fmt.Errorf("parsing the network: %w", err)
		}
		flags := mmdbtype.Map{}
		for _, f := range n.Flags {
			flags[mmdbtype.String(f)] = mmdbtype.Bool(true)
		}
		record := flags
		if o.Traits {
			record = mmdbtype.Map{"traits": flags}
		}
		ipnet := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
		if err := tree.Insert(ipnet, record); err != nil {
			return nil, fmt.Errorf("inserting %s: %w", p, err)
		}
	}
	var b bytes.Buffer
	if _, err := tree.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("writing the MMDB: %w", err)
	}
	return b.Bytes(), nil
}
