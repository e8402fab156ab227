// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package factor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/vault"
)

// Info is one factor a person has set up.
type Info struct {
	ID       string // "totp", "mail", "sms", or "passkey/<id>": for Remove
	Kind     string
	Label    string
	Added    time.Time
	Used     time.Time // zero: never
	BackedUp bool      // a passkey that is copied to the person's other devices
	Cloned   bool      // a passkey that is refused since its counter went back
}

// Factors is what a person has set up. Recovery codes are no factor of their own.
type Factors struct {
	List         []Info
	Recovery     bool // there is a set of recovery codes
	RecoveryLeft int  // codes not used yet
	PhoneHint    string

	phone string // the number an admin set
	sms   string // the number that was proved, when it is still that one
}

// Any says whether there is a factor that can be proved.
func (f *Factors) Any() bool {
	return slices.ContainsFunc(f.List, func(i Info) bool { return !i.Cloned })
}

// Has says whether there is a factor of this kind that can be proved.
func (f *Factors) Has(kind string) bool {
	if kind == Recovery {
		return f.RecoveryLeft > 0
	}
	return slices.ContainsFunc(f.List, func(i Info) bool { return i.Kind == kind && !i.Cloned })
}

// Factors reads what a person has set up, those this gateway does not offer at the
// moment included. One that cannot be read is ErrUnreadable.
func (m *Manager) Factors(ctx context.Context, personID string) (*Factors, error) {
	creds, err := m.o.Records.Credentials(ctx, personID)
	if err != nil {
		return nil, fmt.Errorf("reading second factors: %w", err)
	}
	f := new(Factors)
	var sms *phoneRow
	for _, c := range creds {
		kind := kindOf(c.Kind)
		if !slices.Contains([]string{TOTP, Passkey, Mail, SMS, "phone", Recovery}, kind) {
			continue
		}
		row := newRow(kind)
		if err := m.openRow(c, row); err != nil {
			return nil, err
		}
		head := row.head()
		info := Info{ID: c.Kind, Kind: kind, Label: head.Label, Added: head.Added, Used: head.Used}
		switch row := row.(type) {
		case *passkeyRow:
			info.BackedUp, info.Cloned = row.Key.Flags.BackupState, !row.Cloned.IsZero()
		case *recoveryRow:
			f.Recovery, f.RecoveryLeft = true, len(row.Codes)
			continue
		case *phoneRow:
			if kind == "phone" {
				f.phone, f.PhoneHint = row.Number, phoneHint(row.Number)
			} else {
				sms = row
			}
			continue
		}
		f.List = append(f.List, info)
	}
	if sms != nil && sms.Number == f.phone { // another number has to be proved again
		f.sms = sms.Number
		f.List = append(f.List, Info{ID: SMS, Kind: SMS, Added: sms.Added, Used: sms.Used})
	}
	return f, nil
}

// Usable lists the ways this person can prove the second factor here, the strongest
// first, of the kinds that are allowed. Recovery codes are allowed beside any other
// kind, and no way of their own: with nothing else the list is empty, and the
// caller says whether setting one up is due.
func (m *Manager) Usable(ctx context.Context, person records.Person, kinds []string) ([]Method, error) {
	f, err := m.Factors(ctx, person.ID)
	if err != nil {
		return nil, err
	}
	return m.usable(f, person, kinds), nil
}

func (m *Manager) usable(f *Factors, person records.Person, kinds []string) []Method {
	var out []Method
	for _, kind := range Kinds {
		if kind != Recovery && slices.Contains(kinds, kind) && m.offers(kind) && f.Has(kind) {
			out = append(out, Method{kind, hint(f, person, kind)})
		}
	}
	if len(out) > 0 && f.Has(Recovery) {
		out = append(out, Method{Kind: Recovery})
	}
	return out
}

// enrollable lists what a person could set up.
func (m *Manager) enrollable(f *Factors, person records.Person, kinds []string) []Method {
	var out []Method
	for _, kind := range Kinds {
		switch {
		case kind == Recovery, !slices.Contains(kinds, kind), !m.offers(kind),
			kind == SMS && f.phone == "", kind != Passkey && f.Has(kind):
			continue
		}
		out = append(out, Method{kind, hint(f, person, kind)})
	}
	return out
}

// Enrollable lists the kinds of those allowed that a person could set up here. SMS
// is among them only when an admin has set a number.
func (m *Manager) Enrollable(ctx context.Context, person records.Person, kinds []string) ([]Method, error) {
	f, err := m.Factors(ctx, person.ID)
	if err != nil {
		return nil, err
	}
	return m.enrollable(f, person, kinds), nil
}

func hint(f *Factors, person records.Person, kind string) string {
	switch kind {
	case Mail:
		return mailHint(person.Email)
	case SMS:
		return f.PhoneHint
	}
	return ""
}

func secretOf(s string) vault.Secret { return vault.NewSecret([]byte(s)) }

// Remove takes one factor away, by Info.ID; ErrGone when there is none. With the
// last one the recovery codes go too. Whether the person may is the caller's.
func (m *Manager) Remove(ctx context.Context, personID, id string) error {
	if id != TOTP && id != Mail && id != SMS && !strings.HasPrefix(id, passkeyPrefix) {
		return ErrGone
	}
	c, err := m.o.Records.Credential(ctx, personID, id)
	if errors.Is(err, records.ErrNotFound) {
		return ErrGone
	}
	if err != nil {
		return err
	}
	if err := m.forget(ctx, c); err != nil {
		return err
	}
	f, err := m.Factors(ctx, personID)
	if err != nil || len(f.List) > 0 {
		return err
	}
	return m.o.Records.DeleteCredential(ctx, personID, Recovery)
}

// forget deletes a factor and gives a passkey's id free.
func (m *Manager) forget(ctx context.Context, c records.Credential) error {
	if err := m.o.Records.DeleteCredential(ctx, c.PersonID, c.Kind); err != nil {
		return err
	}
	row := new(passkeyRow)
	if !strings.HasPrefix(c.Kind, passkeyPrefix) || m.openRow(c, row) != nil {
		return nil //nolint:nilerr // one that cannot be read keeps its id: nobody can say which it is
	}
	return m.release(ctx, row.Key.ID)
}

// Reset takes all of a person's factors, recovery codes, trusted devices and
// pending sign-ins away: an admin's way out when a phone is lost. It also works on
// what cannot be read. The number for SMS stays.
func (m *Manager) Reset(ctx context.Context, personID string) error {
	creds, err := m.o.Records.Credentials(ctx, personID)
	if err != nil {
		return err
	}
	for _, c := range creds {
		switch kindOf(c.Kind) {
		case TOTP, Passkey, Mail, SMS, Recovery, "device":
			if err := m.forget(ctx, c); err != nil {
				return err
			}
		}
	}
	_, err = m.EndPendings(ctx, personID)
	return err
}

// SetPhone sets the number SMS go to, in E.164 (+ and 8 to 15 digits); "" takes it
// away. Only an admin may. Another number has to be proved before it is a factor.
func (m *Manager) SetPhone(ctx context.Context, personID, number string) error {
	if number == "" {
		return m.o.Records.DeleteCredential(ctx, personID, "phone")
	}
	if !validPhone(number) {
		return errors.New("setting a phone number: write it as +441632960961: a plus, the country, the number, 8 to 15 digits")
	}
	head, err := m.newCommon("")
	if err != nil {
		return err
	}
	sealed, err := m.seal("factor/phone", personID, &phoneRow{head, number})
	if err != nil {
		return err
	}
	return m.o.Records.PutCredential(ctx, records.Credential{PersonID: personID, Kind: "phone", Secret: sealed})
}
