// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package embedded

import (
	"testing"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/internal/state/statetest"
)

func TestConformance(t *testing.T) {
	folders := map[string]string{}
	statetest.Run(t, func(t *testing.T, account string, clk clock.Clock) state.Store {
		if folders[t.Name()] == "" {
			folders[t.Name()] = t.TempDir()
		}
		st, err := Open(t.Context(), Config{Path: folders[t.Name()], Account: account, Clock: clk})
		if err != nil {
			t.Fatal(err)
		}
		return st
	}, statetest.Options{})
}
