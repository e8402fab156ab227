// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/crmgate/crmgate/policy/internal/shape"
)

const reference = "../docs/policy.md"

var keysPart = regexp.MustCompile(`(?s)(<!-- keys:[^\n]*-->\n).*(<!-- end of keys -->)`)

func table() string {
	var b strings.Builder
	b.WriteString("| key | type | default | example | meaning |\n|---|---|---|---|---|\n")
	code := func(s string) string {
		if s == "" {
			return ""
		}
		return "`" + s + "`"
	}
	for _, r := range shape.Rows(documentShape) {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", r.Path, r.Key.Shape.Type(), code(r.Key.Default), code(r.Key.Example), r.Key.Doc)
	}
	return b.String()
}

// The reference names every key the parser reads, with the parser's own ranges,
// and no other.
func TestReferenceFollowsTheParser(t *testing.T) {
	b, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		b = keysPart.ReplaceAll(b, []byte("${1}"+strings.ReplaceAll(table(), "$", "$$")+"${2}"))
		if err := os.WriteFile(reference, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if m := keysPart.FindString(string(b)); !strings.Contains(m, table()) {
		t.Error("docs/policy.md does not say what the parser reads: run go test ./policy -run Reference -update")
	}
}

// Every example in the reference's table is read, every default too.
func TestReferenceExamplesAreRead(t *testing.T) {
	for _, r := range shape.Rows(documentShape) {
		if r.Key.Doc == "" || r.Key.Example == "" {
			t.Errorf("%s has no meaning or no example", r.Path)
		}
		values := []string{r.Key.Example}
		if d := r.Key.Default; d != "" && !strings.Contains(d, " ") && !strings.Contains(d, ".") {
			values = append(values, d)
		}
		for _, v := range values {
			root := &shape.Shape{Kind: shape.Object, Keys: []shape.Key{{Name: "x", Shape: r.Key.Shape}}}
			if _, _, err := shape.Read("example", []byte("x: "+v), root); err != nil {
				t.Errorf("%s: the reference shows %q, which is not read: %v", r.Path, v, err)
			}
		}
	}
}

// The policies and suites shown in the reference are read.
func TestReferenceYAMLIsRead(t *testing.T) {
	b, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(string(b), -1)
	if len(blocks) < 2 {
		t.Fatal("the reference shows no policy")
	}
	if _, err := Parse("reference", []byte(blocks[0][1])); err != nil {
		t.Error(err)
	}
}

// The defaults the reference names are those of an empty policy.
func TestReferenceDefaults(t *testing.T) {
	out, err := yaml.Marshal(Empty().Settings)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := yaml.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	for _, r := range shape.Rows(documentShape) {
		path, ok := strings.CutPrefix(r.Path, "settings.")
		if !ok || r.Key.Default == "" {
			continue
		}
		var v any = got
		for part := range strings.SplitSeq(path, ".") {
			m, _ := v.(map[string]any)
			v = m[part]
		}
		if fmt.Sprint(v) != r.Key.Default {
			t.Errorf("%s: the reference says %s, an empty policy has %v", r.Path, r.Key.Default, v)
		}
	}
}

func TestReferenceNamesBuiltins(t *testing.T) {
	b, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	for id, r := range builtinRoles() {
		if !strings.Contains(string(b), "| `"+id+"` | "+r.Rows+" |") {
			t.Errorf("the built-in role %s is not in the reference", id)
		}
	}
	for _, f := range slices.Concat(builtinFeatures, userFeatures) {
		if !strings.Contains(string(b), "`"+f+"`") {
			t.Errorf("the feature %s is not in the reference", f)
		}
	}
}
