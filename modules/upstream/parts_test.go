// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/policy/plan"
)

// The header of an answer within a part falls under the rules of a whole one's.
func TestHeadersWithinParts(t *testing.T) {
	in := http.Header{
		"Content-Type": {"application/json"}, "Odata-Version": {"4.0"}, "Etag": {`W/"1"`}, "Last-Modified": {"x"}, "Content-Digest": {"x"}, "X-Body-Md5": {"x"},
		"Location": {"https://crm.internal:8443/leads(1)?a=b#c"}, "Link": {"<https://crm.internal/next>; rel=next"}, "Content-Location": {"/x"},
		"X-Call": {"call 98123-45670"}, "Set-Cookie": {"a=1", "p=9812345670"}, "Cache-Control": {"public"}, "Connection": {"X-Hop"}, "X-Hop": {"1"},
	}
	want := http.Header{
		"Content-Type": {"application/json"}, "Odata-Version": {"4.0"}, "Location": {"/leads(1)?a=b#c"}, "Link": {}, "X-Call": {"call XXXXXXXX"}, "Set-Cookie": {"a=1"},
	}
	if got := cleanPart(in); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// The engine of parts is given the rules, also when it is used again.
func TestPartsAreCleaned(t *testing.T) {
	p := &plan.Plan{Format: plan.Multipart, HTTP: true, Root: &plan.Node{}, Fallback: &plan.Entity{Unknown: &plan.Treatment{}}}
	m := new(maskers)
	for range 2 {
		b := m.open(p, new(crmgate.Decision), "multipart/mixed; boundary=x", strings.NewReader("--x\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\nETag: 1\r\nX-A: 1\r\n\r\n{}\r\n--x--"))
		got, err := io.ReadAll(b)
		if want := "--x\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n{}\r\n--x--"; err != nil || string(got) != want {
			t.Errorf("%v\ngot  %q\nwant %q", err, got, want)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}
