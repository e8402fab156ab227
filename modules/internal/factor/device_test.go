// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/records"
)

// trust grants a device to ada and returns the cookie.
func (w *world) trust(secret string) string {
	w.Helper()
	cookie, expires, err := w.GrantDevice(w.Context(), w.finished(w.ada, secret), firefox, office, "my laptop")
	w.ok("granting", err)
	if want := w.clk.Now().Add(30 * 24 * time.Hour); expires.After(want) || expires.Before(want.Add(-time.Hour)) {
		w.Errorf("the device is trusted until %v", expires)
	}
	return cookie
}

func (w *world) trusted(cookie, agent string, ip netip.Addr) bool {
	w.Helper()
	ok, err := w.TrustedDevice(w.Context(), "ada", cookie, agent, ip)
	w.ok("asking", err)
	return ok
}

func TestATrustedDevice(t *testing.T) {
	w := newWorld(t)
	cookie := w.trust(w.totp(w.ada))
	if !w.trusted(cookie, firefox, office) {
		t.Fatal("the device is not trusted")
	}
	for name, ok := range map[string]bool{
		"a browser update":      w.trusted(cookie, strings.ReplaceAll(firefox, "132.0", "133.0.1"), office),
		"a system update":       w.trusted(cookie, strings.ReplaceAll(firefox, "10.0", "11.0"), office),
		"another desk":          w.trusted(cookie, firefox, netip.MustParseAddr("203.0.113.200")),
		"IPv4 in IPv6 notation": w.trusted(cookie, firefox, netip.MustParseAddr("::ffff:203.0.113.7")),
	} {
		if !ok {
			t.Errorf("%s ended the trust: people are asked every day", name)
		}
	}
	for name, ok := range map[string]bool{
		"another browser":   w.trusted(cookie, chrome, office),
		"no browser":        w.trusted(cookie, "", office),
		"another network":   w.trusted(cookie, firefox, netip.MustParseAddr("203.0.114.7")),
		"another family":    w.trusted(cookie, firefox, netip.MustParseAddr("2001:db8::7")),
		"no address":        w.trusted(cookie, firefox, netip.Addr{}),
		"no cookie":         w.trusted("", firefox, office),
		"another secret":    w.trusted(cookie[:23]+strings.Repeat("A", 43), firefox, office),
		"the id alone":      w.trusted(cookie[:22], firefox, office),
		"the id of another": w.trusted(strings.Repeat("A", 22)+cookie[22:], firefox, office),
		"more after it":     w.trusted(cookie+".x", firefox, office),
	} {
		if ok {
			t.Errorf("%s is trusted", name)
		}
	}
	if ok, err := w.TrustedDevice(t.Context(), "bob", cookie, firefox, office); ok || err != nil {
		t.Errorf("ada's device is trusted for bob: %v", err)
	}
	c, err := w.records.Credential(t.Context(), "ada", devicePrefix+cookie[:22])
	w.ok("reading the row", err)
	if bytes.Contains(c.Secret, []byte(cookie[23:])) {
		t.Error("the records hold the cookie")
	}
	c.PersonID = "bob"
	w.ok("copying the row", w.records.PutCredential(t.Context(), c))
	if ok, _ := w.TrustedDevice(t.Context(), "bob", cookie, firefox, office); ok {
		t.Error("a row copied to bob's name is trusted for bob")
	}
	list, err := w.Devices(t.Context(), "ada")
	w.ok("listing", err)
	if len(list) != 1 || list[0].Label != "my laptop" || list[0].Agent != "Firefox on Windows" || list[0].IP != "203.0.113.7" || list[0].Used.IsZero() {
		t.Errorf("the list shows %+v", list)
	}
}

func TestTrustEnds(t *testing.T) {
	for name, end := range map[string]func(w *world, id string) error{
		"with its days": func(w *world, _ string) error { w.clk.Advance(30 * 24 * time.Hour); return nil },
		"when the days are fewer": func(w *world, _ string) error {
			w.settings.Device.Days = 7
			w.clk.Advance(8 * 24 * time.Hour)
			return nil
		},
		"when it is switched off":   func(w *world, _ string) error { w.settings.Device.Days = 0; return nil },
		"when the settings are bad": func(w *world, _ string) error { w.settings.Device.Days = 31; return nil },
		"when it is bound tighter":  func(w *world, _ string) error { w.settings.Device.IPv4Prefix = 32; return nil },
		"with the password": func(w *world, _ string) error {
			return w.records.PutCredential(w.Context(), records.Credential{PersonID: "ada", Kind: "password", Secret: []byte("$argon2id$new")})
		},
		"when the password is taken away": func(w *world, _ string) error { return w.records.DeleteCredential(w.Context(), "ada", "password") },
		"when a factor is added":          func(w *world, _ string) error { w.mailFactor(w.ada); return nil },
		"when a factor is removed":        func(w *world, _ string) error { return w.Remove(w.Context(), "ada", TOTP) },
		"with new recovery codes":         func(w *world, _ string) error { _, err := w.NewRecoveryCodes(w.Context(), "ada"); return err },
		"with another phone number":       func(w *world, _ string) error { return w.SetPhone(w.Context(), "ada", "+441632960961") },
		"at a reset":                      func(w *world, _ string) error { return w.Reset(w.Context(), "ada") },
		"at a lock":                       func(w *world, _ string) error { _, err := w.EndDevices(w.Context(), "ada"); return err },
		"when it is revoked":              func(w *world, id string) error { return w.RevokeDevice(w.Context(), "ada", id) },
		"when its row is damaged": func(w *world, id string) error {
			return w.records.PutCredential(w.Context(), records.Credential{PersonID: "ada", Kind: devicePrefix + id, Secret: []byte("junk")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.ok("setting a password", w.records.PutCredential(t.Context(), records.Credential{PersonID: "ada", Kind: "password", Secret: []byte("$argon2id$old")}))
			cookie := w.trust(w.totp(w.ada))
			if !w.trusted(cookie, firefox, office) {
				t.Fatal("the device is not trusted to begin with")
			}
			w.ok("ending", end(w, cookie[:22]))
			if w.trusted(cookie, firefox, office) {
				t.Errorf("trust does not end %s: a thief with the laptop goes on", name)
			}
			list, err := w.Devices(t.Context(), "ada")
			if w.ok("listing", err); len(list) != 0 && !strings.Contains(name, "tighter") {
				t.Errorf("the list shows %+v", list)
			}
		})
	}
}

func TestProvingAFactorDoesNotEndTrust(t *testing.T) {
	w := newWorld(t)
	secret := w.totp(w.ada)
	codes, err := w.NewRecoveryCodes(t.Context(), "ada")
	w.ok("drawing codes", err)
	cookie := w.trust(secret)
	w.finished(w.ada, secret)
	_, err = w.Prove(t.Context(), w.begin(w.ada, DueSecondFactor), Proof{Kind: Recovery, Code: codes[0]})
	w.ok("using a recovery code", err)
	if !w.trusted(cookie, firefox, office) {
		t.Error("signing in elsewhere ended the trust in this device")
	}
}

func TestTrustIsGrantedOnlyAfterASecondFactor(t *testing.T) {
	w := newWorld(t)
	secret := w.totp(w.ada)
	codes, err := w.NewRecoveryCodes(t.Context(), "ada")
	w.ok("drawing codes", err)
	grant := func(p Pending) error {
		_, _, err := w.GrantDevice(t.Context(), p, firefox, office, "")
		return err
	}
	h := w.begin(w.ada, DueChange)
	_, err = w.Pass(t.Context(), h, DueChange)
	w.ok("changing the password", err)
	done, err := w.Finish(t.Context(), h)
	w.ok("finishing", err)
	w.is("after a changed password", grant(done), ErrNotDue)
	h = w.begin(w.ada, DueSecondFactor)
	_, err = w.Prove(t.Context(), h, Proof{Kind: Recovery, Code: codes[0]})
	w.ok("using a recovery code", err)
	done, err = w.Finish(t.Context(), h)
	w.ok("finishing", err)
	w.is("after a recovery code", grant(done), ErrNotDue)
	h = w.begin(w.ada, DueSecondFactor)
	p, err := w.Prove(t.Context(), h, Proof{Kind: TOTP, Code: w.code(secret)})
	w.ok("proving", err)
	w.is("before the sign-in is finished", grant(p), ErrNotDue)
	w.is("for a sign-in nobody made", grant(Pending{PersonID: "ada", Purpose: SignIn, Factor: TOTP}), ErrNotDue)
	done, err = w.Finish(t.Context(), h)
	w.ok("finishing", err)
	w.settings.Device.Days = 0
	w.is("when it is switched off", grant(done), ErrKind)
}

func TestTenDevicesAndTheOldestGoes(t *testing.T) {
	w := newWorld(t)
	secret := w.totp(w.ada)
	var cookies []string
	for range MaxDevices + 1 {
		cookies = append(cookies, w.trust(secret))
	}
	if w.trusted(cookies[0], firefox, office) || !w.trusted(cookies[1], firefox, office) || !w.trusted(cookies[MaxDevices], firefox, office) {
		t.Error("not the oldest device went")
	}
	list, err := w.Devices(t.Context(), "ada")
	if w.ok("listing", err); len(list) != MaxDevices || list[0].ID != cookies[MaxDevices][:22] {
		t.Errorf("%d devices are listed, the first %s", len(list), list[0].ID)
	}
	w.ok("renaming", w.RenameDevice(t.Context(), "ada", list[0].ID, "  at\x00 home\n"))
	w.is("renaming another's", w.RenameDevice(t.Context(), "bob", list[0].ID, "x"), ErrGone)
	w.is("revoking another's", w.RevokeDevice(t.Context(), "bob", list[0].ID), ErrGone)
	w.is("revoking something else", w.RevokeDevice(t.Context(), "ada", "../totp"), ErrGone)
	w.ok("revoking", w.RevokeDevice(t.Context(), "ada", list[1].ID))
	w.is("revoking again", w.RevokeDevice(t.Context(), "ada", list[1].ID), ErrGone)
	list, err = w.Devices(t.Context(), "ada")
	if w.ok("listing", err); len(list) != MaxDevices-1 || list[0].Label != "at home" {
		t.Errorf("%d devices are listed, the first %q", len(list), list[0].Label)
	}
	if !w.trusted(cookies[MaxDevices], firefox, office) {
		t.Error("a new name ended the trust")
	}
}

func TestNetworksADeviceIsBoundTo(t *testing.T) {
	s := DeviceSettings{IPv4Prefix: 24, IPv6Prefix: 56}
	off := DeviceSettings{}
	for _, c := range []struct {
		s        DeviceSettings
		ip, want string
	}{
		{s, "203.0.113.7", "203.0.113.0/24"},
		{s, "::ffff:203.0.113.7", "203.0.113.0/24"},
		{s, "2001:db8:1:2ff::1", "2001:db8:1:200::/56"},
		{s, "fe80::1%eth0", "fe80::/56"},
		{off, "203.0.113.7", ""},
		{off, "2001:db8::1", ""},
	} {
		if got, err := c.s.network(netip.MustParseAddr(c.ip)); err != nil || got != c.want {
			t.Errorf("%s is bound to %q (%v), want %q", c.ip, got, err, c.want)
		}
	}
}

func TestAgentFamily(t *testing.T) {
	same := [][2]string{
		{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Safari/605.1.15", "Mozilla/5.0 (Macintosh; Intel Mac OS X 11_0) AppleWebKit/606 (KHTML, like Gecko) Version/18.0.1 Safari/606"},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/16A5288q Safari/604.1"},
	}
	for _, c := range same {
		if agentFamily(c[0]) != agentFamily(c[1]) {
			t.Errorf("an update makes %q of %q", agentFamily(c[1]), agentFamily(c[0]))
		}
	}
	if agentFamily(firefox) == agentFamily(chrome) || agentFamily(chrome) == agentFamily(strings.ReplaceAll(chrome, "Linux", "Windows")) {
		t.Error("another browser or system looks the same")
	}
	for agent, want := range map[string]string{
		firefox: "Firefox on Windows", chrome: "Chrome on Linux", "": "Unknown device", "curl/8.1": "Unknown device",
		same[0][0]: "Safari on macOS", same[1][0]: "Safari on iPhone", chrome + " Edg/131.0": "Edge on Linux",
	} {
		if got := AgentName(agent); got != want {
			t.Errorf("%q is called %q, want %q", agent, got, want)
		}
	}
}

func TestSettingsOutOfRange(t *testing.T) {
	for i, change := range []func(*Settings){
		func(s *Settings) { s.CodeLifetime = time.Hour },
		func(s *Settings) { s.CodeLifetime = 0 },
		func(s *Settings) { s.ResendGap = 0 },
		func(s *Settings) { s.Tries = 0 },
		func(s *Settings) { s.Tries = 11 },
		func(s *Settings) { s.Device.Days = 1 },
		func(s *Settings) { s.Device.Days = -7 },
		func(s *Settings) { s.Device.IPv4Prefix = 33 },
		func(s *Settings) { s.Device.IPv6Prefix = -1 },
	} {
		s := DefaultSettings()
		change(&s)
		if s.Check() == nil {
			t.Errorf("settings %d, %s, are taken", i, fmt.Sprintf("%+v", s))
		}
	}
	if err := DefaultSettings().Check(); err != nil {
		t.Error(err)
	}
}
