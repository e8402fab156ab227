// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
)

// bodySize is one size of answer.
type bodySize struct {
	name  string
	leads int
}

var sizes = []bodySize{{"1k", 1}, {"10k", 7}, {"100k", 73}, {"1m", 740}}

// What a masked answer must not hold in full, and what every answer must hold.
const (
	canary = "+919812345678"
	shown  = `"Qualified"`
)

// long is the size of the answer that memory is measured with, in bytes.
const long = 1 << 30

// startCRM answers lead lists from memory, so that what is measured is the gate.
// Asked for the size "long" it goes on for that many bytes.
func startCRM() *httptest.Server {
	bodies := map[string]string{}
	for _, s := range sizes {
		bodies[strconv.Itoa(s.leads)] = leadList(s.leads)
	}
	page := leadList(73)
	page = page[strings.Index(page, `[`)+1 : len(page)-2]
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size := r.URL.Query().Get("size")
		w.Header().Set("Content-Type", "application/json")
		if size == "long" {
			sep := `{"Leads":[`
			for n := 0; n < long; n += len(page) + 1 {
				if _, err := io.WriteString(w, sep+page); err != nil {
					return
				}
				sep = ","
			}
			_, _ = io.WriteString(w, "]}")
			return
		}
		body, ok := bodies[size]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = io.WriteString(w, body)
	}))
}

// custom are the values of fields that the map does not know, as people and
// machines fill them in: with digits that a search for personal data has to look at.
var custom = []string{
	"Bengaluru", "Thiruvananthapuram", "Interested", "Asked for a quote", "Inbound call", "Wants to visit the campus in May",
	"2024-05-17 10:30:00.000", "2025-11-03", "560034", "12, 4th Cross, 7th Main", "Batch 2026-B", "Somebody Else",
}

// leadList is a page of flat leads of 42 fields, about 1.4 KB each.
func leadList(n int) string {
	rng := rand.New(rand.NewPCG(1, uint64(n)))
	var b strings.Builder
	fmt.Fprintf(&b, `{"RecordCount":%d,"Leads":[`, n)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"ProspectID":"%08x-0000-4000-8000-%012x","ProspectAutoId":"%d","FirstName":"Ann%d","LastName":"Łukasz","EmailAddress":"ann%d@example.com","Phone":%q,"Mobile":"+9198%08d","Company":null,"ProspectStage":"Qualified","OwnerId":"o-%d","OwnerIdName":"Somebody Else","OwnerIdEmailAddress":"o@acme.test"`,
			rng.Uint32(), i, i, i, i, canary, rng.IntN(1e8), rng.IntN(9))
		fmt.Fprintf(&b, `,"mx_PAN_Number":"ABCPE%04dF","mx_Aadhaar":"%012d","mx_Annual_Income":"%d","mx_Date_of_Birth":"19%02d-03-04 00:00:00.000","Notes":"called \"twice\"\nasked for a quote"`,
			rng.IntN(9999), rng.IntN(1e12), rng.IntN(9e6), 50+rng.IntN(50))
		for j := range 25 {
			fmt.Fprintf(&b, `,"mx_City_%d":"%s"`, j, custom[rng.IntN(len(custom))])
		}
		b.WriteByte('}')
	}
	b.WriteString("]}")
	return b.String()
}
