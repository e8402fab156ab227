// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package recordstest proves a records.Store: every sentence of package records
// and of audit.Sink and audit.Source is a test here, and every implementation
// passes the same ones.
package recordstest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/records"
)

// Database is a fresh, empty database of the implementation under test. Open
// connects to it as an account; it is called several times, also with the same
// account, as several gateways would. The suite closes what it opened.
type Database interface {
	Open(ctx context.Context, account string) (records.Store, error)
}

// Run proves the stores that fresh hands out, one database a test.
func Run(t *testing.T, fresh func(t *testing.T) Database) {
	for name, test := range map[string]func(*env){
		"PersonRoundTrip":         personRoundTrip,
		"PersonVersions":          personVersions,
		"PersonVersionsParallel":  personVersionsParallel,
		"PersonEmailUnique":       personEmailUnique,
		"PersonEmailParallel":     personEmailParallel,
		"PersonInvalid":           personInvalid,
		"PeopleOrdered":           peopleOrdered,
		"CredentialRoundTrip":     credentialRoundTrip,
		"CredentialsListed":       credentialsListed,
		"CredentialSwap":          credentialSwap,
		"CredentialSwapParallel":  credentialSwapParallel,
		"CRMKeyRoundTrip":         crmKeyRoundTrip,
		"BlobVersions":            blobVersions,
		"BlobCreatedOnce":         blobCreatedOnce,
		"RevisionNumbers":         revisionNumbers,
		"RevisionNumbersParallel": revisionNumbersParallel,
		"AccountsApart":           accountsApart,
		"ValuesHuge":              valuesHuge,
		"ValuesUnicode":           valuesUnicode,
		"AuditRoundTrip":          auditRoundTrip,
		"AuditAllOrNothing":       auditAllOrNothing,
		"AuditNeverForks":         auditNeverForks,
		"AuditQueries":            auditQueries,
		"AuditChainsAndHeads":     auditChainsAndHeads,
		"AuditInvalid":            auditInvalid,
		"Durable":                 durable,
		"CancelledContext":        cancelledContext,
		"ClosedIsUnavailable":     closedIsUnavailable,
	} {
		t.Run(name, func(t *testing.T) {
			test(&env{T: t, db: fresh(t)})
		})
	}
}

// env is what a test works with.
type env struct {
	*testing.T
	db Database
}

const writers = 50

func (e *env) open(account string) records.Store {
	e.Helper()
	s, err := e.db.Open(e.Context(), account)
	if err != nil {
		e.Fatalf("opening the store of account %q: %v", account, err)
	}
	e.Cleanup(func() { _ = s.Close() })
	return s
}

// must fails the test on an error, which a person would have seen as a refusal.
func must[T any](e *env, doing string) func(T, error) T {
	return func(v T, err error) T {
		e.Helper()
		if err != nil {
			e.Fatalf("%s: %v", doing, err)
		}
		return v
	}
}

func (e *env) ok(doing string, err error) {
	e.Helper()
	if err != nil {
		e.Fatalf("%s: %v", doing, err)
	}
}

func (e *env) is(doing string, err, want error) {
	e.Helper()
	if !errors.Is(err, want) {
		e.Fatalf("%s: got error %v, callers branch on %v", doing, err, want)
	}
}

func (e *env) fresh(what string, at time.Time) {
	e.Helper()
	if d := time.Since(at); d < -time.Minute || d > time.Minute {
		e.Errorf("%s is %v, %v from now: admins read it as when it was done", what, at, d)
	}
	if at.Location() != time.UTC || !at.Equal(at.Truncate(time.Microsecond)) {
		e.Errorf("%s is %v, not UTC in microseconds", what, at)
	}
}

func person(id, email string) records.Person {
	return records.Person{
		ID: id, Email: email, Name: "Name of " + id, Role: "sales_user", OwnerIDs: []string{"own-" + id, "own-2-" + id},
		UserType: "regular", Status: records.Active,
	}
}

func samePerson(a, b records.Person) bool {
	return a.ID == b.ID && a.Email == b.Email && a.Name == b.Name && a.Role == b.Role &&
		strings.Join(a.OwnerIDs, "\x00") == strings.Join(b.OwnerIDs, "\x00") && len(a.OwnerIDs) == len(b.OwnerIDs) &&
		a.UserType == b.UserType && a.Status == b.Status && a.Version == b.Version &&
		a.Created.Equal(b.Created) && a.Updated.Equal(b.Updated)
}

// parallel runs fn in many goroutines that start together, and returns the errors.
func parallel(n int, fn func(i int) error) []error {
	start, done := make(chan struct{}), make(chan error)
	for i := range n {
		go func() {
			<-start
			done <- fn(i)
		}()
	}
	close(start)
	errs := make([]error, n)
	for i := range errs {
		errs[i] = <-done
	}
	return errs
}

// oneWinner checks that one of the writers won and the others were told.
func (e *env) oneWinner(doing string, errs []error) {
	e.Helper()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, records.ErrConflict) {
			e.Errorf("%s: a loser got %v instead of a conflict", doing, err)
		}
	}
	if won != 1 {
		e.Errorf("%s: %d of %d writers won, exactly one may: the others' change is lost silently", doing, won, len(errs))
	}
}
