// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/crmgate/crmgate/policy"
)

// accountView is a person's own page.
type accountView struct {
	base
	Name, Email, Role string
	Sessions          []sessionRow // this one first, then the latest used
	Others            bool
	Rules             []string
	Done              string
	Problem           string
	Password          bool // can be changed here
	Second            factorsBlock
}

// doneTexts are the sentences of the account page after an act, by the query's "done".
var doneTexts = map[string]string{
	"ended":    "The session was ended.",
	"others":   "All other sessions were ended.",
	"added":    "It was added. From now on it can be your second step.",
	"removed":  "It was removed.",
	"renamed":  "The device was renamed.",
	"revoked":  "The device is no longer trusted.",
	"password": "Your password was changed. You were signed out everywhere else.",
}

// undoneTexts are those of an act that did not happen.
var undoneTexts = map[string]string{
	"over":        "Setting it up took too long. Start again.",
	"unconfirmed": "It was not confirmed that it is you, so nothing was changed.",
}

// sessionRow is one session on that page.
type sessionRow struct {
	ID, Device, IP    string
	Current           bool
	Created, LastSeen moment
	IdleEnds, Expires moment
}

// sessionJSON is a session for programs. The remaining times are in whole seconds,
// rounded down, and absent when there is no such limit.
type sessionJSON struct {
	ID        string `json:"id"`
	Email     string `json:"email"`
	Name      string `json:"name,omitempty"`
	Role      string `json:"role,omitempty"`
	Created   string `json:"created,omitempty"`
	LastSeen  string `json:"last_seen,omitempty"`
	Expires   string `json:"expires,omitempty"`
	ExpiresIn *int64 `json:"expires_in,omitempty"`
	IdleEnds  string `json:"idle_ends,omitempty"`
	IdleIn    *int64 `json:"idle_in,omitempty"`
	IP        string `json:"ip,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
	Device    string `json:"device,omitempty"`
	Current   bool   `json:"current"`
	Now       string `json:"now"`
}

func (p *Portal) sessionJSON(s SessionView) sessionJSON {
	now := p.opts.Clock.Now()
	out := sessionJSON{
		ID: s.ID, Email: s.Email, Name: s.Name, Role: s.Role,
		Created: at(s.Created).ISO, LastSeen: at(s.LastSeen).ISO, Expires: at(s.Expires).ISO, IdleEnds: at(s.IdleEnds).ISO,
		IP: s.IP, UserAgent: s.UserAgent, Device: Device(s.UserAgent), Current: s.Current, Now: at(now).ISO,
	}
	left := func(t time.Time) *int64 {
		if t.IsZero() {
			return nil
		}
		n := remaining(now, t)
		return &n
	}
	out.ExpiresIn, out.IdleIn = left(s.Expires), left(s.IdleEnds)
	return out
}

// own returns the token and all sessions of the person who asks, the current one first, then the
// latest used.
func (p *Portal) own(w http.ResponseWriter, r *http.Request, f form) (string, SessionView, []SessionView, bool) {
	token, cur, ok := p.current(w, r, f)
	if !ok {
		return "", SessionView{}, nil, false
	}
	all, err := p.backend.Sessions(r.Context(), token)
	if err != nil {
		p.refuse(w, r, f, p.backendRefusal(r, err))
		return "", SessionView{}, nil, false
	}
	all = slices.Clone(all)
	for i := range all {
		all[i].Current = all[i].ID == cur.ID
	}
	slices.SortStableFunc(all, func(a, b SessionView) int {
		switch {
		case a.Current != b.Current && a.Current:
			return -1
		case a.Current != b.Current:
			return 1
		}
		return b.LastSeen.Compare(a.LastSeen)
	})
	return token, cur, all, true
}

// showAccount shows who is signed in, where, and for how long.
func (p *Portal) showAccount(w http.ResponseWriter, r *http.Request) {
	token, cur, all, ok := p.own(w, r, asPage)
	if !ok {
		return
	}
	second, err := p.factorsBlock(r, token)
	if err != nil {
		p.refuse(w, r, asPage, p.backendRefusal(r, err))
		return
	}
	v := accountView{
		base: p.base(r, "Your account"), Name: cur.Name, Email: cur.Email, Role: roleName(cur.Role),
		Second: second, Password: p.opts.Passwords != nil, Done: doneTexts[r.URL.Query().Get("done")], Problem: undoneTexts[r.URL.Query().Get("done")],
	}
	if !v.Password {
		v.Rules = p.backend.PasswordRules()
	}
	for _, s := range all {
		v.Others = v.Others || !s.Current
		v.Sessions = append(v.Sessions, sessionRow{
			ID: s.ID, Device: Device(s.UserAgent), IP: s.IP, Current: s.Current,
			Created: at(s.Created), LastSeen: at(s.LastSeen), IdleEnds: at(s.IdleEnds), Expires: at(s.Expires),
		})
	}
	p.render(w, r, http.StatusOK, pageAccount, v)
}

// roleName makes "sales_user" readable.
func roleName(role string) string {
	s := strings.ReplaceAll(role, "_", " ")
	_, n := utf8.DecodeRuneInString(s)
	return strings.ToUpper(s[:n]) + s[n:]
}

// postEndSession ends one session; the current one by signing out.
func (p *Portal) postEndSession(w http.ResponseWriter, r *http.Request) {
	values, ok := p.readForm(w, r)
	if !ok {
		return
	}
	wasCurrent, ok := p.endSession(w, r, asPage, values.Get("id"))
	switch {
	case !ok:
	case wasCurrent:
		redirect(w, r, SignInPath+"?why=signed_out")
	default:
		redirect(w, r, AccountPath+"?done=ended")
	}
}

// postEndOthers ends all sessions but the current one.
func (p *Portal) postEndOthers(w http.ResponseWriter, r *http.Request) {
	token, _, ok := p.current(w, r, asPage)
	if !ok {
		return
	}
	if err := p.backend.EndOtherSessions(r.Context(), token); err != nil {
		p.refuse(w, r, asPage, p.backendRefusal(r, err))
		return
	}
	redirect(w, r, AccountPath+"?done=others")
}

// apiSession tells the remaining time. It asks the Backend only for the view, so
// that a page which polls it does not keep a session alive.
func (p *Portal) apiSession(w http.ResponseWriter, r *http.Request) {
	_, s, ok := p.current(w, r, asJSON)
	if !ok {
		return
	}
	s.Current = true
	writeJSON(w, r, http.StatusOK, p.sessionJSON(s))
}

// apiSessions lists the person's own sessions.
func (p *Portal) apiSessions(w http.ResponseWriter, r *http.Request) {
	_, _, all, ok := p.own(w, r, asJSON)
	if !ok {
		return
	}
	out := struct {
		Sessions []sessionJSON `json:"sessions"`
	}{Sessions: make([]sessionJSON, 0, len(all))}
	for _, s := range all {
		out.Sessions = append(out.Sessions, p.sessionJSON(s))
	}
	writeJSON(w, r, http.StatusOK, out)
}

// apiEndSession ends one session.
func (p *Portal) apiEndSession(w http.ResponseWriter, r *http.Request) {
	if _, ok := p.endSession(w, r, asJSON, strings.TrimPrefix(r.URL.Path, apiSessionsPath)); ok {
		writeBody(w, r, http.StatusNoContent, nil)
	}
}

// endSession ends the session id of the person who asks, and says whether it was
// the current one, whose cookie it then clears.
func (p *Portal) endSession(w http.ResponseWriter, r *http.Request, f form, id string) (wasCurrent, ok bool) {
	token, cur, ok := p.current(w, r, f)
	if !ok {
		return false, false
	}
	if !fineID(id) {
		p.refuse(w, r, f, Refusal{Reason: policy.RowDenied})
		return false, false
	}
	if id == cur.ID {
		return true, p.signOut(w, r, f)
	}
	if err := p.backend.EndSession(r.Context(), token, id); err != nil {
		p.refuse(w, r, f, p.backendRefusal(r, err))
		return false, false
	}
	return false, true
}
