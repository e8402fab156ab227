// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/crmgate/crmgate/modules/internal/audit"
)

func init() {
	command("audit", "Reads, verifies and exports the audit of a running gateway", "One record a request and an administrative act, chained by hash.",
		nil, auditList, auditVerify, auditExport)
}

// selection adds the flags that select records and returns what builds the query.
func selection(c *cobra.Command, usual int) func() url.Values {
	limit := c.Flags().Int("limit", usual, "how many, 1 to 10000; 0 for all, where all can be given")
	names := []string{"kind", "email", "operation", "decision", "request-id", "from", "to"}
	for _, n := range names {
		c.Flags().String(n, "", "only records with this "+n)
	}
	return func() url.Values {
		v := url.Values{}
		if *limit != 0 {
			v.Set("limit", strconv.Itoa(*limit))
		}
		for _, n := range names {
			if s, _ := c.Flags().GetString(n); s != "" {
				key := n
				if n == "request-id" {
					key = "request_id"
				}
				v.Set(key, s)
			}
		}
		return v
	}
}

func auditList() *cobra.Command {
	c := online(&cobra.Command{Use: "list", Short: "Lists records, newest first", Args: cobra.NoArgs})
	query := selection(c, 50)
	c.RunE = func(c *cobra.Command, _ []string) error {
		var rs []audit.Record
		if err := call(c, http.MethodGet, "/audit?"+query().Encode(), nil, &rs); err != nil {
			return printed(err)
		}
		return table(c.OutOrStdout(), "TIME\tKIND\tWHO\tWHAT\tDECISION\tREASON\tSTATUS\tREQUEST", func(row func(...any)) {
			for _, r := range rs {
				what := r.Operation
				if what == "" {
					what = r.Detail
				}
				row(r.Time.UTC().Format(time.RFC3339), r.Kind, r.Email, what, r.Decision, r.Reason, r.Status, r.RequestID)
			}
		})
	}
	return c
}

func auditVerify() *cobra.Command {
	c := online(&cobra.Command{Use: "verify", Short: "Checks every chain and the index by person: nothing changed, nothing missing", Args: cobra.NoArgs})
	c.RunE = func(c *cobra.Command, _ []string) error {
		var report audit.Report
		if err := call(c, http.MethodGet, "/audit/verify", nil, &report); err != nil {
			return printed(err)
		}
		for _, f := range report.Findings {
			fmt.Fprintln(c.OutOrStdout(), plain(fmt.Sprintf("%+v", f)))
		}
		if !report.OK() {
			return errors.New("the audit was changed")
		}
		fmt.Fprintf(c.OutOrStdout(), "the audit is whole: %d records in %d chains\n", report.Records, len(report.Heads))
		return nil
	}
	return c
}

func auditExport() *cobra.Command {
	c := online(&cobra.Command{Use: "export", Short: "Writes records to standard output", Args: cobra.NoArgs})
	query := selection(c, 0)
	format := c.Flags().String("format", "jsonl", "jsonl or csv")
	c.RunE = func(c *cobra.Command, _ []string) error {
		v := query()
		v.Set("format", *format)
		return call(c, http.MethodGet, "/audit/export?"+v.Encode(), nil, c.OutOrStdout())
	}
	return c
}
