// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/directory"
	"github.com/crmgate/crmgate/modules/internal/password"
	"github.com/crmgate/crmgate/modules/internal/records"
)

// personInput is what the admin API takes of a person; a nil member changes nothing.
type personInput struct {
	Email    string    `json:"email,omitempty"`
	Name     *string   `json:"name,omitempty"`
	Role     *string   `json:"role,omitempty"`
	OwnerIDs *[]string `json:"owner_ids,omitempty"`
	UserType *string   `json:"user_type,omitempty"`
	Status   *string   `json:"status,omitempty"`
	Password *string   `json:"password,omitempty"`
	// MustChange makes the person change the password at the next sign-in.
	MustChange *bool `json:"must_change,omitempty"`
}

// personOutput is what the admin API tells of a person.
type personOutput struct {
	ID       string    `json:"id"`
	Email    string    `json:"email"`
	Name     string    `json:"name"`
	Role     string    `json:"role"`
	OwnerIDs []string  `json:"owner_ids,omitempty"`
	UserType string    `json:"user_type,omitempty"`
	Status   string    `json:"status"`
	Updated  time.Time `json:"updated"`
}

func outPerson(p *records.Person) personOutput {
	return personOutput{
		ID: p.ID, Email: p.Email, Name: p.Name, Role: p.Role, OwnerIDs: p.OwnerIDs,
		UserType: p.UserType, Status: string(p.Status), Updated: p.Updated,
	}
}

// people lists the directory.
func (c *adminCall) people() (any, error) {
	out := []personOutput{}
	for i, list := 0, c.rt.directory.People(); i < len(list); i++ {
		out = append(out, outPerson(&list[i]))
	}
	return out, nil
}

// addPerson adds a person, with a password when one is given.
func (c *adminCall) addPerson() (any, error) {
	var in personInput
	if err := c.body(&in); err != nil {
		return nil, err
	}
	p := records.Person{ID: NewRequestID(), Status: records.Active, UserType: "regular"}
	email, err := directory.ParseEmail(in.Email)
	if err != nil {
		return nil, badInput{err}
	}
	p.Email = email
	if err := c.apply(&p, &in); err != nil {
		return nil, err
	}
	if p.Role == "" {
		return nil, badInput{errors.New("reading the request: role is missing")}
	}
	if err := c.checkPassword(&p, in.Password); err != nil {
		return nil, err
	}
	stored, err := c.rt.directory.Add(c.r.Context(), p)
	if err != nil {
		if errors.Is(err, records.ErrConflict) {
			return nil, fmt.Errorf("adding %q, who is in the directory already: %w", p.Email, records.ErrConflict)
		}
		err = fmt.Errorf("adding the person: %w", err)
	}
	if stored.ID == "" {
		return nil, err
	}
	if in.Password != nil {
		err = errors.Join(err, c.setPassword(&stored, *in.Password, in.MustChange != nil && *in.MustChange))
	}
	return outPerson(&stored), c.did("person", p.Email, "added", err)
}

// changePerson changes a person. Ending somebody's access ends his sessions.
func (c *adminCall) changePerson() (any, error) {
	var in personInput
	if err := c.body(&in); err != nil {
		return nil, err
	}
	found, err := c.person(c.r.PathValue("email"))
	if err != nil {
		return nil, err
	}
	p := *found
	if in.Email != "" && !strings.EqualFold(in.Email, p.Email) {
		return nil, badInput{errors.New("reading the request: an address cannot be changed; add the person anew, and deactivate this one")}
	}
	before := p
	if err := c.apply(&p, &in); err != nil {
		return nil, err
	}
	if err := c.checkPassword(&p, in.Password); err != nil {
		return nil, err
	}
	if in.MustChange != nil && *in.MustChange && in.Password == nil {
		if _, err := c.rt.records.Credential(c.r.Context(), p.ID, password.CredentialKind); err != nil {
			return nil, fmt.Errorf("demanding another password: %w", err)
		}
	}
	if p, err = c.rt.directory.Update(c.r.Context(), p); err != nil {
		if errors.Is(err, records.ErrConflict) {
			return nil, fmt.Errorf("changing %q, whom somebody else changed at this moment; ask again: %w", found.Email, records.ErrConflict)
		}
		err = fmt.Errorf("changing the person: %w", err)
	}
	if p.ID == "" {
		return nil, err
	}
	// The change holds: what follows from it waits for no second attempt.
	err = errors.Join(err, c.changePassword(&p, &in), c.endChanged(&p, &before))
	return outPerson(&p), c.did("person", before.Email, changes(&in), err)
}

// changePassword sets another password, or demands one.
func (c *adminCall) changePassword(p *records.Person, in *personInput) error {
	mustChange := c.app.Snapshot().Policy.Settings().Password.ResetAfterAdminChange
	if in.MustChange != nil {
		mustChange = *in.MustChange
	}
	switch {
	case in.Password != nil:
		return c.setPassword(p, *in.Password, mustChange)
	case in.MustChange != nil && mustChange:
		if err := c.app.doors.Load().keeper.Demand(c.r.Context(), p.ID); err != nil {
			return fmt.Errorf("demanding another password: %w", err)
		}
	}
	return nil
}

// endChanged ends what a change of status or role leaves no right to.
func (c *adminCall) endChanged(p, before *records.Person) error {
	var err error
	switch {
	case p.Status != records.Active:
		err = errors.Join(c.app.endAccess(c.r.Context(), p.ID, spared{}), c.app.doors.Load().resets.Cancel(c.r.Context(), p.ID))
	case p.Role != before.Role:
		err = c.rt.sessions.EndPerson(c.r.Context(), p.ID, "")
	}
	if err != nil {
		return fmt.Errorf("ending the person's sessions: %w", err)
	}
	return nil
}

// changes names what was changed, not to what.
func changes(in *personInput) string {
	var names []string
	for name, set := range map[string]bool{
		"name": in.Name != nil, "role": in.Role != nil, "owner_ids": in.OwnerIDs != nil,
		"user_type": in.UserType != nil, "status": in.Status != nil, "password": in.Password != nil, "must_change": in.MustChange != nil,
	} {
		if set {
			names = append(names, name)
		}
	}
	return "changed " + strings.Join(sorted(names), ", ")
}

// apply copies what was given and checks it.
func (c *adminCall) apply(p *records.Person, in *personInput) error {
	if in.Name != nil {
		p.Name = *in.Name
	}
	if in.Role != nil {
		if _, ok := c.app.Snapshot().Policy.Role(*in.Role); !ok {
			return badInput{fmt.Errorf("reading the request: the policy has no role %q", *in.Role)}
		}
		p.Role = *in.Role
	}
	if in.OwnerIDs != nil {
		p.OwnerIDs = *in.OwnerIDs
	}
	if in.UserType != nil {
		if *in.UserType != "regular" && *in.UserType != "mobile" {
			return badInput{errors.New("reading the request: user_type is regular or mobile")}
		}
		p.UserType = *in.UserType
	}
	if in.Status != nil {
		if *in.Status != string(records.Active) && *in.Status != string(records.Inactive) {
			return badInput{errors.New("reading the request: status is active or inactive")}
		}
		p.Status = records.Status(*in.Status)
	}
	return nil
}

// checkPassword holds a new password against the policy, before anything is
// changed.
func (c *adminCall) checkPassword(p *records.Person, pw *string) error {
	if pw == nil {
		return nil
	}
	if err := c.app.passwordPolicy().Check(*pw, password.Person{ID: p.ID, Email: p.Email, Name: p.Name}); err != nil {
		return badInput{fmt.Errorf("the password does not do: %w", err)}
	}
	return nil
}

// setPassword sets somebody's password; whatever the old one had opened ends.
func (c *adminCall) setPassword(p *records.Person, pw string, mustChange bool) error {
	who := password.Person{ID: p.ID, Email: p.Email, Name: p.Name}
	if err := c.app.doors.Load().keeper.SetByAdmin(c.r.Context(), who, pw, mustChange); err != nil {
		return fmt.Errorf("setting the password: %w", err)
	}
	return nil
}

// setKey stores a person's own CRM key pair, sealed.
func (c *adminCall) setKey() (any, error) {
	var in struct {
		AccessKey string `json:"access_key"`
		SecretKey string `json:"secret_key"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if in.AccessKey == "" || in.SecretKey == "" {
		return nil, badInput{errors.New("reading the request: access_key and secret_key are needed")}
	}
	p, err := c.person(c.r.PathValue("email"))
	if err != nil {
		return nil, err
	}
	if err = c.rt.keys.Put(c.r.Context(), p.ID, in.AccessKey, in.SecretKey); err != nil {
		err = fmt.Errorf("storing the key pair: %w", err)
	}
	if refused(err) {
		return nil, err
	}
	return map[string]bool{"ok": true}, c.did("crm_key", p.Email, "set the CRM key pair", err)
}

// setLogin stores what a person signs in to the CRM with, sealed.
func (c *adminCall) setLogin() (any, error) {
	var in struct {
		User     string `json:"user"`
		Password string `json:"password"`
	}
	if err := c.body(&in); err != nil {
		return nil, err
	}
	if in.User == "" || in.Password == "" {
		return nil, badInput{errors.New("reading the request: user and password are needed")}
	}
	p, err := c.person(c.r.PathValue("email"))
	if err != nil {
		return nil, err
	}
	if err = c.rt.putCRMCredentials(c.r.Context(), p.ID, in.User, in.Password); refused(err) {
		return nil, err
	}
	if k := c.app.logins; k != nil {
		k.remember(p.ID, nil)
	}
	return map[string]bool{"ok": true}, c.did("crm_login", p.Email, "set the credentials for the CRM", err)
}

// person finds somebody by e-mail address.
func (c *adminCall) person(email string) (*records.Person, error) {
	p, ok := c.rt.directory.ByEmail(email)
	if !ok {
		return nil, fmt.Errorf("finding %q: %w", email, records.ErrNotFound)
	}
	return p, nil
}
