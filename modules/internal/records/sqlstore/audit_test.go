// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package sqlstore

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/audit"
	"github.com/crmgate/crmgate/modules/internal/records"
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

// A text is compared with the one before it first: that must let none through that
// nobody has looked at.
func TestEveryTextOfARecordIsChecked(t *testing.T) {
	if _, err := newHeads(batch(3)); err != nil {
		t.Fatal(err)
	}
	for i := range reflect.TypeFor[audit.Record]().NumField() {
		for at := range 3 {
			rs := batch(3)
			switch f := reflect.ValueOf(&rs[at]).Elem().Field(i); f.Kind() {
			case reflect.String:
				f.SetString("\xff")
			case reflect.Slice:
				f.Set(reflect.ValueOf([]string{"email", "\xff"}))
			default:
				continue
			}
			if _, err := newHeads(rs); !errors.Is(err, records.ErrInvalid) {
				t.Errorf("record %d, %s: %v: the store is given what is no text", at, reflect.TypeFor[audit.Record]().Field(i).Name, err)
			}
		}
	}
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
