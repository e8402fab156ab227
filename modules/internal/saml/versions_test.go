// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"fmt"
	"os"
	"regexp"
	"runtime/debug"
	"testing"
)

// floors are the versions below which SAML has a known hole; crewjam/saml by
// itself asks for a goxmldsig that has one (CVE-2026-33487).
var floors = map[string][3]int{
	"github.com/crewjam/saml":                       {0, 5, 1},
	"github.com/russellhaering/goxmldsig":           {1, 6, 1},
	"github.com/beevik/etree":                       {1, 8, 1},
	"github.com/mattermost/xml-roundtrip-validator": {0, 1, 0},
}

func atLeast(version string, floor [3]int) bool {
	var v [3]int
	if n, err := fmt.Sscanf(version, "v%d.%d.%d", &v[0], &v[1], &v[2]); n != 3 || err != nil {
		return false
	}
	for i := range v {
		if v[i] != floor[i] {
			return v[i] > floor[i]
		}
	}
	return true
}

func TestNoModuleWithAKnownHole(t *testing.T) {
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for name, floor := range floors {
		m := regexp.MustCompile(`(?m)^\s*` + regexp.QuoteMeta(name) + `\s+(v\S+)`).FindSubmatch(mod)
		if m == nil || !atLeast(string(m[1]), floor) {
			t.Errorf("go.mod asks for %s %q, at least %v is needed: assertions can be forged with older ones", name, m, floor)
		}
	}
	if regexp.MustCompile(`(?m)^\s*replace\b`).Match(mod) {
		t.Error("go.mod replaces a module: this test no longer knows what is linked")
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return // go.mod says it already
	}
	for _, d := range info.Deps {
		if floor, held := floors[d.Path]; held && (d.Replace != nil || !atLeast(d.Version, floor)) {
			t.Errorf("%s %s is linked, at least %v is needed", d.Path, d.Version, floor)
		}
	}
	for version, want := range map[string]bool{"v1.6.0": false, "v1.6.1": true, "v1.10.0": true, "v2.0.0": true, "": false} {
		if atLeast(version, [3]int{1, 6, 1}) != want {
			t.Errorf("%q is judged wrongly: a floor would hold nothing", version)
		}
	}
}
