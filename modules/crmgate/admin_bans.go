// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/attempts"
	"github.com/crmgate/crmgate/modules/internal/records"
)

// banOutput is what the admin API tells of a ban.
type banOutput struct {
	ID      string    `json:"id"`
	Kind    string    `json:"kind"` // account, pair or address
	Subject string    `json:"subject"`
	What    string    `json:"what"` // what was attempted: sign_in, crm_sign_in, ...
	Until   time.Time `json:"until"`
	Count   int       `json:"count"` // how many in a row
}

// bans lists the bans in force, those that end last first.
func (c *adminCall) bans() (any, error) {
	out := []banOutput{}
	for what, t := range c.rt.throttles() {
		list, err := t.Bans(c.r.Context())
		if err != nil {
			return nil, err
		}
		for _, b := range list {
			out = append(out, banOutput{ID: what + "/" + b.ID, Kind: string(b.Kind), Subject: b.Subject, What: what, Until: b.Until, Count: b.Count})
		}
	}
	slices.SortFunc(out, func(a, b banOutput) int {
		if d := b.Until.Compare(a.Until); d != 0 {
			return d
		}
		return strings.Compare(a.ID, b.ID)
	})
	return out, nil
}

// liftBan lifts one ban and forgets what led to it.
func (c *adminCall) liftBan() (any, error) {
	what := c.r.PathValue("what")
	id := c.r.PathValue("kind") + "/" + c.r.PathValue("id")
	t, ok := c.rt.throttles()[what]
	if !ok {
		return nil, fmt.Errorf("lifting a ban: %w", records.ErrNotFound)
	}
	err := t.Lift(c.r.Context(), id)
	switch {
	case errors.Is(err, attempts.ErrNoBan):
		return nil, fmt.Errorf("lifting a ban: %w", records.ErrNotFound)
	case err != nil:
		return nil, err
	}
	return map[string]bool{"ok": true}, c.act("ban", "", "lifted the ban "+what+"/"+id)
}
