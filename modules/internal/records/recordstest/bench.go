// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package recordstest

import (
	"strconv"
	"testing"

	"github.com/crmgate/crmgate/modules/internal/audit"
)

// BenchmarkAppendAudit measures what a durable audit record costs, by the number
// of records in a transaction.
func BenchmarkAppendAudit(b *testing.B, db Database) {
	s, err := db.Open(b.Context(), "bench")
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for _, n := range []int{1, 64, 512} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			chain := "bench-" + strconv.Itoa(n) + "-" + strconv.Itoa(b.N)
			rs := make([]audit.Record, n)
			for i := range rs {
				rs[i] = fullRecord(int64(i))
			}
			h := audit.Head{Chain: chain}
			b.ResetTimer()
			for range b.N {
				h = audit.Seal(h, rs)
				if err := s.AppendAudit(b.Context(), rs); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "records/s")
		})
	}
}
