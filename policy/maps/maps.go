// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package maps holds the resource maps that come with the gate, and the suites
// that hold them to their CRMs.
package maps

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/crmgate/crmgate/policy/resource"
)

//go:embed *.yaml
var files embed.FS

// Names returns the names of the maps, in order.
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

// Source returns the YAML of a map. A name that is not in Names is an error.
func Source(name string) ([]byte, error) {
	if slices.Contains(Names(), name) {
		return files.ReadFile(name + ".yaml")
	}
	return nil, fmt.Errorf("loading map %q: there is none of that name; there are %s", name, strings.Join(Names(), ", "))
}

// Load parses a map.
func Load(name string) (*resource.Map, error) {
	data, err := Source(name)
	if err != nil {
		return nil, err
	}
	return resource.Parse(name+".yaml", data)
}

// Suite returns the YAML of a map's suite of recorded exchanges.
func Suite(name string) ([]byte, error) {
	if _, err := Source(name); err != nil {
		return nil, err
	}
	return files.ReadFile(name + "_test.yaml")
}
