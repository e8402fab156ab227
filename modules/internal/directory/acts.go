// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/crmgate/crmgate/modules/internal/records"
)

// ErrNoRole is returned for a person without a role: nobody gets rights by
// default.
var ErrNoRole = errors.New("a person needs a role")

// The user types of a person.
const (
	Regular = "regular"
	Mobile  = "mobile"
)

// Add adds a person and returns him as stored. ID is made when empty, UserType is
// regular when empty, Status active when empty. Errors are ErrEmail, ErrNoRole,
// those of records.Store, and ErrUnannounced.
func (d *Directory) Add(ctx context.Context, p records.Person) (records.Person, error) {
	p.Version = 0
	if p.ID == "" {
		id, err := d.newID()
		if err != nil {
			return records.Person{}, err
		}
		p.ID = id
	}
	if p.UserType == "" {
		p.UserType = Regular
	}
	if p.Status == "" {
		p.Status = records.Active
	}
	return d.put(ctx, "adding a person", p)
}

// Update changes a person; Version is the one that was read. Errors are those of
// Add; records.ErrConflict when somebody else was faster.
func (d *Directory) Update(ctx context.Context, p records.Person) (records.Person, error) {
	if p.Version == 0 {
		return records.Person{}, fmt.Errorf("changing a person: %w: the version that was read is missing", records.ErrInvalid)
	}
	return d.put(ctx, "changing a person", p)
}

func (d *Directory) put(ctx context.Context, doing string, p records.Person) (records.Person, error) {
	email, err := ParseEmail(p.Email)
	switch {
	case err != nil:
		return records.Person{}, fmt.Errorf("%s: %w", doing, err)
	case p.Role == "":
		return records.Person{}, fmt.Errorf("%s: %w", doing, ErrNoRole)
	case p.UserType != Regular && p.UserType != Mobile:
		return records.Person{}, fmt.Errorf("%s: %w: user type %q is neither %q nor %q", doing, records.ErrInvalid, p.UserType, Regular, Mobile)
	}
	p.Email = email
	stored, err := d.opt.Records.PutPerson(ctx, p)
	if err != nil {
		return records.Person{}, fmt.Errorf("%s: %w", doing, err)
	}
	return stored, d.announce(ctx, doing)
}

// statusAttempts is how often SetStatus starts over when others change the same
// person: an admin who locks somebody out must not lose a race.
const statusAttempts = 10

// SetStatus activates or deactivates a person. On this gateway it holds when it
// returns, on the others within a second.
func (d *Directory) SetStatus(ctx context.Context, personID string, status records.Status) (records.Person, error) {
	const doing = "setting a person's status"
	for attempt := 1; ; attempt++ {
		p, err := d.opt.Records.Person(ctx, personID)
		if err != nil {
			return records.Person{}, fmt.Errorf("%s: %w", doing, err)
		}
		if p.Status != status {
			p.Status = status
			if p, err = d.opt.Records.PutPerson(ctx, p); errors.Is(err, records.ErrConflict) && attempt < statusAttempts {
				continue
			}
		}
		if err != nil {
			return records.Person{}, fmt.Errorf("%s: %w", doing, err)
		}
		return p, d.announce(ctx, doing)
	}
}

// KindPassword is the kind of credential that SetPassword writes.
const KindPassword = "password"

// SetPassword stores the hash of a person's password, in PHC form; an empty one
// takes the password away.
func (d *Directory) SetPassword(ctx context.Context, personID string, hash []byte) error {
	const doing = "setting a password"
	var err error
	if len(hash) == 0 {
		err = d.opt.Records.DeleteCredential(ctx, personID, KindPassword)
	} else {
		err = d.opt.Records.PutCredential(ctx, records.Credential{PersonID: personID, Kind: KindPassword, Secret: hash})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return d.announce(ctx, doing)
}

// SetCRMKey stores a person's key pair of the CRM, sealed. A Lookup that belongs
// to somebody else is records.ErrConflict.
func (d *Directory) SetCRMKey(ctx context.Context, k records.CRMKey) error {
	const doing = "setting a key of the CRM"
	if err := d.opt.Records.PutCRMKey(ctx, k); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return d.announce(ctx, doing)
}

// announceTime bounds how long an act waits for a store that hangs.
const announceTime = 5 * time.Second

// announce renews the own snapshot and tells the other gateways. Both are tried,
// also when the caller has gone: the change has been made.
func (d *Directory) announce(ctx context.Context, doing string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), announceTime)
	defer cancel()
	loadErr := d.Load(ctx)
	if loadErr != nil {
		d.heardNothing()
	}
	version, err := d.newID()
	if err == nil {
		err = d.opt.State.Put(ctx, VersionKey, []byte(version), 0)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w: %w", doing, ErrUnannounced, err)
	}
	return errors.Join(loadErr, err)
}

// heardNothing makes the follower read again soon, and go on until it succeeds.
func (d *Directory) heardNothing() {
	select {
	case d.reload <- struct{}{}:
	default:
	}
}
