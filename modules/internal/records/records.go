// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package records says what the gate needs from the store of things that must
// never be lost: people, credentials, keys, policy revisions, audit.
// Implementations live in modules/records; package recordstest proves them.
//
// A store belongs to one account: the account's name is part of every key, so
// that several accounts can share one database.
package records

import (
	"context"
	"errors"
	"time"

	"github.com/crmgate/crmgate/modules/internal/audit"
)

// ErrNotFound is returned when a record does not exist.
var ErrNotFound = errors.New("records: not found")

// ErrConflict is returned when a record was changed by somebody else since it
// was read, or when a unique value (an e-mail address) is taken.
var ErrConflict = errors.New("records: conflict")

// ErrInvalid is returned for a record that no store could hold as given: an
// empty id, a status that is not in the list, a key longer than MaxKey, text
// that is not valid UTF-8 or holds a NUL. Nothing was written.
var ErrInvalid = errors.New("records: invalid record")

// MaxKey is the greatest length, in bytes, of anything a record is found by:
// ids, e-mail addresses, names of blobs, look-up values, audit chains, request
// ids. Values that are only carried may be of any size.
const MaxKey = 512

// ErrUnavailable wraps every failure to reach the store. Callers fail closed.
var ErrUnavailable = errors.New("records: store unavailable")

// Status of a person. People are never deleted, only deactivated: their audit
// trail stays readable.
type Status string

// The statuses.
const (
	Active   Status = "active"
	Inactive Status = "inactive"
)

// Person is one entry of the directory.
type Person struct {
	ID       string // opaque, given by the store's caller, never reused
	Email    string // unique, compared folded by FoldEmail
	Name     string
	Role     string
	OwnerIDs []string // ids under which the CRM knows this person
	UserType string   // "regular" or "mobile"
	Status   Status
	Version  int64     // changes with every write; 0 for a new person
	Created  time.Time // set by the store, UTC, microseconds
	Updated  time.Time // set by the store, UTC, microseconds
}

// Credential is one proof a person can give. Secret is a password hash in PHC
// form, or sealed bytes: never a clear secret.
type Credential struct {
	PersonID string
	Kind     string // "password", "totp", "passkey/<id>", ...
	Secret   []byte
	Updated  time.Time // set by the store, UTC, microseconds
}

// CRMKey is a person's own key pair of the CRM, sealed by the vault.
type CRMKey struct {
	PersonID string
	Lookup   string // HMAC of the access key: finds the person without opening anything
	Sealed   []byte
	Updated  time.Time // set by the store, UTC, microseconds
}

// Blob is a named, small thing a gateway cluster shares: signing keys, sealed.
type Blob struct {
	Name    string
	Value   []byte
	Version int64
}

// Revision is one accepted policy.
type Revision struct {
	Number int64 // from 1, without gaps
	Digest string
	Source []byte
	By     string
	At     time.Time // UTC, microseconds; set by the store when zero
}

// Store is the records store of one account. All methods are safe for
// concurrent use; every write is durable when it returns. Errors wrap
// ErrNotFound, ErrConflict, ErrInvalid or ErrUnavailable; after Close every call
// is ErrUnavailable.
type Store interface {
	// PutPerson inserts (Version 0) or updates (Version as read) and returns the
	// person as stored. A stale version or a taken e-mail is ErrConflict.
	PutPerson(ctx context.Context, p Person) (Person, error)
	Person(ctx context.Context, id string) (Person, error)
	PersonByEmail(ctx context.Context, email string) (Person, error)
	People(ctx context.Context) ([]Person, error) // ordered by id

	// PutCredential inserts or replaces; a person who does not exist is ErrNotFound.
	PutCredential(ctx context.Context, c Credential) error
	Credential(ctx context.Context, personID, kind string) (Credential, error)
	Credentials(ctx context.Context, personID string) ([]Credential, error) // ordered by kind
	// SwapCredential writes c only if the stored secret equals old, as one atomic
	// act; with old nil only if there is none. Otherwise ErrConflict, also when the
	// credential is gone: what was deleted meanwhile is never brought back. A person
	// who does not exist is ErrNotFound or, with an old secret, ErrConflict.
	SwapCredential(ctx context.Context, c Credential, old []byte) error
	// DropCredential deletes only if the stored secret equals old, as one atomic act;
	// otherwise ErrConflict, also when there is none.
	DropCredential(ctx context.Context, personID, kind string, old []byte) error
	// DeleteCredential deletes; one that is not there is no error.
	DeleteCredential(ctx context.Context, personID, kind string) error

	// PutCRMKey inserts or replaces. A person who does not exist is ErrNotFound; a
	// Lookup that belongs to somebody else is ErrConflict.
	PutCRMKey(ctx context.Context, k CRMKey) error
	CRMKey(ctx context.Context, personID string) (CRMKey, error)
	CRMKeys(ctx context.Context) ([]CRMKey, error) // ordered by person
	CRMKeyByLookup(ctx context.Context, lookup string) (CRMKey, error)

	// PutBlob inserts (Version 0) or replaces (Version as read); otherwise ErrConflict.
	PutBlob(ctx context.Context, b Blob) (Blob, error)
	Blob(ctx context.Context, name string) (Blob, error)

	// AddRevision appends a policy revision and returns it numbered. The digest of
	// the newest revision again adds nothing and returns that one.
	AddRevision(ctx context.Context, r Revision) (Revision, error)
	Revisions(ctx context.Context, limit int) ([]Revision, error) // newest first; limit <= 0: all

	// AppendAudit takes records that continue their chain's head and ErrConflict
	// otherwise: two writers can never fork a chain.
	audit.Sink
	audit.Source

	Ping(ctx context.Context) error
	Close() error
}
