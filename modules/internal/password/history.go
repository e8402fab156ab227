// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/crmgate/crmgate/modules/internal/records"
)

// document is the credential of HistoryKind.
type document struct {
	Hashes     []string  `json:"hashes,omitempty"` // earlier ones, the newest first; never the present one for long
	Changed    time.Time `json:"changed,omitzero"` // when the present password was set
	MustChange bool      `json:"must_change,omitempty"`
}

// kept is everything stored about one password, as read.
type kept struct {
	hash    []byte // nil: there is none
	updated time.Time
	doc     document
	raw     []byte // of doc; nil: there is none
}

// changed is when the password was set. What was stored without a document counts
// from when it was written.
func (n kept) changed() time.Time {
	if n.doc.Changed.IsZero() {
		return n.updated
	}
	return n.doc.Changed
}

// load reads the hash and the document. The hash is read first: a change in
// between makes the later swap fail rather than its history be lost.
func (k *Keeper) load(ctx context.Context, personID string) (now kept, err error) {
	cred, err := k.o.Records.Credential(ctx, personID, CredentialKind)
	switch {
	case err == nil:
		now.hash, now.updated = cred.Secret, cred.Updated
	case !errors.Is(err, records.ErrNotFound):
		return kept{}, fmt.Errorf("reading the password's hash: %w", err)
	}
	cred, err = k.o.Records.Credential(ctx, personID, HistoryKind)
	switch {
	case errors.Is(err, records.ErrNotFound):
		return now, nil
	case err != nil:
		return kept{}, fmt.Errorf("reading the password's history: %w", err)
	}
	now.raw = cred.Secret
	now.doc, err = decodeDocument(cred.Secret)
	return now, err
}

// decodeDocument reads a document strictly: unknown or doubled members, a hash
// that cannot be verified and too many of them are ErrHistory, which quotes
// nothing.
func decodeDocument(raw []byte) (doc document, err error) {
	if err := json.Unmarshal(raw, &doc, json.RejectUnknownMembers(true)); err != nil || len(doc.Hashes) > MaxHistory+1 {
		return document{}, ErrHistory
	}
	if slices.Contains(doc.Hashes, "") { // would be checked against the hash of unknown accounts
		return document{}, ErrHistory
	}
	return doc, nil
}

// save writes the document if it still is what was read, and returns it as written.
func (k *Keeper) save(ctx context.Context, personID string, now kept) ([]byte, error) {
	raw, err := json.Marshal(now.doc)
	if err != nil {
		return nil, fmt.Errorf("writing the password's history: %w", err)
	}
	err = k.o.Records.SwapCredential(ctx, records.Credential{PersonID: personID, Kind: HistoryKind, Secret: raw}, now.raw)
	if errors.Is(err, records.ErrConflict) {
		return nil, ErrConflict
	}
	if err != nil {
		return nil, fmt.Errorf("storing the password's history: %w", err)
	}
	return raw, nil
}
