// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package reset makes and redeems the one-time links with which people set a
// password they forgot.
//
// A token is 256 random bits; the state keeps only its hash. It holds for Lifetime,
// opens one password change, and dies earlier: when a newer one is made for the same
// person, and when the password changes in any way (it is bound to the version of
// what is stored). Looking at a link changes nothing, so that a mail scanner that
// follows it takes it from nobody; only Redeem does.
//
// Request tells nobody who has an account: it does the same work for people, for
// addresses nobody has and for people who may not have a link, and its answer has the
// same shape. The caller answers the client first and sends the mail afterwards.
//
// Everything fails closed: without the state store, with a client address that is
// not valid, or when the version of the password cannot be read, there is no token
// and nothing is redeemed.
package reset

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/crmgate/crmgate/modules/internal/address"
	"github.com/crmgate/crmgate/modules/internal/clock"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// Lifetime is how long a link holds.
const Lifetime = 30 * time.Minute

// How many links are made: for one account, and for one client address (a /64 for
// IPv6).
var (
	PerAccount = state.Limit{Events: 3, Per: time.Hour}
	PerAddress = state.Limit{Events: 20, Per: time.Hour}
)

// ErrInvalid is returned for a link that does not hold: never made, used, expired,
// replaced by a newer one, or older than the password. Nobody learns which.
var ErrInvalid = errors.New("this link does not hold, or not any more")

// Options of New. State and Version must be set.
type Options struct {
	State state.Store
	// Version names somebody's present password; it changes with every change of it.
	Version func(ctx context.Context, personID string) (string, error)
	Clock   clock.Clock // nil: the machine's
	Rand    io.Reader   // nil: crypto/rand
}

// Links makes and redeems links. Safe for concurrent use, and by any number of
// gateways that share the state.
type Links struct{ o Options }

// New returns a Links.
func New(o Options) *Links {
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	return &Links{o: o}
}

// Ask is somebody asking for a link.
type Ask struct {
	Email  string     // as it was typed; people are told apart by its folded form
	Client netip.Addr // who asks
	// PersonID is who has this address; "" when nobody has, and for people who may
	// not have a link: inactive ones, those who sign in elsewhere only.
	PersonID string
}

// Outcome says what to do with a request. Why is for audit and log; nothing of it is
// for the client, who always reads the same sentence.
type Outcome struct {
	Send    bool         // send Token to the person's address of the directory, never to the typed one
	Token   vault.Secret // 43 characters of base64url; always set, it opens something only with Send
	Expires time.Time
	Why     Why
}

// Why is the reason of an Outcome.
type Why string

// The reasons.
const (
	Sent             Why = "sent"
	NobodyToSend     Why = "nobody"            // no such person, or one who may not have a link
	AccountThrottled Why = "account_throttled" // too many for this account
	AddressThrottled Why = "address_throttled" // too many from this address
)

// Info is what a page may know of a link.
type Info struct {
	PersonID string
	Expires  time.Time
}

// entry is what the state keeps under a token's hash.
type entry struct {
	Person  string    `json:"person"`
	Version string    `json:"version"`
	Expires time.Time `json:"expires"`
}

// Keys of the state. A token counts only while the person's pointer names it.
func tokenKey(hash string) string    { return "reset/token/" + hash }
func newestKey(person string) string { return "reset/newest/" + person }

// decoy is in front of what stands for a person where there is none. Nobody's id
// begins with it, and no token under it is ever redeemed.
const decoy = "!"

// Request makes a link, or does as much as if it made one.
func (l *Links) Request(ctx context.Context, ask Ask) (Outcome, error) {
	if !ask.Client.IsValid() {
		return Outcome{}, errors.New("making a link for a forgotten password: the client's address is unknown")
	}
	folded := sha256.Sum256([]byte(records.FoldEmail(ask.Email)))
	account := hex.EncodeToString(folded[:])
	byAddress, err := l.o.State.Admit(ctx, "reset/from/"+address.Source(ask.Client), PerAddress)
	if err != nil {
		return Outcome{}, fmt.Errorf("making a link for a forgotten password: %w", err)
	}
	byAccount, err := l.o.State.Admit(ctx, "reset/for/"+account, PerAccount)
	if err != nil {
		return Outcome{}, fmt.Errorf("making a link for a forgotten password: %w", err)
	}

	out := Outcome{Why: Sent}
	person := ask.PersonID
	switch {
	case !byAddress.Allowed:
		out.Why, person = AddressThrottled, decoy+account
	case !byAccount.Allowed:
		out.Why, person = AccountThrottled, decoy+account
	case person == "" || person[:1] == decoy:
		out.Why, person = NobodyToSend, decoy+account
	}
	out.Send = out.Why == Sent
	version, err := l.o.Version(ctx, person) // for a decoy it finds nothing, as for somebody without a password
	if err != nil {
		return Outcome{}, fmt.Errorf("making a link for a forgotten password: %w", err)
	}
	if out.Token, out.Expires, err = l.put(ctx, person, version); err != nil {
		return Outcome{}, fmt.Errorf("making a link for a forgotten password: %w", err)
	}
	return out, nil
}

// Invite makes a link without a request: for an administrator who lets somebody set
// a first password, or a new one. It is not throttled.
func (l *Links) Invite(ctx context.Context, personID string) (vault.Secret, time.Time, error) {
	if personID == "" || personID[:1] == decoy {
		return vault.Secret{}, time.Time{}, errors.New("making a link for a new password: there is no such person")
	}
	version, err := l.o.Version(ctx, personID)
	if err != nil {
		return vault.Secret{}, time.Time{}, fmt.Errorf("making a link for a new password: %w", err)
	}
	return l.put(ctx, personID, version)
}

// put stores a token and makes it the person's newest. The token is stored first: one
// that is the newest always exists.
func (l *Links) put(ctx context.Context, person, version string) (vault.Secret, time.Time, error) {
	random := make([]byte, 32)
	if _, err := io.ReadFull(l.o.Rand, random); err != nil {
		return vault.Secret{}, time.Time{}, err
	}
	token := base64.RawURLEncoding.EncodeToString(random)
	e := entry{Person: person, Version: version, Expires: l.o.Clock.Now().Add(Lifetime)}
	value, err := json.Marshal(e)
	if err != nil {
		return vault.Secret{}, time.Time{}, err
	}
	hash := hashOf(token)
	if err := l.o.State.Put(ctx, tokenKey(hash), value, Lifetime); err != nil {
		return vault.Secret{}, time.Time{}, err
	}
	if err := l.o.State.Put(ctx, newestKey(person), []byte(hash), Lifetime); err != nil {
		return vault.Secret{}, time.Time{}, err
	}
	return vault.NewSecret([]byte(token)), e.Expires, nil
}

// Look says whether a link holds, and for whom: ErrInvalid when it does not. It
// changes nothing.
func (l *Links) Look(ctx context.Context, token string) (Info, error) {
	got, err := l.o.State.Get(ctx, tokenKey(hashOf(token)))
	if errors.Is(err, state.ErrNotFound) {
		return Info{}, ErrInvalid
	}
	if err != nil {
		return Info{}, fmt.Errorf("looking at a link: %w", err)
	}
	e, err := l.holds(ctx, hashOf(token), got.Value)
	return Info{PersonID: e.Person, Expires: e.Expires}, err
}

// Redeem takes a link and calls set, which sets the new password of the person. Of
// any number of requests at the same time one gets to set. When set fails, because
// the new password does not do for example, the link is put back for what is left of
// its time; a gateway that dies in between loses the link and nothing else. Errors
// are ErrInvalid, those of set, and those of the state store.
func (l *Links) Redeem(ctx context.Context, token string, set func(ctx context.Context, personID string) error) error {
	hash := hashOf(token)
	got, err := l.o.State.Take(ctx, tokenKey(hash))
	if errors.Is(err, state.ErrNotFound) {
		return ErrInvalid
	}
	if err != nil {
		return fmt.Errorf("redeeming a link: %w", err)
	}
	e, err := l.holds(ctx, hash, got.Value)
	if errors.Is(err, ErrInvalid) {
		return err
	}
	if err == nil {
		err = set(ctx, e.Person)
	}
	// What follows must happen even if the client is gone.
	ctx = context.WithoutCancel(ctx)
	if err != nil {
		left := entryExpires(got.Value).Sub(l.o.Clock.Now())
		if left <= 0 {
			return err
		}
		if _, again := l.o.State.PutNew(ctx, tokenKey(hash), got.Value, left); again != nil {
			return errors.Join(err, fmt.Errorf("putting a link back: %w", again))
		}
		return err
	}
	// The new password's version ended the link already; this only tidies up.
	_ = l.o.State.Delete(ctx, newestKey(e.Person))
	return nil
}

// Cancel ends somebody's link: at a lock or when the person is deactivated.
func (l *Links) Cancel(ctx context.Context, personID string) error {
	if err := l.o.State.Delete(ctx, newestKey(personID)); err != nil {
		return fmt.Errorf("ending a link: %w", err)
	}
	return nil
}

// holds checks what was kept of a token. Expiry is compared now.
func (l *Links) holds(ctx context.Context, hash string, value []byte) (entry, error) {
	var e entry
	if err := json.Unmarshal(value, &e, json.RejectUnknownMembers(true)); err != nil ||
		e.Person == "" || e.Person[:1] == decoy || !l.o.Clock.Now().Before(e.Expires) {
		return entry{}, ErrInvalid
	}
	newest, err := l.o.State.Get(ctx, newestKey(e.Person))
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return entry{}, fmt.Errorf("looking at a link: %w", err)
	}
	if err != nil || subtle.ConstantTimeCompare(newest.Value, []byte(hash)) != 1 {
		return entry{}, ErrInvalid
	}
	version, err := l.o.Version(ctx, e.Person)
	if err != nil {
		return entry{}, fmt.Errorf("looking at a link: %w", err)
	}
	if version != e.Version {
		return entry{}, ErrInvalid
	}
	return e, nil
}

// entryExpires is when a kept token ends; zero when it cannot be read.
func entryExpires(value []byte) time.Time {
	var e entry
	if json.Unmarshal(value, &e) != nil {
		return time.Time{}
	}
	return e.Expires
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
