// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate_test

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// A room is a part of the house. A room may know itself and the rooms on lower
// floors, never one beside it: what two rooms share belongs on a floor below.
type room struct {
	dir   string // of the repository, and everything under it
	floor int
	why   string
}

// rooms are in the order of the floors; the longest folder that matches counts.
var rooms = []room{
	{"policy", 0, "deciding is pure: it can be tested, explained and compiled without a server"},
	{"modules/internal", 1, "engines know no web server, so that their tests take seconds"},
	{"modules/state", 2, "a store knows the interface it fulfils and nothing that uses it"},
	{"modules/records", 2, "a store knows the interface it fulfils and nothing that uses it"},
	{"modules/identity", 2, "a provider proves who somebody is and decides nothing"},
	{"modules/factor", 2, "a factor proves who somebody is and decides nothing"},
	{"modules/portal", 2, "the pages keep nothing: they ask a Backend that the app fulfils"},
	{"modules/crmgate", 3, "the app is what the handlers ask; it knows none of them"},
	{"modules/gate", 4, "the request side meets the response side in the Decision only"},
	{"modules/upstream", 4, "the response side meets the request side in the Decision only"},
	{"modules/logs", 4, "the form of log lines knows nothing of what is logged"},
	{"modules/match", 4, "matchers read the Decision and nothing else"},
	{"modules", 5, "what a build imports"},
	{"caddyfiles", 5, "examples, embedded"},
	{"cmd", 6, "the programs"},
}

func roomOf(dir string) *room {
	var best *room
	for i := range rooms {
		r := &rooms[i]
		if (dir == r.dir || strings.HasPrefix(dir, r.dir+"/")) && (best == nil || len(r.dir) > len(best.dir)) {
			best = r
		}
	}
	return best
}

// lean are the folders whose packages, tests included, never link Caddy.
var lean = []string{
	"policy", "modules/internal", "modules/portal", "modules/state/embedded", "modules/state/redis",
	"modules/records/sqlite", "modules/records/postgres", "cmd/internal/democrm",
}

func under(dir string, list []string) bool {
	return slices.ContainsFunc(list, func(l string) bool { return dir == l || strings.HasPrefix(dir, l+"/") })
}

func TestRoomsKnowOnlyWhatIsBelowThem(t *testing.T) {
	var bad []string
	for _, p := range parseGo(t) {
		from := roomOf(path.Dir(p.name))
		if from == nil || isTestFile(p.name) {
			continue // a test may look at the whole house
		}
		for _, i := range p.imports {
			dir, ours := strings.CutPrefix(i.path, modulePath+"/")
			if !ours {
				continue
			}
			to := roomOf(dir)
			switch {
			case to == nil:
				bad = append(bad, fmt.Sprintf("%s imports %s, which is in no room", place(p.name, i.line), dir))
			case to != from && to.floor >= from.floor:
				bad = append(bad, fmt.Sprintf("%s imports %s: %s", place(p.name, i.line), dir, from.why))
			}
		}
	}
	report(t, "imports run against the direction in docs/architecture.md, so that no room can be changed or tested alone", bad)
}

func TestLeanPackagesDoNotLinkCaddy(t *testing.T) {
	var bad []string
	for _, p := range parseGo(t) {
		if !under(path.Dir(p.name), lean) {
			continue
		}
		for _, i := range p.imports {
			if strings.HasPrefix(i.path, "github.com/caddyserver/") {
				bad = append(bad, place(p.name, i.line)+" imports "+i.path)
			}
		}
	}
	report(t, "`make race` and every quick test would have to link a whole web server", bad)
}

func TestPolicyKnowsNoHTTP(t *testing.T) {
	var bad []string
	for _, p := range parseGo(t) {
		if !under(path.Dir(p.name), []string{"policy"}) {
			continue
		}
		for _, i := range p.imports {
			if i.path == "net/http" || strings.HasPrefix(i.path, "net/http/") || i.path == "database/sql" {
				bad = append(bad, place(p.name, i.line)+" imports "+i.path)
			}
		}
	}
	report(t, "a decision must depend on nothing but principal, operation and policy", bad)
}

func TestTheDemoCRMKnowsNothingOfTheGate(t *testing.T) {
	var bad []string
	for _, p := range parseGo(t) {
		if !under(path.Dir(p.name), []string{"cmd/internal/democrm", "cmd/democrm"}) {
			continue
		}
		for _, i := range p.imports {
			if dir, ours := strings.CutPrefix(i.path, modulePath+"/"); ours && under(dir, []string{"policy", "modules"}) {
				bad = append(bad, place(p.name, i.line)+" imports "+dir)
			}
		}
	}
	report(t, "a CRM that knows the gate proves nothing about a CRM that does not", bad)
}

func place(name string, line int) string { return fmt.Sprintf("%s:%d", name, line) }
