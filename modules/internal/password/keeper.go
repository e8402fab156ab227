// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/records"
)

// Kinds of credential a Keeper writes.
const (
	CredentialKind = "password"         // the hash
	HistoryKind    = "password_history" // earlier hashes, when the password was set, whether it must be changed
)

// Errors callers branch on, beside *PolicyError and those of the Hasher.
var (
	// ErrWrong: the present password is not what was given, or there is none. Count
	// it as a failed attempt.
	ErrWrong = errors.New("the present password is wrong")
	// ErrConflict: somebody else changed the password at the same moment. Nothing
	// was changed.
	ErrConflict = errors.New("the password was changed by somebody else at the same moment")
	// ErrHistory: what is kept beside the password cannot be read. An administrator
	// who sets the password anew mends it.
	ErrHistory = errors.New("the history of the password cannot be read; an administrator must set the password anew")
)

// TooSoonError says that a password is too young to be changed.
type TooSoonError struct{ Until time.Time }

// Error is one sentence for the person, without the time.
func (e *TooSoonError) Error() string { return "the password was changed only recently" }

// Store is what a Keeper needs of records.Store.
type Store interface {
	Credential(ctx context.Context, personID, kind string) (records.Credential, error)
	SwapCredential(ctx context.Context, c records.Credential, old []byte) error
}

// KeeperOptions of NewKeeper. Records, Hasher, Policy and Changed must be set.
type KeeperOptions struct {
	Records Store
	Hasher  *Hasher
	Policy  func() Policy // the policy of the moment
	Clock   clock.Clock   // nil: the machine's

	// Changed is called once a new password holds, whoever set it: the caller ends
	// the person's sessions, trusted devices, pending sign-ins and reset links in it.
	// It is called even when the client went away meanwhile.
	Changed func(ctx context.Context, personID string) error
}

// Keeper sets and changes passwords, keeps their history and knows when one is
// due. Of several changes at the same moment, on any number of gateways, one
// wins.
//
// A change is written in this order, so that a crash in between loses nothing:
// first the present hash into the history (it is not used there while it is still
// the present one), and the demand to change the password if one is made; then
// the new hash; then the time of the change, and the end of a demand. After a
// crash before the second step the old password holds, after one behind it the
// new one does, and at worst the person is asked to change it once more.
type Keeper struct{ o KeeperOptions }

// NewKeeper returns a Keeper.
func NewKeeper(o KeeperOptions) *Keeper {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	return &Keeper{o: o}
}

// Status is how somebody's password stands.
type Status struct {
	Set        bool      // there is a password
	Version    string    // changes with every change of what is stored; "" without a password
	Changed    time.Time // when it was set; zero without one
	Expires    time.Time // zero: never
	Expired    bool
	MustChange bool      // somebody else set it, and its person shall set another one
	MayChange  time.Time // zero: at once
}

// Due says whether the password must be changed before anything else.
func (s Status) Due() bool { return s.Set && (s.Expired || s.MustChange) }

// Status says how somebody's password stands. Times are compared now.
func (k *Keeper) Status(ctx context.Context, personID string) (Status, error) {
	now, err := k.load(ctx, personID)
	if err != nil || now.hash == nil {
		return Status{}, err
	}
	return k.status(now), nil
}

func (k *Keeper) status(now kept) Status {
	p := k.o.Policy()
	s := Status{Set: true, Version: version(now.hash), Changed: now.changed(), MustChange: now.doc.MustChange}
	if p.MaxAge > 0 {
		s.Expires = s.Changed.Add(p.MaxAge)
		s.Expired = !k.o.Clock.Now().Before(s.Expires)
	}
	if p.MinAge > 0 && !s.Due() {
		if until := s.Changed.Add(p.MinAge); k.o.Clock.Now().Before(until) {
			s.MayChange = until
		}
	}
	return s
}

// version names what is stored without telling it.
func version(hash []byte) string {
	if hash == nil {
		return ""
	}
	sum := sha256.Sum256(hash)
	return hex.EncodeToString(sum[:16])
}

// Version is Status.Version alone: what a one-time link to set a password is
// bound to.
func (k *Keeper) Version(ctx context.Context, personID string) (string, error) {
	cred, err := k.o.Records.Credential(ctx, personID, CredentialKind)
	if errors.Is(err, records.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading the password's hash: %w", err)
	}
	return version(cred.Secret), nil
}

// Since says when the present password was set, as kept beside it; zero when
// nothing is kept. It moves with every change of the password, and not when the same
// password is hashed anew: whoever read it before a password was verified, and reads
// the same after what the password opened was stored, knows that a change in between
// has yet to call Changed, which ends it.
func (k *Keeper) Since(ctx context.Context, personID string) (time.Time, error) {
	cred, err := k.o.Records.Credential(ctx, personID, HistoryKind)
	if errors.Is(err, records.ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("reading when the password was set: %w", err)
	}
	doc, err := decodeDocument(cred.Secret)
	return doc.Changed, err
}

// Change sets a new password for somebody who gives the present one: ErrWrong, a
// *TooSoonError, a *PolicyError, ErrConflict, errors of the Hasher and of the
// records otherwise. Nothing about the new password is judged, and nothing is
// said, before the present one proved right.
func (k *Keeper) Change(ctx context.Context, who Person, present, password string) error {
	now, err := k.load(ctx, who.ID)
	if err != nil {
		return err
	}
	res, err := k.o.Hasher.Verify(ctx, string(now.hash), present)
	switch {
	case errors.Is(err, ErrUnusable), err == nil && !res.OK:
		return ErrWrong
	case err != nil:
		return err
	}
	if s := k.status(now); !s.MayChange.IsZero() {
		return &TooSoonError{Until: s.MayChange}
	}
	_, err = k.renew(ctx, now, who, password)
	return err
}

// Renew sets a new password for somebody who proved himself otherwise in this
// sign-in: by the password that is due to be changed, or by a one-time link. The
// policy and the history hold, the smallest age does not. It returns what Since says
// from then on, unless there is a later change.
func (k *Keeper) Renew(ctx context.Context, who Person, password string) (since time.Time, err error) {
	now, err := k.load(ctx, who.ID)
	if err != nil {
		return time.Time{}, err
	}
	return k.renew(ctx, now, who, password)
}

func (k *Keeper) renew(ctx context.Context, now kept, who Person, password string) (since time.Time, err error) {
	if err := k.accept(ctx, now, who, password); err != nil {
		return time.Time{}, err
	}
	hash, err := k.o.Hasher.Hash(ctx, password)
	if err != nil {
		return time.Time{}, err
	}
	return k.write(ctx, now, who.ID, hash, false)
}

// accept holds a password against policy, present password and history.
func (k *Keeper) accept(ctx context.Context, now kept, who Person, password string) error {
	p := k.o.Policy()
	if err := p.Check(password, who); err != nil {
		return err
	}
	if now.hash != nil {
		res, err := k.o.Hasher.Verify(ctx, string(now.hash), password)
		if err != nil && !errors.Is(err, ErrStored) {
			return err
		}
		if res.OK {
			return &PolicyError{Problems: []Problem{problem(KindSame, 0, false)}}
		}
	}
	for _, old := range now.doc.Hashes[:min(len(now.doc.Hashes), p.History)] {
		res, err := k.o.Hasher.Verify(ctx, old, password)
		if err != nil && !errors.Is(err, ErrStored) {
			return err
		}
		if res.OK {
			return &PolicyError{Problems: []Problem{problem(KindHistory, p.History, false)}}
		}
	}
	return nil
}

// SetByAdmin sets somebody else's password: the policy holds, history and
// smallest age do not, since they would tell of passwords that are none of the
// administrator's business. With mustChange its person has to change it at the
// next sign-in. What was unreadable beside the old one is made anew.
func (k *Keeper) SetByAdmin(ctx context.Context, who Person, password string, mustChange bool) error {
	if err := k.o.Policy().Check(password, who); err != nil {
		return err
	}
	hash, err := k.o.Hasher.Hash(ctx, password)
	if err != nil {
		return err
	}
	return k.put(ctx, who.ID, hash, mustChange)
}

// Import stores a hash made elsewhere, which is replaced at the next sign-in. One
// that could never be verified, or costs too much, is ErrStored.
func (k *Keeper) Import(ctx context.Context, personID, hash string, mustChange bool) error {
	if err := Check(hash); err != nil {
		return err
	}
	return k.put(ctx, personID, hash, mustChange)
}

func (k *Keeper) put(ctx context.Context, personID, hash string, mustChange bool) error {
	now, err := k.load(ctx, personID)
	if errors.Is(err, ErrHistory) {
		now.doc, err = document{}, nil
	}
	if err != nil {
		return err
	}
	_, err = k.write(ctx, now, personID, hash, mustChange)
	return err
}

// Demand makes somebody change the password at the next sign-in.
func (k *Keeper) Demand(ctx context.Context, personID string) error {
	now, err := k.load(ctx, personID)
	if err != nil {
		return err
	}
	if now.hash == nil {
		return fmt.Errorf("demanding a new password: there is none: %w", records.ErrNotFound)
	}
	now.doc.MustChange = true
	if now.doc.Changed.IsZero() {
		now.doc.Changed = now.updated
	}
	_, err = k.save(ctx, personID, now)
	return err
}

// write makes the change in the order the type describes. It returns when the new
// password was set.
func (k *Keeper) write(ctx context.Context, now kept, personID, hash string, mustChange bool) (since time.Time, err error) {
	if h := now.doc.Hashes; now.hash != nil && (len(h) == 0 || h[0] != string(now.hash)) {
		h = append([]string{string(now.hash)}, h...)
		now.doc.Hashes = h[:min(len(h), MaxHistory+1)]
	}
	if now.doc.Changed.IsZero() {
		now.doc.Changed = now.updated
	}
	now.doc.MustChange = now.doc.MustChange || mustChange
	if now.raw, err = k.save(ctx, personID, now); err != nil {
		return time.Time{}, err
	}

	err = k.o.Records.SwapCredential(ctx, records.Credential{PersonID: personID, Kind: CredentialKind, Secret: []byte(hash)}, now.hash)
	if errors.Is(err, records.ErrConflict) {
		return time.Time{}, ErrConflict
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("storing the password's hash: %w", err)
	}

	// The new password holds: what follows must happen even if the client is gone.
	ctx = context.WithoutCancel(ctx)
	now.doc.Changed, now.doc.MustChange = k.o.Clock.Now().UTC(), mustChange
	now.doc.Hashes = now.doc.Hashes[:min(len(now.doc.Hashes), k.o.Policy().History)]
	_, saved := k.save(ctx, personID, now)
	if errors.Is(saved, ErrConflict) {
		saved = nil // a later change wrote it already
	}
	if err := errors.Join(k.o.Changed(ctx, personID), saved); err != nil {
		return time.Time{}, fmt.Errorf("the new password holds, but not everything that follows was done: %w", err)
	}
	return now.doc.Changed, nil
}
