// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"net/http"
	"slices"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/modules/internal/records"
	"github.com/crmgate/crmgate/modules/internal/session"
	"github.com/crmgate/crmgate/modules/portal"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/resource"
)

// findRoute looks the request up in the resource map.
func findRoute(x *exchange) step {
	m, err := x.snap.Map.Match(&x.req)
	if err != nil && !errors.Is(err, resource.ErrUnmapped) {
		return x.refuse(policy.Unreadable, err.Error())
	}
	x.route = m
	return proceed
}

// who finds out who asks: by the CRM key pair of a program, else by the session.
// A request that brings a key pair is judged by the pair alone; its cookie, if it
// has one, is not looked at.
func who(x *exchange) step {
	x.principal.Kind, x.d.Principal = policy.Nobody, &x.principal
	if x.hasKey {
		return x.program()
	}
	token, err := portal.Token(x.r)
	switch {
	case errors.Is(err, portal.ErrNoCookie):
		return x.unknown(policy.NoSession, "no session")
	case err != nil: // two session cookies: the refusal clears them
		return x.refuse(policy.NoSession, err.Error())
	}
	s, err := x.app.Sessions().Lookup(token)
	if err != nil {
		x.ended = token
		return x.sessionFailed(err)
	}
	person, ok := x.app.Directory().ByID(s.PersonID)
	if !ok || person.Status != records.Active {
		return x.unknown(policy.Deactivated, "the person is not active")
	}
	x.session, x.d.Session = s, s
	x.principal = *crmgate.PrincipalOf(person, s)
	return x.locked()
}

// program finds out whose key pair a request brings.
func (x *exchange) program() step {
	x.apiKey = true
	p, found, err := x.app.ByKey(x.r.Context(), &x.req)
	switch {
	case err != nil:
		return x.refuse(crmgate.ReasonOf(err), err.Error())
	case !found: // it was there when the path was judged
		return x.refuse(policy.Internal, "a key pair that is gone")
	}
	x.d.Principal = p
	return x.locked()
}

// sessionFailed turns a failed look-up into its reason.
func (x *exchange) sessionFailed(err error) step {
	var locked *session.LockedError
	switch {
	case errors.As(err, &locked) && !x.app.LockHolds(&locked.Lock):
		return x.unknown(policy.NoSession, "the session was ended by a lock that is over")
	case errors.As(err, &locked):
		x.d.Lock = &locked.Lock
		return x.refuse(policy.Locked, err.Error())
	case errors.Is(err, session.ErrExpired):
		return x.unknown(policy.SessionExpired, err.Error())
	case errors.Is(err, session.ErrIdle):
		return x.unknown(policy.SessionIdle, err.Error())
	case errors.Is(err, session.ErrNoSession):
		return x.unknown(policy.NoSession, "the session is unknown or has ended")
	}
	return x.refuse(policy.StoreUnavailable, "the session cannot be checked")
}

// unknown goes on as nobody where the map has a public route, and refuses
// everywhere else.
func (x *exchange) unknown(reason policy.Reason, detail string) step {
	if x.route == nil || !x.route.MayBePublic() {
		if x.keepForm(reason, detail) {
			return stop
		}
		return x.refuse(reason, detail)
	}
	if !x.route.Undecided() {
		return proceed
	}
	// Only the body tells: a CRM with one URL has its public calls there too.
	if step := x.readBody(); step == stop {
		return stop
	}
	ops, err := x.route.Operations(&x.req)
	if err != nil || !allPublic(ops) {
		if x.keepForm(reason, detail) {
			return stop
		}
		return x.refuse(reason, detail)
	}
	return proceed
}

// allPublic says whether every operation is open to everybody.
func allPublic(ops []resource.Operation) bool {
	for i := range ops {
		if k := ops[i].Kind; k != resource.Public && k != resource.Static {
			return false
		}
	}
	return len(ops) > 0
}

// locked refuses a principal a lock holds for.
func (x *exchange) locked() step {
	err := x.app.CheckLocks(x.r.Context(), x.d.Principal, x.session, x.ip)
	if err == nil {
		return proceed
	}
	if locked, ok := errors.AsType[*session.LockedError](err); ok {
		x.d.Lock = &locked.Lock
		return x.refuse(policy.Locked, err.Error())
	}
	return x.refuse(policy.StoreUnavailable, "the locks cannot be checked")
}

// crossSite refuses requests with a session cookie that another site made, for
// every operation that changes something, whatever its method: this family of
// CRMs deletes by GET, which SameSite=Lax does not stop.
func crossSite(x *exchange) step {
	if x.session == nil {
		return proceed
	}
	changes := x.r.Method != http.MethodGet && x.r.Method != http.MethodHead && x.r.Method != http.MethodOptions
	if x.route != nil && (x.route.Undecided() || writes(x.route.Route())) {
		changes = true // which of several routes it is, only the body says, and that is read later
	}
	if isUpgrade(x.r) {
		changes = true // a socket is not bound by the same-origin policy of its page
	}
	if changes && !sameSite(x.r) {
		return x.refuse(policy.CrossSite, "a changing request from another site")
	}
	return proceed
}

// writes says whether a route changes the CRM, by itself or by what it does besides.
// A batch may do anything.
func writes(r *resource.Route) bool {
	changing := func(a resource.Action) bool { return a != resource.View && a != resource.Export }
	return r.Write != "" || r.Batch != nil || slices.ContainsFunc(r.Actions, changing) ||
		slices.ContainsFunc(r.Also, func(a resource.Also) bool { return slices.ContainsFunc(a.Actions, changing) })
}

// sameSite reads what browsers say about a request's origin. Sec-Fetch-Site is
// believed where it exists; otherwise Origin, otherwise Referer must name this
// host. A request with none of them comes from no browser page, unless it is by GET,
// which a followed link may be, or by HEAD, with which browsers name no origin: those
// are refused.
func sameSite(r *http.Request) bool {
	if s := r.Header.Get("Sec-Fetch-Site"); s != "" {
		return s == "same-origin" || s == "none" && r.Method != http.MethodGet
	}
	for _, name := range []string{"Origin", "Referer"} {
		if v := r.Header.Get(name); v != "" {
			return hostOf(v) == canonicalHostPort(r.Host)
		}
	}
	return r.Method != http.MethodGet && r.Method != http.MethodHead || isUpgrade(r)
}
