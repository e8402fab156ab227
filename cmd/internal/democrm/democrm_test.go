// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package democrm

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// testClock stands still until it is moved.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is a CRM under test with the key pairs at hand.
type bench struct {
	t     *testing.T
	crm   *CRM
	clock *testClock
	users map[string]User
}

func newBench(t *testing.T, change ...func(*Config)) *bench {
	t.Helper()
	clock := &testClock{now: time.Date(2026, 7, 1, 9, 0, 0, 0, time.UTC)}
	cfg := Config{Leads: 240, Clock: clock}
	for _, f := range change {
		f(&cfg)
	}
	crm, err := New(cfg)
	if err != nil {
		t.Fatalf("building the CRM: %v", err)
	}
	b := &bench{t: t, crm: crm, clock: clock, users: map[string]User{}}
	for _, u := range crm.Users() {
		b.users[strings.TrimSuffix(u.Email, "@acme.test")] = u
	}
	return b
}

// request makes a request that acts as who ("" for nobody).
func (b *bench) request(who, method, target, body string) *http.Request {
	b.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, target, in)
	if who != "" {
		u, ok := b.users[who]
		if !ok {
			b.t.Fatalf("no user %q", who)
		}
		r.Header.Set("x-LSQ-AccessKey", u.AccessKey)
		r.Header.Set("x-LSQ-SecretKey", u.SecretKey)
	}
	return r
}

func (b *bench) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.crm.Handler().ServeHTTP(w, r)
	return w
}

// call makes a call and wants HTTP 200 with a JSON body, which it decodes.
func (b *bench) call(who, method, target, body string, into any) string {
	b.t.Helper()
	w := b.do(b.request(who, method, target, body))
	if w.Code != http.StatusOK {
		b.t.Fatalf("%s %s: status %d, want 200: %s", method, target, w.Code, w.Body)
	}
	if into != nil {
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			b.t.Fatalf("%s %s: the answer is not the JSON clients expect: %v\n%s", method, target, err, w.Body)
		}
	}
	return w.Body.String()
}

// refused makes a call that must fail with this status and exception.
func (b *bench) refused(who, method, target, body string, status int, exception string) {
	b.t.Helper()
	w := b.do(b.request(who, method, target, body))
	var e errorEnvelope
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
		b.t.Fatalf("%s %s: a refusal must be an envelope, got %s", method, target, w.Body)
	}
	if w.Code != status || e.Status != "Error" || e.ExceptionType != exception || e.ExceptionMessage == "" {
		b.t.Errorf("%s %s: got %d %+v, want %d %s with a message", method, target, w.Code, e, status, exception)
	}
}

type flatRow = map[string]*string

// lead reads one lead by the app's own route.
func (b *bench) lead(id string) flatRow {
	b.t.Helper()
	var row flatRow
	b.call("admin", get, "/app/api/leads/"+id, "", &row)
	return row
}

func str(p *string) string {
	if p == nil {
		return "<null>"
	}
	return *p
}

func withQuery(target string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return target + "?" + q.Encode()
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]Config{
		"negative leads": {Leads: -1}, "too many leads": {Leads: 1000001}, "negative limit": {Leads: 1, RateLimit: -1},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: New must refuse what it cannot build", name)
		}
	}
	b := newBench(t, func(c *Config) { c.Leads = 1 })
	if got := b.lead(knownLead); str(got["Phone"]) != "+919876543210" {
		t.Errorf("the well-known lead must exist in the smallest CRM, phone is %s", str(got["Phone"]))
	}
}

func TestSeedIsDeterministic(t *testing.T) {
	read := func(seed uint64) string {
		b := newBench(t, func(c *Config) { c.Seed = seed })
		u := b.users["asha"]
		return u.AccessKey + u.SecretKey + b.call("asha", get, "/app/api/leads?size=200&sort=ProspectAutoId", "", nil)
	}
	one, again, other := read(1), read(1), read(2)
	if one != again {
		t.Error("two CRMs of one seed differ: recorded tests against it would break from run to run")
	}
	if one == other {
		t.Error("another seed must give other people and other keys")
	}
}

func TestSeededPeopleAndLeads(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Leads = 3000 })
	roles := map[string]string{"admin": roleAdmin, "manager": roleManager, "marketing": roleMarketing, "asha": roleSales, "ravi": roleSales}
	for who, role := range roles {
		if u := b.users[who]; u.Role != role || !strings.HasPrefix(u.AccessKey, "u$r") || len(u.SecretKey) != 40 || !u.Active {
			t.Errorf("%s@acme.test: %+v, want an active %s with a key u$r..", who, u, role)
		}
	}
	if n := len(b.crm.groups); n != 3 {
		t.Errorf("%d sales groups, want 3", n)
	}
	known := b.lead(knownLead)
	for name, want := range map[string]string{
		"FirstName": "Ishaan", "Phone": "+919876543210",
		"EmailAddress": "ishaan.kapoor@example.com", "OwnerIdEmailAddress": "asha@acme.test", "OwnerId": b.users["asha"].ID,
	} {
		if str(known[name]) != want {
			t.Errorf("well-known lead: %s is %s, want %s", name, str(known[name]), want)
		}
	}
	if len(known) < 42 {
		t.Errorf("a lead has %d fields, want 42 or more", len(known))
	}
	seen, nulls, empties := map[string]bool{}, 0, 0
	for _, r := range b.crm.leads.rows {
		for _, name := range uniqueLeadFields {
			v := leadSchema.get(r, name)
			if seen[v] {
				t.Fatalf("two leads share %s %s", name, v)
			}
			seen[v] = true
		}
		if !strings.HasSuffix(leadSchema.get(r, "EmailAddress"), "example.com") {
			t.Fatalf("invented people only: %s", leadSchema.get(r, "EmailAddress"))
		}
		for _, cell := range r.cells {
			if cell == nil {
				nulls++
			} else if *cell == "" {
				empties++
			}
		}
	}
	if nulls == 0 || empties == 0 {
		t.Errorf("%d nulls and %d empty values: both kinds of nothing must occur", nulls, empties)
	}
}
