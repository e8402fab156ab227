// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package crmgate_test holds the house to its own rules: which room may know
// which, what every file begins with, and that the documents say what the code
// does. Every test lists all offenders, each with its place.
package crmgate_test

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

const modulePath = "github.com/crmgate/crmgate"

// tracked returns the files of the repository, as version control knows them,
// that exist: a build's leftovers are not the house's.
var tracked = sync.OnceValues(func() ([]string, error) {
	out, err := exec.Command("git", "ls-files", "-z").Output()
	if err != nil {
		return nil, err
	}
	var files []string
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			files = append(files, name)
		}
	}
	return files, nil
})

func trackedFiles(t *testing.T) []string {
	t.Helper()
	files, err := tracked()
	if err != nil || len(files) == 0 {
		t.Fatalf("listing the repository's files: %v (%d found); these tests need git and a checkout", err, len(files))
	}
	return files
}

func withSuffix(files []string, suffix string) []string {
	var out []string
	for _, f := range files {
		if strings.HasSuffix(f, suffix) {
			out = append(out, f)
		}
	}
	return out
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatalf("reading %s: %v", name, err)
	}
	return string(b)
}

// report fails with every offender under one sentence that says what is lost.
func report(t *testing.T, lost string, offenders []string) {
	t.Helper()
	if len(offenders) > 0 {
		slices.Sort(offenders)
		t.Errorf("%s:\n  %s", lost, strings.Join(offenders, "\n  "))
	}
}

func isTestFile(name string) bool {
	return strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "testdata/") || strings.Contains(name, "/testdata/")
}

func TestEveryGoFileIsLicensed(t *testing.T) {
	const head = "// SPDX-FileCopyrightText: The crmgate authors\n// SPDX-License-Identifier: Apache-2.0\n"
	var bad []string
	for _, name := range withSuffix(trackedFiles(t), ".go") {
		if !strings.HasPrefix(read(t, name), head) {
			bad = append(bad, name)
		}
	}
	report(t, "nobody can tell under which licence these files are; begin them with the two SPDX lines of LICENSE's neighbours", bad)
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	documented, example := map[string]bool{}, map[string]string{}
	for _, name := range withSuffix(trackedFiles(t), ".go") {
		if isTestFile(name) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Errorf("a file nobody can compile: %v", err)
			continue
		}
		dir := path.Dir(name)
		example[dir] = name
		documented[dir] = documented[dir] || says(f, path.Base(dir))
	}
	var bad []string
	for dir, name := range example {
		if !documented[dir] {
			bad = append(bad, dir+": no file begins with \"// Package ...\" (seen: "+name+")")
		}
	}
	report(t, "a newcomer cannot tell what these packages are for", bad)
}

func TestNoFileIsADrawer(t *testing.T) {
	const limit = 500
	var bad []string
	for _, name := range withSuffix(trackedFiles(t), ".go") {
		if n := strings.Count(read(t, name), "\n"); !isTestFile(name) && n > limit {
			bad = append(bad, name+": more than 500 lines; it holds more than one concept")
		}
		if base := path.Base(path.Dir(name)); base == "util" || base == "utils" || base == "common" || base == "helpers" {
			bad = append(bad, name+": a package named after nothing")
		}
	}
	report(t, "what is in these files cannot be found by its name", bad)
}

func TestNoMergeIsHalfDone(t *testing.T) {
	mark := regexp.MustCompile(`(?m)^(<{7}|>{7}|[|]{7}|={7})( .*)?$`)
	var bad []string
	for _, name := range trackedFiles(t) {
		text := read(t, name)
		if at := mark.FindStringIndex(text); at != nil {
			bad = append(bad, place(name, 1+strings.Count(text[:at[0]], "\n")))
		}
	}
	report(t, "a reader gets two versions of a sentence and the names of changes between them", bad)
}

// forbidden are words that do not belong into the project, and why.
var forbidden = []struct {
	why     string
	pattern *regexp.Regexp
	inTests bool // forbidden in tests too
}{
	{"a path of one machine", regexp.MustCompile(`(^|[\s"'` + "`" + `(=:])/(work|farm)/`), true},
	{"a path of one machine", regexp.MustCompile(`(^|[\s"'` + "`" + `(=:])/tmp/`), false},
	{"a package registry's host", regexp.MustCompile(`proxy\.golang\.org|registry\.npmjs\.org|pypi\.org|deb\.debian\.org`), true},
	{"something left undone", regexp.MustCompile(`\b(TODO|FIXME)\b`), true},
	{"a word about how it came about", regexp.MustCompile(`(?i)\b(this|a|the|our) prototype\b`), true},
}

func TestTheProjectSpeaksOfItselfAlone(t *testing.T) {
	var bad []string
	for _, name := range trackedFiles(t) {
		if name == "house_test.go" || name == "go.sum" || name == "LICENSE" {
			continue
		}
		b, err := os.ReadFile(name)
		if err != nil || bytes.IndexByte(b[:min(len(b), 8000)], 0) >= 0 {
			continue // gone, or no text
		}
		lines := bufio.NewScanner(bytes.NewReader(b))
		lines.Buffer(nil, 16<<20)
		for n := 1; lines.Scan(); n++ {
			for _, f := range forbidden {
				if (f.inTests || !isTestFile(name)) && f.pattern.Match(lines.Bytes()) {
					bad = append(bad, place(name, n)+": "+f.why+": "+strings.TrimSpace(lines.Text()[:min(len(lines.Text()), 120)]))
				}
			}
		}
	}
	report(t, "these lines mean nothing to anybody outside", bad)
}

// parsed is a Go file of the repository.
type parsed struct {
	name    string
	file    *ast.File
	imports []imported
}

type imported struct {
	path string
	line int
}

func parseGo(t *testing.T) []parsed {
	t.Helper()
	var out []parsed
	for _, name := range withSuffix(trackedFiles(t), ".go") {
		if strings.HasPrefix(name, "bench/") {
			continue // a module of its own
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			t.Errorf("a file nobody can compile: %v", err)
			continue
		}
		p := parsed{name: name, file: f}
		for _, i := range f.Imports {
			p.imports = append(p.imports, imported{strings.Trim(i.Path.Value, `"`), fset.Position(i.Pos()).Line})
		}
		out = append(out, p)
	}
	return out
}

// says reports whether a file documents its package; a program is documented by
// its name.
func says(f *ast.File, dir string) bool {
	text := f.Doc.Text()
	return strings.HasPrefix(text, "Package "+f.Name.Name+" ") || f.Name.Name == "main" && strings.HasPrefix(text, "Command "+dir+" ")
}
