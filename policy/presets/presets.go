// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package presets holds policies to start from. Each is a whole policy that
// compiles against the LeadSquared map; an admin copies it and assigns its
// templates to his own roles and groups.
package presets

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed *.yaml
var files embed.FS

// Names returns the names of the presets, in order.
func Names() []string {
	var out []string
	entries, _ := fs.ReadDir(files, ".") // an embedded folder always reads
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".yaml"); ok && !strings.HasSuffix(name, "_test") {
			out = append(out, name)
		}
	}
	return out
}

// Source returns the YAML of a preset. A name that is not in Names is an error.
func Source(name string) ([]byte, error) { return read(name, ".yaml") }

// Suite returns the YAML of the cases that hold a preset to its promise.
func Suite(name string) ([]byte, error) { return read(name, "_test.yaml") }

func read(name, end string) ([]byte, error) {
	if slices.Contains(Names(), name) {
		return files.ReadFile(name + end)
	}
	return nil, fmt.Errorf("loading preset %q: there is none of that name; there are %s", name, strings.Join(Names(), ", "))
}
