// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"
	"go.yaml.in/yaml/v3"

	"github.com/crmgate/crmgate/policy/internal/shape"
)

var update = flag.Bool("update", false, "rewrite generated files")

func TestParseEmptyGivesDefaults(t *testing.T) {
	for _, src := range []string{"", "\n", "# only a comment\n", "---\n"} {
		d, err := Parse("p.yaml", []byte(src))
		if err != nil {
			t.Fatalf("%q: an account without a policy cannot start: %v", src, err)
		}
		if d.Settings.Session.Idle.D() != 30*time.Minute || d.Settings.Password.MinLength != 12 || len(d.Templates) != 0 {
			t.Errorf("%q: defaults missing: %+v", src, d.Settings)
		}
	}
}

// Every fault names its place and how to mend it.
func TestParseRefuses(t *testing.T) {
	tests := []struct{ name, src, want string }{
		{"unknown key", "version: 1\nrolls: {}", `p.yaml:2:1: unknown key "rolls"; use one of roles`},
		{"unknown key deep", "settings:\n  session:\n    idel: 5m", `p.yaml:3:5: unknown key "idel"; use one of idle`},
		{"duplicate key", "version: 1\nversion: 1", `p.yaml:2:1: the key "version" is here twice`},
		{"bad version", "version: 2", `p.yaml:1:10: "2" is out of range; write a whole number from 1 to 1`},
		{"bad duration", "settings: {session: {idle: 30}}", `"30" is no duration; write one such as 30m`},
		{"duration out of range", "settings: {session: {idle: 1m}}", `the duration 1m is out of range; write 5m to 24h`},
		{"bad network", "settings: {network: {account: {allow: [10.0.0.300]}}}", `"10.0.0.300" is no network`},
		{"host bits", "settings: {network: {account: {allow: [10.0.0.7/24]}}}", `the range starts at 10.0.0.0/24`},
		{"zone", "settings: {network: {account: {allow: [\"fe80::1%eth0\"]}}}", `is no network`},
		{"mapped range", "settings: {network: {account: {allow: [\"::ffff:10.0.0.0/104\"]}}}", `an IPv4 range in IPv6 spelling`},
		{"unknown right", "groups: {north: {members: {a@b.c: [view_lead]}}}", `unknown value "view_lead"; use one of view_leads`},
		{"bad e-mail", "groups: {north: {members: {nobody: []}}}", `"nobody" is no name for a e-mail`},
		{"bad level", "templates: {t: {entities: {lead: {view: some}}}}", `unknown value "some"; use one of`},
		{"empty partial", "templates: {t: {entities: {lead: {view: {partial: {mask: []}}}}}}", `the list is empty`},
		{"partial delete of fields", "templates: {t: {entities: {lead: {delete: {partial: {mask: [a]}}}}}}", `unknown key "mask"; use one of types`},
		{"mask under edit", "templates: {t: {entities: {lead: {edit: {partial: {mask: [a]}}}}}}", `unknown key "mask"`},
		{"bulk partial", "templates: {t: {entities: {lead: {bulk: {edit: {partial: {}}}}}}}", `a section stands where`},
		{"a tab", "settings:\n\tsession: {idle: 15m}", `p.yaml:2:1: this is not YAML: found character that cannot start any token; line 2 begins with a tab: indent with spaces`},
		{"a word for a section", "settings: none", "write `name: value` lines below it, indented"},
		{"no value", "templates:", `p.yaml:1:11: there is no value here`},
		{"alias", "roles: {a: &x {rows: own}, b: *x}", `anchors and aliases are not read`},
		{"merge key", "roles:\n  a:\n    <<: {rows: own}", `this is no plain key`},
		{"tag", "account: !!binary YQ==", `the tag "!!binary" is not read`},
		{"second document", "version: 1\n---\nversion: 1", `a second document starts here`},
		{"not yaml", "version: [1", `this is not YAML`},
		{"not utf-8", "account: \xff", `p.yaml:1:1: the file is not UTF-8`},
		{"list instead of section", "- version", `a list stands where section belongs`},
		{"scalar instead of section", "acme", `"acme" stands where section belongs`},
		{"bool as text", "settings: {network: {allow_list_wins: \"true\"}}", `stands where`},
		{"template missing", "assign: [{roles: [sales_user]}]", `p.yaml:1:10: the key "template" is missing; add template: telecaller`},
		{"twice in a list", "assign: [{template: t, roles: [a, a]}]", `"a" is in the list twice`},
		{"offline cap", "roles: {a: {mobile: {max_leads: 75}}}", `unknown value "75"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("p.yaml", []byte(tt.src))
			if err == nil {
				t.Fatalf("accepted: the admin would believe in a rule that does not hold")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			wantPlaces(t, err)
		})
	}
}

func TestParseTooManyTemplates(t *testing.T) {
	src := func(n int) []byte {
		b := []byte("templates:\n")
		for i := range n {
			b = append(b, "  t"+strings.Repeat("x", i)+": {user_access: group}\n"...)
		}
		return b
	}
	if _, err := Parse("p.yaml", src(50)); err != nil {
		t.Errorf("50 templates are allowed: %v", err)
	}
	_, err := Parse("p.yaml", src(51))
	if err == nil || !strings.Contains(err.Error(), "there are 51 templates; keep at most 50") {
		t.Errorf("51 templates: %v", err)
	}
}

func TestParseJoinsAllFaults(t *testing.T) {
	_, err := Parse("p.yaml", []byte("a: 1\nb: 2\nversion: x\n"))
	if err == nil || strings.Count(err.Error(), "p.yaml:") != 3 {
		t.Errorf("an admin mends one fault at a time: %v", err)
	}
}

func wantPlaces(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Line < 1 || e.Col < 1 || e.File == "" {
		t.Errorf("no place in %v", err)
	}
}

// What is parsed and written again is the same policy.
func TestDocumentWritesWhatItReads(t *testing.T) {
	for _, f := range goodPolicies(t) {
		d := mustParseFile(t, f)
		out, err := yaml.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("again.yaml", out)
		if err != nil {
			t.Fatalf("%s: %v\n%s", f, err, out)
		}
		second, _ := yaml.Marshal(again)
		if string(out) != string(second) {
			t.Errorf("%s: export loses something:\n%s\n---\n%s", f, out, second)
		}
	}
}

func goodPolicies(t testing.TB) []string {
	files, err := filepath.Glob("testdata/policy/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no policies to read: %v", err)
	}
	return files
}

func mustParseFile(t testing.TB, file string) *Document {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d, err := Parse(file, b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The schema is what the parser's own shape says, and agrees with it on
// documents.
func TestSchemaFollowsTheParser(t *testing.T) {
	want, err := shape.Schema("https://crmgate.org/schema/policy-1.json", "crmgate policy", documentShape)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		Schema = want
	}
	if string(want) != string(Schema) {
		t.Error("schema.json is not what the parser reads: run go test ./policy -run Schema -update")
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(Schema, &s); err != nil {
		t.Fatal(err)
	}
	rs, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range goodPolicies(t) {
		b, _ := os.ReadFile(f)
		if err := rs.Validate(asJSON(t, b)); err != nil {
			t.Errorf("%s: an editor would mark a good policy: %v", f, err)
		}
	}
	for _, src := range []string{"rolls: {}", "version: 2", "settings: {session: {idle: soon}}", "templates: {t: {entities: {lead: {view: some}}}}", "assign: [{}]", "templates: {t: {entities: {lead: {edit: {partial: {mask: [a]}}}}}}"} {
		if err := rs.Validate(asJSON(t, []byte(src))); err == nil {
			t.Errorf("%s: an editor would not mark a bad policy", src)
		}
	}
}

func asJSON(t *testing.T, src []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(src, &v); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func FuzzParse(f *testing.F) {
	for _, file := range goodPolicies(f) {
		b, _ := os.ReadFile(file)
		f.Add(b)
	}
	f.Add([]byte("version: 1\n---\n"))
	f.Add([]byte("a: &x [*x]"))
	f.Add([]byte("? {a: b}\n: c"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Parse("p.yaml", b)
		if err != nil {
			wantPlaces(t, err)
			return
		}
		if d.Version != 1 {
			t.Errorf("version %d was let through", d.Version)
		}
	})
}
