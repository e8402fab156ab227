// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
)

// benchFields are the fields of a lead, about as many and as long as real ones.
func benchFields(i int) (names, values []string) {
	add := func(n, v string) { names, values = append(names, n), append(values, v) }
	add("ProspectID", fmt.Sprintf("%08x-4f89-11d3-9a0c-0305e82c%04d", i*2654435761&0xffffffff, i%10000))
	add("FirstName", []string{"Asha", "Jürgen", "Ravi", "Zoë"}[i%4])
	add("EmailAddress", fmt.Sprintf("person%d@example.in", i))
	add("Phone", fmt.Sprintf("+91-98%08d", i))
	add("Mobile", "")
	add("OwnerId", fmt.Sprintf("u%d", i%3))
	add("Notes", `called \"twice\"\nwill call back on Monday about the offer`)
	add("mx_PAN_Number", "ABCPE1234F")
	add("mx_Date_of_Birth", "1990-05-17")
	add("CreatedOn", "2024-05-17 10:11:12.000")
	for k := range 32 {
		add(fmt.Sprintf("mx_Custom_%d", k), []string{"Active", "Pending since last week", "0", "Bengaluru, Karnataka"}[(i+k)%4])
	}
	return names, values
}

func benchFlat(n int) []byte {
	var b strings.Builder
	b.WriteByte('[')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		names, values := benchFields(i)
		b.WriteByte('{')
		for k := range names {
			fmt.Fprintf(&b, `"%s":"%s",`, names[k], values[k])
		}
		b.WriteString(`"Score":17,"DoNotEmail":false,"Company":null}`)
	}
	b.WriteByte(']')
	return []byte(b.String())
}

func benchPairs(n int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `{"RecordCount":%d,"Leads":[`, n)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		names, values := benchFields(i)
		b.WriteString(`{"LeadPropertyList":[`)
		for k := range names {
			fmt.Fprintf(&b, `{"Attribute":"%s","Value":"%s"},`, names[k], values[k])
		}
		b.WriteString(`{"Attribute":"Total","Value":"17"}]}`)
	}
	b.WriteString("]}")
	return []byte(b.String())
}

// benchSparse is a flat list of which every record leaves out other fields, as
// answers do that do not write empty ones.
func benchSparse(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	b.WriteByte('[')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		names, values := benchFields(i)
		b.WriteByte('{')
		for k := range names {
			if k == 0 || values[k] != "" && r.IntN(5) > 0 {
				fmt.Fprintf(&b, `"%s":"%s",`, names[k], values[k])
			}
		}
		b.WriteString(`"Score":17}`)
	}
	b.WriteByte(']')
	return []byte(b.String())
}

// benchIndented is a flat list as it is written for people.
func benchIndented(n int) []byte {
	var b bytes.Buffer
	if err := json.Indent(&b, benchFlat(n), "", "  "); err != nil {
		panic(err)
	}
	return b.Bytes()
}
