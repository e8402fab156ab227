// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// problemLine is the form of every line a bad map is answered with.
var problemLine = regexp.MustCompile(`^m\.yaml:\d+:\d+: .+; .+$`)

// TestParseRefuses reads testdata/bad_maps.yaml: a text, and what must be said
// about it.
func TestParseRefuses(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "bad_maps.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct{ Name, Map, Says string }
	if err := yaml.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			m, err := Parse("m.yaml", []byte(c.Map))
			if err == nil || m != nil {
				t.Fatalf("the map was taken; the gate would run on a typing error")
			}
			if !strings.Contains(err.Error(), c.Says) {
				t.Errorf("expected %q, got:\n%v", c.Says, err)
			}
			for line := range strings.SplitSeq(err.Error(), "\n") {
				if !problemLine.MatchString(line) {
					t.Errorf("an integrator cannot mend this: %q", line)
				}
			}
			if _, ok := errors.AsType[*Problem](err); !ok {
				t.Error("the problem cannot be shown at its place in an editor")
			}
		})
	}
}

func TestParseTellsEveryProblemAtOnce(t *testing.T) {
	_, err := Parse("m.yaml", []byte("version: 1\nmap: x\nroute: []\nentities: {lead: {colour: red}}\nroutes:\n  - {id: a, on: FETCH x, entity: lead, action: look}\n"))
	if err == nil || strings.Count(err.Error(), "\n") < 3 {
		t.Errorf("mending a map takes one run for each problem:\n%v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"leadsquared", "tryton"} {
		data, err := os.ReadFile(filepath.Join("..", "maps", name+".yaml"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, s := range []string{"", "version: 1", "a: &a [*a]", "- x", "version: 1\nmap: x\nroutes: [{id: a, on: GET /}]", "\xff", "a: b\n---\nc: d"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Parse("m.yaml", data)
		if (m == nil) == (err == nil) {
			t.Fatalf("a map and an error, or neither: %v", err)
		}
		if err != nil {
			var p *Problem
			if !errors.As(err, &p) || p.Line < 1 || p.Column < 1 {
				t.Fatalf("a problem without a place: %v", err)
			}
			return
		}
		m.Check()
		r := &Request{Method: "GET", Path: "/"}
		m.Explain(r)
	})
}
