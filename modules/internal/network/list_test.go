// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestParseClient(t *testing.T) {
	good := map[string]string{
		"203.0.113.7": "203.0.113.7", "::ffff:203.0.113.7": "203.0.113.7", "::FFFF:cb00:7107": "203.0.113.7",
		"2001:DB8::1": "2001:db8::1", "127.0.0.1": "127.0.0.1", "::1": "::1",
	}
	for in, want := range good {
		if ip, err := ParseClient(in); err != nil || ip.String() != want {
			t.Errorf("ParseClient(%q) = %v, %v, want %s: an honest client would be locked out", in, ip, err, want)
		}
	}
	bad := []string{
		"", " ", "unknown", "203.0.113.7:443", "[2001:db8::1]", "203.0.113.07", "203.0.113", "0x7f.1",
		"fe80::1%eth0", "0.0.0.0", "::", "::ffff:0.0.0.0", "203.0.113.7, 10.0.0.1", strings.Repeat("9", 5000),
	}
	for _, in := range bad {
		if ip, err := ParseClient(in); !errors.Is(err, ErrClient) || ip.IsValid() {
			t.Errorf("ParseClient(%.40q) = %v, %v: a request without a known address would pass", in, ip, err)
		} else if len(err.Error()) > 200 {
			t.Errorf("the error for %.20q carries %d bytes of what a client sent", in, len(err.Error()))
		}
	}
}

func TestParseList(t *testing.T) {
	list, err := ParseList("office.txt", []byte("\ufeff# offices\r\n203.0.113.7, 203.0.113.9 # head office\r\n\n"+
		"  2001:db8:40::/48\t# branch # two\n10.0.0.0/8\n::ffff:192.0.2.0/120,::ffff:192.0.2.9\n0.0.0.0/0"))
	if err != nil {
		t.Fatal(err)
	}
	p := netip.MustParsePrefix
	want := []Entry{
		{p("203.0.113.7/32"), "head office", 2},
		{p("203.0.113.9/32"), "head office", 2},
		{p("2001:db8:40::/48"), "branch # two", 4},
		{p("10.0.0.0/8"), "", 5},
		{p("192.0.2.0/24"), "", 6},
		{p("192.0.2.9/32"), "", 6},
		{p("0.0.0.0/0"), "", 7},
	}
	if d := cmp.Diff(want, list, cmpopts.EquateComparable(netip.Prefix{})); d != "" {
		t.Fatalf("the office list lost or changed entries (-want +got):\n%s", d)
	}
	for _, empty := range []string{"", "\n\n", "# nothing\n"} {
		if list, err := ParseList("x", []byte(empty)); err != nil || len(list) != 0 {
			t.Errorf("an empty list must be empty, not an error: %v, %v", list, err)
		}
	}
}

func TestListErrorsSayWhereAndHowToMend(t *testing.T) {
	cases := map[string]struct{ in, at, mend string }{
		"host bits":         {"10.0.0.0/8\n203.0.113.7/24", "l:2:1:", "write 203.0.113.0/24"},
		"host bits, second": {"10.0.0.0/8,  203.0.113.7/24", "l:1:14:", "or 203.0.113.7 for"},
		"host bits, IPv6":   {"2001:db8::1/32", "l:1:1:", "write 2001:db8::/32"},
		"zone":              {"fe80::1%eth0", "l:1:1:", "without the part from %"},
		"zone in network":   {"fe80::%eth0/64", "l:1:1:", "without the part from %"},
		"range":             {"10.0.0.1-10.0.0.9", "l:1:1:", "CIDR"},
		"name":              {"  office.example.com", "l:1:3:", "neither an IP address"},
		"two commas":        {"10.0.0.1,,10.0.0.2", "l:1:10:", "remove the comma"},
		"comma at the end":  {"10.0.0.1,", "l:1:10:", "remove the comma"},
		"spaces for commas": {"10.0.0.1 10.0.0.2", "l:1:1:", "neither"},
		"leading zero":      {"010.0.0.1", "l:1:1:", "neither"},
		"mask in dots":      {"10.0.0.0/255.0.0.0", "l:1:1:", "CIDR"},
		"bits too many":     {"10.0.0.0/33", "l:1:1:", "CIDR"},
		"mixed families":    {"::ffff:0.0.0.0/95", "l:1:1:", "IPv4"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			list, err := ParseList("l", []byte(c.in))
			var se *SyntaxError
			if list != nil || !errors.As(err, &se) {
				t.Fatalf("%q was taken as %v, %v: an admin's slip would open or close the wrong door", c.in, list, err)
			}
			if msg := err.Error(); !strings.HasPrefix(msg, c.at) || !strings.Contains(msg, c.mend) || strings.Contains(msg, "\n") {
				t.Errorf("error %q does not start with %q and say %q on one line", msg, c.at, c.mend)
			}
		})
	}
	_, err := ParseList("l", []byte(strings.Repeat("bad, worse\n", 1000)))
	if n := len(strings.Split(err.Error(), "\n")); n != maxListErrors {
		t.Errorf("%d errors told, want %d: every one up to there, and no flood", n, maxListErrors)
	}
}

func FuzzList(f *testing.F) {
	for _, s := range []string{"", "203.0.113.7, 10.0.0.0/8 # x\n", "::ffff:1.2.3.4/128", "fe80::1%a", "1.2.3.4/0", ",", "\ufeff#", "1.1.1.1\r\n2.2.2.2\r"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ParseList("f", data)
		if err != nil {
			if list != nil {
				t.Fatal("a list with an error must yield nothing")
			}
			return
		}
		var again strings.Builder
		for _, e := range list {
			if !e.Prefix.IsValid() || e.Prefix.Masked() != e.Prefix || e.Prefix.Addr().Is4In6() || e.Prefix.Addr().Zone() != "" {
				t.Fatalf("entry %v is not canonical: a client on it would not be recognised", e.Prefix)
			}
			again.WriteString(e.Prefix.String() + "\n")
		}
		back, err := ParseList("again", []byte(again.String()))
		if err != nil || len(back) != len(list) {
			t.Fatalf("the list as written back has %d of %d entries: %v", len(back), len(list), err)
		}
	})
}
