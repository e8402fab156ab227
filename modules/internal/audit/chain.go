// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"
)

// domain is the first thing hashed, so that a hash of ours is never a hash of
// anything else, and so that another encoding would be another word.
const domain = "crmgate audit record 1\n"

// appendCanonical appends the canonical encoding of r to b: the members in the
// order of Record's declaration, all of them always, Hash excepted.
//
//   - a string: its length in bytes as an unsigned varint, then its bytes
//   - a number: eight bytes, big endian, two's complement
//   - a time: its Unix microseconds as a number
//   - a list: its number of items as an unsigned varint, then each as a string;
//     nil and empty are the same
//
// Lengths stand before what they measure, so no two records share an encoding.
func appendCanonical(b []byte, r *Record) []byte {
	b = append(b, domain...)
	b = appendString(b, r.Chain)
	b = appendNumber(b, r.Seq)
	b = appendMembers(b, r)
	return appendString(b, r.Prev)
}

// appendMembers appends every member but Chain, Seq, Prev and Hash.
func appendMembers(b []byte, r *Record) []byte {
	b = appendNumber(b, r.Time.UnixMicro())
	for _, s := range [...]string{
		r.Kind, r.RequestID, r.PersonID, r.Email, r.Role, r.Session, r.Device, r.IP, r.IPFlags,
		r.Method, r.Host, r.Path, r.Operation, r.Entity, r.Action,
	} {
		b = appendString(b, s)
	}
	b = appendList(b, r.Records)
	b = appendNumber(b, int64(r.Count))
	for _, s := range [...]string{r.Decision, r.Reason, r.Detail, r.Plan} {
		b = appendString(b, s)
	}
	b = appendList(b, r.Masked)
	b = appendList(b, r.Hidden)
	for _, n := range [...]int64{int64(r.Dropped), int64(r.Status), r.Bytes, r.Micros} {
		b = appendNumber(b, n)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendNumber(b []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(n))
}

func appendList(b []byte, list []string) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, s := range list {
		b = appendString(b, s)
	}
	return b
}

// HashOf returns the hash a record must carry: the SHA-256 of its canonical
// encoding in lower-case hex. r.Hash itself plays no part.
func HashOf(r *Record) string {
	h, _ := hashInto(nil, r)
	return h
}

func hashInto(buf []byte, r *Record) (string, []byte) {
	buf = appendCanonical(buf[:0], r)
	sum := sha256.Sum256(buf)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return string(text[:]), buf
}

// Seal links records to the end of a chain: it sets Chain, Seq, Prev and Hash of
// each in order and returns the new end. Times are cut to microseconds in UTC,
// which is what a store keeps.
func Seal(head Head, rs []Record) Head {
	var buf []byte
	for i := range rs {
		r := &rs[i]
		r.Chain, r.Seq, r.Prev = head.Chain, head.Seq+1, head.Hash
		r.Time = r.Time.UTC().Truncate(time.Microsecond)
		r.Hash, buf = hashInto(buf, r)
		head.Seq, head.Hash = r.Seq, r.Hash
	}
	return head
}
