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
	Email    string // unique, compared folded (lower case)
	Name     string
	Role     string
	OwnerIDs []string // ids under which the CRM knows this person
	UserType string   // "regular" or "mobile"
	Status   Status
	Version  int64 // changes with every write; 0 for a new person
	Created  time.Time
	Updated  time.Time
}

// Credential is one proof a person can give. Secret is a password hash in PHC
// form, or sealed bytes: never a clear secret.
type Credential struct {
	PersonID string
	Kind     string // "password"
	Secret   []byte
	Updated  time.Time
}

// CRMKey is a person's own key pair of the CRM, sealed by the vault.
type CRMKey struct {
	PersonID string
	Lookup   string // HMAC of the access key: finds the person without opening anything
	Sealed   []byte
	Updated  time.Time
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
	At     time.Time
}

// Store is the records store of one account. All methods are safe for
// concurrent use; every write is durable when it returns. Errors wrap
// ErrNotFound, ErrConflict or ErrUnavailable.
type Store interface {
	// PutPerson inserts (Version 0) or updates (Version as read) and returns the
	// person as stored. A stale version or a taken e-mail is ErrConflict.
	PutPerson(ctx context.Context, p Person) (Person, error)
	Person(ctx context.Context, id string) (Person, error)
	PersonByEmail(ctx context.Context, email string) (Person, error)
	People(ctx context.Context) ([]Person, error)

	PutCredential(ctx context.Context, c Credential) error
	Credential(ctx context.Context, personID, kind string) (Credential, error)
	DeleteCredential(ctx context.Context, personID, kind string) error

	PutCRMKey(ctx context.Context, k CRMKey) error
	CRMKey(ctx context.Context, personID string) (CRMKey, error)
	CRMKeyByLookup(ctx context.Context, lookup string) (CRMKey, error)

	// PutBlob inserts (Version 0) or replaces (Version as read); otherwise ErrConflict.
	PutBlob(ctx context.Context, b Blob) (Blob, error)
	Blob(ctx context.Context, name string) (Blob, error)

	// AddRevision appends a policy revision and returns it numbered. The digest of
	// the newest revision again adds nothing and returns that one.
	AddRevision(ctx context.Context, r Revision) (Revision, error)
	Revisions(ctx context.Context, limit int) ([]Revision, error) // newest first

	audit.Sink
	audit.Source

	Ping(ctx context.Context) error
	Close() error
}
