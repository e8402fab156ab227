// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate_test

import (
	"encoding/json"
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// pinned are versions that were tested together: another one is a decision, not
// an update.
var pinned = map[string]string{
	"github.com/caddyserver/caddy/v2": "v2.11.9",
}

// floors are the lowest versions without a known hole. A module that is not
// linked needs none; one that comes in later is held to its floor at once.
var floors = map[string]string{
	"github.com/russellhaering/goxmldsig": "v1.6.1", // CVE-2026-33487
	"github.com/beevik/etree":             "v1.8.1",
	"github.com/crewjam/saml":             "v0.4.14",
	"github.com/go-jose/go-jose/v4":       "v4.1.4",
	"github.com/redis/go-redis/v9":        "v9.7.3",
	"github.com/vektah/gqlparser/v2":      "v2.5.14",
	"github.com/wneessen/go-mail":         "v0.7.1",
	"github.com/nyaruka/phonenumbers":     "v1.2.2",
	"github.com/klauspost/compress":       "v1.18.7",
	"golang.org/x/net":                    "v0.56.0",
	"golang.org/x/oauth2":                 "v0.27.0",
}

var requirement = regexp.MustCompile(`(?m)^\s*(?:require\s+)?([a-z0-9.-]+\.[a-z]+/\S+)\s+(v\d\S*)`)

func requirements(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, m := range requirement.FindAllStringSubmatch(read(t, "go.mod"), -1) {
		out[m[1]] = m[2]
	}
	if len(out) < 10 {
		t.Fatalf("go.mod names %d modules; this test no longer reads it right", len(out))
	}
	return out
}

func TestModuleVersions(t *testing.T) {
	have := requirements(t)
	var bad []string
	for mod, want := range pinned {
		if have[mod] != want {
			bad = append(bad, fmt.Sprintf("%s is %q, pinned is %s", mod, have[mod], want))
		}
	}
	for mod, floor := range floors {
		if v, linked := have[mod]; linked && older(v, floor) {
			bad = append(bad, fmt.Sprintf("%s %s is older than %s", mod, v, floor))
		}
	}
	if strings.Contains(read(t, "go.mod"), "\nreplace ") {
		bad = append(bad, "go.mod replaces a module: `xcaddy --with` and every importer would get another one")
	}
	report(t, "a build would carry a known hole, or a set of versions nobody tested", bad)
}

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"v1.2.3", "v1.2.3", false},
		{"v1.2.3", "v1.10.0", true},
		{"v1.10.0", "v1.9.9", false},
		{"v0.0.0-20260820222146-c27c302e5fc3", "v0.0.1", true},
		{"v4.1.4-rc1", "v4.1.4", true},
		{"v2.0.0", "v1.9.9", false},
	} {
		if got := older(c.a, c.b); got != c.want {
			t.Errorf("older(%s, %s) = %t: a floor would hold nothing", c.a, c.b, got)
		}
	}
}

// older compares two semantic versions; a pre-release is older than its release.
func older(a, b string) bool {
	numbers := func(v string) (out [3]int, pre bool) {
		v, _, _ = strings.Cut(strings.TrimPrefix(v, "v"), "+")
		v, rest, _ := strings.Cut(v, "-")
		for i, part := range strings.SplitN(v, ".", 3) {
			out[i], _ = strconv.Atoi(part)
		}
		return out, rest != ""
	}
	x, xpre := numbers(a)
	y, ypre := numbers(b)
	for i := range x {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return xpre && !ypre
}

func TestXcaddyBuildsWhatGoModBuilds(t *testing.T) {
	var builder struct {
		CaddyVersion string `json:"caddy_version"`
		Plugins      []struct {
			ModulePath string `json:"module_path"`
		} `json:"plugins"`
	}
	if err := json.Unmarshal([]byte(read(t, "xcaddy.json")), &builder); err != nil {
		t.Fatalf("reading xcaddy.json: %v", err)
	}
	if want := requirements(t)["github.com/caddyserver/caddy/v2"]; builder.CaddyVersion != want {
		t.Errorf("xcaddy.json builds Caddy %s, go.mod %s: two builds of one project would differ", builder.CaddyVersion, want)
	}
	if len(builder.Plugins) == 0 {
		t.Error("xcaddy.json builds a Caddy without the gate")
	}
	for _, p := range builder.Plugins {
		dir, ours := strings.CutPrefix(p.ModulePath, modulePath+"/")
		found := false
		for _, f := range withSuffix(trackedFiles(t), ".go") {
			found = found || path.Dir(f) == dir && !isTestFile(f)
		}
		if !ours || !found {
			t.Errorf("xcaddy.json names %s, which is no package of this module: `xcaddy build` would fail", p.ModulePath)
		}
	}
}

func TestMakefileExplainsItself(t *testing.T) {
	makefile := read(t, "Makefile")
	help := map[string]bool{}
	var bad []string
	for _, m := range regexp.MustCompile(`(?m)^([a-z][a-z-]*):(.*)$`).FindAllStringSubmatch(makefile, -1) {
		if strings.HasPrefix(m[2], "=") {
			continue
		}
		help[m[1]] = true
		if !regexp.MustCompile(`## \S`).MatchString(m[2]) {
			bad = append(bad, m[1]+": no ## text")
		}
	}
	for target := range strings.FieldsSeq("help run build test race fuzz bench lint fmt golden validate xcaddy") {
		if !help[target] {
			bad = append(bad, target+": missing")
		}
	}
	phony := regexp.MustCompile(`(?m)^\.PHONY:(.*)$`).FindStringSubmatch(makefile)
	for target := range help {
		if phony == nil || !strings.Contains(phony[1]+" ", " "+target+" ") {
			bad = append(bad, target+": not .PHONY, so a file of that name would hide it")
		}
	}
	report(t, "`make help` does not tell all there is", bad)

	bad = nil
	for _, m := range regexp.MustCompile(`scripts/[a-z-]+`).FindAllString(makefile, -1) {
		if !strings.Contains("\n"+strings.Join(trackedFiles(t), "\n")+"\n", "\n"+m+"\n") {
			bad = append(bad, m)
		}
	}
	report(t, "the Makefile runs scripts that are not there", bad)
}
