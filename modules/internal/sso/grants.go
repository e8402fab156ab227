// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sso

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/signin"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// Where grants live in the state store. The grant itself is sealed; the indexes
// hold hashes and session ids only.
const (
	grantsAt     = "grant/"         // + session id
	subjectsAt   = "grant-subject/" // + hash of provider and subject + "/" + session id
	sidsAt       = "grant-sid/"     // + hash of provider and provider session + "/" + session id
	dueAt        = "grant-due/"     // + session id; the value is the Unix time
	goneAt       = "grant-gone/"    // + hash of provider and provider session that has ended there
	purposeGrant = "sso grant"
)

// goneLife is how long a provider session that ended is remembered: a sign-in that
// began before may still be waiting for its second factor.
const goneLife = 30 * time.Minute

// ErrNoGrant is returned when a session has no grant.
var ErrNoGrant = errors.New("sso: the session has no grant")

// ErrGone is returned when the provider has ended its session meanwhile.
var ErrGone = errors.New("sso: the sign-in has ended at the provider")

// GrantOptions configure Grants. Env and End are required.
type GrantOptions struct {
	// Env returns the stores, and false while they are not open.
	Env func() (signin.Env, bool)
	// Provider returns a configured provider.
	Provider func(name string) (signin.RedirectProvider, bool)
	// End ends a session of ours.
	End func(ctx context.Context, sessionID, why string) error
	// Alive says whether a session still stands; an error means that nobody knows.
	// Default: every session does.
	Alive func(ctx context.Context, sessionID string) (bool, error)
	// Session returns the id of the good session a request carries. Default: none.
	Session func(r *http.Request) (id string, ok bool)
}

// Grants keeps what was learned at a provider for as long as a session lives, asks
// the provider again when that is due, and finds the sessions a provider wants to
// end. It is the signin.Host of a gateway. Safe for concurrent use; several
// gateways share one store.
//
// A grant that cannot be opened, of a provider that is no longer configured, or
// whose provider says no ends its session. A provider that cannot be asked does
// not: the next try is a minute later, then two, up to a quarter of an hour, and
// the session's own end bounds the whole.
type Grants struct {
	opts GrantOptions

	mu      sync.Mutex
	running map[string]*renewing // by session id
}

// NewGrants returns the grants of a gateway.
func NewGrants(o GrantOptions) (*Grants, error) {
	if o.Env == nil || o.End == nil {
		return nil, errors.New("setting up grants: Env and End are required")
	}
	if o.Provider == nil {
		o.Provider = func(string) (signin.RedirectProvider, bool) { return nil, false }
	}
	if o.Alive == nil {
		o.Alive = func(context.Context, string) (bool, error) { return true, nil }
	}
	if o.Session == nil {
		o.Session = func(*http.Request) (string, bool) { return "", false }
	}
	return &Grants{opts: o, running: map[string]*renewing{}}, nil
}

// kept is a grant as it is sealed.
type kept struct {
	Grant  signin.Grant `json:"grant"`
	Email  string       `json:"email"`           // folded: a renewal must name the same person
	Until  time.Time    `json:"until,omitzero"`  // the session's end
	Next   time.Time    `json:"next,omitzero"`   // when the provider is asked again; zero: never
	Fails  int          `json:"fails,omitempty"` // in a row
	Denied string       `json:"denied,omitempty"`
}

func (k *kept) ttl(now time.Time) time.Duration {
	if k.Until.IsZero() {
		return 0
	}
	if d := k.Until.Sub(now); d != 0 {
		return d
	}
	return -1
}

// env returns the stores or an error that says they are away.
func (g *Grants) env() (signin.Env, error) {
	env, ok := g.opts.Env()
	if !ok {
		return env, fmt.Errorf("%w: the stores are not open", state.ErrUnavailable)
	}
	return env, nil
}

// Keep keeps the grant of a session that has just begun, until the session's end
// (zero: without end). email is the person's address. ErrGone says that the person
// has signed out at the provider since; like any other error it must end the session.
func (g *Grants) Keep(ctx context.Context, sessionID, email string, grant signin.Grant, until time.Time) error {
	env, err := g.env()
	if err != nil {
		return fmt.Errorf("keeping a grant: %w", err)
	}
	k := kept{Grant: grant, Email: records.FoldEmail(email), Until: until, Next: grant.Recheck}
	if err := g.put(ctx, env, sessionID, k); err != nil {
		return fmt.Errorf("keeping a grant: %w", err)
	}
	if grant.Session == "" {
		return nil
	}
	// A sign-out that comes from here on finds the grant; one that came before has
	// left its mark.
	switch _, err := env.State.Get(ctx, indexKey(goneAt, grant.Provider, grant.Session)); {
	case errors.Is(err, state.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("keeping a grant: %w", err)
	}
	return errors.Join(ErrGone, g.drop(ctx, env, sessionID, grant))
}

// put writes the indexes first: a grant nobody finds would never be ended.
func (g *Grants) put(ctx context.Context, env signin.Env, sessionID string, k kept) error {
	sealed, err := seal(env, sessionID, k)
	if err != nil {
		return err
	}
	ttl := k.ttl(env.Clock.Now())
	for _, key := range indexes(sessionID, k.Grant) {
		if err := env.State.Put(ctx, key, nil, ttl); err != nil {
			return err //nolint:wrapcheck // the callers say what they were doing
		}
	}
	if err := putDue(ctx, env, sessionID, k, ttl); err != nil {
		return err
	}
	return env.State.Put(ctx, grantsAt+sessionID, sealed, ttl) //nolint:wrapcheck // as above
}

func putDue(ctx context.Context, env signin.Env, sessionID string, k kept, ttl time.Duration) error {
	if k.Next.IsZero() {
		return env.State.Delete(ctx, dueAt+sessionID) //nolint:wrapcheck // as above
	}
	return env.State.Put(ctx, dueAt+sessionID, strconv.AppendInt(nil, k.Next.Unix(), 10), ttl) //nolint:wrapcheck // as above
}

func seal(env signin.Env, sessionID string, k kept) ([]byte, error) {
	plain, err := json.Marshal(k)
	if err != nil {
		return nil, errors.New("encoding a grant") // the cause could quote it
	}
	sealed, err := env.Vault.Seal(purposeGrant, sessionID, plain)
	if err != nil {
		return nil, fmt.Errorf("sealing a grant: %w", err)
	}
	return sealed, nil
}

// load reads a grant and the bytes it was stored as.
func load(ctx context.Context, env signin.Env, sessionID string) (kept, []byte, error) {
	e, err := env.State.Get(ctx, grantsAt+sessionID)
	switch {
	case errors.Is(err, state.ErrNotFound):
		return kept{}, nil, ErrNoGrant
	case err != nil:
		return kept{}, nil, fmt.Errorf("reading a grant: %w", err)
	}
	k, err := unseal(env, sessionID, e.Value)
	return k, e.Value, err
}

func unseal(env signin.Env, sessionID string, sealed []byte) (kept, error) {
	var k kept
	plain, err := env.Vault.Open(purposeGrant, sessionID, sealed)
	if err != nil {
		return k, fmt.Errorf("opening a grant: %w", err)
	}
	if err := json.Unmarshal(plain.Reveal(), &k); err != nil {
		return k, errors.New("reading a grant: it is not what was sealed")
	}
	return k, nil
}

// indexes are the keys under which a session is found by what the provider says.
func indexes(sessionID string, g signin.Grant) []string {
	var keys []string
	if g.Subject != "" {
		keys = append(keys, indexKey(subjectsAt, g.Provider, g.Subject)+sessionID)
	}
	if g.Session != "" {
		keys = append(keys, indexKey(sidsAt, g.Provider, g.Session)+sessionID)
	}
	return keys
}

func indexKey(at, provider, id string) string {
	return at + hashOf(strconv.Itoa(len(provider))+":"+provider+id) + "/"
}

// Of returns the grant of a session, or ErrNoGrant.
func (g *Grants) Of(ctx context.Context, sessionID string) (signin.Grant, error) {
	env, err := g.env()
	if err != nil {
		return signin.Grant{}, err
	}
	k, _, err := load(ctx, env, sessionID)
	return k.Grant, err
}

// Rotate moves the grant to the session's new id. A renewal that is under way is
// waited for, so that its refresh token is not lost. A session without a grant is
// no error.
func (g *Grants) Rotate(ctx context.Context, oldID, newID string) error {
	env, err := g.env()
	if err != nil {
		return fmt.Errorf("rotating a grant: %w", err)
	}
	l, err := waitLease(ctx, env, oldID)
	if err != nil {
		return fmt.Errorf("rotating a grant: %w", err)
	}
	defer l.release(ctx)
	k, _, err := load(ctx, env, oldID)
	switch {
	case errors.Is(err, ErrNoGrant):
		return nil
	case err != nil:
		return fmt.Errorf("rotating a grant: %w", err)
	}
	if err := g.put(ctx, env, newID, k); err != nil {
		return fmt.Errorf("rotating a grant: %w", err)
	}
	return g.drop(ctx, env, oldID, k.Grant)
}

// Drop forgets the grant of a session that has ended. An absent one is no error.
func (g *Grants) Drop(ctx context.Context, sessionID string) error {
	env, err := g.env()
	if err != nil {
		return fmt.Errorf("dropping a grant: %w", err)
	}
	k, _, err := load(ctx, env, sessionID)
	if errors.Is(err, state.ErrUnavailable) {
		return err
	}
	return g.drop(ctx, env, sessionID, k.Grant) // one that cannot be read is dropped without its indexes, which expire
}

func (g *Grants) drop(ctx context.Context, env signin.Env, sessionID string, grant signin.Grant) error {
	keys := append(indexes(sessionID, grant), grantsAt+sessionID, dueAt+sessionID)
	if err := env.State.Delete(ctx, keys...); err != nil {
		return fmt.Errorf("dropping a grant: %w", err)
	}
	return nil
}

// Sessions returns the ids of our sessions that a provider means by a subject, a
// session of its own, or both. With both, a session of which the provider never
// said which of its own it belongs to is meant as well: better one too many.
func (g *Grants) Sessions(ctx context.Context, provider, subject, session string) ([]string, error) {
	env, err := g.env()
	if err != nil {
		return nil, err
	}
	var prefix string
	switch {
	case subject != "":
		prefix = indexKey(subjectsAt, provider, subject)
	case session != "":
		prefix = indexKey(sidsAt, provider, session)
	default:
		return nil, nil
	}
	var ids []string
	if err := env.State.List(ctx, prefix, func(e state.Entry) bool {
		ids = append(ids, strings.TrimPrefix(e.Key, prefix))
		return true
	}); err != nil {
		return nil, fmt.Errorf("finding sessions: %w", err)
	}
	if subject == "" || session == "" {
		return ids, nil
	}
	var away error
	ids = slices.DeleteFunc(ids, func(id string) bool {
		k, _, err := load(ctx, env, id)
		if errors.Is(err, state.ErrUnavailable) {
			away = err
		}
		return errors.Is(err, ErrNoGrant) || err == nil && k.Grant.Session != "" && k.Grant.Session != session
	})
	return ids, away
}

// EndSessions ends the sessions that Sessions finds, and forgets their grants; a
// session of the provider's that is named is remembered, so that no sign-in under
// way gets through with it. It returns how many ended. Of several failures the first is returned, after all
// were tried.
func (g *Grants) EndSessions(ctx context.Context, provider, subject, session string) (int, error) {
	env, err := g.env()
	if err != nil {
		return 0, err
	}
	if session != "" {
		if err := env.State.Put(ctx, indexKey(goneAt, provider, session), nil, goneLife); err != nil {
			return 0, fmt.Errorf("ending sessions: %w", err)
		}
	}
	ids, err := g.Sessions(ctx, provider, subject, session)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, id := range ids {
		endErr := g.opts.End(ctx, id, "signed out at the identity provider")
		if endErr == nil {
			endErr = g.Drop(ctx, id)
			n++
		}
		if err == nil && endErr != nil {
			err = fmt.Errorf("ending sessions: %w", endErr)
		}
	}
	return n, err
}

// GrantOf returns the grant of the session a request carries, when it is this
// provider's.
func (g *Grants) GrantOf(r *http.Request, provider string) (signin.Grant, bool) {
	id, ok := g.opts.Session(r)
	if !ok {
		return signin.Grant{}, false
	}
	grant, err := g.Of(r.Context(), id)
	return grant, err == nil && grant.Provider == provider
}

var _ signin.Host = (*Grants)(nil)
