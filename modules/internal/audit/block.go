// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"
)

// A block is how a store keeps consecutive records of one chain: one row for a
// transaction's worth, since a row for each record with an index for each
// question is most of what an audited request costs.
//
// Its first byte says how it is written:
//
//   - 'J': one record as JSON, members as in Record
//   - 'C': records as what changes from one to the next, see appendChanges
//   - 'D': the same, compressed with zstd
//   - 'P': records whole, as below; read, and no longer written
//   - 'Z': the same, compressed with zstd
//
// Whole records are a number of records, the chain, the number and the Prev of the
// first, and for each its members in the order of Record's declaration without
// Chain, Seq and Prev, then its Hash. Texts, numbers and lists are written as in
// the canonical encoding; a hash of 64 lower-case hex digits as 0 and 32 bytes,
// any other as 1 and a text. Prev of a later record is the Hash of the one
// before it.
const (
	blockJSON    = 'J'
	blockChanges = 'C'
	blockPacked  = 'D'
	blockWhole   = 'P'
	blockWholeZ  = 'Z'
)

// The bounds of a block.
const (
	MaxBlockRecords = 1024
	maxBlockBytes   = 32 << 20 // unpacked
	packFrom        = 256      // smaller ones do not shrink
)

// ErrBlock is returned for a block that cannot be read as one.
var ErrBlock = errors.New("audit: unreadable block")

var packer = sync.OnceValues(func() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
})

var unpacker = sync.OnceValues(func() (*zstd.Decoder, error) {
	return zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxBlockBytes))
})

// EncodeBlock returns the block of 1 to MaxBlockRecords records, which must
// follow each other in one chain.
func EncodeBlock(rs []Record) ([]byte, error) {
	if len(rs) == 0 || len(rs) > MaxBlockRecords {
		return nil, fmt.Errorf("encoding a block: %d records, 1 to %d are possible", len(rs), MaxBlockRecords)
	}
	b := make([]byte, 1, 512+128*len(rs))
	b[0] = blockChanges
	b = binary.AppendUvarint(b, uint64(len(rs)))
	b = appendString(b, rs[0].Chain)
	b = appendNumber(b, rs[0].Seq)
	b = appendString(b, rs[0].Prev)
	before := noRecord()
	for i := range rs {
		r := &rs[i]
		if i > 0 && (r.Chain != rs[0].Chain || r.Seq != rs[i-1].Seq+1 || r.Prev != rs[i-1].Hash) {
			return nil, fmt.Errorf("encoding a block: record %d does not follow record %d", r.Seq, rs[i-1].Seq)
		}
		b = appendChanges(b, r, before)
		b = appendHash(b, r.Hash)
		before = r
	}
	if len(b) < packFrom {
		return b, nil
	}
	z, err := packer()
	if err != nil {
		return nil, fmt.Errorf("encoding a block: %w", err)
	}
	packed := z.EncodeAll(b[1:], append(make([]byte, 0, len(b)/2), blockPacked))
	if len(packed) >= len(b) {
		return b, nil
	}
	return packed, nil
}

// appendChanges appends the members of a record that differ from those of the one
// before it, or from an empty record's: four bytes with a bit for each member that is
// the same, the lowest for the first, then the others. The members are those of
// changing, in its order, texts before lists before numbers. Time comes last, always.
// Numbers and times are differences, as signed varints; they wrap around.
func appendChanges(b []byte, r, before *Record) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	was, is := changing(before), changing(r)
	same, bit := uint32(0), uint32(1)
	for i, s := range is.texts {
		if *s == *was.texts[i] {
			same |= bit
		} else {
			b = appendString(b, *s)
		}
		bit <<= 1
	}
	for i, l := range is.lists {
		if slices.Equal(*l, *was.lists[i]) {
			same |= bit
		} else {
			b = appendList(b, *l)
		}
		bit <<= 1
	}
	old := numbersOf(before)
	for i, n := range numbersOf(r) {
		if n == old[i] {
			same |= bit
		} else {
			b = binary.AppendVarint(b, n-old[i])
		}
		bit <<= 1
	}
	binary.BigEndian.PutUint32(b[at:], same)
	return binary.AppendVarint(b, r.Time.UnixMicro()-before.Time.UnixMicro())
}

// members are those of a record that may be left out where they do not change.
type members struct {
	texts [19]*string
	lists [3]*[]string
}

// countMembers is how many there are, the five numbers included.
const countMembers = 19 + 3 + 5

func changing(r *Record) (m members) {
	m.texts = [...]*string{
		&r.Kind, &r.RequestID, &r.PersonID, &r.Email, &r.Role, &r.Session, &r.Device, &r.IP, &r.IPFlags,
		&r.Method, &r.Host, &r.Path, &r.Operation, &r.Entity, &r.Action, &r.Decision, &r.Reason, &r.Detail, &r.Plan,
	}
	m.lists = [...]*[]string{&r.Records, &r.Masked, &r.Hidden}
	return m
}

func numbersOf(r *Record) [5]int64 {
	return [...]int64{int64(r.Count), int64(r.Dropped), int64(r.Status), r.Bytes, r.Micros}
}

// noRecord is what the first record of a block differs from.
func noRecord() *Record { return &Record{Time: time.UnixMicro(0)} }

func appendHash(b []byte, hash string) []byte {
	if len(hash) == 64 {
		raw := append(b, 0)
		for i := 0; i < len(hash); i += 2 {
			hi, lo := nibbles[hash[i]], nibbles[hash[i+1]]
			if hi|lo > 15 {
				return appendString(append(b, 1), hash)
			}
			raw = append(raw, hi<<4|lo)
		}
		return raw
	}
	return appendString(append(b, 1), hash)
}

// nibbles are the values of the lower-case hex digits, above 15 for any other byte.
var nibbles = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i, c := range []byte("0123456789abcdef") {
		t[c] = byte(i)
	}
	return t
}()

// DecodeBlock reads a block. The error wraps ErrBlock; nothing of a block that is
// damaged anywhere is returned.
func DecodeBlock(block []byte) ([]Record, error) {
	if len(block) == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrBlock)
	}
	body := block[1:]
	switch block[0] {
	case blockJSON:
		var r Record
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBlock, err)
		}
		r.Time = r.Time.UTC()
		return []Record{r}, nil
	case blockChanges, blockWhole:
	case blockPacked, blockWholeZ:
		z, err := unpacker()
		if err == nil {
			body, err = z.DecodeAll(body, nil)
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBlock, err)
		}
	default:
		return nil, fmt.Errorf("%w: form %q is unknown", ErrBlock, block[0])
	}
	d := blockReader{b: body, whole: block[0] == blockWhole || block[0] == blockWholeZ}
	rs := d.records()
	if d.failed || len(d.b) > 0 {
		return nil, fmt.Errorf("%w: it ends too soon or too late", ErrBlock)
	}
	return rs, nil
}

// blockReader reads values off the front; after a failure everything is zero.
type blockReader struct {
	b      []byte
	whole  bool // each record has all of its members
	failed bool
}

func (d *blockReader) records() []Record {
	n := d.count()
	if n == 0 || n > MaxBlockRecords {
		d.failed = true
		return nil
	}
	rs := make([]Record, n)
	chain, seq, prev := d.text(), d.number(), d.text()
	if seq < 1 || seq > math.MaxInt64-MaxBlockRecords {
		d.failed = true
	}
	before := noRecord()
	for i := range rs {
		if d.failed {
			return nil
		}
		r := &rs[i]
		r.Chain, r.Seq, r.Prev = chain, seq+int64(i), prev
		if d.whole {
			d.members(r)
		} else {
			d.changes(r, before)
		}
		before = r
		r.Hash = d.hash()
		prev = r.Hash
	}
	return rs
}

// changes reads what appendChanges has written. Lists that do not change are the same
// list.
func (d *blockReader) changes(r, before *Record) {
	head := d.take(4)
	if d.failed {
		return
	}
	same, bit := binary.BigEndian.Uint32(head), uint32(1)
	was, is := changing(before), changing(r)
	for i, s := range is.texts {
		if *s = *was.texts[i]; same&bit == 0 {
			*s = d.text()
		}
		bit <<= 1
	}
	for i, l := range is.lists {
		if *l = *was.lists[i]; same&bit == 0 {
			*l = d.list()
		}
		bit <<= 1
	}
	n := numbersOf(before)
	for i := range n {
		if same&bit == 0 {
			n[i] += d.difference()
		}
		bit <<= 1
	}
	r.Count, r.Dropped, r.Status, r.Bytes, r.Micros = int(n[0]), int(n[1]), int(n[2]), n[3], n[4]
	r.Time = time.UnixMicro(before.Time.UnixMicro() + d.difference()).UTC()
	d.failed = d.failed || same>>countMembers != 0
}

func (d *blockReader) difference() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.failed = true
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *blockReader) members(r *Record) {
	r.Time = time.UnixMicro(d.number()).UTC()
	for _, s := range [...]*string{
		&r.Kind, &r.RequestID, &r.PersonID, &r.Email, &r.Role, &r.Session, &r.Device, &r.IP, &r.IPFlags,
		&r.Method, &r.Host, &r.Path, &r.Operation, &r.Entity, &r.Action,
	} {
		*s = d.text()
	}
	r.Records = d.list()
	r.Count = int(d.number())
	for _, s := range [...]*string{&r.Decision, &r.Reason, &r.Detail, &r.Plan} {
		*s = d.text()
	}
	r.Masked, r.Hidden = d.list(), d.list()
	r.Dropped, r.Status = int(d.number()), int(d.number())
	r.Bytes, r.Micros = d.number(), d.number()
}

func (d *blockReader) take(n uint64) []byte {
	if d.failed || n > uint64(len(d.b)) {
		d.failed = true
		return nil
	}
	head := d.b[:n]
	d.b = d.b[n:]
	return head
}

func (d *blockReader) count() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.failed = true
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *blockReader) text() string { return string(d.take(d.count())) }

func (d *blockReader) number() int64 {
	if b := d.take(8); b != nil {
		return int64(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (d *blockReader) list() []string {
	n := d.count()
	if n == 0 || n > uint64(len(d.b)) { // an item takes a byte at least
		d.failed = d.failed || n != 0
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = d.text()
	}
	return list
}

func (d *blockReader) hash() string {
	switch form := d.take(1); {
	case form == nil:
	case form[0] == 0:
		return hex.EncodeToString(d.take(32))
	case form[0] == 1:
		return d.text()
	default:
		d.failed = true
	}
	return ""
}
