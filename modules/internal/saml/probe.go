// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package saml

import (
	"context"
	"crypto/sha1" //nolint:gosec // a thumbprint as certificate dialogs show it
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
)

// Check is one line of a Probe.
type Check struct {
	Name   string `json:"name"` // "metadata", "entity", "sign-in", "sign-out", "certificate", "signing", "pins"
	OK     bool   `json:"ok"`
	Detail string `json:"detail"` // what was found, or what is wrong; no secret
}

// soon is how early a certificate's end is worth a word.
const soon = 30 * 24 * time.Hour

// Probe looks at what a sign-in will need, before the provider is switched on: the
// metadata is read anew, and every certificate is compared with the pins and the
// calendar. The error is that of the first check without which nobody could sign
// in. What is known for sign-ins is not changed.
func (p *Provider) Probe(ctx context.Context, c clock.Clock) ([]Check, error) {
	now := c.Now().UTC()
	idp, err := p.idp.read(ctx, now)
	if err != nil {
		return []Check{{"metadata", false, err.Error()}}, err
	}
	var out []Check
	add := func(name string, ok bool, format string, args ...any) {
		detail := fmt.Sprintf(format, args...)
		out = append(out, Check{name, ok, detail})
		if !ok && err == nil {
			err = fmt.Errorf("%s: %s", name, detail)
		}
	}
	add("metadata", true, "read from %s", p.cfg.Metadata)
	if idp.until.IsZero() {
		add("entity", true, "%s", idp.entityID)
	} else {
		add("entity", now.Before(idp.until), "%s, valid until %s", idp.entityID, idp.until.Format(time.RFC3339))
	}
	b := p.binding(idp)
	add("sign-in", idp.sso[b] != "", "by %s at %q", b, idp.sso[b])
	if _, to, ok := idp.logout(); ok {
		add("sign-out", true, "at %q", to.request)
	} else {
		add("sign-out", true, "not offered: signing out here leaves people signed in at the provider")
	}
	live := 0
	for _, c := range idp.certs {
		sum := sha1.Sum(c.Raw) //nolint:gosec // as AD FS shows a thumbprint
		word := "valid"
		switch {
		case now.Before(c.NotBefore):
			word = "NOT YET VALID"
		case now.After(c.NotAfter):
			word = "EXPIRED"
		default:
			live++
			if now.Add(soon).After(c.NotAfter) {
				word = "ENDS SOON"
			}
		}
		out = append(out, Check{
			"certificate", word == "valid" || word == "ENDS SOON",
			fmt.Sprintf("%s: until %s, thumbprint %s", word, c.NotAfter.Format(time.DateOnly), strings.ToUpper(hex.EncodeToString(sum[:]))),
		})
	}
	add("signing", live > 0, "%d of %d believed certificates are valid now", live, len(idp.certs))
	if len(p.idp.rules.pins) > 0 {
		add("pins", true, "%d thumbprints are pinned", len(p.idp.rules.pins))
	}
	return out, err
}
