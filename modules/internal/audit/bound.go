// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds of a record: lengths in bytes, numbers of items. What is longer is
// cut at a character and ends in "…"; surplus items are left out (Count, not the
// length of Records, says how many there were).
const (
	MaxText    = 256  // every text member not named below
	MaxPath    = 1024 // Path
	MaxDetail  = 512  // Detail
	MaxItem    = 128  // one item of a list
	MaxRecords = 20   // items of Records
	MaxFields  = 100  // items of Masked and of Hidden
)

// Bound brings a record within its bounds and makes every text printable: valid
// UTF-8 without control, line-separating or direction-changing characters, which
// are written as \uXXXX, bytes that are no UTF-8 as \xXX. A log reader, a
// terminal or a spreadsheet can then not be led astray by what a client sent.
func Bound(r *Record) {
	for _, s := range [...]*string{
		&r.Kind, &r.RequestID, &r.PersonID, &r.Email, &r.Role, &r.Session, &r.Device, &r.IP, &r.IPFlags,
		&r.Method, &r.Host, &r.Operation, &r.Entity, &r.Action, &r.Decision, &r.Reason, &r.Plan,
	} {
		boundText(s, MaxText)
	}
	boundText(&r.Path, MaxPath)
	boundText(&r.Detail, MaxDetail)
	r.Records = boundList(r.Records, MaxRecords)
	r.Masked = boundList(r.Masked, MaxFields)
	r.Hidden = boundList(r.Hidden, MaxFields)
}

// boundList leaves the caller's array alone: it may be shared with a plan.
func boundList(list []string, items int) []string {
	if len(list) > items {
		list = list[:items:items]
	}
	for i, s := range list {
		if len(s) <= MaxItem && printableASCII(s) {
			continue
		}
		own := make([]string, len(list))
		copy(own, list)
		for j := i; j < len(own); j++ {
			boundText(&own[j], MaxItem)
		}
		return own
	}
	return list
}

func boundText(s *string, limit int) {
	if len(*s) <= limit && printableASCII(*s) {
		return
	}
	*s = printable(*s, limit)
}

func printableASCII(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

const ellipsis = "…"

// printable returns s printable and in at most limit bytes.
func printable(s string, limit int) string {
	var b strings.Builder
	cut := 0 // where the text can be cut so that the ellipsis still fits
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r > 0xffff && !unicode.IsGraphic(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		case !unicode.IsGraphic(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		s = s[n:]
		if b.Len() > limit {
			return b.String()[:cut] + ellipsis
		}
		if b.Len() <= limit-len(ellipsis) {
			cut = b.Len()
		}
	}
	return b.String()
}
