// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"context"
	"fmt"
	"slices"
)

// FindingKind says what is wrong with a chain.
type FindingKind string

// The kinds of finding.
const (
	Missing    FindingKind = "missing"     // the record Seq, or that one and some after it, is not there
	Changed    FindingKind = "changed"     // a member of the record is not what was hashed
	Broken     FindingKind = "broken"      // the record is whole but does not follow the one before it
	BeyondHead FindingKind = "beyond_head" // the record lies after the end the store kept for the chain
	WrongHead  FindingKind = "head"        // the last record is not the one the store kept as the end
	Anchor     FindingKind = "anchor"      // a head known from elsewhere is not part of the chain
	Index      FindingKind = "index"       // what finds a person's records passes the record over, or finds what is not there
)

// Finding is one thing that is wrong, with the record where it shows.
type Finding struct {
	Chain  string
	Seq    int64
	Kind   FindingKind
	Detail string // one sentence for the admin
}

// Report is what Verify found.
type Report struct {
	Records  int64     // records read
	Heads    []Head    // the end of every chain as read: keep them elsewhere as anchors
	Findings []Finding // in the order of chains and records, those of the index behind them; at most MaxFindings
	More     bool      // there were more findings than that
}

// MaxFindings bounds a Report.
const MaxFindings = 1000

// OK says that nothing is wrong.
func (r *Report) OK() bool { return len(r.Findings) == 0 }

func (r *Report) find(chain string, seq int64, kind FindingKind, format string, args ...any) {
	if len(r.Findings) >= MaxFindings {
		r.More = true
		return
	}
	r.Findings = append(r.Findings, Finding{chain, seq, kind, fmt.Sprintf(format, args...)})
}

// page is how many records are read at a time.
const page = 1000

// Verify reads every chain and reports each record that was changed, taken out,
// put in or put elsewhere, each chain whose tail is missing, and where the index by
// person is not that of the records. An error means that the source could not be
// read, and that nothing is known.
//
// The chain has no key: somebody who may write all of the store could compute a
// whole new one. Heads of an earlier report, kept where he cannot write, are
// anchors that find even this.
func Verify(ctx context.Context, src Source, anchors ...Head) (Report, error) {
	var report Report
	chains, err := src.AuditChains(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("verifying the audit: %w", err)
	}
	for _, chain := range chains {
		if err := report.chain(ctx, src, chain, anchors); err != nil {
			return Report{}, fmt.Errorf("verifying the audit: chain %q: %w", chain, err)
		}
	}
	for _, a := range anchors {
		if a.Seq > 0 && !slices.Contains(chains, a.Chain) {
			report.find(a.Chain, a.Seq, Anchor, "the chain is not there, record %d of it is known", a.Seq)
		}
	}
	err = src.AuditIndex(ctx, func(chain string, seq int64, detail string) { report.find(chain, seq, Index, "%s", detail) })
	if err != nil {
		return Report{}, fmt.Errorf("verifying the audit: the index by person: %w", err)
	}
	return report, nil
}

// chain verifies one chain. Its stored head is read first: records written
// meanwhile lie beyond it and are read up to the head as it is at the end.
func (r *Report) chain(ctx context.Context, src Source, chain string, anchors []Head) error {
	last := Head{Chain: chain}
	buf := make([]byte, 0, 1024)
	for {
		rs, err := src.Audit(ctx, Query{Chain: chain, AfterSeq: last.Seq, Limit: page, Ascending: true})
		if err != nil {
			return err
		}
		for i := range rs {
			buf = r.record(&rs[i], last, anchors, buf)
			last = Head{Chain: chain, Seq: rs[i].Seq, Hash: rs[i].Hash}
		}
		if len(rs) < page {
			break
		}
	}
	head, err := src.AuditHead(ctx, chain)
	if err != nil {
		return err
	}
	if head.Seq > last.Seq {
		// Either a tail is missing or the gateway wrote while the last page was read.
		rs, err := src.Audit(ctx, Query{Chain: chain, AfterSeq: last.Seq, Limit: int(min(head.Seq-last.Seq, 1<<20)), Ascending: true})
		if err != nil {
			return err
		}
		for i := range rs {
			buf = r.record(&rs[i], last, anchors, buf)
			last = Head{Chain: chain, Seq: rs[i].Seq, Hash: rs[i].Hash}
		}
	}
	switch {
	case head.Seq > last.Seq:
		r.find(chain, last.Seq+1, Missing, "the chain ends at record %d, %d records after record %d are missing", head.Seq, head.Seq-last.Seq, last.Seq)
	case head.Seq < last.Seq:
		r.find(chain, last.Seq, BeyondHead, "the chain ends at record %d by the store's own note, record %d is there", head.Seq, last.Seq)
	case head.Hash != last.Hash:
		r.find(chain, last.Seq, WrongHead, "the last record is not the one the store noted as the end")
	}
	for _, a := range anchors {
		if a.Chain == chain && a.Seq > last.Seq {
			r.find(chain, a.Seq, Anchor, "record %d is known, the chain ends at %d", a.Seq, last.Seq)
		}
	}
	r.Heads = append(r.Heads, last)
	return nil
}

func (r *Report) record(rec *Record, before Head, anchors []Head, buf []byte) []byte {
	r.Records++
	if rec.Seq != before.Seq+1 {
		r.find(before.Chain, before.Seq+1, Missing, "%d records are missing before record %d", rec.Seq-before.Seq-1, rec.Seq)
	}
	hash, buf := hashInto(buf, rec)
	switch {
	case hash != rec.Hash:
		r.find(before.Chain, rec.Seq, Changed, "the record's hash is not that of its members")
	case rec.Prev != before.Hash && rec.Seq == before.Seq+1:
		r.find(before.Chain, rec.Seq, Broken, "the record is whole but does not follow record %d as it is", before.Seq)
	}
	for _, a := range anchors {
		if a.Chain == rec.Chain && a.Seq == rec.Seq && a.Hash != rec.Hash {
			r.find(before.Chain, rec.Seq, Anchor, "the record is not the one known from elsewhere")
		}
	}
	return buf
}
