// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"net/netip"
	"sync/atomic"
)

// Client is who asks, as far as networks are concerned.
type Client struct {
	IP     netip.Addr // from ParseClient; anything it would refuse is refused here too
	API    bool       // a call with an API key
	SignIn bool       // an attempt to sign in, by any provider
	Role   string     // role id, "" while the person is not known
	Email  string     // "" while the person is not known
}

// Level says which rule refused.
type Level string

// The levels.
const (
	LevelClient     Level = "client"     // no usable address, or no rules were ever set
	LevelAccount    Level = "account"    // the account's allow-list
	LevelAPI        Level = "api"        // the allow-list of API calls
	LevelRole       Level = "role"       // the role's allow-list
	LevelUser       Level = "user"       // the person's allow-list
	LevelReputation Level = "reputation" // what the address is known for
)

// Verdict is the answer about one client. The zero value is a refusal.
type Verdict struct {
	Allowed  bool
	Level    Level    // which rule refused; "" when allowed
	Category Category // the category that refused or is to be reported
	Flags    Flags    // everything known about the address, for the audit
	Report   bool     // the address is known for something and passes: the audit should say so
	Detail   string   // one sentence for the admin, without the address
}

// Engine checks clients against the rules and the reputation of the moment. All
// methods are safe for concurrent use. An engine whose rules were never set
// refuses everybody.
type Engine struct {
	rules      atomic.Pointer[Rules]
	reputation atomic.Pointer[Reputation]
}

// NewEngine returns an engine with rules and what is known about addresses; a
// nil reputation knows nothing.
func NewEngine(rules *Rules, reputation *Reputation) *Engine {
	e := new(Engine)
	e.rules.Store(rules)
	e.reputation.Store(reputation)
	return e
}

// SetRules swaps the rules; nil refuses everybody.
func (e *Engine) SetRules(r *Rules) { e.rules.Store(r) }

// SetReputation swaps what is known about addresses.
func (e *Engine) SetReputation(r *Reputation) { e.reputation.Store(r) }

// Rules returns the rules of the moment, nil when none were set.
func (e *Engine) Rules() *Rules { return e.rules.Load() }

// Lookup returns what is known about ip.
func (e *Engine) Lookup(ip netip.Addr) Flags { return e.reputation.Load().Lookup(ip) }

// Check is the first phase and, once Client names a role or an e-mail, the
// second one as well.
//
// First phase, before the person is known: the account's allow-list (the API
// list on API calls), then the reputation. Second phase: the role's list, then
// the person's. The lists of the second phase only ever narrow: they do not
// make good a reputation that the first phase refuses.
func (e *Engine) Check(c Client) Verdict {
	return check(e.rules.Load(), e.reputation.Load(), c)
}

// CheckPerson is the second phase alone, for a client that passed the first.
func (e *Engine) CheckPerson(c Client) Verdict {
	r := e.rules.Load()
	if r == nil {
		return noRules
	}
	if c.IP = c.IP.Unmap(); !usable(c.IP) {
		return noClient
	}
	v := Verdict{Allowed: true}
	r.checkPerson(c, &v)
	return v
}

// Excludes says whether under next c could no longer use the web app or could no
// longer sign in there. Whoever saves rules that exclude himself must be asked
// first.
func Excludes(next *Rules, reputation *Reputation, c Client) bool {
	c.API = false
	c.SignIn = true
	return !check(next, reputation, c).Allowed
}

var (
	noRules  = Verdict{Level: LevelClient, Detail: "no network rules are set"}
	noClient = Verdict{Level: LevelClient, Detail: "the client's address is missing or not usable"}
)

func check(r *Rules, reputation *Reputation, c Client) Verdict {
	if r == nil {
		return noRules
	}
	if c.IP = c.IP.Unmap(); !usable(c.IP) {
		return noClient
	}
	v := Verdict{Allowed: true, Flags: reputation.Lookup(c.IP)}
	l, level := r.account, LevelAccount
	if c.API && r.api != nil {
		l, level = r.api, LevelAPI
	}
	if !l.holds(c.IP) {
		v.refuse(level, l.detail)
		return v
	}
	if v.Flags != 0 && !r.checkReputation(c, l, &v) {
		return v
	}
	r.checkPerson(c, &v)
	return v
}

// checkReputation judges the flags of an address that has some.
func (r *Rules) checkReputation(c Client, l *list, v *Verdict) bool {
	v.Category, v.Report = v.Flags.first(), true
	if r.allowListWins && l.names(c.IP) {
		return true
	}
	blocked := v.Flags & r.blockAll
	if c.SignIn && blocked == 0 {
		blocked = v.Flags & r.blockSignIn
	}
	if blocked == 0 {
		return true
	}
	v.Category = blocked.first()
	v.refuse(LevelReputation, reputationDetail[v.Category])
	return false
}

var reputationDetail = map[Category]string{
	Tor:              "the address is a Tor exit",
	AnonymousProxy:   "the address is a public proxy",
	VPN:              "the address belongs to an anonymous VPN",
	ResidentialProxy: "the address is a residential proxy",
	Hosting:          "the address belongs to a hosting provider",
	Anonymous:        "the address belongs to an anonymous network",
}

func (r *Rules) checkPerson(c Client, v *Verdict) {
	if c.Role != "" {
		if l := r.roles[c.Role]; !l.holds(c.IP) {
			v.refuse(LevelRole, l.detail)
			return
		}
	}
	if c.Email != "" && len(r.users) > 0 {
		if l := r.users[fold(c.Email)]; !l.holds(c.IP) {
			v.refuse(LevelUser, l.detail)
		}
	}
}

func (v *Verdict) refuse(level Level, detail string) {
	v.Allowed, v.Report, v.Level, v.Detail = false, false, level, detail
}
