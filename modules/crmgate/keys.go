// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/crmgate/crmgate/modules/internal/directory"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/vault"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/resource"
)

// keyRing keeps people's own CRM key pairs: sealed in the records store, opened
// at most once for each version of it.
type keyRing struct {
	records   records.Store
	vault     *vault.Vault
	directory *directory.Directory

	opened sync.Map // person id → *openedPair
}

// purposeKeys is what key pairs are sealed for.
const purposeKeys = "crm key pair"

// pair is a key pair as it is sealed.
type pair struct {
	Access string `json:"access"`
	Secret string `json:"secret"`
}

// openedPair is a pair that was opened, and the sealed bytes it came from.
type openedPair struct {
	sealed string
	pair   vault.Secret
}

// Put seals and stores a pair.
func (k *keyRing) Put(ctx context.Context, personID, access, secret string) error {
	plain, err := json.Marshal(pair{access, secret})
	if err != nil {
		return errors.New("encoding the key pair") // the cause would quote it
	}
	sealed, err := k.vault.Seal(purposeKeys, personID, plain)
	if err != nil {
		return fmt.Errorf("sealing the key pair: %w", err)
	}
	return k.directory.SetCRMKey(ctx, records.CRMKey{
		PersonID: personID, Lookup: k.vault.LookupHMAC(purposeKeys, access), Sealed: sealed,
	})
}

// Get returns a person's pair.
func (k *keyRing) Get(_ context.Context, personID string) (access, secret string, err error) {
	key, ok := k.directory.CRMKey(personID)
	if !ok {
		return "", "", because(policy.CRMKeyMissing, errors.New("the person has no CRM key pair"))
	}
	p, err := k.open(key)
	if err != nil {
		return "", "", because(policy.CRMKeyMissing, err)
	}
	return p.Access, p.Secret, nil
}

// open opens a sealed pair; the answer is kept until the sealed bytes change.
func (k *keyRing) open(key *records.CRMKey) (pair, error) {
	var p pair
	plain := vault.Secret{}
	if v, ok := k.opened.Load(key.PersonID); ok && v.(*openedPair).sealed == string(key.Sealed) { //nolint:forcetypeassert // ours
		plain = v.(*openedPair).pair //nolint:forcetypeassert // ours
	} else {
		var err error
		if plain, err = k.vault.Open(purposeKeys, key.PersonID, key.Sealed); err != nil {
			return p, fmt.Errorf("opening the key pair: %w", err)
		}
		k.opened.Store(key.PersonID, &openedPair{sealed: string(key.Sealed), pair: plain})
	}
	if err := json.Unmarshal(plain.Reveal(), &p); err != nil {
		return p, errors.New("reading the key pair: it is not what was sealed")
	}
	return p, nil
}

// pairName is where one half of a key pair may stand.
type pairName struct{ header, query names }

// pairNames are the places of access key and secret key by the map.
func pairNames(c resource.Credentials) (out [2]pairName) {
	for i := range out {
		out[i] = pairName{newNames(nil), newNames(nil)}
		if len(c.Headers) > i {
			out[i].header = newNames(c.Headers[i : i+1])
		}
		if len(c.Query) > i {
			out[i].query = newNames(c.Query[i : i+1])
		}
	}
	return out
}

// credentials finds a key pair in a request: in headers or in the query, names
// compared folded. More than one value for a name is an error: nobody can say
// which one the CRM would have taken.
func (a *App) credentials(req *resource.Request) (access, secret string, found bool, err error) {
	var values [2][]string
	for name, v := range req.Header {
		for i := range a.pairNames {
			if a.pairNames[i].header.has(name) {
				values[i] = append(values[i], v...)
			}
		}
	}
	for name, v := range req.Query {
		for i := range a.pairNames {
			if a.pairNames[i].query.has(name) {
				values[i] = append(values[i], v...)
			}
		}
	}
	switch {
	case len(values[0]) == 0 && len(values[1]) == 0:
		return "", "", false, nil
	case len(values[0]) != 1 || len(values[1]) != 1:
		return "", "", true, because(policy.BadRequest, errors.New("a key pair must be there once and whole"))
	}
	return values[0][0], values[1][0], true, nil
}

// HasKey says whether a request brings a key pair or a part of one; it does not
// say that the pair is right.
func (a *App) HasKey(req *resource.Request) bool {
	_, _, found, _ := a.credentials(req)
	return found
}

// ByKey finds the person behind the key pair of a request. found says that there
// was a pair; an error that it proves nothing.
func (a *App) ByKey(_ context.Context, req *resource.Request) (_ *policy.Principal, found bool, err error) {
	access, secret, found, err := a.credentials(req)
	if !found || err != nil {
		return nil, found, err
	}
	rt := a.runtime.Load()
	wrong := because(policy.NoSession, errors.New("the key pair is not known"))
	person, ok := rt.directory.ByCRMKey(rt.vault.Lookups(purposeKeys, access)...)
	if !ok {
		return nil, true, wrong
	}
	key, ok := rt.directory.CRMKey(person.ID)
	if !ok {
		return nil, true, wrong
	}
	p, err := rt.keys.open(key)
	if err != nil {
		return nil, true, because(policy.Internal, err)
	}
	if subtle.ConstantTimeCompare([]byte(p.Access), []byte(access))&subtle.ConstantTimeCompare([]byte(p.Secret), []byte(strings.TrimSpace(secret))) != 1 {
		return nil, true, wrong
	}
	if person.Status != records.Active {
		return nil, true, because(policy.Deactivated, errors.New("the person behind the key pair is not active"))
	}
	out := PrincipalOf(person, nil)
	out.Kind = policy.APIKey
	return out, true, nil
}
