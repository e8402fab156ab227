// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package records

import "context"

// Where says for whom a store is opened.
type Where struct {
	Account string
	Data    string // the gateway's data folder, "" when there is none
}

// Opener is a guest that opens a records store.
type Opener interface {
	// RecordsKey names the resource, without secrets: configurations with the same
	// key share one open store, so that a reload loses nothing.
	RecordsKey() string
	// OpenRecords opens the store. It is called once a key, when the gateway starts.
	OpenRecords(ctx context.Context, w Where) (Store, error)
}
