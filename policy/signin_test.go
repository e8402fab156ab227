// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/presets"
)

func compileSignIn(t *testing.T, src string) (*Set, error) {
	t.Helper()
	d, err := Parse("p.yaml", []byte(src))
	if err != nil {
		return nil, err
	}
	return Compile(d, smallMap(t))
}

// R020: the second factor is mandated for all, for a role, for a person; an
// authentication profile stands above them; R021: else people choose themselves.
func TestR020R021WhoHasToGiveASecondFactor(t *testing.T) {
	const profiles = "profiles: [{name: Field, users: [ravi@acme.test], second_factor: required}, {name: Desk, users: [Mona@acme.test], second_factor: off}, {name: Any, users: [lee@acme.test], second_factor: optional}]"
	for _, c := range []struct {
		name, signIn, email, role string
		want                      Mandate
	}{
		{"nobody said anything", "max_sessions: 1", "asha@acme.test", "sales_user", FactorOptional},
		{"people may not by themselves", "second_factor: {optional: false}", "asha@acme.test", "sales_user", FactorOff},
		{"the account", "second_factor: {mandate: all}", "asha@acme.test", "sales_user", FactorRequired},
		{"the role", "second_factor: {roles: [administrator], optional: false}", "asha@acme.test", "administrator", FactorRequired},
		{"another role", "second_factor: {roles: [administrator], optional: false}", "asha@acme.test", "sales_user", FactorOff},
		{"the person, in any case", "second_factor: {users: [Asha@Acme.test], optional: false}", "asha@acme.test", "sales_user", FactorRequired},
		{"a profile asks where nobody else does", profiles, "ravi@acme.test", "sales_user", FactorRequired},
		{"a profile stands above the account", "second_factor: {mandate: all}, " + profiles, "mona@acme.test", "administrator", FactorOff},
		{"a profile stands above the person", "second_factor: {users: [lee@acme.test]}, " + profiles, "lee@acme.test", "sales_user", FactorOptional},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, err := compileSignIn(t, "settings: {sign_in: {"+c.signIn+"}}")
			if err != nil {
				t.Fatal(err)
			}
			if got := set.SecondFactorFor(c.email, c.role); got != c.want {
				t.Errorf("%s (%s) is asked %q, want %q", c.email, c.role, got, c.want)
			}
		})
	}
}

// The product's newest default is offered as a preset and not taken silently.
func TestR020PresetAsksWhomTheProductAsks(t *testing.T) {
	src, err := presets.Source("second-factor")
	if err != nil {
		t.Fatal(err)
	}
	set, err := compileSignIn(t, string(src))
	if err != nil {
		t.Fatal(err)
	}
	for role, want := range map[string]Mandate{
		"administrator": FactorRequired, "super_administrator": FactorRequired, "marketing_user": FactorRequired,
		"sales_manager": FactorRequired, "sales_user": FactorOptional,
	} {
		if got := set.SecondFactorFor("x@acme.test", role); got != want {
			t.Errorf("%s: %q, want %q", role, got, want)
		}
	}
}

// R022, R023: a provider can be the only way in for all, but for those who may
// break the glass.
func TestR022R023TheProviderHoldsForAllButTheBreakGlass(t *testing.T) {
	set, err := compileSignIn(t, "settings: {sign_in: {provider: google, break_glass: [Root@acme.test]}}")
	if err != nil {
		t.Fatal(err)
	}
	for email, want := range map[string]struct {
		provider string
		glass    bool
	}{"asha@acme.test": {"google", false}, "root@ACME.test": {"", true}, "": {"google", false}} {
		if p, glass := set.ProviderFor(email); p != want.provider || glass != want.glass {
			t.Errorf("%q: %q, glass %v; want %q, %v", email, p, glass, want.provider, want.glass)
		}
	}
	if set, err = compileSignIn(t, ""); err != nil {
		t.Fatal(err)
	}
	if p, glass := set.ProviderFor("asha@acme.test"); p != "" || glass {
		t.Errorf("without a provider: %q, %v", p, glass)
	}
}

// R018, R024, R025, R029: values out of range, names nobody knows and settings
// that cannot hold together are refused with their place.
func TestSignInSettingsAreRefused(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"mandate", "settings: {sign_in: {second_factor: {mandate: some}}}", `p.yaml:1:47: unknown value "some"; use one of none`},
		{"a role nobody has", "settings: {sign_in: {second_factor: {roles: [administrater]}}}", `p.yaml:1:46: unknown role "administrater"; use one of administrator`},
		{"a method that is none", "settings: {sign_in: {second_factor: {methods: [phone]}}}", `unknown value "phone"`},
		{"no method at all", "settings: {sign_in: {second_factor: {methods: []}}}", `the list is empty`},
		{"a code for ever", "settings: {sign_in: {second_factor: {code_lifetime: 1h}}}", `the duration 1h is out of range; write 1m to 15m`},
		{"no resending in time", "settings: {sign_in: {second_factor: {code_lifetime: 1m, resend_gap: 1m}}}", `resend_gap is not below code_lifetime`},
		{"tries", "settings: {sign_in: {second_factor: {tries: 0}}}", `"0" is out of range; write a whole number from 1 to 10`},
		{"step-up off", "settings: {sign_in: {second_factor: {step_up: off}}}", `"off" is no duration`},
		{"days of a device", "settings: {sign_in: {trusted_device: {days: 14}}}", `unknown value "14"; use one of`},
		{"bits", "settings: {sign_in: {trusted_device: {bind: {ipv4_prefix: 33}}}}", `"33" is out of range`},
		{"glass without a provider", "settings: {sign_in: {break_glass: [root@acme.test]}}", `break_glass without a provider`},
		{"provider", "settings: {sign_in: {provider: Google!}}", `is not a provider's name`},
		{"a profile for nobody", "settings: {sign_in: {profiles: [{name: a, users: [], second_factor: off}]}}", `the list is empty`},
		{"a profile that says nothing", "settings: {sign_in: {profiles: [{name: a, users: [a@b.c]}]}}", `the key "second_factor" is missing`},
		{"two profiles of one name", "settings: {sign_in: {profiles: [{name: a, users: [a@b.c], second_factor: off}, {name: a, users: [d@b.c], second_factor: off}]}}", `the profile "a" is here twice`},
		{"a person in two profiles", "settings: {sign_in: {profiles: [{name: a, users: [a@b.c], second_factor: off}, {name: b, users: [A@b.c], second_factor: required}]}}", `p.yaml:1:98: "A@b.c" is in the profile "a" already`},
		{"history", "settings: {password: {history: 25}}", `"25" is out of range`},
		{"score", "settings: {password: {min_score: 5}}", `"5" is out of range`},
		{"letters as special characters", "settings: {password: {special: abc}}", `"abc" is not up to 32 ASCII characters`},
		{"ages", "settings: {password: {max_age: 24h, min_age: 24h}}", `min_age is not below max_age`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := compileSignIn(t, c.src)
			if err == nil {
				t.Fatal("accepted: the admin would believe in a rule that does not hold")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			wantPlaces(t, err)
		})
	}
}
