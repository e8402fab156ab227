// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/crmgate/crmgate/modules/internal/network/mmdbtest"
)

// known is a reputation with the demo database.
func known(t testing.TB) *Reputation {
	t.Helper()
	db, err := ParseAnonymous(build(t, mmdbtest.Options{}, mmdbtest.Demo...))
	if err != nil {
		t.Fatal(err)
	}
	return NewReputation(db, nil)
}

func rules(t testing.TB, c RulesConfig) *Rules {
	t.Helper()
	r, err := NewRules(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func lists(account, api string) RulesConfig {
	c := DefaultRules()
	if account != "" {
		c.Account = nets(strings.Split(account, " ")...)
	}
	if api != "" {
		c.API = nets(strings.Split(api, " ")...)
	}
	return c
}

func TestAllowLists(t *testing.T) {
	web := func(a string) Client { return Client{IP: ip(a)} }
	api := func(a string) Client { return Client{IP: ip(a), API: true} }
	person := func(a, role, email string) Client { return Client{IP: ip(a), Role: role, Email: email} }
	full := lists("192.0.2.0/24 2001:db8:40::/48", "198.51.100.0/24")
	full.Roles = map[string][]netip.Prefix{"sales_user": nets("192.0.2.0/25"), "administrator": {}}
	full.Users = map[string][]netip.Prefix{"Mona@Example.com ": nets("192.0.2.7/32"), "free@example.com": nil}
	cases := []struct {
		name  string
		rules RulesConfig
		c     Client
		want  Level // "" for allowed
	}{
		{"no lists restrict nobody", DefaultRules(), web("203.0.113.1"), ""},
		{"no lists, API", DefaultRules(), api("203.0.113.1"), ""},
		{"on the account list", full, web("192.0.2.200"), ""},
		{"on the account list, IPv6", full, web("2001:db8:40::9"), ""},
		{"on the account list in IPv6 clothes", full, web("::ffff:192.0.2.200"), ""},
		{"off the account list", full, web("203.0.113.1"), LevelAccount},
		{"off the account list, IPv6", full, web("2001:db8:41::9"), LevelAccount},
		{"API list replaces the account list", full, api("198.51.100.9"), ""},
		{"API call from the office", full, api("192.0.2.200"), LevelAPI},
		{"web request from the API network", full, web("198.51.100.9"), LevelAccount},
		{"an empty API list leaves the account list", lists("192.0.2.0/24", ""), api("203.0.113.1"), LevelAccount},
		{"API list alone, web is open", lists("", "198.51.100.0/24"), web("203.0.113.1"), ""},
		{"API list alone", lists("", "198.51.100.0/24"), api("203.0.113.1"), LevelAPI},
		{"role list narrows", full, person("192.0.2.200", "sales_user", "a@example.com"), LevelRole},
		{"role list holds", full, person("192.0.2.100", "sales_user", "a@example.com"), ""},
		{"role list does not widen", full, person("203.0.113.1", "sales_user", "a@example.com"), LevelAccount},
		{"empty role list", full, person("192.0.2.200", "administrator", "a@example.com"), ""},
		{"role without list", full, person("192.0.2.200", "marketing_user", ""), ""},
		{"own list narrows, folded", full, person("192.0.2.8", "sales_user", "MONA@example.COM"), LevelUser},
		{"own list holds", full, person("192.0.2.7", "sales_user", "mona@example.com"), ""},
		{"own list is behind the role's", full, person("192.0.2.200", "sales_user", "mona@example.com"), LevelRole},
		{"empty own list", full, person("192.0.2.200", "", "free@example.com"), ""},
		{"no address", full, Client{}, LevelClient},
		{"no address, no lists", DefaultRules(), Client{}, LevelClient},
		{"unspecified address", DefaultRules(), web("::ffff:0.0.0.0"), LevelClient},
		{"zone", DefaultRules(), web("fe80::1%eth0"), LevelClient},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := NewEngine(rules(t, c.rules), nil).Check(c.c)
			if v.Allowed != (c.want == "") || v.Level != c.want || (v.Detail == "") != v.Allowed {
				t.Errorf("got %+v, want level %q", v, c.want)
			}
		})
	}
}

func TestSecondPhaseAlone(t *testing.T) {
	c := lists("192.0.2.0/24", "")
	c.Roles = map[string][]netip.Prefix{"sales_user": nets("192.0.2.0/25")}
	e := NewEngine(rules(t, c), nil)
	for addr, want := range map[string]Level{"192.0.2.1": "", "192.0.2.200": LevelRole, "::ffff:192.0.2.1": ""} {
		if v := e.CheckPerson(Client{IP: ip(addr), Role: "sales_user"}); v.Level != want || v.Allowed != (want == "") {
			t.Errorf("%s: %+v, want level %q", addr, v, want)
		}
	}
	if v := e.CheckPerson(Client{Role: "sales_user"}); v.Allowed || v.Level != LevelClient {
		t.Errorf("a client without an address passed the second phase: %+v", v)
	}
}

func TestReputation(t *testing.T) {
	with := func(account string, wins bool, actions map[Category]Action) RulesConfig {
		c := lists(account, "")
		c.AllowListWins, c.Reputation = wins, actions
		return c
	}
	request := func(a string) Client { return Client{IP: ip(a)} }
	signIn := func(a string) Client { return Client{IP: ip(a), SignIn: true} }
	api := func(a string) Client { return Client{IP: ip(a), API: true} }
	deny := func(c Category) Verdict {
		return Verdict{Level: LevelReputation, Category: c, Detail: reputationDetail[c]}
	}
	pass := func(c Category) Verdict { return Verdict{Allowed: true, Category: c, Report: c != ""} }
	defaults := DefaultRules()
	cases := []struct {
		name  string
		rules RulesConfig
		c     Client
		want  Verdict
	}{
		{"sign-in from Tor", defaults, signIn("127.0.9.7"), deny(Tor)},
		{"sign-in from Tor, IPv6", defaults, signIn("2001:db8:9::1"), deny(Tor)},
		{"sign-in from Tor by 6to4", defaults, signIn("2002:7f00:907:1::1"), deny(Tor)},
		{"sign-in from Tor by NAT64", defaults, signIn("64:ff9b::7f00:907"), deny(Tor)},
		{"sign-in from Tor by Teredo", defaults, signIn("2001:0:4136:e378:8000:63bf:80ff:f6f8"), deny(Tor)},
		{"sign-in from elsewhere by 6to4", defaults, signIn("2002:c000:201::7f00:907"), pass("")},
		{"sign-in from beside NAT64", defaults, signIn("64:ff9b:0:1::7f00:907"), pass("")},
		{"sign-in from beside Teredo", defaults, signIn("2001:1:4136:e378:8000:63bf:80ff:f6f8"), pass("")},
		{"block all, by 6to4", with("", true, map[Category]Action{Tor: BlockAll}), request("2002:7f00:907::1"), deny(Tor)},
		{
			"an allow-list of IPv4 names no tunnel", with("127.0.9.7/32", true, nil), request("2002:7f00:907::1"),
			Verdict{Level: LevelAccount, Detail: "the address is not on the account's allow-list"},
		},
		{"the allow-list wins for a tunnel that it names", with("2002:7f00:907::/48", true, nil), signIn("2002:7f00:907::1"), pass(Tor)},
		{"sign-in from a proxy", defaults, signIn("127.0.10.7"), deny(AnonymousProxy)},
		{"sign-in from hosting", defaults, signIn("127.0.11.7"), deny(Hosting)},
		{"sign-in from a VPN", defaults, signIn("127.0.12.7"), deny(VPN)},
		{"sign-in from a residential proxy", defaults, signIn("127.0.13.7"), deny(ResidentialProxy)},
		{"sign-in from something anonymous", defaults, signIn("127.0.14.7"), deny(Anonymous)},
		{"sign-in from elsewhere", defaults, signIn("192.0.2.1"), pass("")},
		{"a session that goes on over Tor", defaults, request("127.0.9.7"), pass(Tor)},
		{"an API call from hosting", defaults, api("127.0.11.7"), pass(Hosting)},
		{"block all", with("", true, map[Category]Action{Tor: BlockAll}), request("127.0.9.7"), deny(Tor)},
		{"block all, API", with("", true, map[Category]Action{Tor: BlockAll}), api("127.0.9.7"), deny(Tor)},
		{"block all, another category", with("", true, map[Category]Action{Tor: BlockAll}), request("127.0.10.7"), pass(AnonymousProxy)},
		{"report", with("", true, map[Category]Action{Hosting: Report}), signIn("127.0.11.7"), pass(Hosting)},
		{"the strictest of two", with("", true, map[Category]Action{Hosting: BlockAll, VPN: Report}), request("127.0.15.7"), deny(Hosting)},
		{"the unnamed rest does not overrule a name", with("", true, map[Category]Action{VPN: Report}), signIn("127.0.12.7"), pass(VPN)},
		{"the allow-list wins", with("127.0.9.7/32", true, nil), signIn("127.0.9.7"), pass(Tor)},
		{"the allow-list wins over block all", with("127.0.9.7/32", true, map[Category]Action{Tor: BlockAll}), request("127.0.9.7"), pass(Tor)},
		{"the allow-list does not win", with("127.0.9.7/32", false, nil), signIn("127.0.9.7"), deny(Tor)},
		{"everybody is not a name", with("0.0.0.0/0 ::/0", true, nil), signIn("127.0.9.7"), deny(Tor)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rep := known(t)
			c.want.Flags = rep.Lookup(c.c.IP)
			if d := cmp.Diff(c.want, NewEngine(rules(t, c.rules), rep).Check(c.c)); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	t.Run("a person's own list does not make good a reputation", func(t *testing.T) {
		c := DefaultRules()
		c.Users = map[string][]netip.Prefix{"a@example.com": nets("127.0.9.7/32")}
		if v := NewEngine(rules(t, c), known(t)).Check(Client{IP: ip("127.0.9.7"), SignIn: true, Email: "a@example.com"}); v.Level != LevelReputation {
			t.Errorf("got %+v", v)
		}
	})
}

func TestBadRulesAreRefused(t *testing.T) {
	hostBits := netip.MustParsePrefix("192.0.2.7/24")
	cases := map[string]struct {
		c    RulesConfig
		want string
	}{
		"host bits":        {RulesConfig{Account: []netip.Prefix{hostBits}}, "write 192.0.2.0/24"},
		"host bits, role":  {RulesConfig{Roles: map[string][]netip.Prefix{"x": {hostBits}}}, `role "x"`},
		"host bits, user":  {RulesConfig{Users: map[string][]netip.Prefix{"x@y": {hostBits}}}, `"x@y"`},
		"invalid, API":     {RulesConfig{API: []netip.Prefix{{}}}, "the API allow-list"},
		"empty role":       {RulesConfig{Roles: map[string][]netip.Prefix{"": nets("192.0.2.0/24")}}, "no role"},
		"empty user":       {RulesConfig{Users: map[string][]netip.Prefix{" ": nets("192.0.2.0/24")}}, "empty"},
		"user twice":       {RulesConfig{Users: map[string][]netip.Prefix{"A@b": nil, "a@b": nets("192.0.2.0/24")}}, "there twice"},
		"unknown category": {RulesConfig{Reputation: map[Category]Action{"vnp": BlockAll}}, "tor,anonymous_proxy"},
		"unknown action":   {RulesConfig{Reputation: map[Category]Action{Tor: "blok"}}, "block_sign_in"},
		"empty action":     {RulesConfig{Reputation: map[Category]Action{Tor: ""}}, "action for tor"},
	}
	for name, c := range cases {
		if r, err := NewRules(c.c); r != nil || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, error %v, want one saying %q", name, r, err, c.want)
		}
	}
	if _, err := NewRules(RulesConfig{Account: []netip.Prefix{hostBits}, API: []netip.Prefix{{}}}); strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("every error must be told: %v", err)
	}
}

func TestNoRulesRefuseEverybody(t *testing.T) {
	for name, e := range map[string]*Engine{"zero": {}, "nil": NewEngine(nil, nil)} {
		c := Client{IP: ip("192.0.2.1")}
		if v := e.Check(c); v.Allowed || v.Level != LevelClient {
			t.Errorf("%s: an engine without rules let somebody in: %+v", name, v)
		}
		if v := e.CheckPerson(c); v.Allowed {
			t.Errorf("%s: an engine without rules let somebody through the second phase: %+v", name, v)
		}
	}
	if (Verdict{}).Allowed {
		t.Error("the zero verdict must be a refusal")
	}
}

func TestExcludes(t *testing.T) {
	c := lists("192.0.2.0/24", "198.51.100.0/24")
	c.Roles = map[string][]netip.Prefix{"administrator": nets("192.0.2.0/25")}
	r := rules(t, c)
	cases := []struct {
		c    Client
		want bool
	}{
		{Client{IP: ip("192.0.2.7")}, false},
		{Client{IP: ip("203.0.113.1")}, true},
		{Client{IP: ip("198.51.100.1"), API: true}, true}, // the web app is what he would lose
		{Client{IP: ip("192.0.2.200"), Role: "administrator"}, true},
		{Client{IP: ip("192.0.2.100"), Role: "administrator"}, false},
		{Client{}, true},
	}
	for _, x := range cases {
		if got := Excludes(r, nil, x.c); got != x.want {
			t.Errorf("Excludes(%+v) = %v: an admin would lock himself out unasked, or be asked for nothing", x.c, got)
		}
	}
	if !Excludes(rules(t, DefaultRules()), known(t), Client{IP: ip("127.0.9.7")}) {
		t.Error("an admin on Tor could no longer sign in, and nobody would ask him")
	}
	if !Excludes(nil, nil, Client{IP: ip("192.0.2.7")}) {
		t.Error("no rules at all exclude everybody")
	}
}

func TestOverlaps(t *testing.T) {
	c := lists("192.0.2.0/24", "198.51.100.0/24")
	c.Users = map[string][]netip.Prefix{"a@b": nets("10.0.0.2/32")}
	r := rules(t, c)
	for proxy, want := range map[string]string{
		"192.0.2.9/32": "the account's allow-list", "198.51.0.0/16": "the API allow-list", "10.0.0.0/8": `the allow-list of "a@b"`,
		"172.16.0.0/12": "", "::ffff:192.0.2.9/128": "the account's allow-list",
	} {
		if got := strings.Join(r.Overlaps(nets(proxy)), ","); got != want {
			t.Errorf("trusted proxy %s overlaps %q, want %q", proxy, got, want)
		}
	}
}

// naive is the oracle: every rule read in order, no table.
func naive(c RulesConfig, rep map[netip.Prefix]Flags, x Client) bool {
	holds := func(ps []netip.Prefix) bool {
		for _, p := range ps {
			if p.Contains(x.IP) {
				return true
			}
		}
		return len(ps) == 0
	}
	list := c.Account
	if x.API && len(c.API) > 0 {
		list = c.API
	}
	if !holds(list) {
		return false
	}
	var flags Flags
	for p, f := range rep {
		if p.Contains(x.IP) {
			flags |= f
		}
	}
	named := false
	for _, p := range list {
		named = named || p.Bits() > 0 && p.Contains(x.IP)
	}
	for _, cat := range Categories() {
		a, said := c.Reputation[cat]
		block := a == BlockAll || x.SignIn && (a == BlockSignIn || !said)
		if flags.Has(cat) && block && (!c.AllowListWins || !named) {
			return false
		}
	}
	return holds(c.Roles[x.Role]) && holds(c.Users[x.Email])
}

func TestAgreesWithALinearScan(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	addr := func() netip.Addr { // from a small space, so that networks nest and meet
		if rnd.IntN(3) == 0 {
			return netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 0, byte(rnd.IntN(4)), 15: byte(rnd.IntN(8))})
		}
		return netip.AddrFrom4([4]byte{192, 0, byte(rnd.IntN(4)), byte(rnd.IntN(16))})
	}
	some := func(n int) (ps []netip.Prefix) {
		for range rnd.IntN(n + 1) {
			a := addr()
			p, err := a.Prefix(rnd.IntN(a.BitLen() + 1))
			if err != nil {
				t.Fatal(err)
			}
			ps = append(ps, p)
		}
		return ps
	}
	actions := []Action{BlockSignIn, BlockAll, Report}
	allowed := 0
	for range 400 {
		c := RulesConfig{
			Account: some(6), API: some(4), AllowListWins: rnd.IntN(2) == 0, Reputation: map[Category]Action{},
			Roles: map[string][]netip.Prefix{"r": some(3)}, Users: map[string][]netip.Prefix{"u@x": some(3)},
		}
		for _, cat := range Categories()[:5] {
			if rnd.IntN(2) == 0 {
				c.Reputation[cat] = actions[rnd.IntN(3)]
			}
		}
		flat, rep := map[netip.Prefix]Flags{}, &Reputation{table: NewReputation(nil, nil).table}
		for _, p := range some(6) {
			f := Flags(1 << rnd.IntN(5))
			flat[p] |= f
			rep.table = withFlags(rep.table, p, f)
		}
		e := NewEngine(rules(t, c), rep)
		for range 100 {
			x := Client{IP: addr(), API: rnd.IntN(2) == 0, SignIn: rnd.IntN(2) == 0}
			if rnd.IntN(2) == 0 {
				x.Role, x.Email = "r", "u@x"
			}
			want := naive(c, flat, x)
			if got := e.Check(x); got.Allowed != want {
				t.Fatalf("%+v under %+v and %v: %+v, the linear scan says %v", x, c, flat, got, want)
			}
			if want {
				allowed++
			}
		}
	}
	if allowed < 4000 || allowed > 36000 {
		t.Fatalf("%d of 40000 allowed: the cases do not tell right from wrong", allowed)
	}
}

func TestSnapshotsSwapUnderLoad(t *testing.T) {
	a, b := rules(t, lists("192.0.2.0/24", "")), rules(t, lists("192.0.2.0/24 198.51.100.0/24", ""))
	e, stop := NewEngine(a, nil), make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if !e.Check(Client{IP: ip("192.0.2.9")}).Allowed || e.Check(Client{IP: ip("203.0.113.9")}).Allowed {
					t.Error("a swap of rules let the wrong one in or the right one out")
					return
				}
			}
		})
	}
	for i := range 2000 {
		e.SetRules([]*Rules{a, b}[i%2])
		e.SetReputation(&Reputation{table: NewReputation(nil, nil).table})
	}
	close(stop)
	wg.Wait()
}

// big returns rules with n entries a list, a reputation of n networks and
// clients half of which are on the list.
func big(t testing.TB, n int) (RulesConfig, *Engine, []Client) {
	rnd := rand.New(rand.NewPCG(3, 4))
	c := DefaultRules()
	db := &AnonymousDB{table: NewReputation(nil, nil).table}
	for i := range n {
		c.Account = append(c.Account, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 14), byte(i >> 6), byte(i << 2)}), 30))
		a := netip.AddrFrom4([4]byte{byte(11 + rnd.IntN(200)), byte(rnd.IntN(256)), byte(rnd.IntN(256)), 0})
		db.table.Insert(netip.PrefixFrom(a, 24), FlagsOf(Hosting))
	}
	c.Roles = map[string][]netip.Prefix{"sales_user": c.Account}
	c.Users = map[string][]netip.Prefix{"sally@example.com": c.Account}
	clients := make([]Client, 256)
	for i := range clients {
		clients[i] = Client{IP: c.Account[rnd.IntN(n)].Addr(), Role: "sales_user", Email: "sally@example.com"}
		if i%2 == 1 {
			clients[i].IP = netip.AddrFrom4([4]byte{byte(11 + rnd.IntN(200)), byte(i), 3, 4})
		}
	}
	return c, NewEngine(rules(t, c), NewReputation(db, nil)), clients
}

func TestACheckAllocatesNothing(t *testing.T) {
	_, e, clients := big(t, 1000)
	clients[0].SignIn = true
	if n := testing.AllocsPerRun(100, func() {
		for _, c := range clients {
			v := e.Check(c)
			_ = v.Flags.String()
		}
	}); n != 0 {
		t.Fatalf("%v allocations for 256 checks: every request would pay for it", n)
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000, 100_000} {
		_, e, clients := big(b, n)
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				c := clients[i&255]
				c.Role, c.Email = "", ""
				e.Check(c)
			}
		})
		b.Run(fmt.Sprintf("%d/with-person", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				e.Check(clients[i&255])
			}
		})
	}
}

func BenchmarkLinear(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		c, _, clients := big(b, n)
		b.Run(fmt.Sprintf("%d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				naive(RulesConfig{Account: c.Account, AllowListWins: true}, nil, Client{IP: clients[i&255].IP})
			}
		})
	}
}
