// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package audit is the record of what the gate did: one record a request, one
// an administrative act, chained by hash so that a change, a gap or a swap in
// the middle shows.
//
// A record names fields, never values: no body, no secret, no masked value, no
// query string is ever part of one.
package audit

import (
	"context"
	"time"
)

// Record is one line of the audit.
type Record struct {
	Chain string    `json:"chain"` // one chain a gateway: no contention between machines
	Seq   int64     `json:"seq"`   // from 1, without gaps within a chain
	Time  time.Time `json:"time"`  // UTC, microseconds
	Kind  string    `json:"kind"`  // "request", "sign_in", "sign_out", "lock", "policy", "person", ...

	RequestID string `json:"request_id,omitempty"`
	PersonID  string `json:"person_id,omitempty"`
	Email     string `json:"email,omitempty"`
	Role      string `json:"role,omitempty"`
	Session   string `json:"session,omitempty"` // first 12 hex digits of the session's hash
	Device    string `json:"device,omitempty"`
	IP        string `json:"ip,omitempty"`
	IPFlags   string `json:"ip_flags,omitempty"` // comma list: tor, anonymous_proxy, hosting, ...

	Method    string   `json:"method,omitempty"`
	Host      string   `json:"host,omitempty"`
	Path      string   `json:"path,omitempty"` // canonical, without query
	Operation string   `json:"operation,omitempty"`
	Entity    string   `json:"entity,omitempty"`
	Action    string   `json:"action,omitempty"`
	Records   []string `json:"records,omitempty"` // at most 20 ids
	Count     int      `json:"count,omitempty"`

	Decision string   `json:"decision,omitempty"` // "allow" or "deny"
	Reason   string   `json:"reason,omitempty"`   // from the closed list of policy.Reason
	Detail   string   `json:"detail,omitempty"`   // one sentence for the admin; no values
	Plan     string   `json:"plan,omitempty"`
	Masked   []string `json:"masked,omitempty"` // field names
	Hidden   []string `json:"hidden,omitempty"`
	Dropped  int      `json:"dropped,omitempty"` // records not visible
	Status   int      `json:"status,omitempty"`
	Bytes    int64    `json:"bytes,omitempty"`
	Micros   int64    `json:"micros,omitempty"`

	Prev string `json:"prev"` // hash of the record before, "" for the first
	Hash string `json:"hash"` // over every member above and Prev
}

// Head is the end of a chain.
type Head struct {
	Chain string
	Seq   int64
	Hash  string
}

// Sink stores records. AppendAudit stores all of them in one transaction or none.
type Sink interface {
	AppendAudit(ctx context.Context, rs []Record) error
}

// Query selects records; zero members do not restrict.
type Query struct {
	From, To  time.Time
	Kind      string
	Email     string
	Operation string
	Decision  string
	RequestID string
	Chain     string
	AfterSeq  int64 // within Chain
	Limit     int   // 0: 100
	Ascending bool  // default newest first
}

// Selects says whether a record is one of those the query asks for; Limit plays
// no part. An e-mail address is compared as recorded and folded.
func (q *Query) Selects(r *Record, foldedEmail string) bool {
	return (q.From.IsZero() || !r.Time.Before(q.From)) && (q.To.IsZero() || r.Time.Before(q.To)) &&
		(q.Kind == "" || r.Kind == q.Kind) && (q.Operation == "" || r.Operation == q.Operation) &&
		(q.Decision == "" || r.Decision == q.Decision) && (q.RequestID == "" || r.RequestID == q.RequestID) &&
		(q.Chain == "" || r.Chain == q.Chain && r.Seq > q.AfterSeq) &&
		(q.Email == "" || r.Email == q.Email || r.Email == foldedEmail)
}

// Source reads records back.
type Source interface {
	AuditHead(ctx context.Context, chain string) (Head, error) // zero Head for a new chain
	Audit(ctx context.Context, q Query) ([]Record, error)
	AuditChains(ctx context.Context) ([]string, error)
	// AuditIndex compares what finds the records of a person with the records, and calls
	// found for each difference: with the record where it shows, or without one where no
	// record is, and a sentence for the admin. A source without an index has none.
	AuditIndex(ctx context.Context, found func(chain string, seq int64, detail string)) error
}
