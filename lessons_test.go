// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy"
)

// testsThatExist returns the names of all tests, each with the comment before it.
func testsThatExist(t *testing.T) map[string]string {
	t.Helper()
	fn := regexp.MustCompile(`(?m)^((?://.*\n)*)func ((?:Test|Fuzz)\w+)\(`)
	out := map[string]string{}
	for _, name := range withSuffix(trackedFiles(t), "_test.go") {
		for _, m := range fn.FindAllStringSubmatch(read(t, name), -1) {
			out[m[2]] += m[1] + m[2] + "\n"
		}
	}
	return out
}

func TestEveryLessonIsHeldByATestThatExists(t *testing.T) {
	_, section, ok := strings.Cut(read(t, "docs/threat-model.md"), "## Lessons of others\n")
	section, _, _ = strings.Cut(section, "\n## ")
	tests, name := testsThatExist(t), regexp.MustCompile("`((?:Test|Fuzz)\\w+)`")
	var bad []string
	lessons := 0
	for line := range strings.SplitSeq(section, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || strings.HasPrefix(line, "|---") || strings.Contains(line, "| held by |") {
			continue
		}
		lessons++
		held := name.FindAllStringSubmatch(cells[3], -1)
		if len(held) == 0 {
			bad = append(bad, strings.TrimSpace(cells[1])+": by nothing")
		}
		for _, m := range held {
			if tests[m[1]] == "" {
				bad = append(bad, strings.TrimSpace(cells[1])+": "+m[1]+" does not exist")
			}
		}
	}
	if !ok || lessons < 30 {
		t.Errorf("%d lessons in docs/threat-model.md: this test no longer finds them", lessons)
	}
	report(t, "nobody would notice when these holes come back", bad)
}

// TestSignInRowsAreProvedOrLimited: the product's rows about signing in have a test
// that carries their number, or a line in docs/limits.md.
func TestSignInRowsAreProvedOrLimited(t *testing.T) {
	all := strings.Builder{}
	for _, text := range testsThatExist(t) {
		all.WriteString(text)
	}
	limits := read(t, "docs/limits.md")
	var bad []string
	for _, row := range []int{18, 20, 21, 22, 23, 24, 25, 29} {
		number := fmt.Sprintf("R%03d", row)
		if !strings.Contains(all.String(), number) && !strings.Contains(limits, number) {
			bad = append(bad, number)
		}
	}
	report(t, "a feature somebody relies on is neither proved nor said to be missing", bad)
}

func TestThePolicyInTheReadmeIsAPolicy(t *testing.T) {
	blocks := fences(read(t, "README.md"), "yaml")
	if len(blocks) == 0 {
		t.Error("README.md shows no policy: people do not see how little makes it their company's sign-in")
	}
	for _, b := range blocks {
		if _, err := policy.Parse(place("README.md", b.line), []byte(b.text)); err != nil {
			t.Errorf("what newcomers copy is refused:\n%v", err)
		}
	}
}

func TestRecipesNameEveryField(t *testing.T) {
	var bad []string
	found := 0
	for kind, file := range map[string]string{"google": "google-workspace.md", "adfs": "adfs-oidc.md", "saml": "adfs-saml.md"} {
		recipe := read(t, "docs/recipes/"+file)
		for block := range syntaxes(t) {
			first, rest, _ := strings.Cut(block, "\n")
			if !strings.HasPrefix(first, "identity "+kind+" ") {
				continue
			}
			found++
			for line := range strings.SplitSeq(strings.TrimSuffix(rest, "\n}"), "\n") {
				if option := strings.Fields(line)[0]; !strings.Contains(recipe, "| `"+option+"` |") {
					bad = append(bad, "docs/recipes/"+file+": "+option)
				}
			}
		}
	}
	if found != 3 {
		t.Errorf("%d providers with a recipe found, want 3: this test no longer finds them", found)
	}
	report(t, "somebody who follows the recipe meets a field it does not explain", bad)
}
