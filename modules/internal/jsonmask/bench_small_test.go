// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/crmgate/crmgate/policy/plan"
)

// BenchmarkSmall measures what a document costs besides its bytes: answers of a few leads,
// from the masker's being fetched to its being given back, as an answer of the gate has
// it. Documents differ, so that the processor cannot learn one by heart.
func BenchmarkSmall(b *testing.B) {
	for _, n := range []int{1, 3, 10, 25, 100, 1000, 10000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := benchPlan(plan.Show, nil)
			docs := make([][]byte, max(1, min(64, 200/n)))
			size := 0
			for k := range docs {
				docs[k] = benchAnswer(n, uint64(k))
				size += len(docs[k])
			}
			m, buf := New(p, viewer, Limits{}), make([]byte, 32<<10)
			for _, doc := range docs {
				answer(b, m, p, doc, buf)
			}
			b.SetBytes(int64(size / len(docs)))
			b.ReportAllocs()
			start, k := cpuTime(), 0
			for b.Loop() {
				answer(b, m, p, docs[k], buf)
				if k++; k == len(docs) {
					k = 0
				}
			}
			b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// answer does with a document what the gate does with an answer. It is no helper: to
// say so takes longer than the rest.
func answer(b *testing.B, m *Masker, p *plan.Plan, doc, buf []byte) {
	m.Reset(p, viewer, Limits{})
	benchSource.Reset(doc)
	r := m.Reader(benchSource)
	for {
		_, err := r.Read(buf)
		if err == io.EOF {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if o := m.Outcome(); len(o.Masked) != 4 || len(o.Hidden) != 3 {
		b.Fatal(o)
	}
	m.Reset(p, nil, Limits{})
}

// benchAnswer is a list of n leads in the envelope that lists have; k says which.
func benchAnswer(n int, k uint64) []byte {
	r := rand.New(rand.NewPCG(7, k))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	day := func() string {
		return fmt.Sprintf("20%02d-%02d-%02d %02d:%02d:%02d.000", 18+r.IntN(8), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60))
	}
	guid := func() string {
		return fmt.Sprintf("%08x-%04x-4f89-9a0c-%012x", r.Uint32(), r.IntN(1<<16), r.Uint64N(1<<48))
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"RecordCount":%d,"Leads":[`, n)
	for i := range n {
		b.WriteString([]string{"{", ",{"}[min(i, 1)])
		phone := r.IntN(1e8)
		fmt.Fprintf(&b, `"ProspectID":"%s","ProspectAutoId":"%d","FirstName":"%s","LastName":"Rao"`, guid(), r.IntN(1e6), pick("Asha", "Ravi", "Jürgen", "Zoë"))
		fmt.Fprintf(&b, `,"EmailAddress":"person%d@example.in","Phone":"+91-98%08d","Mobile":"97%08d","Company":null,"SkypeId":null,"JobTitle":"%s"`, phone, phone, phone, pick("", "Manager", "Engineer"))
		fmt.Fprintf(&b, `,"Source":"Inbound Phone call","ProspectStage":"%s","Score":%d,"EngagementScore":%d.5`, pick("Prospect", "Opportunity", "Customer"), r.IntN(100), r.IntN(100))
		fmt.Fprintf(&b, `,"DoNotEmail":false,"DoNotCall":true,"IsStarredLead":false,"OwnerId":"%s","OwnerIdName":"Somebody Else","OwnerIdEmailAddress":"owner%d@example.in"`, guid(), r.IntN(30))
		fmt.Fprintf(&b, `,"CreatedOn":"%s","ModifiedOn":"%s","LastActivityDate":"%s","Notes":"called \"twice\"\nwill call back on Monday \u00e9"`, day(), day(), day())
		fmt.Fprintf(&b, `,"mx_PAN_Number":"ABCPE%04dF","mx_Mobile_2":"%d","mx_Date_of_Birth":"%s","mx_City":"%s","mx_Zip":"%d"`, r.IntN(1e4), r.IntN(9e6), day(), pick("Bengaluru", "Pune", "Navi Mumbai"), 560000+r.IntN(999))
		fmt.Fprintf(&b, `,"mx_Street1":"%d, 4th Cross","mx_Street2":"","mx_State":"Karnataka","mx_Country":"India"`, r.IntN(400))
		for j := range 9 {
			fmt.Fprintf(&b, `,"mx_Custom_%d":"%s"`, j+1, pick("Asked for a quote", "Wants to visit the campus in the second week of the month", "", "Interested", "Call again after the holidays"))
		}
		b.WriteByte('}')
	}
	b.WriteString("]}")
	return b.Bytes()
}
