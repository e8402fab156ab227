// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
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

// canary is the end of a phone number that a masked answer must not hold in full.
const canary = "+919812345678"

// startCRM answers lead lists from memory, so that what is measured is the gate.
func startCRM() *httptest.Server {
	bodies := map[string]string{}
	for _, s := range sizes {
		bodies[strconv.Itoa(s.leads)] = leadList(s.leads)
	}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := bodies[r.URL.Query().Get("size")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write([]byte(body))
	}))
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
			fmt.Fprintf(&b, `,"mx_City_%d":"%s"`, j, strings.Repeat("x", 6+rng.IntN(20)))
		}
		b.WriteByte('}')
	}
	b.WriteString("]}")
	return b.String()
}
