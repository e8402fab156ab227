// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package state

import (
	"context"

	"github.com/crmgate/crmgate/modules/internal/clock"
)

// Where says for whom a store is opened.
type Where struct {
	Account string
	Data    string // the gateway's data folder, "" when there is none
	Clock   clock.Clock
}

// Opener is a guest that opens a state store.
type Opener interface {
	// StateKey names the resource, without secrets: configurations with the same key
	// share one open store, so that a reload loses nothing.
	StateKey() string
	// OpenState opens the store. It is called once a key, when the gateway starts.
	OpenState(ctx context.Context, w Where) (Store, error)
}
