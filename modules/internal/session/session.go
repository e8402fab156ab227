// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package session knows who is signed in: sessions, the locks that end or refuse
// them, the live connections that hang on them, and the CRM sessions bound to
// them.
//
// Every gateway keeps a view of all sessions and locks in memory, which the state
// store's fan-out keeps true. Looking a session up is a hash and a map read, no
// I/O. What the view promises:
//
//   - A session that was ended, rotated away or locked out on one gateway is
//     refused on that gateway at once and on every other within one second, live
//     connections included.
//   - A session made on another gateway a moment ago is read from the store once.
//   - When the fan-out is lost, the manager reads sessions and locks from the store
//     for every request and answers ErrUnavailable when it cannot. With
//     Options.BestEffort it serves from the view for 30 seconds first.
//   - Expiry, idle time and locks are compared on read; no sweeper decides.
//
// The last activity of a session is written in batches. A gateway that did not
// serve the activity itself knows it at most Options.TouchEvery plus two seconds
// late, so a session may be called idle by that much too early, never too late. A
// killed gateway loses as much activity, and no session.
//
// A record in the store that cannot be read as a session is no session. One that
// cannot be read as a lock is a lock on everyone.
package session

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// The kinds of session.
const (
	KindUser   = "user"   // a browser
	KindMobile = "mobile" // the mobile app
	KindAPI    = "api"    // a program
)

// Session is one sign-in. Sessions handed out by a Manager are shared: do not
// change them.
type Session struct {
	ID       string   `json:"id"` // hex SHA-256 of the token; the token itself is stored nowhere
	PersonID string   `json:"person"`
	Email    string   `json:"email,omitempty"` // lower case
	Role     string   `json:"role,omitempty"`
	Groups   []string `json:"groups,omitempty"` // group ids at sign-in
	Kind     string   `json:"kind"`

	Created  time.Time `json:"created"`        // sign-in; rotation keeps it
	LastSeen time.Time `json:"seen"`           // last activity known to the store
	AuthTime time.Time `json:"auth_time"`      // last proof of identity; step-up moves it
	Expires  time.Time `json:"until,omitzero"` // end of this very session; zero: the manager's limits alone

	Methods   []string `json:"methods,omitempty"` // proofs given, as in RFC 8176: "pwd", "otp", "hwk", ...
	IP        string   `json:"ip,omitempty"`      // where the sign-in came from
	UserAgent string   `json:"ua,omitempty"`      // at most 256 bytes
	Label     string   `json:"label,omitempty"`   // at most 100 bytes
	Device    string   `json:"device,omitempty"`
	Key       string   `json:"key,omitempty"` // id of the API key

	Was []string `json:"was,omitempty"` // ids before rotations, oldest first, at most 8
	CRM []string `json:"crm,omitempty"` // hashes of the CRM sessions bound to this one, oldest first

	Rev int64 `json:"rev"` // grows with every write of the record

	addr netip.Addr
	live *entry // the view's place of this session; nil outside a manager
}

// Facts says who or what a request, a sign-in or a connection is, for locks to
// match. Empty members match no lock.
type Facts struct {
	SessionID string
	Earlier   []string // the session's ids before rotations
	PersonID  string
	Email     string
	Role      string
	Groups    []string
	Device    string
	Key       string // id of an API key
	IP        netip.Addr
}

// Facts returns the session's own facts, with the address of the sign-in.
func (s *Session) Facts() Facts {
	return Facts{
		SessionID: s.ID, Earlier: s.Was, PersonID: s.PersonID, Email: s.Email, Role: s.Role,
		Groups: s.Groups, Device: s.Device, Key: s.Key, IP: s.addr,
	}
}

// clone returns a copy that can be changed.
func (s *Session) clone() *Session {
	c := *s
	c.Groups, c.Methods = slices.Clone(s.Groups), slices.Clone(s.Methods)
	c.Was, c.CRM = slices.Clone(s.Was), slices.Clone(s.CRM)
	return &c
}

// id is a session's id as the view keeps it.
type id [sha256.Size]byte

func (i id) String() string { return hex.EncodeToString(i[:]) }

// parseID reads a session id: 64 lower-case hex digits.
func parseID(s string) (id, bool) {
	var i id
	if len(s) != 2*len(i) || strings.ToLower(s) != s {
		return i, false
	}
	_, err := hex.Decode(i[:], []byte(s))
	return i, err == nil
}

var errRecord = errors.New("not a session record")

// encode returns the stored form. Equal sessions have equal bytes, which is what
// lets the manager replace a record only if nobody else has changed it.
func (s *Session) encode() ([]byte, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encoding a session: %w", err)
	}
	return b, nil
}

// decode reads the stored form of the session with this id. Unknown members are
// refused: they may restrict the session in a way this gateway would not honour.
func decode(want id, b []byte) (*Session, error) {
	var s Session
	if err := decodeStrict(b, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", errRecord, err)
	}
	switch {
	case s.ID != want.String():
		return nil, fmt.Errorf("%w: it carries another id", errRecord)
	case s.PersonID == "", s.Created.IsZero(), s.LastSeen.IsZero():
		return nil, fmt.Errorf("%w: person, created or seen is missing", errRecord)
	}
	if s.IP != "" {
		addr, err := netip.ParseAddr(s.IP)
		if err != nil {
			return nil, fmt.Errorf("%w: ip: %w", errRecord, err)
		}
		s.addr = addr.Unmap()
	}
	return &s, nil
}

// stamp is how times are kept: UTC and without the monotonic clock, so that a
// session reads back equal to what was stored.
func stamp(t time.Time) time.Time { return t.UTC().Round(0) }
