// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package maps

import (
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/resource"
)

// Whatever a request can name through a relation comes back as a record inside the
// record, under the relation's name and a dot. Where the map does not say whose
// record that is, its fields are shown by somebody else's rules.
func TestTrytonRelationsAreNestedRecords(t *testing.T) {
	src, err := Source("tryton")
	if err != nil {
		t.Fatal(err)
	}
	m, err := resource.Parse("tryton.yaml", src)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range m.Entities {
		nested := map[string]string{}
		for _, rs := range e.Nested {
			at := strings.TrimSuffix(rs.At.String(), "/*")
			nested[strings.Trim(at, "/.")] = rs.Entity
		}
		for _, f := range e.Fields {
			for _, name := range f.Names {
				if f.Entity != "" && nested[name] != f.Entity {
					t.Errorf("%s.%s holds a %s, and nested says %q: its fields come back unmasked", e.Name, name, f.Entity, nested[name])
				}
			}
		}
	}
}
