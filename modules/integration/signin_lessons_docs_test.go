// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// snippet is one Caddyfile in a document.
type snippet struct{ place, text string }

// snippets returns the Caddyfiles of all documents, whole or in part.
func snippets(t *testing.T) []snippet {
	t.Helper()
	var out []snippet
	var files []string
	for _, pattern := range []string{"../../*.md", "../../docs/*.md", "../../docs/recipes/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		open := ""
		line := 0
		for text := range strings.Lines(lessonRead(t, file)) {
			line++
			switch {
			case strings.TrimSpace(text) == "```caddyfile":
				out = append(out, snippet{place: strings.TrimPrefix(file, "../../") + ":" + strconv.Itoa(line)})
				open = "caddyfile"
			case strings.HasPrefix(text, "```"):
				open = ""
			case open != "":
				out[len(out)-1].text += text
			}
		}
	}
	return out
}

// TestDocumentedCaddyfilesAdapt: what people copy out of a document is read, and
// what a recipe shows also starts.
func TestDocumentedCaddyfilesAdapt(t *testing.T) {
	recipes := 0
	for _, s := range snippets(t) {
		t.Run(s.place, func(t *testing.T) {
			recipe := strings.HasPrefix(s.place, "docs/recipes/")
			text := strings.ReplaceAll(s.text, "[<matcher>]", "")
			text = strings.ReplaceAll(text, "<upstreams...>", "10.1.0.5:8080")
			text = strings.ReplaceAll(text, "<options of reverse_proxy...>", "")
			if first, _, _ := strings.Cut(strings.TrimSpace(text), "\n"); first != "{" && !strings.HasSuffix(first, ".com {") && !strings.HasPrefix(first, "#") {
				text = "crm.example.com {\n" + text + "}\n"
			} else if recipe && !bytes.Equal(caddyfile.Format([]byte(text)), []byte(text)) {
				t.Errorf("it is not formatted:\n%s", caddyfile.Format([]byte(text)))
			}
			folder := t.TempDir()
			t.Setenv("XDG_DATA_HOME", folder)
			if recipe {
				recipes++
				t.Chdir(folder)
				t.Setenv("GOOGLE_CLIENT_SECRET", "a-secret-of-google")
				write(t, "policy.yaml", rolesOnly)
				secret := filepath.Join(folder, "secret")
				write(t, secret, "a-secret-of-adfs\n")
				text = strings.ReplaceAll(text, "{file./run/secrets/adfs}", "{file."+secret+"}")
				text = strings.Replace(text, "map leadsquared", "map leadsquared\n\t\tdata "+folder+"/data", 1)
			}
			out, warnings, err := adapt([]byte(text))
			if err != nil {
				t.Fatalf("somebody who copies it gets: %v", err)
			}
			for _, w := range warnings {
				if recipe && !strings.Contains(w.Message, "not formatted") {
					t.Errorf("somebody who copies it reads: %s", w.String())
				}
			}
			if !recipe {
				return
			}
			var cfg caddy.Config
			if err := caddy.StrictUnmarshalJSON(out, &cfg); err != nil {
				t.Fatal(err)
			}
			if err := caddy.Validate(&cfg); err != nil {
				t.Errorf("somebody who follows the recipe cannot start: %v", err)
			}
		})
	}
	if recipes < 3 {
		t.Errorf("%d recipes were tried, want 3", recipes)
	}
}
