// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/audit"
)

// batch returns records as requests make them: most texts are those of the one before.
func batch(n int) []audit.Record {
	rs := make([]audit.Record, n)
	for i := range rs {
		rs[i] = audit.Record{
			Time: time.UnixMilli(int64(i)), Kind: "request", RequestID: fmt.Sprintf("01k8m3v0y%09d", i), PersonID: "p1", Email: "asha@acme.test", Role: "sales_user",
			Session: "0123456789ab", IP: "192.0.2.7", Method: "GET", Host: "crm.acme.test", Path: "/app/api/leads", Operation: "lead.list", Entity: "lead",
			Action: "view", Decision: "allow", Reason: "allowed", Plan: "0123456789abcdef01234567", Masked: []string{"email", "phone"}, Status: 200, Bytes: 10000,
		}
	}
	audit.Seal(audit.Head{Chain: "gateway"}, rs)
	return rs
}

func BenchmarkNewHeads(b *testing.B) {
	rs := batch(256)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := newHeads(rs); err != nil {
			b.Fatal(err)
		}
	}
}
