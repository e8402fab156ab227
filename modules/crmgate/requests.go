// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"

	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/modules/internal/directory"
	"github.com/crmgate/crmgate/modules/internal/password"
	"github.com/crmgate/crmgate/modules/internal/quota"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/plan"
)

// What the gate and the transport ask of the app. They ask only after Snapshot
// returned one, so the runtime is open.

// Sessions returns the sessions.
func (a *App) Sessions() *session.Manager { return a.runtime.Load().sessions }

// Directory returns the people.
func (a *App) Directory() *directory.Directory { return a.runtime.Load().directory }

// PrincipalOf builds who asks from the directory and the session.
func PrincipalOf(p *records.Person, s *session.Session) *policy.Principal {
	out := &policy.Principal{Kind: policy.User, ID: p.ID, Email: p.Email, Name: p.Name, Role: p.Role, OwnerIDs: p.OwnerIDs}
	if s != nil {
		out.Device, out.SignedIn = s.Device, s.Created
	}
	return out
}

// facts are what locks are matched against.
func (a *App) facts(p *policy.Principal, s *session.Session, ip netip.Addr) session.Facts {
	f := session.Facts{PersonID: p.ID, Email: p.Email, Role: p.Role, Device: p.Device, IP: ip}
	if snap := a.snapshot.Load(); snap != nil {
		f.Groups = snap.Policy.GroupsOf(p.Email)
	}
	if s != nil {
		f.SessionID = s.ID
	}
	return f
}

// CheckLocks says whether a lock refuses the principal: a *session.LockedError,
// or session.ErrUnavailable when nobody can say.
func (a *App) CheckLocks(ctx context.Context, p *policy.Principal, s *session.Session, ip netip.Addr) error {
	return a.Sessions().Check(ctx, a.facts(p, s, ip))
}

// LockHolds says whether a lock that ended a session still keeps its person out.
// One that is over or lifted does not: all that is missing then is a new sign-in.
func (a *App) LockHolds(l *session.Lock) bool {
	return l.Holds(a.clock().Now()) && slices.ContainsFunc(a.Sessions().Locks(), func(o session.Lock) bool { return o.ID == l.ID })
}

// Attach registers a live connection; see session.Manager.Attach.
func (a *App) Attach(d *Decision, ip netip.Addr, endless bool, cancel func(reason string)) (detach func()) {
	return a.Sessions().Attach(a.facts(d.Principal, d.Session, ip), endless, cancel)
}

// PolicyEnv is what the policy may know beside principal and operation.
func (a *App) PolicyEnv() policy.Env {
	rt := a.runtime.Load()
	return policy.Env{Directory: uint64(rt.directory.Read().UnixNano()), OwnersOf: rt.ownersOf}
}

// Refuse answers a request that was refused, in the form its client reads: a page,
// or a problem document that the CRM's own clients understand too.
func (a *App) Refuse(w http.ResponseWriter, r *http.Request, d *Decision, reason policy.Reason) {
	x := portal.Refusal{Reason: reason}
	if a.resources != nil {
		x.Shape = a.errorShape(reason)
	}
	ctx := r.Context()
	if d != nil {
		x.RetryAfter = d.RetryAfter
		if d.Lock != nil {
			x.Message, x.Until = d.Lock.Message, d.Lock.Until
		}
		c := portal.ClientFrom(ctx)
		c.RequestID = d.RequestID
		ctx = portal.WithClient(ctx, c)
	}
	a.portal.Refuse(w, r.WithContext(ctx), x)
}

// errorShape gives a refusal the members by which the CRM's own clients know an
// error.
func (a *App) errorShape(reason policy.Reason) portal.ErrorShape {
	body := a.resources.Errors.Render(reason.Status(), reason.Text())
	var shape portal.ErrorShape
	if body == nil || json.Unmarshal(body, &shape) != nil {
		return nil
	}
	return shape
}

// TakeQuota counts one call of a program and says how long it has to wait.
func (a *App) TakeQuota(ctx context.Context, key string, bulk bool) (time.Duration, error) {
	v, err := a.runtime.Load().quota.Load().Take(ctx, key, bulk)
	if err != nil {
		return 0, fmt.Errorf("counting the call: %w", err)
	}
	if v.Allowed {
		return 0, nil
	}
	return max(time.Second, v.Reset.Sub(a.clock().Now())), nil
}

// EntityTag derives the tag of a rewritten body from the CRM's own: what the CRM
// said, under which plan, for whose rows. It says nothing about any of them. There
// is none where the CRM gave none.
func (a *App) EntityTag(origin string, p *plan.Plan, viewer string) string {
	if origin == "" {
		return ""
	}
	var room [128]byte
	tag := a.runtime.Load().vault.AppendLookupHMAC(append(room[:0], `W/"`...), "entity tag", origin, "\x00", p.ID, "\x00", viewer)
	return string(append(tag[:len(`W/"`)+24], '"'))
}

// ServeJWKS answers with the public keys of the assertions (RFC 7517).
func (a *App) ServeJWKS(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/jwk-set+json")
	h.Set("Cache-Control", "public, max-age=60")
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	if r.Method == http.MethodGet {
		_, _ = w.Write(a.runtime.Load().signer.JWKS())
	}
}

// AuditStrict says whether a request waits for its record.
func (a *App) AuditStrict() bool { return a.Config.Audit != nil && a.Config.Audit.Strict }

// AuditReady says whether records can be kept: an error refuses the request. When
// the audit is strict, the spool does not count: the store itself must be there.
func (a *App) AuditReady() error {
	w := a.runtime.Load().audit
	if a.AuditStrict() && !w.Stats().StoreUp {
		return errStoreDown
	}
	return w.Ready()
}

// errStoreDown refuses requests of a strict audit while its store is away.
var errStoreDown = errors.New("the records store is away and the audit is strict")

// AuditFirst keeps the record of what is about to happen: it is in the store when this
// returns. One that had to go to the spool is kept, and an error all the same.
func (a *App) AuditFirst(ctx context.Context, r audit.Record) error {
	return a.runtime.Load().audit.AppendStored(ctx, r)
}

// AuditNow keeps a record durably before it returns, in the store or in the spool.
func (a *App) AuditNow(ctx context.Context, r audit.Record) error {
	return a.runtime.Load().audit.AppendNow(ctx, r)
}

// Audit keeps a record of something that has happened. It can no longer be
// refused: when it cannot be kept, that is an alarm.
func (a *App) Audit(r audit.Record) {
	rt := a.runtime.Load()
	if rt == nil {
		return // nothing was open, everything was refused
	}
	if err := rt.audit.Append(r); err != nil {
		a.logger.Error("an audit record could not be kept", zap.String("request_id", r.RequestID), zap.Error(err))
	}
}

// act keeps the record of an administrative act, durably.
func (a *App) act(ctx context.Context, r audit.Record) error {
	return a.AuditNow(context.WithoutCancel(ctx), r)
}

// passwordPolicy is what new passwords must look like.
func (a *App) passwordPolicy() password.Policy {
	snap := a.snapshot.Load()
	p := snap.Policy.Settings().Password
	return password.Policy{
		MinLength: p.MinLength, MaxLength: p.MaxLength, MinUpper: p.MinUpper, MinLower: p.MinLower,
		MinDigits: p.MinDigits, MinSpecial: p.MinSpecial, Special: p.Special, ForbidPersonal: p.ForbidPersonal,
		History: p.History, MaxAge: p.MaxAge.D(), MinAge: p.MinAge.D(), MinScore: p.MinScore, Breached: snap.breached,
	}
}

// applySettings hands the policy's settings to what runs. What stands in the
// Caddyfile is pinned and wins.
func (a *App) applySettings() {
	rt, set := a.runtime.Load(), a.snapshot.Load().Policy.Settings()
	idle, absolute := set.Session.Idle.D(), set.Session.Absolute.D()
	if c := a.Session; c != nil {
		if c.Idle > 0 {
			idle = time.Duration(c.Idle)
		}
		if c.Absolute > 0 {
			absolute = time.Duration(c.Absolute)
		}
	}
	if rt != nil {
		rt.sessions.SetLimits(idle, absolute)
		rt.sessions.SetMaxPerPerson(set.SignIn.MaxSessions)
	}
}

// applyQuota makes the quotas of this configuration the ones that count. Quotas
// counted in memory begin anew.
func (a *App) applyQuota() error {
	rt := a.runtime.Load()
	q, err := quota.New(a.quotaConfig(rt.state))
	if err != nil {
		return fmt.Errorf("reading quota: %w", err)
	}
	rt.quota.Store(q)
	return nil
}

// recordRevision keeps the policy in force as a revision.
func (a *App) recordRevision(ctx context.Context) {
	rt, snap := a.runtime.Load(), a.snapshot.Load()
	if rt == nil || len(snap.Source) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	rev := records.Revision{Digest: snap.Policy.Digest(), Source: snap.Source, By: "file " + a.Policy, At: a.clock().Now()}
	before, _ := rt.records.Revisions(ctx, 1)
	stored, err := rt.records.AddRevision(ctx, rev)
	if err != nil {
		a.logger.Error("the policy's revision could not be kept", zap.Error(err))
		return
	}
	if len(before) == 0 || before[0].Number != stored.Number {
		a.Audit(audit.Record{Kind: "policy", Decision: "allow", Reason: string(policy.Allowed), Detail: "policy " + short(stored.Digest) + " in force"})
	}
}

// health says whether the stores answer.
func (a *App) health(ctx context.Context) error {
	rt := a.runtime.Load()
	if rt == nil {
		return errNotOpen
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if err := rt.state.Ping(ctx); err != nil {
		return err
	}
	return rt.records.Ping(ctx)
}

func short(digest string) string { return digest[:min(len(digest), 12)] }

// slogFrom gives libraries of ours that know nothing of Caddy its log.
func slogFrom(l *zap.Logger) *slog.Logger { return slog.New(zapslog.NewHandler(l.Core())) }
