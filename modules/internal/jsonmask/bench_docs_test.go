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

// benchDigits is a flat list of leads with as many digits as real ones have: ids, times,
// amounts, codes.
func benchDigits(n int) []byte {
	r := rand.New(rand.NewPCG(7, uint64(n)))
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	guid := func() string {
		return fmt.Sprintf("%08x-%04x-4f89-9a0c-%012x", r.Uint32(), r.IntN(1<<16), r.Uint64N(1<<48))
	}
	day := func() string {
		return fmt.Sprintf("20%02d-%02d-%02d %02d:%02d:%02d.000", 18+r.IntN(8), 1+r.IntN(12), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60))
	}
	var b strings.Builder
	b.WriteByte('[')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		phone := r.IntN(1e8)
		fmt.Fprintf(&b, `{"ProspectID":"%s","ProspectAutoId":"%d","FirstName":"%s","LastName":"Rao"`, guid(), r.IntN(1e6), pick("Asha", "Ravi", "Jürgen", "Lakshmi"))
		fmt.Fprintf(&b, `,"EmailAddress":"person%d@example.in","Phone":"+91-98%08d","Mobile":"97%08d","Company":null,"JobTitle":"%s"`, phone, phone, phone, pick("", "Manager"))
		fmt.Fprintf(&b, `,"Source":"Inbound Phone call","ProspectStage":"%s","Score":%d,"EngagementScore":%d.5`, pick("Prospect", "Customer"), r.IntN(100), r.IntN(100))
		fmt.Fprintf(&b, `,"DoNotEmail":false,"DoNotCall":true,"OwnerId":"%s","OwnerIdName":"Somebody Else","CreatedOn":"%s","ModifiedOn":"%s"`, guid(), day(), day())
		fmt.Fprintf(&b, `,"OwnerIdEmailAddress":"owner%d@example.in","LastActivityDate":"%s","Notes":"called \"twice\"\nwill call back on Monday \u00e9","mx_PAN_Number":"ABCPE%04dF"`, r.IntN(30), day(), r.IntN(1e4))
		fmt.Fprintf(&b, `,"mx_Mobile_2":"%d","mx_Date_of_Birth":"%s","mx_City":"%s","mx_Zip":"%d"`, r.IntN(9e6), day(), pick("Bengaluru", "Pune", "Navi Mumbai"), 560000+r.IntN(999))
		fmt.Fprintf(&b, `,"mx_Street1":"%d, 4th Cross","mx_Street2":"","mx_State":"Karnataka","mx_Country":"India"`, r.IntN(400))
		for k := range 9 {
			fmt.Fprintf(&b, `,"mx_Custom_%d":"%s"`, k+1, pick("Asked for a quote", "Wants to visit the campus in the second week of the month", "", "Interested", "Call again after the holidays"))
		}
		b.WriteByte('}')
	}
	b.WriteByte(']')
	return []byte(b.String())
}
