// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/gaissmai/bart"
)

// RulesConfig is what an admin says about addresses.
//
// Lists are combined by AND: an address must be on the account's list, on the
// list of the person's role and on the person's own. An empty list restricts
// nobody. On API calls a filled API list stands in for the account's list; an
// empty one stands in for nothing, so that the account's list holds there too.
type RulesConfig struct {
	Account []netip.Prefix
	API     []netip.Prefix
	Roles   map[string][]netip.Prefix // by role id
	Users   map[string][]netip.Prefix // by e-mail, compared folded

	// Reputation says what to do about each category; a category left out is
	// BlockSignIn. Where an address has several, the strictest action holds.
	Reputation map[Category]Action
	// AllowListWins lets an address that is on the list that applied (account or
	// API) pass whatever its reputation. An entry that names the whole Internet
	// (/0) does not count as naming an address. DefaultRules has it on.
	AllowListWins bool
}

// DefaultRules returns the rules of an account whose admin has said nothing: no
// lists, sign-ins from every category blocked, allow-lists win.
func DefaultRules() RulesConfig { return RulesConfig{AllowListWins: true} }

// Rules are compiled RulesConfig. They are immutable.
type Rules struct {
	account, api  *list // nil: not restricted
	roles, users  map[string]*list
	blockAll      Flags
	blockSignIn   Flags
	allowListWins bool
}

// list is one compiled allow-list.
type list struct {
	all    *bart.Lite
	named  *bart.Lite // without entries that name the whole Internet
	detail string     // what a refusal says, made once
}

// NewRules compiles c. Any invalid network, unknown category or action, empty
// role or e-mail, or two e-mails that fold to one is an error; every one found
// is told.
func NewRules(c RulesConfig) (*Rules, error) {
	r := &Rules{
		roles: make(map[string]*list, len(c.Roles)), users: make(map[string]*list, len(c.Users)),
		allowListWins: c.AllowListWins,
	}
	var errs []error
	add := func(what, detail string, ps []netip.Prefix) *list {
		l, err := newList(ps, detail)
		if err != nil {
			errs = append(errs, fmt.Errorf("compiling %s: %w", what, err))
		}
		return l
	}
	r.account = add("the account's allow-list", "the address is not on the account's allow-list", c.Account)
	r.api = add("the API allow-list", "the address is not on the API allow-list", c.API)
	for _, id := range slices.Sorted(maps.Keys(c.Roles)) {
		if id == "" {
			errs = append(errs, errors.New("compiling an allow-list: it names no role"))
			continue
		}
		r.roles[id] = add(fmt.Sprintf("the allow-list of role %q", id), fmt.Sprintf("the address is not on the allow-list of role %q", id), c.Roles[id])
	}
	for _, email := range slices.Sorted(maps.Keys(c.Users)) {
		key := fold(email)
		if _, twice := r.users[key]; twice || key == "" {
			errs = append(errs, fmt.Errorf("compiling an allow-list: the e-mail %q is empty or there twice", email))
			continue
		}
		r.users[key] = add(fmt.Sprintf("the allow-list of %q", email), "the address is not on the person's allow-list", c.Users[email])
	}
	errs = append(errs, r.compileActions(c.Reputation))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Rules) compileActions(actions map[Category]Action) error {
	var errs []error
	for c := range actions {
		if _, err := ParseCategory(string(c)); err != nil {
			errs = append(errs, fmt.Errorf("compiling reputation actions: %w", err))
		}
	}
	for _, c := range categories {
		action, said := actions[c]
		if !said {
			action = BlockSignIn
		}
		switch action {
		case BlockAll:
			r.blockAll |= flagOf(c)
		case BlockSignIn:
			r.blockSignIn |= flagOf(c)
		case Report:
		default:
			_, err := ParseAction(string(action))
			errs = append(errs, fmt.Errorf("compiling the action for %s: %w", c, err))
		}
	}
	return errors.Join(errs...)
}

func newList(ps []netip.Prefix, detail string) (*list, error) {
	if len(ps) == 0 {
		return nil, nil
	}
	l := &list{all: new(bart.Lite), named: new(bart.Lite), detail: detail}
	var errs []error
	for _, p := range ps {
		p, err := canonical(p)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		l.all.Insert(p)
		if p.Bits() > 0 {
			l.named.Insert(p)
		}
	}
	if l.all.Equal(l.named) {
		l.named = l.all
	}
	return l, errors.Join(errs...)
}

// holds says whether ip may pass the list; a list that is not there lets pass.
func (l *list) holds(ip netip.Addr) bool { return l == nil || l.all.Contains(ip) }

// names says whether the list is there and has ip by name.
func (l *list) names(ip netip.Addr) bool { return l != nil && l.named.Contains(ip) }

// Overlaps returns the lists, in words, that share addresses with one of ps. A
// trusted proxy on an allow-list is a way around it: whoever makes the proxy
// name no client would come in as the proxy.
func (r *Rules) Overlaps(ps []netip.Prefix) []string {
	var out []string
	check := func(l *list, what string) {
		if l == nil {
			return
		}
		for _, p := range ps {
			if p, err := canonical(p.Masked()); err == nil && l.all.OverlapsPrefix(p) {
				out = append(out, what)
				return
			}
		}
	}
	check(r.account, "the account's allow-list")
	check(r.api, "the API allow-list")
	for _, id := range slices.Sorted(maps.Keys(r.roles)) {
		check(r.roles[id], fmt.Sprintf("the allow-list of role %q", id))
	}
	for _, email := range slices.Sorted(maps.Keys(r.users)) {
		check(r.users[email], fmt.Sprintf("the allow-list of %q", email))
	}
	return out
}

// fold makes an e-mail comparable, as the directory compares it.
func fold(email string) string { return strings.ToLower(strings.TrimSpace(email)) }
