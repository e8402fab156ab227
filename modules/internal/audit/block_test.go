// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// someRecords returns n sealed records with every member set somewhere.
func someRecords(n int) []Record {
	rs := make([]Record, n)
	for i := range rs {
		rs[i] = Record{
			Time: time.UnixMicro(1_700_000_000_000_000 + int64(i)*1000), Kind: "request", RequestID: fmt.Sprint("r", i), PersonID: "p", Email: "asha@acme.test",
			Role: "sales_user", Session: "abc", Device: "d", IP: "192.0.2.7", IPFlags: "tor", Method: "GET", Host: "crm.test", Path: "/ü/" + strings.Repeat("x", i%7),
			Operation: "lead.list", Entity: "lead", Action: "view", Records: []string{"1", "", "3"}, Count: i, Decision: "allow", Reason: "allowed", Detail: "d",
			Plan: "plan", Masked: []string{"phone"}, Hidden: nil, Dropped: -i, Status: 200, Bytes: math.MaxInt64, Micros: int64(i),
		}
	}
	rs[0].Time = time.UnixMicro(-1)
	Seal(Head{Chain: "c", Seq: 41, Hash: "an older form of hash"}, rs)
	return rs
}

func TestBlockHoldsEveryRecordAsItWas(t *testing.T) {
	for _, n := range []int{1, 2, 3, 500, MaxBlockRecords} {
		rs := someRecords(n)
		b, err := EncodeBlock(rs)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeBlock(b)
		if err != nil || cmp.Diff(rs, got) != "" {
			t.Fatalf("%d records come back changed, the audit could not be verified: %v\n%s", n, err, cmp.Diff(rs, got))
		}
		if n == 500 && (b[0] != blockPacked || len(b) > 500*60) {
			t.Errorf("500 records take %d bytes, form %q: a busy gateway fills its disk", len(b), b[0])
		}
	}
	one := someRecords(1)[0]
	text, _ := json.Marshal(one)
	if got, err := DecodeBlock(append([]byte{blockJSON}, text...)); err != nil || cmp.Diff([]Record{one}, got) != "" {
		t.Errorf("a record of an older store is lost: %v %+v", err, got)
	}
}

// whole is how blocks were written first.
func whole(rs []Record, pack bool) []byte {
	b := binary.AppendUvarint([]byte{blockWhole}, uint64(len(rs)))
	b = appendString(b, rs[0].Chain)
	b = appendNumber(b, rs[0].Seq)
	b = appendString(b, rs[0].Prev)
	for i := range rs {
		b = appendHash(appendMembers(b, &rs[i]), rs[i].Hash)
	}
	if z, err := packer(); err == nil && pack {
		return z.EncodeAll(b[1:], []byte{blockWholeZ})
	}
	return b
}

func TestBlocksOfOlderStoresAreRead(t *testing.T) {
	for _, n := range []int{1, 3, 500} {
		for _, pack := range []bool{false, true} {
			rs := someRecords(n)
			if got, err := DecodeBlock(whole(rs, pack)); err != nil || cmp.Diff(rs, got) != "" {
				t.Errorf("%d records, packed %v: the audit of last year cannot be read: %v\n%s", n, pack, err, cmp.Diff(rs, got))
			}
		}
	}
}

// Members come and go between records, to the ends of what they hold.
func TestBlockHoldsWhateverChanges(t *testing.T) {
	rs := make([]Record, 64)
	for i := range rs {
		r := &rs[i]
		for j, s := range changing(r).texts {
			*s = []string{"", "a", strings.Repeat("b", 300)}[(i+j*j)%3]
		}
		for j, l := range changing(r).lists {
			*l = [][]string{nil, {""}, {"x", "y"}}[(i/2+j)%3]
		}
		r.Count, r.Dropped, r.Status = i%2*math.MaxInt, i%3*math.MinInt, i%5-2
		r.Bytes, r.Micros = []int64{math.MinInt64, math.MaxInt64, 0}[i%3], int64(i)*int64(1-2*(i%2))
		r.Time = []time.Time{time.UnixMicro(-1), time.UnixMicro(0), time.UnixMicro(253402300799999999), {}}[i%4]
	}
	Seal(Head{Chain: "c", Hash: strings.Repeat("AB", 32)}, rs)
	block, err := EncodeBlock(rs)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeBlock(block)
	if err != nil || cmp.Diff(rs, got) != "" {
		t.Fatalf("records come back changed: %v\n%s", err, cmp.Diff(rs, got))
	}
	for i := range got {
		if HashOf(&got[i]) != got[i].Hash {
			t.Fatalf("record %d can no longer be verified", i)
		}
	}
	for _, odd := range []string{strings.Repeat("AB", 32), strings.Repeat("0g", 32), strings.Repeat("g0", 32), strings.Repeat("é", 32), "ab"} {
		rs[0].Hash = odd
		block, err := EncodeBlock(rs[:1])
		if got, err2 := DecodeBlock(block); err != nil || err2 != nil || got[0].Hash != odd {
			t.Errorf("the hash %q comes back changed: %v %v", odd, err, err2)
		}
	}
}

func TestBlockRefusesWhatDoesNotFollow(t *testing.T) {
	for name, change := range map[string]func(rs []Record){
		"another chain": func(rs []Record) { rs[1].Chain = "d" },
		"a gap":         func(rs []Record) { rs[1].Seq++ },
		"another link":  func(rs []Record) { rs[1].Prev = "x" },
	} {
		rs := someRecords(3)
		change(rs)
		if _, err := EncodeBlock(rs); err == nil {
			t.Errorf("%s was encoded: it would come back as something else", name)
		}
	}
	if _, err := EncodeBlock(nil); err == nil {
		t.Error("an empty block was encoded")
	}
	if _, err := EncodeBlock(someRecords(MaxBlockRecords + 1)); err == nil {
		t.Error("a block was encoded that no one reads")
	}
}

func TestBlockDamagedAnywhereIsSaid(t *testing.T) {
	rs := someRecords(5)
	block, err := EncodeBlock(rs)
	if err != nil {
		t.Fatal(err)
	}
	for i := range block {
		for _, bad := range [][]byte{block[:i], append(bytes.Clone(block), 0), append(bytes.Clone(block[:i]), append([]byte{block[i] ^ 0x10}, block[i+1:]...)...)} {
			got, err := DecodeBlock(bad)
			if err == nil && cmp.Equal(rs, got) {
				continue // a byte that says nothing: every record is as it was
			}
			if err == nil {
				// Only the hash can tell; it must.
				for j := range got {
					if HashOf(&got[j]) != got[j].Hash || j < len(rs) && got[j].Hash != rs[j].Hash {
						err = ErrBlock
					}
				}
			}
			if err == nil {
				t.Fatalf("byte %d changed and nobody notices", i)
			}
			if !errors.Is(err, ErrBlock) {
				t.Fatalf("byte %d: %v is no ErrBlock", i, err)
			}
		}
	}
}

func FuzzDecodeBlock(f *testing.F) {
	for _, n := range []int{1, 3} {
		b, _ := EncodeBlock(someRecords(n))
		f.Add(b)
	}
	f.Add([]byte(`J{"seq":1}`))
	f.Add([]byte("P\x01\x00"))
	f.Add(whole(someRecords(3), false))
	f.Fuzz(func(t *testing.T, b []byte) {
		rs, err := DecodeBlock(b)
		if err != nil || len(b) > 0 && b[0] == blockJSON {
			return
		}
		again, err := EncodeBlock(rs)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if back, err := DecodeBlock(again); err != nil || cmp.Diff(rs, back) != "" {
			t.Fatalf("%v\n%s", err, cmp.Diff(rs, back))
		}
	})
}

func TestRequestIDTellsItsTime(t *testing.T) {
	now := time.UnixMilli(1_795_000_000_123)
	a, b := NewRequestID(now, rand.Reader), NewRequestID(now, rand.Reader)
	if a == b || a[:9] != b[:9] {
		t.Errorf("%s and %s: two requests of one moment share the first half only", a, b)
	}
	if at, ok := requestTime(a); !ok || !at.Equal(now) {
		t.Errorf("%s was made at %v, it says %v", a, now, at)
	}
	if later := NewRequestID(now.Add(time.Millisecond), rand.Reader); later <= a {
		t.Errorf("%s came before %s", a, later)
	}
	for _, other := range []string{"", "req-2", strings.Repeat("u", 18), strings.Repeat("0", 17), strings.Repeat("A", 18)} {
		if _, ok := requestTime(other); ok {
			t.Errorf("%q is no id of ours", other)
		}
	}
	q, ok := Query{RequestID: a}.Near()
	if !ok || now.Before(q.From) || !now.Before(q.To) {
		t.Errorf("a record is not looked for at its own time: %v to %v", q.From, q.To)
	}
	if _, ok := (Query{RequestID: "req-2"}).Near(); ok {
		t.Error("an id that tells no time narrows the search: its record would not be found")
	}
}

func BenchmarkEncodeBlock(b *testing.B) {
	rs := someRecords(256)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := EncodeBlock(rs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/256, "ns/record")
}
