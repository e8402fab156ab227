// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestLeaksIDs: each leak of the groups an answer can provoke is a case of the
// corpus or has its reason in docs/limits.md.
func TestLeaksIDs(t *testing.T) {
	covered := map[string]string{}
	var limits []string
	for _, c := range leakCases(t) {
		if c.Limit {
			limits = append(limits, c.ID)
			continue
		}
		id, _, _ := strings.Cut(c.ID, "-")
		covered[id] = c.file
	}
	doc, err := os.ReadFile("../../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(doc), "## Leak ids")
	if !found {
		t.Fatal(`docs/limits.md has no section "Leak ids"`)
	}
	table, _, _ = strings.Cut(table, "\n## ")
	for _, id := range limits {
		if !strings.Contains(table, "| "+id+" |") {
			t.Errorf("%s comes through, and docs/limits.md does not say so", id)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^\| (L[0-9]+) \| \S`).FindAllStringSubmatch(table, -1) {
		if was := covered[m[1]]; was != "" {
			t.Errorf("docs/limits.md says why %s is not tried, and %s tries it", m[1], was)
		}
		covered[m[1]] = "docs/limits.md"
	}
	for _, span := range [][2]int{{1, 18}, {20, 34}, {40, 55}, {100, 108}} {
		for n := span[0]; n <= span[1]; n++ {
			if id := fmt.Sprintf("L%02d", n); covered[id] == "" {
				t.Errorf("%s is neither in testdata/leaks nor, with its reason, in docs/limits.md", id)
			}
		}
	}
}
