// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package mask holds the masking functions: pure, deterministic, total.
//
// Three rules hold for every function. An empty value stays empty, so that a
// person still sees that there is something to fill in. A value is never shown
// by more than a third of its characters and never with fewer than four hidden;
// a value too short for that, or of another shape than the function expects, is
// masked fully. Where a part is hidden, its length is hidden too.
//
// Some functions show more than a third on purpose, and say so: phone shows the
// country code beside the last digits, email the domain, date the year and, where it
// is asked for, the month. round and bucket show about how much it is.
package mask

// FullText is what a fully masked value reads.
const FullText = "XXXXXXXX"

// hidden stands for the hidden part of a partly shown value, of whatever length.
const hidden = "XXXXXX"

// kind is the function behind a Func; the zero kind masks fully.
type kind uint8

const (
	full kind = iota
	null
	keepLast
	keepFirst
	phone
	email
	card
	pan
	aadhaar
	date
	round
	bucket
	token
	unless
)

// kinds maps the names that policies write to the functions.
var kinds = map[string]kind{
	"full": full, "null": null, "keep_last": keepLast, "keep_first": keepFirst, "phone": phone, "email": email,
	"card": card, "pan": pan, "aadhaar": aadhaar, "date": date, "round": round, "bucket": bucket, "token": token,
}

// Func is a compiled masking function of one field. It is immutable and safe
// for concurrent use. The zero Func, and a nil one, masks fully.
type Func struct {
	Name string // function name as policies write it: full, phone, email, keep_last, ...

	kind   kind
	keep   int               // characters or digits shown
	month  bool              // date: the month is shown as well as the year
	bare   bool              // email: the domain is hidden too
	text   string            // full: the text shown instead
	odd    bool              // text is more than printable ASCII without quote and backslash
	step   float64           // round, bucket
	key    []byte            // token
	domain string            // token
	shown  func([]byte) bool // unless
}

// Null reports whether masked text becomes JSON null rather than other text.
// Formats that have no null show an empty value, which is what AppendBytes gives.
func (f *Func) Null() bool { return f != nil && f.kind == null }

// Plain reports whether the masked form of text that is printable ASCII without
// quotes and backslashes is such text as well, so that it can be quoted as it is.
func (f *Func) Plain() bool { return f == nil || !f.odd }

// AppendString is AppendBytes for text in a string.
func (f *Func) AppendString(dst []byte, s string) []byte { return f.AppendBytes(dst, []byte(s)) }

// AppendBytes appends the masked form of the decoded text s to dst. An empty s
// stays empty. The result is plain text: the caller quotes it. s is neither kept
// nor changed; it must not lie in the spare capacity of dst.
func (f *Func) AppendBytes(dst, s []byte) []byte {
	if len(s) == 0 {
		return dst
	}
	if f == nil {
		return append(dst, FullText...)
	}
	var ok bool
	out := dst
	switch f.kind {
	case null:
		return dst
	case keepLast:
		return appendLast(dst, s, f.keep)
	case keepFirst:
		return appendFirst(dst, s, f.keep)
	case phone:
		out, ok = appendPhone(dst, s, f.keep)
	case email:
		out, ok = appendEmail(dst, s, f.bare)
	case card:
		out, ok = appendCard(dst, s, f.keep)
	case pan:
		out, ok = appendPAN(dst, s, f.keep)
	case aadhaar:
		out, ok = appendAadhaar(dst, s, f.keep)
	case date:
		out, ok = appendDate(dst, s, f.month)
	case round, bucket:
		out, ok = f.appendAmount(dst, s)
	case token:
		return f.appendToken(dst, s)
	case unless:
		if f.shown(s) {
			return append(dst, s...)
		}
	}
	if ok {
		return out
	}
	return f.appendFull(dst)
}

// Number returns what AppendNumber appends.
func (f *Func) Number(raw []byte) []byte { return f.AppendNumber(nil, raw) }

// AppendNumber appends the masked form of the JSON number raw to dst as a JSON
// literal: a rounded number where the function rounds, null everywhere else. A
// number that became text would break clients that expect a number.
func (f *Func) AppendNumber(dst, raw []byte) []byte {
	if f != nil && f.kind == unless && f.shown(raw) {
		return append(dst, raw...)
	}
	if f != nil && (f.kind == round || f.kind == bucket) {
		if out, ok := f.appendNumber(dst, string(raw)); ok {
			return out
		}
	}
	return append(dst, "null"...)
}

// Full returns the text that stands for a value of which nothing is shown.
func (f *Func) Full() string { return string(f.appendFull(nil)) }

func (f *Func) appendFull(dst []byte) []byte {
	if f != nil && f.text != "" {
		return append(dst, f.text...)
	}
	return append(dst, FullText...)
}

// String names the function; keys never appear.
func (f *Func) String() string {
	if f == nil || f.Name == "" {
		return "full"
	}
	return f.Name
}
