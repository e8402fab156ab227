// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package maps

import "testing"

func TestEveryMapLoads(t *testing.T) {
	for _, name := range Names() {
		_, err := Load(name)
		if err != nil {
			t.Fatalf("map %s cannot be used, the gate would not start:\n%v", name, err)
		}
	}
}
