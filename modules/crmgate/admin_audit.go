// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/crmgate/crmgate/modules/internal/audit"
)

// auditNames are what a selection may name: one that is misspelt would select
// everything, or nothing.
var auditNames = []string{"from", "to", "kind", "email", "operation", "decision", "request_id", "chain", "order", "limit", "format"}

// auditQuery reads the selection from the query string.
func (c *adminCall) auditQuery() (audit.Query, error) {
	v := c.r.URL.Query()
	for name := range v {
		if !slices.Contains(auditNames, name) {
			return audit.Query{}, badInput{fmt.Errorf("reading the selection: there is no %q; use %s", name, strings.Join(auditNames, ", "))}
		}
	}
	for name, words := range map[string][]string{"decision": {"allow", "deny"}, "order": {"asc", "desc"}} {
		if s := v.Get(name); s != "" && !slices.Contains(words, s) {
			return audit.Query{}, badInput{fmt.Errorf("reading %s: %q is not %s", name, s, strings.Join(words, " or "))}
		}
	}
	q := audit.Query{
		Kind: v.Get("kind"), Email: v.Get("email"), Operation: v.Get("operation"),
		Decision: v.Get("decision"), RequestID: v.Get("request_id"), Chain: v.Get("chain"),
		Ascending: v.Get("order") == "asc",
	}
	for name, dst := range map[string]*time.Time{"from": &q.From, "to": &q.To} {
		if s := v.Get(name); s != "" {
			t, err := time.Parse(time.RFC3339, s)
			if err != nil {
				return q, badInput{fmt.Errorf("reading %s: %q is not a time such as 2026-01-31T08:00:00Z", name, s)}
			}
			*dst = t
		}
	}
	if s := v.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > 10000 {
			return q, badInput{fmt.Errorf("reading limit: %q is not a number from 1 to 10000", s)}
		}
		q.Limit = n
	}
	return q, nil
}

// reading records that somebody reads the audit; once that is durable, so is
// everything queued before it.
func (c *adminCall) reading(what string) error {
	if err := c.act("audit", "", what); err != nil {
		return fmt.Errorf("writing what is queued: %w", err)
	}
	return nil
}

// audit lists records.
func (c *adminCall) audit() (any, error) {
	q, err := c.auditQuery()
	if err != nil {
		return nil, err
	}
	if err := c.reading("listed records"); err != nil {
		return nil, err
	}
	rs, err := c.rt.records.Audit(c.r.Context(), q)
	if err != nil {
		return nil, fmt.Errorf("reading the audit: %w", err)
	}
	if rs == nil {
		rs = []audit.Record{}
	}
	return rs, nil
}

// verify checks every chain.
func (c *adminCall) verify() (any, error) {
	if err := c.reading("verified the chains"); err != nil {
		return nil, err
	}
	report, err := audit.Verify(c.r.Context(), c.rt.records)
	if err != nil {
		return nil, fmt.Errorf("verifying the audit: %w", err)
	}
	return report, nil
}

// export writes records as lines.
func (c *adminCall) export() (any, error) {
	q, err := c.auditQuery()
	if err != nil {
		return nil, err
	}
	format := c.r.URL.Query().Get("format")
	if format == "" {
		format = "jsonl"
	}
	if format != "jsonl" && format != "csv" {
		return nil, badInput{fmt.Errorf("reading format: %q is not jsonl or csv", format)}
	}
	if err := c.reading("exported records as " + format); err != nil {
		return nil, err
	}
	c.w.Header().Set("Content-Type", map[string]string{"jsonl": "application/jsonl", "csv": "text/csv"}[format])
	if err := audit.Export(c.r.Context(), c.rt.records, q, c.w, format); err != nil {
		return nil, fmt.Errorf("exporting the audit: %w", err)
	}
	return nil, nil
}
