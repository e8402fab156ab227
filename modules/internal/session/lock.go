// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// TargetKind says what a lock aims at.
type TargetKind string

// The kinds of target.
const (
	Everyone  TargetKind = "everyone" // Value is empty
	ByRole    TargetKind = "role"     // a role id
	ByGroup   TargetKind = "group"    // a group id
	ByUser    TargetKind = "user"     // a person's id or e-mail address
	BySession TargetKind = "session"  // a session's id
	ByDevice  TargetKind = "device"   // a device id
	ByKey     TargetKind = "key"      // an API key's id
	ByIP      TargetKind = "ip"       // an address or a CIDR prefix
)

// Target is what a lock aims at.
type Target struct {
	Kind  TargetKind `json:"kind"`
	Value string     `json:"value,omitempty"`
}

// String returns the target in words, such as "role sales_user".
func (t Target) String() string { return strings.TrimSuffix(string(t.Kind)+" "+t.Value, " ") }

// Lock refuses the sign-ins and requests it matches while it holds, and cuts
// their live connections. With Ends it also ends their sessions for good;
// without, they go on when the lock is lifted.
//
// A lock with Until equal to At (both set) is instant: it ends the sessions that
// exist and refuses nothing afterwards.
type Lock struct {
	ID      string    `json:"id"`
	Target  Target    `json:"target"`
	Message string    `json:"message,omitempty"` // for the people locked out, at most 500 bytes
	By      string    `json:"by,omitempty"`      // who set it
	At      time.Time `json:"at"`                // set by Manager.Lock
	Until   time.Time `json:"until,omitzero"`    // zero: until Unlock
	Ends    bool      `json:"ends,omitempty"`
	Exempt  []string  `json:"exempt,omitempty"` // e-mail addresses it does not match
	Except  []string  `json:"except,omitempty"` // session ids it does not match
}

// Instant says whether the lock ends sessions and then holds no longer.
func (l *Lock) Instant() bool { return !l.At.IsZero() && l.Until.Equal(l.At) }

// Holds says whether the lock refuses at this time.
func (l *Lock) Holds(now time.Time) bool {
	return !l.Instant() && (l.Until.IsZero() || now.Before(l.Until))
}

// Matches says whether the lock is aimed at these facts, whether it holds now or
// not.
func (l *Lock) Matches(f Facts) bool {
	held := *l
	held.Until = time.Time{}
	return newLockIndex(map[string]*Lock{"": &held}).match(&f, time.Time{}, l.At).hold != nil
}

// ends says whether the lock is the end of a session made at this time.
func (l *Lock) ends(created time.Time) bool {
	return (l.Ends || l.Instant()) && !created.IsZero() && !created.After(l.At)
}

// spares says whether the lock was told to leave these facts alone.
func (l *Lock) spares(f *Facts) bool {
	if len(l.Except) > 0 && (f.SessionID != "" && slices.Contains(l.Except, f.SessionID) ||
		slices.ContainsFunc(f.Earlier, func(was string) bool { return slices.Contains(l.Except, was) })) {
		return true
	}
	if f.Email == "" {
		return false
	}
	return slices.ContainsFunc(l.Exempt, func(e string) bool { return strings.EqualFold(e, f.Email) })
}

// normal checks a lock and brings its target into the form the index knows.
func (l *Lock) normal() error {
	v := strings.TrimSpace(l.Target.Value)
	switch l.Target.Kind {
	case Everyone:
		if v != "" {
			return fmt.Errorf("a lock on everyone takes no value, not %q", v)
		}
	case ByUser:
		v = strings.ToLower(v)
	case BySession:
		if _, ok := parseID(v); !ok {
			return errors.New("a session is named by its id: 64 lower-case hex digits")
		}
	case ByIP:
		p, err := parsePrefix(v)
		if err != nil {
			return err
		}
		v = p.String()
	case ByRole, ByGroup, ByDevice, ByKey:
	default:
		return fmt.Errorf("unknown lock target %q; use everyone, role, group, user, session or ip", l.Target.Kind)
	}
	if v == "" && l.Target.Kind != Everyone {
		return fmt.Errorf("a lock on a %s needs to know which", l.Target.Kind)
	}
	l.Target.Value = v
	if len(l.Message) > 500 {
		return fmt.Errorf("the lock's message has %d bytes; at most 500 are shown", len(l.Message))
	}
	return nil
}

// parsePrefix reads an address or a prefix.
func parsePrefix(v string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(v); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(v)
	if err != nil {
		return p, fmt.Errorf("%q is neither an IP address nor a prefix such as 192.0.2.0/24", v)
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// decodeLock reads the stored form. What cannot be read, of a newer gateway
// perhaps, locks everyone: nobody knows whom it was meant for.
func decodeLock(key string, b []byte) (*Lock, error) {
	var l Lock
	err := decodeStrict(b, &l)
	if err == nil {
		if err = l.normal(); err == nil && lockKey(l.ID) != key {
			err = errors.New("it carries another id")
		}
	}
	if err != nil {
		return &Lock{ID: strings.TrimPrefix(key, locksAt), Target: Target{Kind: Everyone}},
			fmt.Errorf("reading lock record %s: %w; it locks everyone until it is lifted", key, err)
	}
	return &l, nil
}
