// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/state"
	"github.com/crmgate/crmgate/policy"
)

// crmLogins keeps what the CRM hands out to people whose credentials are stored:
// sealed in the state store, so that all gateways use one, and opened in memory.
// Of any number of requests of a person one signs in.
type crmLogins struct {
	bridge *CredentialsBridge
	client *http.Client
	app    *App

	mu   sync.Mutex
	held map[string]*crmLogin   // by person
	busy map[string]*sync.Mutex // by person: one sign-in at a time
}

// crmLogin is what the CRM handed out to a person.
type crmLogin struct {
	Cookies []crmCookie `json:"cookies,omitempty"`
	Token   string      `json:"token,omitempty"`
	Until   time.Time   `json:"until"`
}

type crmCookie struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

const (
	credentialKind   = "crm" // of the stored credentials, in the records store
	purposeLogin     = "crm login"
	purposeStored    = "crm credentials"
	crmLoginAt       = "crmlogin/"         // + person: a sealed crmLogin
	crmLoginLeaseAt  = "crmlogin-lease/"   // + person: somebody signs in
	crmLoginFailedAt = "crmlogin-refused/" // + person: digest of the credentials the CRM refused
	crmLoginLease    = 15 * time.Second
	// refusedFor is how long credentials the CRM refused are not tried again, lest the
	// CRM lock the person out.
	refusedFor = 5 * time.Minute
)

// crmCredentials are a person's credentials as they are sealed.
type crmCredentials struct {
	User     string `json:"user"`
	Password string `json:"password"`
}

// putCRMCredentials seals and stores a person's credentials of the CRM.
func (rt *runtime) putCRMCredentials(ctx context.Context, personID, user, password string) error {
	plain, err := json.Marshal(crmCredentials{user, password})
	if err != nil {
		return errors.New("encoding the credentials") // the cause would quote them
	}
	sealed, err := rt.vault.Seal(purposeStored, personID, plain)
	if err != nil {
		return fmt.Errorf("sealing the credentials: %w", err)
	}
	if err := rt.records.PutCredential(ctx, records.Credential{PersonID: personID, Kind: credentialKind, Secret: sealed}); err != nil {
		return fmt.Errorf("storing the credentials: %w", err)
	}
	// What was handed out for the old ones is not used any more.
	return rt.state.Delete(ctx, crmLoginAt+personID, crmLoginFailedAt+personID)
}

// login returns what the CRM handed out to a person, signing in when there is
// nothing that is good.
func (k *crmLogins) login(ctx context.Context, personID string) (*crmLogin, error) {
	now := k.app.clock().Now()
	if l := k.known(personID); l != nil && now.Before(l.Until) {
		return l, nil
	}
	one := k.one(personID)
	one.Lock()
	defer one.Unlock()
	if l := k.known(personID); l != nil && now.Before(l.Until) {
		return l, nil
	}
	if l, err := k.shared(ctx, personID); l != nil || err != nil {
		return l, err
	}
	return k.lead(ctx, personID)
}

// lead signs in, or waits for the gateway that does.
func (k *crmLogins) lead(ctx context.Context, personID string) (*crmLogin, error) {
	st := k.app.runtime.Load().state
	for end := time.Now().Add(crmLoginLease); time.Now().Before(end); {
		mine, err := st.PutNew(ctx, crmLoginLeaseAt+personID, nil, crmLoginLease)
		if err != nil {
			return nil, because(policy.StoreUnavailable, fmt.Errorf("signing in to the CRM: %w", err))
		}
		if mine {
			defer func() { _ = st.Delete(context.WithoutCancel(ctx), crmLoginLeaseAt+personID) }()
			if l, err := k.shared(ctx, personID); l != nil || err != nil {
				return l, err // somebody was faster
			}
			return k.signIn(ctx, personID)
		}
		select {
		case <-ctx.Done():
			return nil, because(policy.UpstreamFailed, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
		if l, err := k.shared(ctx, personID); l != nil || err != nil {
			return l, err
		}
	}
	return nil, because(policy.UpstreamFailed, errors.New("another gateway signs in to the CRM and does not end"))
}

// signIn asks the CRM and keeps what it hands out.
func (k *crmLogins) signIn(ctx context.Context, personID string) (*crmLogin, error) {
	rt := k.app.runtime.Load()
	cred, err := rt.records.Credential(ctx, personID, credentialKind)
	switch {
	case errors.Is(err, records.ErrNotFound):
		return nil, because(policy.CRMKeyMissing, errors.New("no credentials of the CRM are stored for the person"))
	case err != nil:
		return nil, because(policy.StoreUnavailable, fmt.Errorf("reading the credentials of the CRM: %w", err))
	}
	digest := []byte(rt.vault.LookupHMAC(purposeStored, string(cred.Secret)))
	if e, err := rt.state.Get(ctx, crmLoginFailedAt+personID); err == nil && string(e.Value) == string(digest) {
		return nil, because(policy.CRMKeyMissing, errors.New("the CRM refused the stored credentials a moment ago"))
	}
	plain, err := rt.vault.Open(purposeStored, personID, cred.Secret)
	if err != nil {
		return nil, because(policy.CRMKeyMissing, fmt.Errorf("opening the credentials of the CRM: %w", err))
	}
	var c crmCredentials
	if json.Unmarshal(plain.Reveal(), &c) != nil {
		return nil, because(policy.CRMKeyMissing, errors.New("the credentials of the CRM are not what was sealed"))
	}
	l, err := k.ask(ctx, c)
	if errors.Is(err, errCRMRefused) {
		_ = rt.state.Put(context.WithoutCancel(ctx), crmLoginFailedAt+personID, digest, refusedFor)
		return nil, because(policy.CRMKeyMissing, err)
	}
	if err != nil {
		return nil, because(policy.UpstreamFailed, err)
	}
	return l, k.keep(ctx, personID, l)
}

// keep stores a login for all gateways.
func (k *crmLogins) keep(ctx context.Context, personID string, l *crmLogin) error {
	rt := k.app.runtime.Load()
	plain, err := json.Marshal(l)
	if err != nil {
		return because(policy.Internal, errors.New("encoding the CRM's session"))
	}
	sealed, err := rt.vault.Seal(purposeLogin, personID, plain)
	if err != nil {
		return because(policy.Internal, fmt.Errorf("sealing the CRM's session: %w", err))
	}
	if err := rt.state.Put(context.WithoutCancel(ctx), crmLoginAt+personID, sealed, l.Until.Sub(k.app.clock().Now())); err != nil {
		return because(policy.StoreUnavailable, fmt.Errorf("keeping the CRM's session: %w", err))
	}
	k.remember(personID, l)
	return nil
}

// shared reads what another gateway, or this one before a restart, has kept.
func (k *crmLogins) shared(ctx context.Context, personID string) (*crmLogin, error) {
	rt := k.app.runtime.Load()
	e, err := rt.state.Get(ctx, crmLoginAt+personID)
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, because(policy.StoreUnavailable, fmt.Errorf("reading the CRM's session: %w", err))
	}
	plain, err := rt.vault.Open(purposeLogin, personID, e.Value)
	if err != nil {
		return nil, nil //nolint:nilerr // sealed with a key that is gone: sign in anew
	}
	var l crmLogin
	if json.Unmarshal(plain.Reveal(), &l) != nil || !k.app.clock().Now().Before(l.Until) {
		return nil, nil
	}
	k.remember(personID, &l)
	return &l, nil
}

// spoil forgets a login the CRM does not take any more, unless somebody has a
// newer one already.
func (k *crmLogins) spoil(ctx context.Context, personID string, old *crmLogin) error {
	k.remember(personID, nil)
	l, err := k.shared(ctx, personID)
	if err != nil || l == nil || l.Token != old.Token || !slices.Equal(l.Cookies, old.Cookies) {
		return err
	}
	k.remember(personID, nil)
	return k.app.runtime.Load().state.Delete(ctx, crmLoginAt+personID)
}

func (k *crmLogins) known(personID string) *crmLogin {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.held[personID]
}

// maxLogins bounds what is opened in memory; beyond it everything is read anew.
const maxLogins = 20000

func (k *crmLogins) remember(personID string, l *crmLogin) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l == nil {
		delete(k.held, personID)
		return
	}
	if k.held == nil || len(k.held) >= maxLogins {
		k.held = map[string]*crmLogin{}
	}
	k.held[personID] = l
}

func (k *crmLogins) one(personID string) *sync.Mutex {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.busy == nil || len(k.busy) >= maxLogins {
		k.busy = map[string]*sync.Mutex{}
	}
	m := k.busy[personID]
	if m == nil {
		m = new(sync.Mutex)
		k.busy[personID] = m
	}
	return m
}
