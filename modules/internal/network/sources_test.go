// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"bytes"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/oschwald/geoip2-golang/v2"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/network/mmdbtest"
	"github.com/crmgate/crmgate/modules/internal/watchfile"
)

var update = flag.Bool("update", false, "write testdata/mmdb anew")

const testdata = "../../../testdata"

func data(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{testdata}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func build(t testing.TB, o mmdbtest.Options, ns ...mmdbtest.Network) []byte {
	t.Helper()
	b, err := mmdbtest.Build(o, ns...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func nets(ss ...string) (out []netip.Prefix) {
	for _, s := range ss {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func TestDemoDatabase(t *testing.T) {
	want := build(t, mmdbtest.Options{}, mmdbtest.Demo...)
	if *update {
		if err := os.WriteFile(filepath.Join(testdata, "mmdb", "anonymous-ip.mmdb"), want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(data(t, "mmdb", "anonymous-ip.mmdb"), want) {
		t.Fatal("testdata/mmdb/anonymous-ip.mmdb is not what mmdbtest.Demo says: run with -update")
	}
}

func TestAnonymousFlags(t *testing.T) {
	cases := map[string]string{
		"127.0.9.7": "tor", "127.0.10.7": "anonymous_proxy", "127.0.11.7": "hosting", "127.0.12.7": "vpn",
		"127.0.13.7": "residential_proxy", "127.0.14.7": "anonymous", "127.0.15.7": "vpn,hosting",
		"127.0.15.128": "", "127.0.8.255": "", "2001:db8:9::1": "tor", "2001:db8:a::1": "", "::ffff:127.0.9.7": "tor",
	}
	for name, o := range map[string]mmdbtest.Options{
		"GeoIP2-Anonymous-IP": {}, "GeoIP-Anonymous-Plus": {Type: "GeoIP-Anonymous-Plus"}, "traits": {Type: "GeoLite2-City", Traits: true},
	} {
		db, err := ParseAnonymous(build(t, o, mmdbtest.Demo...))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if db.Networks != len(mmdbtest.Demo) || db.Built.Year() != 2026 {
			t.Errorf("%s: %d networks built %v", name, db.Networks, db.Built)
		}
		r := NewReputation(db, nil)
		for addr, want := range cases {
			if got := r.Lookup(ip(addr)).String(); got != want {
				t.Errorf("%s: %s is %q, want %q", name, addr, got, want)
			}
		}
	}
	if f := (*Reputation)(nil).Lookup(ip("127.0.9.7")); f != 0 {
		t.Errorf("without sources nothing is known, got %v", f)
	}
}

// The reader of another project is the oracle for the compiled table.
func TestAgreesWithTheReader(t *testing.T) {
	raw := data(t, "mmdb", "anonymous-ip.mmdb")
	reader, err := geoip2.OpenBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	db, err := ParseAnonymous(raw)
	if err != nil {
		t.Fatal(err)
	}
	r := NewReputation(db, nil)
	for a := ip("127.0.8.250"); a.Less(ip("127.0.16.9")); a = a.Next() {
		rec, err := reader.AnonymousIP(a)
		if err != nil {
			t.Fatal(err)
		}
		var want Flags
		for c, on := range map[Category]bool{
			Tor: rec.IsTorExitNode, AnonymousProxy: rec.IsPublicProxy, VPN: rec.IsAnonymousVPN,
			ResidentialProxy: rec.IsResidentialProxy, Hosting: rec.IsHostingProvider,
		} {
			if on {
				want |= FlagsOf(c)
			}
		}
		if want == 0 && rec.IsAnonymous {
			want = FlagsOf(Anonymous)
		}
		if got := r.Lookup(a); got != want {
			t.Fatalf("%s is %q, the reader says %q", a, got, want)
		}
	}
}

func TestDamagedDatabasesAreRefused(t *testing.T) {
	good := data(t, "mmdb", "anonymous-ip.mmdb")
	meta := bytes.Index(good, []byte("\xab\xcd\xefMaxMind.com"))
	flip := func(at int) []byte {
		b := bytes.Clone(good)
		b[at] ^= 0xff
		return b
	}
	cases := map[string][]byte{
		"empty": nil, "html": []byte("<html></html>"), "text": []byte("192.0.2.1\n"),
		"cut by half": good[:len(good)/2], "last byte gone": good[:len(good)-1], "head gone": good[meta:],
		"tree damaged": flip(3), "separator damaged": flip(bytes.Index(good, make([]byte, 16))), "metadata damaged": flip(meta + 20),
		"no flags": build(t, mmdbtest.Options{Type: "GeoLite2-Country"}, mmdbtest.Network{Prefix: "192.0.2.0/24", Flags: []string{"is_in_european_union"}}),
	}
	for name, b := range cases {
		if db, err := ParseAnonymous(b); err == nil {
			t.Errorf("%s: taken with %d networks: Tor clients would pass unseen", name, db.Networks)
		}
	}
	if _, err := ParseAnonymous(cases["no flags"]); !errors.Is(err, ErrNoFlags) {
		t.Errorf("a database of another kind must say so: %v", err)
	}
}

// meetingTree is a tree of 28 levels in which both branches of every node meet in
// the next one: few bytes, 2^28 networks.
func meetingTree(t *testing.T) []byte {
	t.Helper()
	good := build(t, mmdbtest.Options{}, mmdbtest.Network{Prefix: "8000::/29", Flags: []string{"is_tor_exit_node"}})
	for node := 1; node < 28; node++ {
		rec := good[node*7 : node*7+7] // two 28-bit records a node
		left := uint32(rec[3]>>4)<<24 | uint32(rec[0])<<16 | uint32(rec[1])<<8 | uint32(rec[2])
		rec[3] = byte(left>>24)<<4 | byte(left>>24)
		copy(rec[4:], rec[:3])
	}
	return good
}

func TestATreeThatNeverEndsIsRefused(t *testing.T) {
	begin := time.Now()
	if _, err := ParseAnonymous(meetingTree(t)); err == nil || !strings.Contains(err.Error(), "more networks") {
		t.Errorf("error %v after %v: a damaged file would keep the watcher busy for ever", err, time.Since(begin))
	}
}

func FuzzAnonymous(f *testing.F) {
	f.Add(data(f, "mmdb", "anonymous-ip.mmdb"))
	f.Add(build(f, mmdbtest.Options{Traits: true}, mmdbtest.Demo[0]))
	f.Fuzz(func(t *testing.T, b []byte) {
		if db, err := ParseAnonymous(b); err == nil && db.Networks == 0 {
			t.Fatal("a database without a flag was taken")
		}
	})
}

func TestParseTor(t *testing.T) {
	good := map[string]int{"bulk.txt": 5, "exit-addresses": 3, "exits.ipset": 3}
	for name, want := range good {
		list, err := ParseTor(name, data(t, "tor", name))
		if err != nil || len(list.Exits) != want {
			t.Errorf("%s: %d exits, error %v, want %d", name, len(list.Exits), err, want)
		}
	}
	bad := map[string]string{
		"error-page.html": "error-page.html:1:1:", "no-exits.txt": "no Tor exit", "garbage.txt": "garbage.txt:2:1:", "everybody.txt": "too wide",
	}
	for name, want := range bad {
		if _, err := ParseTor(name, data(t, "tor", name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one saying %q", name, err, want)
		}
	}
	for _, in := range []string{"", "ExitAddress 1.2.3.4\n", "ExitNode\n", "Published x\n", "1.2.3.4 5.6.7.8\n", "1.2.3.4/16\n", "::/0\n", "1.2.3.4,5.6.7.8\n"} {
		if list, err := ParseTor("t", []byte(in)); err == nil {
			t.Errorf("%q was taken as %v", in, list.Exits)
		}
	}
}

func FuzzTor(f *testing.F) {
	for _, name := range []string{"bulk.txt", "exit-addresses", "exits.ipset", "error-page.html", "garbage.txt"} {
		f.Add(data(f, "tor", name))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := ParseTor("f", b)
		if err != nil {
			return
		}
		if len(list.Exits) == 0 {
			t.Fatal("an empty list was taken")
		}
		for _, p := range list.Exits {
			if p.Masked() != p || p.Addr().Is4In6() || p.Bits() < torWidest4 {
				t.Fatalf("%v is no Tor exit", p)
			}
		}
	})
}

func TestFlagsAddUp(t *testing.T) {
	db, err := ParseAnonymous(build(t, mmdbtest.Options{},
		mmdbtest.Network{Prefix: "198.51.100.0/24", Flags: []string{"is_anonymous", "is_hosting_provider"}},
		mmdbtest.Network{Prefix: "203.0.113.64/26", Flags: []string{"is_anonymous", "is_anonymous_vpn"}},
		mmdbtest.Network{Prefix: "203.0.113.200/32", Flags: []string{"is_anonymous"}},
	))
	if err != nil {
		t.Fatal(err)
	}
	before := NewReputation(db, nil)
	r := NewReputation(db, &TorList{Exits: nets("203.0.113.0/24", "198.51.100.7/32", "203.0.113.65/32")})
	for addr, want := range map[string]string{
		"198.51.100.7": "tor,hosting", "198.51.100.8": "hosting", "203.0.113.1": "tor", "203.0.113.64": "tor,vpn",
		"203.0.113.65": "tor,vpn", "203.0.113.200": "tor", "192.0.2.1": "",
	} {
		if got := r.Lookup(ip(addr)).String(); got != want {
			t.Errorf("%s is %q, want %q", addr, got, want)
		}
	}
	if got := before.Lookup(ip("198.51.100.7")).String(); got != "hosting" {
		t.Errorf("merging a Tor list changed a snapshot in use: %q", got)
	}
}

func TestSourcesKeepWhatIsGood(t *testing.T) {
	dir := t.TempDir()
	mmdb, tor := filepath.Join(dir, "a.mmdb"), filepath.Join(dir, "tor.txt")
	write := func(path string, b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := SourcesConfig{AnonymousIP: mmdb, TorExits: tor, Clock: clock.NewFake(time.Now())}
	if _, err := OpenSources(c); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("the gate would start without its database: %v", err)
	}
	write(mmdb, data(t, "mmdb", "anonymous-ip.mmdb"))
	write(tor, data(t, "tor", "error-page.html"))
	if _, err := OpenSources(c); !errors.Is(err, watchfile.ErrHTML) {
		t.Fatalf("the gate would start with an error page for a list: %v", err)
	}
	write(tor, data(t, "tor", "bulk.txt"))
	e := NewEngine(nil, nil)
	c.Swapped = e.SetReputation
	s, err := OpenSources(c)
	if err != nil {
		t.Fatal(err)
	}
	e.SetReputation(s.Reputation())
	want := func(addr, flags string) {
		t.Helper()
		if got := e.Lookup(ip(addr)).String(); got != flags {
			t.Fatalf("%s is %q, want %q", addr, got, flags)
		}
	}
	want("192.0.2.17", "tor")
	want("127.0.10.1", "anonymous_proxy")

	for name, b := range map[string][]byte{
		"empty": nil, "html": data(t, "tor", "error-page.html"), "garbage": data(t, "tor", "garbage.txt"),
		"cut": []byte("127.0.9.7\n192.0.2.1"),
	} {
		write(tor, b)
		if err := s.Refresh(); err == nil {
			t.Errorf("%s: nobody would hear that the Tor list is bad", name)
		}
		want("192.0.2.17", "tor")
	}
	good := data(t, "mmdb", "anonymous-ip.mmdb")
	write(mmdb, good[:len(good)-9])
	write(tor, []byte("192.0.2.200\n"))
	if err := s.Refresh(); err == nil || !strings.Contains(err.Error(), mmdb) || strings.Contains(err.Error(), tor) {
		t.Errorf("one bad file of two: error %v, want one about the database alone", err)
	}
	want("192.0.2.200", "tor")
	want("192.0.2.17", "")
	want("127.0.10.1", "anonymous_proxy")
	if st := s.Status(); len(st) != 2 || st[0].LastError == nil || st[1].LastError != nil {
		t.Errorf("status %+v does not tell the bad file from the good one", st)
	}
}

func TestAShrunkenTorListIsRefused(t *testing.T) {
	list := func(n int, ended bool) *TorList {
		return &TorList{Exits: make([]netip.Prefix, n), ended: ended}
	}
	cases := map[string]struct {
		old, new *TorList
		refused  bool
	}{
		"grown": {list(1000, true), list(1200, true), false}, "a little smaller": {list(1000, true), list(251, true), false},
		"cut": {list(1000, true), list(249, true), true}, "small lists may change": {list(30, true), list(1, true), false},
		"last line cut": {list(1000, true), list(999, false), true}, "never ended": {list(9, false), list(9, false), false},
	}
	for name, c := range cases {
		if err := acceptTor(c.old, c.new); (err != nil) != c.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}
