// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"time"

	"github.com/gaissmai/bart"
	"github.com/oschwald/maxminddb-golang/v2"
)

// AnonymousDB is an anonymous-IP database compiled for look-ups. It is
// immutable and holds nothing of the bytes it was made from.
type AnonymousDB struct {
	Type     string    // the database's own type, such as "GeoIP2-Anonymous-IP"
	Built    time.Time // when its vendor built it
	Networks int       // how many networks carry a flag

	table *bart.Table[Flags]
}

// ErrNoFlags is wrapped when a database holds no anonymous-IP flag at all: it is
// then a database of another kind, and using it would mean to check nothing.
var ErrNoFlags = errors.New("the database holds no anonymous-IP flags")

// anonymousRecord is the union of what GeoIP2 Anonymous IP, GeoIP Anonymous Plus
// and the traits of GeoIP2 Enterprise and GeoLite2 say about an address.
type anonymousRecord struct {
	anonymousFlags
	Traits anonymousFlags `maxminddb:"traits"`
}

type anonymousFlags struct {
	Anonymous   bool `maxminddb:"is_anonymous"`
	VPN         bool `maxminddb:"is_anonymous_vpn"`
	Hosting     bool `maxminddb:"is_hosting_provider"`
	PublicProxy bool `maxminddb:"is_public_proxy"`
	Proxy       bool `maxminddb:"is_anonymous_proxy"`
	Residential bool `maxminddb:"is_residential_proxy"`
	Tor         bool `maxminddb:"is_tor_exit_node"`
}

func (a anonymousFlags) flags() Flags {
	var f Flags
	for c, on := range map[Category]bool{
		Tor: a.Tor, AnonymousProxy: a.PublicProxy || a.Proxy, VPN: a.VPN,
		ResidentialProxy: a.Residential, Hosting: a.Hosting, Anonymous: a.Anonymous,
	} {
		if on {
			f |= flagOf(c)
		}
	}
	return f
}

// flags reads a record. "Anonymous" is true of every named kind as well; it is
// kept only where no kind is named, so that an action for one kind is not
// overruled by the action for the unnamed rest.
func (r anonymousRecord) flags() Flags {
	f := r.anonymousFlags.flags() | r.Traits.flags()
	if named := f &^ flagOf(Anonymous); named != 0 {
		return named
	}
	return f
}

// ParseAnonymous verifies an MMDB file (GeoIP2 Anonymous IP, GeoIP Anonymous
// Plus, or any database with the same flags at the top or under traits) and
// compiles it. A file that is cut or damaged anywhere is an error, and so is one
// without a single flag (ErrNoFlags): the caller keeps the database it has.
func ParseAnonymous(data []byte) (*AnonymousDB, error) {
	db, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, fmt.Errorf("opening the MMDB: %w", err)
	}
	defer db.Close()
	if err := db.Verify(); err != nil {
		return nil, fmt.Errorf("verifying the MMDB: %w", err)
	}
	out := &AnonymousDB{
		Type: db.Metadata.DatabaseType, Built: time.Unix(int64(db.Metadata.BuildEpoch), 0).UTC(),
		table: new(bart.Table[Flags]),
	}
	known := map[uintptr]Flags{} // networks share records
	// A tree has one leaf more than nodes. A damaged one whose branches meet again
	// has leaves without number, and walking it would never end.
	leaves := 2 * (uint(db.Metadata.NodeCount) + 1)
	for result := range db.Networks(maxminddb.IncludeNetworksWithoutData()) {
		if err := result.Err(); err != nil {
			return nil, fmt.Errorf("walking the MMDB: %w", err)
		}
		if leaves--; leaves == 0 {
			return nil, errors.New("walking the MMDB: it has more networks than its tree can hold")
		}
		if !result.Found() {
			continue
		}
		flags, ok := known[result.Offset()]
		if !ok {
			var rec anonymousRecord
			if err := result.Decode(&rec); err != nil {
				return nil, fmt.Errorf("decoding the MMDB record of %s: %w", result.Prefix(), err)
			}
			flags = rec.flags()
			known[result.Offset()] = flags
		}
		if flags != 0 {
			out.table.Insert(result.Prefix(), flags)
			out.Networks++
		}
	}
	if out.Networks == 0 {
		return nil, fmt.Errorf("%w: its type is %.60q; use GeoIP2 Anonymous IP or GeoIP Anonymous Plus", ErrNoFlags, out.Type)
	}
	return out, nil
}
