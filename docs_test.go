// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/resource"
	"github.com/crmgate/crmgate/policy/resource/maptest"
)

// fence is one fenced block of a document.
type fence struct {
	line int
	text string
}

// fences returns the blocks of a document in one language.
func fences(doc, language string) []fence {
	var out []fence
	var open *fence
	for i, line := range strings.Split(doc, "\n") {
		switch {
		case open != nil && line == "```":
			if open.line > 0 {
				out = append(out, *open)
			}
			open = nil
		case open != nil:
			open.text += line + "\n"
		case line == "```"+language:
			open = &fence{line: i + 1}
		case strings.HasPrefix(line, "```"):
			open = &fence{} // another language
		}
	}
	return out
}

// squeeze makes blocks comparable that differ in white space only.
func squeeze(block string) string {
	var lines []string
	for line := range strings.Lines(block) {
		if f := strings.Fields(line); len(f) > 0 {
			lines = append(lines, strings.Join(f, " "))
		}
	}
	return strings.Join(lines, "\n")
}

// syntaxes returns the block after "Syntax:" of every comment under modules.
func syntaxes(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, name := range withSuffix(trackedFiles(t), ".go") {
		if !strings.HasPrefix(name, "modules/") || isTestFile(name) {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Errorf("a file nobody can compile: %v", err)
			continue
		}
		for _, group := range f.Comments {
			_, after, found := strings.Cut(group.Text(), "Syntax:\n")
			if !found {
				continue
			}
			var block []string
			for line := range strings.Lines(after) {
				if strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "\t") {
					break
				}
				block = append(block, line)
			}
			out[squeeze(strings.Join(block, ""))] = place(name, fset.Position(group.Pos()).Line)
		}
	}
	if len(out) < 5 {
		t.Fatalf("only %d comments with a syntax: this test no longer finds them", len(out))
	}
	return out
}

func TestCaddyfileReferenceIsWhatTheParserReads(t *testing.T) {
	doc := read(t, "docs/caddyfile.md")
	code, written := syntaxes(t), map[string]bool{}
	var bad []string
	for _, f := range fences(doc, "text") {
		block := squeeze(f.text)
		written[block] = true
		if code[block] == "" {
			bad = append(bad, fmt.Sprintf("%s: no comment in modules/ has this syntax: %.80q", place("docs/caddyfile.md", f.line), block))
		}
	}
	for block, where := range code {
		if !written[block] {
			bad = append(bad, fmt.Sprintf("%s: this syntax is not in docs/caddyfile.md: %.80q", where, block))
		}
	}
	report(t, "an operator would write what is not read, or not find what is", bad)
}

func TestEveryCaddyfileOptionIsExplained(t *testing.T) {
	doc := read(t, "docs/caddyfile.md")
	prose := regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(doc, "")
	var bad []string
	for block, where := range syntaxes(t) {
		lines := strings.Split(block, "\n")
		for _, line := range lines[:max(len(lines)-1, 1)] {
			words := strings.Fields(line)
			for option := range strings.SplitSeq(words[0], "|") {
				if option == "}" || strings.HasPrefix(option, "<") {
					continue
				}
				if !strings.Contains(prose, "`"+option+"`") && !strings.Contains(prose, "`"+option+" ") && !strings.Contains(doc, "```text\n"+option+" ") {
					bad = append(bad, where+": option "+option)
				}
			}
		}
	}
	report(t, "docs/caddyfile.md has these options in a syntax and explains them nowhere", bad)
}

func TestEveryPlaceholderIsDocumented(t *testing.T) {
	names := regexp.MustCompile(`\{http\.(?:crmgate|auth)\.[a-z_.]+\}`)
	set := regexp.MustCompile(`"(http\.(?:crmgate|auth)\.[a-z_.]+)"[,:]`)
	code := map[string]bool{}
	for _, name := range withSuffix(trackedFiles(t), ".go") {
		if strings.HasPrefix(name, "modules/gate/") && !isTestFile(name) {
			for _, m := range set.FindAllStringSubmatch(read(t, name), -1) {
				code["{"+m[1]+"}"] = true
			}
		}
	}
	sameSet(t, "placeholders", "the gate sets", code, "docs/caddyfile.md lists", found(read(t, "docs/caddyfile.md"), names))
}

func TestAdminReferenceIsWhatIsServed(t *testing.T) {
	call := regexp.MustCompile(`(?:GET|POST|PUT|PATCH|DELETE) /crmgate/[a-z/{}_-]+`)
	routes := regexp.MustCompile(`"((?:GET|POST|PUT|PATCH|DELETE) /crmgate/[^"]*)"`)
	code := map[string]bool{}
	for _, name := range withSuffix(trackedFiles(t), ".go") {
		if strings.HasPrefix(name, "modules/crmgate/admin") && !isTestFile(name) {
			for _, m := range routes.FindAllStringSubmatch(read(t, name), -1) {
				code[m[1]] = true
			}
		}
	}
	sameSet(t, "calls of the admin API", "the gateway serves", code, "docs/admin-api.md lists", found(read(t, "docs/admin-api.md"), call))
}

func TestPortalReferenceIsWhatIsServed(t *testing.T) {
	route := regexp.MustCompile(`/\.crmgate/[a-z][a-z/{}.-]*`)
	doc := regexp.MustCompile(`(?m)^//\t[A-Z, ]+ +(/\.crmgate/[a-z/{}-]+)`)
	code := map[string]bool{"/.crmgate/jwks.json": true} // the gate's own
	for _, m := range doc.FindAllStringSubmatch(read(t, "modules/portal/portal.go"), -1) {
		code[strings.TrimSuffix(m[1], "/{hashed")] = true
	}
	listed := map[string]bool{}
	for r := range found(read(t, "docs/portal.md"), route) {
		listed[strings.TrimSuffix(r, "/")] = true
	}
	sameSet(t, "paths of the portal", "modules/portal names", code, "docs/portal.md lists", listed)
}

func TestEveryMetricIsDocumented(t *testing.T) {
	source := read(t, "modules/crmgate/metrics.go")
	code := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?:counter|gauges?)\("([a-z_]+)"|Name: "([a-z_]+)"`).FindAllStringSubmatch(source, -1) {
		code["caddy_crmgate_"+m[1]+m[2]] = true
	}
	doc := found(read(t, "docs/operations.md"), regexp.MustCompile(`caddy_crmgate_[a-z_]+`))
	for name := range doc {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if code[strings.TrimSuffix(name, suffix)] {
				delete(doc, name)
				doc[strings.TrimSuffix(name, suffix)] = true
			}
		}
	}
	sameSet(t, "metrics", "the gateway has", code, "docs/operations.md lists", doc)
}

func TestEveryReasonIsDocumented(t *testing.T) {
	code := map[string]bool{}
	for _, r := range policy.Reasons() {
		code[string(r)] = true
	}
	_, section, _ := strings.Cut(read(t, "docs/architecture.md"), "## Reasons\n")
	section, _, _ = strings.Cut(section, "\n## ")
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\d+) \\|").FindAllStringSubmatch(section, -1) {
		listed[m[1]] = true
		if want := fmt.Sprint(policy.Reason(m[1]).Status()); want != m[2] {
			t.Errorf("docs/architecture.md: %s is answered with %s, not %s", m[1], want, m[2])
		}
	}
	sameSet(t, "reasons", "package policy has", code, "docs/architecture.md lists", listed)
}

func TestStagesAreDocumentedInTheirOrder(t *testing.T) {
	var code []string
	_, list, _ := strings.Cut(read(t, "modules/gate/exchange.go"), "var stages = []stage{\n")
	list, _, _ = strings.Cut(list, "\n}\n")
	for _, m := range regexp.MustCompile(`\{"([^"]+)", `).FindAllStringSubmatch(list, -1) {
		code = append(code, m[1])
	}
	var listed []string
	for _, m := range regexp.MustCompile(`(?m)^ *\d+ +\*\*([a-z -]+)\*\*|^\| \d+ \| ([a-z -]+) \|`).FindAllStringSubmatch(read(t, "docs/architecture.md"), -1) {
		listed = append(listed, m[1]+m[2])
	}
	if len(code) == 0 || !slices.Equal(code, listed) {
		t.Errorf("the order of the stages is security, and docs/architecture.md tells another one:\n  code: %q\n  docs: %q", code, listed)
	}
}

func TestTheFailedSignInLineIsTheOneDocumented(t *testing.T) {
	line := regexp.MustCompile(`crmgate sign-in failed ip=\S+ account=\S+ reason=\S+`)
	code := line.FindString(read(t, "modules/internal/attempts/attempts.go"))
	if doc := line.FindString(read(t, "docs/operations.md")); code == "" || doc != code {
		t.Errorf("fail2ban filters written by docs/operations.md would match nothing:\n  code: %s\n  docs: %s", code, doc)
	}
}

// caddys are the commands of Caddy's own that the documents use.
var caddys = []string{"run", "start", "stop", "reload", "adapt", "fmt", "validate", "version"}

func TestDocumentedCommandsExist(t *testing.T) {
	commands, subcommands := map[string]bool{}, map[string]bool{}
	for _, name := range withSuffix(trackedFiles(t), ".go") {
		if isTestFile(name) || !strings.HasPrefix(name, "modules/crmgate/command") && !strings.HasPrefix(name, "cmd/crmgate/") {
			continue
		}
		source := read(t, name)
		for _, m := range regexp.MustCompile(`(?m)(?:\bcommand\("|^\s*Name:\s+")([a-z-]+)"`).FindAllStringSubmatch(source, -1) {
			commands[m[1]] = true
		}
		for _, m := range regexp.MustCompile(`(?:Use:\s+"|userStatus\(")([a-z-]+)`).FindAllStringSubmatch(source, -1) {
			subcommands[m[1]] = true
		}
	}
	if !commands["user"] || !subcommands["add"] {
		t.Fatalf("commands %v, sub-commands %v: this test no longer finds them", commands, subcommands)
	}
	use := regexp.MustCompile("(?:^    |`|bin/)(?:bin/)?crmgate ([a-z]+)(?: ([a-z]+)\\b)?")
	var bad []string
	for _, name := range withSuffix(trackedFiles(t), ".md") {
		for n, line := range strings.Split(read(t, name), "\n") {
			for _, m := range use.FindAllStringSubmatch(line, -1) {
				switch {
				case slices.Contains(caddys, m[1]):
				case !commands[m[1]]:
					bad = append(bad, place(name, n+1)+": crmgate "+m[1])
				case m[2] != "" && !subcommands[m[2]]:
					bad = append(bad, place(name, n+1)+": crmgate "+m[1]+" "+m[2])
				}
			}
		}
	}
	report(t, "an operator who types these commands gets an error", bad)
}

func TestReadme(t *testing.T) {
	doc := read(t, "README.md")
	for _, command := range []string{"make run", "make test"} {
		if !strings.Contains(doc, command) {
			t.Errorf("README.md does not name %q: a newcomer does not find the door", command)
		}
	}
	blocks := fences(doc, "caddyfile")
	if len(blocks) == 0 || blocks[0].text != read(t, "caddyfiles/minimal.Caddyfile") {
		t.Error("the first Caddyfile in README.md is not caddyfiles/minimal.Caddyfile: nobody tests what newcomers copy")
	}
}

func TestTheWorkedMapIsAMap(t *testing.T) {
	blocks := fences(read(t, "docs/maps.md"), "yaml")
	var maps []fence
	for _, b := range blocks {
		if strings.HasPrefix(b.text, "version: 1\n") {
			maps = append(maps, b)
		}
	}
	if len(maps) != 1 {
		t.Fatalf("docs/maps.md has %d whole maps, want 1 that integrators can start from", len(maps))
	}
	m, err := resource.Parse("docs/maps.md", []byte(maps[0].text))
	if err != nil {
		t.Fatalf("the map integrators start from is wrong (it begins at line %d):\n%v", maps[0].line+1, err)
	}
	for _, finding := range m.Check() {
		t.Errorf("the map integrators start from can be mended: %v", finding)
	}
	for _, c := range []struct{ method, path, route string }{
		{"GET", "/api/contacts", "contact.list"},
		{"GET", "/api/contacts/17", "contact.get"},
		{"POST", "/api/contacts/search", "contact.search"},
		{"PATCH", "/api/contacts/17", "contact.update"},
		{"GET", "/api/contacts/17/delete", "contact.delete"},
		{"GET", "/static/app.js", "assets"},
	} {
		match, err := m.Match(&resource.Request{Method: c.method, Path: c.path})
		if err != nil {
			t.Errorf("docs/maps.md: %s %s: %v", c.method, c.path, err)
			continue
		}
		if got := match.Route().ID; got != c.route {
			t.Errorf("docs/maps.md promises that %s %s is %s, it is %s", c.method, c.path, c.route, got)
		}
	}
}

// What integrators are told to write down beside the map holds for it.
func TestTheWorkedSuiteHolds(t *testing.T) {
	var worked, written string
	for _, b := range fences(read(t, "docs/maps.md"), "yaml") {
		switch {
		case strings.HasPrefix(b.text, "version: 1\n"):
			worked = b.text
		case strings.HasPrefix(b.text, "suite: "):
			written = b.text
		}
	}
	m, err := resource.Parse("docs/maps.md", []byte(worked))
	if err != nil {
		t.Fatal(err)
	}
	suite, err := maptest.Parse("docs/maps.md", []byte(written))
	if err != nil {
		t.Fatalf("the suite integrators start from is wrong: %v", err)
	}
	for i := range suite.Cases {
		if err := suite.Cases[i].Run(m); err != nil {
			t.Errorf("%s: %v", suite.Cases[i].Name, err)
		}
	}
}

// Every word of the map language is in its reference: nobody reads the source for it.
func TestEveryKeyOfMapsIsDocumented(t *testing.T) {
	doc := read(t, "docs/maps.md")
	key := regexp.MustCompile(`(?m)^\s*(?:"|k\[")([a-z_]+)(?:":|"\] =)\s`)
	code := strings.Join(regexp.MustCompile("(?s)```yaml.*?```|`[^`\n]+`").FindAllString(doc, -1), "\n")
	n := 0
	var bad []string
	for _, name := range withSuffix(trackedFiles(t), ".go") {
		if isTestFile(name) || !strings.HasPrefix(name, "policy/resource/parse") {
			continue
		}
		for _, m := range key.FindAllStringSubmatch(read(t, name), -1) {
			n++
			if !regexp.MustCompile(`\b` + m[1] + `\b`).MatchString(code) {
				bad = append(bad, name+": "+m[1])
			}
		}
	}
	if n < 50 {
		t.Fatalf("%d keys: this test no longer finds them", n)
	}
	report(t, "docs/maps.md does not say what these keys are", bad)
}

// link is a Markdown link or picture to something in the repository.
var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	files := trackedFiles(t)
	var bad []string
	for _, name := range withSuffix(files, ".md") {
		for n, line := range strings.Split(read(t, name), "\n") {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				target, anchor, _ := strings.Cut(m[1], "#")
				if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
					continue
				}
				file := name
				if target != "" {
					file = path.Join(path.Dir(name), target)
				}
				switch {
				case !slices.Contains(files, file) && !slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(f, file+"/") }):
					bad = append(bad, place(name, n+1)+": "+m[1]+" is not there")
				case anchor != "" && !slices.Contains(anchors(read(t, file)), anchor):
					bad = append(bad, place(name, n+1)+": "+file+" has no heading #"+anchor)
				}
			}
		}
	}
	report(t, "a reader who follows these links finds nothing", bad)
}

// anchors returns the anchors of a document's headings.
func anchors(doc string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(doc, -1) {
		name := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		out = append(out, strings.ReplaceAll(name, " ", "-"))
	}
	return out
}

func found(doc string, what *regexp.Regexp) map[string]bool {
	out := map[string]bool{}
	for _, m := range what.FindAllString(doc, -1) {
		out[m] = true
	}
	return out
}

func sameSet(t *testing.T, what, left string, a map[string]bool, right string, b map[string]bool) {
	t.Helper()
	if len(a) == 0 {
		t.Fatalf("no %s found in the code: this test no longer finds them", what)
	}
	var bad []string
	for name := range a {
		if !b[name] {
			bad = append(bad, name+": "+left+" it, no document says so")
		}
	}
	for name := range b {
		if !a[name] {
			bad = append(bad, name+": "+right+" it, and it does not exist")
		}
	}
	report(t, what+" are not what the documents say", bad)
}
