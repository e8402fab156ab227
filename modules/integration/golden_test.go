// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/crmgate/crmgate/modules"
)

// divider stands between what is adapted and what comes out.
const divider = "----------\n"

func adapt(text []byte) (out []byte, warnings []caddyconfig.Warning, err error) {
	return caddyconfig.GetAdapter("caddyfile").Adapt(text, map[string]any{"filename": "Caddyfile"})
}

// TestGolden: each file in testdata/adapt is a Caddyfile, a divider, and the JSON it
// becomes or the error it gives. UPDATE_GOLDEN=1 rewrites the second half; read
// the diff.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("../../testdata/adapt/*.caddyfiletest")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d golden files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".caddyfiletest"), func(t *testing.T) {
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			input, want, found := strings.Cut(string(raw), divider)
			if !found {
				t.Fatal("the file has no divider")
			}
			got := ""
			out, _, err := adapt([]byte(input))
			if err != nil {
				got = err.Error() + "\n"
			} else {
				var b bytes.Buffer
				if err := json.Indent(&b, out, "", "\t"); err != nil {
					t.Fatal(err)
				}
				got = b.String() + "\n"
			}
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(file, []byte(input+divider+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("an operator's Caddyfile now means something else; if that is meant, run `make golden`\ngot:\n%s\nwant:\n%s", got, want)
			}
			if broken := strings.HasPrefix(filepath.Base(file), "error-"); broken != (err != nil) {
				t.Errorf("the file's name says error: %v, adapting says: %v", broken, err)
			}
		})
	}
}

// TestGoldenErrorsNamePlace: an error names the line it is about.
func TestGoldenErrorsNamePlace(t *testing.T) {
	files, _ := filepath.Glob("../../testdata/adapt/error-*.caddyfiletest")
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, said, _ := strings.Cut(string(raw), divider)
		if strings.Contains(said, "unrecognized matcher name") {
			continue // Caddy's own, which names no line
		}
		if !strings.Contains(said, "Caddyfile:") || strings.Count(said, "\n") != 1 {
			t.Errorf("%s: not one line with file and line: %q", filepath.Base(file), said)
		}
	}
}

// TestExamples: every Caddyfile that is shipped is formatted, adapts without a
// warning, and provisions.
func TestExamples(t *testing.T) {
	t.Chdir("../..")
	env, err := os.ReadFile("caddyfiles/example.env")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(env), "\n") {
		if name, value, ok := strings.Cut(strings.TrimPrefix(line, "export "), "="); ok && !strings.HasPrefix(line, "#") {
			t.Setenv(name, value)
		}
	}
	files, _ := filepath.Glob("caddyfiles/*.Caddyfile")
	if len(files) < 5 {
		t.Fatalf("only %d examples were found", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Setenv("CRMGATE_DATA", t.TempDir())
			t.Setenv("XDG_DATA_HOME", t.TempDir())
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(caddyfile.Format(text), text) {
				t.Error("it is not formatted; run `make fmt`")
			}
			out, warnings, err := adapt(text)
			if err != nil {
				t.Fatalf("it does not adapt: %v", err)
			}
			for _, w := range warnings {
				t.Errorf("it adapts with a warning: %s", w.String())
			}
			var cfg caddy.Config
			if err := caddy.StrictUnmarshalJSON(out, &cfg); err != nil {
				t.Fatal(err)
			}
			if err := caddy.Validate(&cfg); err != nil {
				t.Errorf("it does not provision: %v", err)
			}
		})
	}
}
