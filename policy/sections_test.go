// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"strings"
	"testing"
)

func parsed(t *testing.T, src string) *Document {
	t.Helper()
	d, err := Parse("p.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// What is left of a policy when its end is lost never takes its place, wherever it
// was cut: either it is no policy, or it is refused for the section it lost.
func TestAPolicyCutShortContinuesNothing(t *testing.T) {
	const whole = `version: 1
account: acme
settings:
  network: {account: {allow: [203.0.113.0/24]}}
groups:
  north: {members: {asha@example.com: []}}
templates:
  t:
    entities:
      lead: {export: none}
assign:
  - {template: t, roles: [sales_user]}
switches: {export: deny}
`
	before := parsed(t, whole)
	if err := before.Continues(before); err != nil {
		t.Fatalf("the whole policy does not continue itself: %v", err)
	}
	end := strings.Index(whole, "switches")
	for n := range end {
		d, err := Parse("p.yaml", []byte(whole[:n]))
		if err != nil {
			continue
		}
		if err = d.Continues(before); err == nil {
			t.Errorf("cut behind %d bytes it would take the place of the whole: %q", n, whole[max(0, n-20):n])
		} else if text := err.Error(); !strings.Contains(text, "p.yaml:1:1: ") || !strings.Contains(text, "switches: {}") {
			t.Errorf("nobody can tell what to do: %v", err)
		}
	}
}

func TestAPolicyMayChange(t *testing.T) {
	before := parsed(t, "version: 1\nsettings: {session: {idle: 15m}}\ntemplates: {t: {}}\nassign: [{template: t, roles: [sales_user]}]\n")
	for name, src := range map[string]string{
		"sections in another order": "assign: []\ntemplates: {}\nsettings: {}\n",
		"an earlier section goes":   "templates: {t: {}}\nassign: []\n",
		"written empty":             "assign: []\n",
		"a further one":             "templates: {t: {}}\nassign: []\nswitches: {export: deny}\n",
	} {
		if err := parsed(t, src).Continues(before); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := before.Continues(Empty()); err != nil {
		t.Errorf("the first policy of an account: %v", err)
	}
}
