// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/crmgate/crmgate/policy"
)

// ErrorShape holds the members by which the CRM's own clients know an error, such
// as {"Status":"Error","ExceptionType":"...","ExceptionMessage":"..."}. They are
// put into a problem document after its own members, in the order of their names;
// a member of exactly the same name takes the place of ours. A value that cannot
// be JSON is left out.
type ErrorShape map[string]any

// problem is an RFC 9457 problem document.
type problem struct {
	status int
	text   string // title
	detail string // default text
	reason string // closed list: policy.Reason, or "not_found"
	signIn bool
	next   string
	retry  time.Duration
	until  time.Time
	shape  ErrorShape
}

// publicReason is the reason a client may read. RowDenied looks like a record
// that does not exist, and must not say otherwise one member further down.
func publicReason(r policy.Reason) string {
	if r == policy.RowDenied {
		return "not_found"
	}
	return string(r)
}

type member struct {
	name  string
	value any
}

// writeProblem writes x as application/problem+json.
func writeProblem(w http.ResponseWriter, r *http.Request, x problem) {
	detail := x.detail
	if detail == "" {
		detail = x.text
	}
	m := []member{
		{"type", "urn:crmgate:refusal:" + x.reason},
		{"title", x.text},
		{"status", x.status},
		{"detail", detail},
		{"reason", x.reason},
	}
	if id := ClientFrom(r.Context()).RequestID; id != "" {
		m = append(m, member{"instance", id})
	}
	if x.signIn {
		m = append(m, member{"sign_in", SignInPath})
	}
	if x.next != "" {
		m = append(m, member{"next", x.next})
	}
	if x.retry > 0 {
		m = append(m, member{"retry_after", seconds(x.retry)})
	}
	if !x.until.IsZero() {
		m = append(m, member{"until", x.until.UTC().Format(time.RFC3339)})
	}
	body := merge(m, x.shape)
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	writeBody(w, r, x.status, body)
}

// merge encodes members, then the shape's.
func merge(members []member, shape ErrorShape) []byte {
	var buf bytes.Buffer
	e := jsontext.NewEncoder(&buf)
	put := func(name string, value any) {
		raw, err := json.Marshal(value)
		if err != nil || e.WriteToken(jsontext.String(name)) != nil {
			return
		}
		_ = e.WriteValue(raw)
	}
	_ = e.WriteToken(jsontext.BeginObject)
	for _, m := range members {
		if _, taken := shape[m.name]; !taken {
			put(m.name, m.value)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(shape)) {
		put(name, shape[name])
	}
	_ = e.WriteToken(jsontext.EndObject)
	return buf.Bytes()
}

// seconds rounds up, as Retry-After must not end too early; at least 1.
func seconds(d time.Duration) int64 {
	return max(1, int64((d+time.Second-1)/time.Second))
}

// writeJSON writes v, a value of ours that always encodes.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, v any) {
	body, err := json.Marshal(v, json.Deterministic(true))
	if err != nil {
		status, body = http.StatusInternalServerError, []byte("{}")
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	writeBody(w, r, status, body)
}

// rawJSON is JSON that came from outside or goes there as it is.
type rawJSON = jsontext.Value

// writeRaw writes JSON of the Backend as it is.
func writeRaw(w http.ResponseWriter, r *http.Request, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	writeBody(w, r, http.StatusOK, body)
}
