// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/binary"
	"io"
	"time"
)

// idAlphabet can be read out over the telephone: digits and lower-case letters
// without i, l, o and u.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// requestIDLength is 45 bits of milliseconds and 45 random ones.
const requestIDLength = 18

// NewRequestID returns an id of 18 characters that begins with the time, so that
// a record is found by its id without an index of ids: nine characters of
// milliseconds since 1970, nine random ones.
func NewRequestID(now time.Time, random io.Reader) string {
	var b [8]byte
	_, _ = io.ReadFull(random, b[:]) // crypto/rand never fails; it stops the process instead
	return RequestIDOf(now, binary.BigEndian.Uint64(b[:]))
}

// RequestIDOf is NewRequestID with bits that were drawn before.
func RequestIDOf(now time.Time, random uint64) string {
	var id [requestIDLength]byte
	writeDigits(id[:9], uint64(now.UnixMilli()))
	writeDigits(id[9:], random)
	return string(id[:])
}

// writeDigits fills to with the lowest digits of v.
func writeDigits(to []byte, v uint64) {
	for i := len(to) - 1; i >= 0; i-- {
		to[i] = idAlphabet[v&31]
		v >>= 5
	}
}

// requestTime returns when a request id was made, false for any other text.
func requestTime(id string) (time.Time, bool) {
	if len(id) != requestIDLength {
		return time.Time{}, false
	}
	var ms int64
	for i := range len(id) {
		v := digit(id[i])
		if v < 0 {
			return time.Time{}, false
		}
		if i < requestIDLength/2 {
			ms = ms<<5 | int64(v)
		}
	}
	return time.UnixMilli(ms), true
}

func digit(c byte) int {
	for i := range len(idAlphabet) {
		if idAlphabet[i] == c {
			return i
		}
	}
	return -1
}

// near is how far a record's time may lie from its request id's.
const near = time.Minute

// Near narrows a query for a request id to the time the id tells. It returns
// false when there is nothing to narrow; a store that finds nothing within must
// then look everywhere.
func (q Query) Near() (Query, bool) {
	at, ok := requestTime(q.RequestID)
	if !ok {
		return q, false
	}
	if from := at.Add(-near); q.From.Before(from) {
		q.From = from
	}
	if to := at.Add(near); q.To.IsZero() || q.To.After(to) {
		q.To = to
	}
	return q, true
}
