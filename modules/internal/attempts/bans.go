// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package attempts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/crmgate/crmgate/modules/internal/address"
	"github.com/crmgate/crmgate/modules/internal/state"
)

// Ban is a ban in force.
type Ban struct {
	ID      string // for Lift
	Kind    Kind
	Subject string // the e-mail, the address or network, or "e-mail from address"
	Until   time.Time
	Count   int // how many bans in a row, from 1
}

// maxSubject bounds what is kept of an e-mail that anybody may type; the key is
// made of all of it.
const maxSubject = 254

// notAnAddress stands for what was typed where an e-mail belongs and is none: it
// is counted by its hash and kept nowhere.
const notAnAddress = "no e-mail address"

// counts returns the keys an attempt counts under, address first.
func (t *Throttle) counts(email string, ip netip.Addr) ([]count, error) {
	if !ip.IsValid() || ip.Zone() != "" {
		return nil, errors.New("counting an attempt: the client's address is missing or not usable")
	}
	email, from := fold(email), address.Source(ip)
	out := []count{{kind: Address, subject: from, limit: t.o.Address}}
	if email != "" {
		shown := printable(email)
		if !strings.Contains(shown, "@") {
			shown = notAnAddress // people type passwords into the wrong field
		}
		out = append(out,
			count{kind: Pair, subject: shown + " from " + from, limit: t.o.Pair},
			count{kind: Account, subject: shown, limit: t.o.Account})
	}
	for i := range out {
		c := &out[i]
		h := sha256.New()
		fmt.Fprintf(h, "%s\x00", c.kind)
		if c.kind != Address {
			fmt.Fprintf(h, "%d:%s\x00", len(email), email)
		}
		if c.kind != Account {
			h.Write([]byte(from))
		}
		c.key = t.prefix() + string(c.kind) + "/" + hex.EncodeToString(h.Sum(nil)[:16])
	}
	return out, nil
}

func (t *Throttle) prefix() string { return "attempts/" + t.o.Name + "/" }

// fold makes an e-mail comparable, as the directory compares it.
func fold(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// printable shortens a typed e-mail to what may be shown.
func printable(email string) string {
	email = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, email)
	if len(email) > maxSubject {
		email = strings.ToValidUTF8(email[:maxSubject], "") + "..."
	}
	return email
}

// Bans returns the bans in force, those that last longest first.
func (t *Throttle) Bans(ctx context.Context) ([]Ban, error) {
	var (
		out []Ban
		bad error
		now = t.now()
	)
	err := t.store.List(ctx, t.prefix(), func(e state.Entry) bool {
		var r record
		if bad = json.Unmarshal(e.Value, &r); bad != nil {
			return false
		}
		id := strings.TrimPrefix(e.Key, t.prefix())
		kind, _, _ := strings.Cut(id, "/")
		if r.Until > now {
			out = append(out, Ban{ID: id, Kind: Kind(kind), Subject: r.Subject, Until: time.UnixMilli(r.Until).UTC(), Count: r.Level})
		}
		return true
	})
	if err = errors.Join(err, bad); err != nil {
		return nil, fmt.Errorf("listing bans: %w", err)
	}
	slices.SortFunc(out, func(a, b Ban) int {
		return cmpFirst(b.Until.Compare(a.Until), strings.Compare(a.ID, b.ID))
	})
	return out, nil
}

func cmpFirst(a, b int) int {
	if a != 0 {
		return a
	}
	return b
}

// ErrNoBan is returned by Lift when there is nothing to lift.
var ErrNoBan = errors.New("there is no such ban")

// Lift ends a ban, by its ID, and forgets the failures behind it. It returns
// ErrNoBan when there is none: ended, lifted by somebody else, or never there.
func (t *Throttle) Lift(ctx context.Context, id string) error {
	key := t.prefix() + id
	r, _, err := t.read(ctx, key)
	if err != nil {
		return fmt.Errorf("lifting a ban: %w", err)
	}
	if r.Until <= t.now() {
		return fmt.Errorf("lifting a ban: %w", ErrNoBan)
	}
	if err := t.store.Delete(ctx, key); err != nil {
		return fmt.Errorf("lifting a ban: %w", err)
	}
	return nil
}

// AccountTag returns what stands for an account in logs: twelve hex digits of
// the hash of its folded e-mail, "-" for none. It keeps addresses out of logs
// that travel; it does not keep them from somebody who guesses them.
func AccountTag(email string) string {
	if email = fold(email); email == "" {
		return "-"
	}
	sum := sha256.Sum256([]byte(email))
	return hex.EncodeToString(sum[:6])
}

// FailedLine returns the log line of a failed sign-in. Its form is stable: new
// members come at the end. reason is a word of the gate's own, never of the
// client's; anything but lower-case letters and underscores is left out.
func FailedLine(ip netip.Addr, email, reason string) string {
	reason = strings.Map(func(r rune) rune {
		if r == '_' || 'a' <= r && r <= 'z' {
			return r
		}
		return -1
	}, reason)
	if reason == "" {
		reason = "-"
	}
	return fmt.Sprintf("crmgate sign-in failed ip=%s account=%s reason=%s", ip.Unmap().WithZone(""), AccountTag(email), reason)
}
