// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// oracle finds routes the slow and obvious way: every pattern is tried, and the
// most precise that match are returned.
func oracle(m *Map, method, path, host string) map[string]bool {
	best, out := "", map[string]bool{}
	want := strings.Split(unescape(path)[1:], "/")
	for _, r := range m.Routes {
		if len(r.Hosts) > 0 && !contains(r.Hosts, host) {
			continue
		}
		for _, e := range r.On {
			if e.Method != method {
				continue
			}
			rank, ok := precision(strings.Split(e.Path[1:], "/"), want, m.CaseInsensitivePaths)
			if !ok || rank < best {
				continue
			}
			if rank > best {
				best, out = rank, map[string]bool{}
			}
			out[r.ID] = true
		}
	}
	return out
}

// precision ranks a match segment by segment; a greater text is more precise.
func precision(pattern, path []string, fold bool) (string, bool) {
	var rank strings.Builder
	for i, seg := range pattern {
		if seg == "**" {
			return rank.String() + "0", true
		}
		if i >= len(path) {
			return "", false
		}
		t, err := parseTemplate(unescape(seg))
		if err != nil {
			return "", false
		}
		if _, ok := t.match(path[i], fold, nil); !ok {
			return "", false
		}
		switch {
		case len(t.Names) == 0:
			rank.WriteString("3")
		case t.weight() > 0:
			fmt.Fprintf(&rank, "2%04d", t.weight())
		default:
			rank.WriteString("1")
		}
	}
	return rank.String() + "4", len(pattern) == len(path)
}

// TestIndexAgainstOracle builds random maps and asks both for random paths.
func TestIndexAgainstOracle(t *testing.T) {
	rng := rand.New(rand.NewSource(7))
	words := []string{"a", "B", "c.d", "{x}", "{y}.json", "v{z}", "%28", "static"}
	asked := []string{"a", "A", "b", "c.d", "q", "q.json", "v1", "v1.json", "(", "static", "", "%28"}
	hits := 0
	for round := range 300 {
		var b strings.Builder
		fmt.Fprintf(&b, "version: 1\nmap: x\npaths: {case_insensitive: %v}\nroutes:\n", round%2 == 0)
		seen := map[string]bool{}
		for i := range 12 {
			segs := make([]string, 1+rng.Intn(4))
			for k := range segs {
				segs[k] = words[rng.Intn(len(words))]
			}
			if rng.Intn(4) == 0 {
				segs[len(segs)-1] = "**"
			}
			path := "/" + strings.Join(segs, "/")
			key := strings.ToLower(strings.NewReplacer("{x}", "{}", "{y}", "{}", "{z}", "{}").Replace(path))
			if seen[key] || strings.Count(path, "{x}") > 1 || strings.Count(path, "{y}") > 1 || strings.Count(path, "{z}") > 1 {
				continue
			}
			seen[key] = true
			fmt.Fprintf(&b, "  - {id: r%d, kind: page, on: 'GET %s'}\n", i, path)
		}
		m, err := Parse("m.yaml", []byte(b.String()))
		if err != nil {
			if !strings.Contains(err.Error(), "neither is more precise") {
				t.Fatalf("%v\n%s", err, b.String())
			}
			continue
		}
		for range 200 {
			segs := make([]string, 1+rng.Intn(4))
			for k := range segs {
				segs[k] = asked[rng.Intn(len(asked))]
			}
			path, err := Canonical("/" + strings.Join(segs, "/"))
			if err != nil {
				continue
			}
			want := oracle(m, "GET", path, "")
			mt, err := m.Match(&Request{Method: "GET", Path: path})
			if err != nil {
				if len(want) > 0 {
					t.Fatalf("%s is unmapped, and should be one of %v\n%s", path, want, b.String())
				}
				continue
			}
			hits++
			if !want[mt.Route().ID] {
				t.Fatalf("%s is taken for %s, and should be one of %v\n%s", path, mt.Route().ID, want, b.String())
			}
		}
	}
	if hits < 5000 {
		t.Fatalf("only %d paths matched anything: the comparison says little", hits)
	}
}

func loadMap(tb testing.TB, name string) *Map {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("..", "maps", name+".yaml"))
	if err != nil {
		tb.Fatal(err)
	}
	m, err := Parse(name+".yaml", data)
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

func benchmarkRequest(b *testing.B, m *Map, r *Request) {
	body := r.Body
	b.ReportAllocs()
	for b.Loop() {
		mt, err := m.Match(r)
		if err != nil {
			b.Fatal(err)
		}
		r.Body = body
		if _, err := mt.Operations(r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	benchmarkRequest(b, loadMap(b, "leadsquared"), &Request{Method: "GET", Path: "/v2/LeadManagement.svc/Leads.GetById", Query: map[string][]string{"id": {"7"}}})
}

func BenchmarkGetCapture(b *testing.B) {
	benchmarkRequest(b, loadMap(b, "leadsquared"), &Request{Method: "GET", Path: "/app/api/leads/00000000-0000-4000-8000-000000000001"})
}

func BenchmarkGetList(b *testing.B) {
	benchmarkRequest(b, loadMap(b, "leadsquared"), &Request{Method: "GET", Path: "/app/api/leads", Query: map[string][]string{"size": {"25"}}})
}

func BenchmarkPost(b *testing.B) {
	benchmarkRequest(b, loadMap(b, "leadsquared"), &Request{
		Method: "POST", Path: "/v2/LeadManagement.svc/Leads.Get",
		Body: []byte(`{"Parameter":{"LookupName":"FirstName","LookupValue":"A","SqlOperator":"="},"Columns":{"Include_CSV":"ProspectID,FirstName"},"Paging":{"PageIndex":1,"PageSize":100}}`),
	})
}

func BenchmarkRPC(b *testing.B) {
	benchmarkRequest(b, loadMap(b, "tryton"), &Request{
		Method: "POST", Path: "/crm/",
		Body: []byte(`{"id":1,"method":"model.party.party.search_read","params":[[["code","=","P7"]],0,1,null,["name","code"],{}]}`),
	})
}

// BenchmarkRoutes shows that the cost of finding a route does not grow with
// their number.
func BenchmarkRoutes(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		var text strings.Builder
		text.WriteString("version: 1\nmap: x\nentities: {lead: {}}\nroutes:\n")
		for i := range n {
			fmt.Fprintf(&text, "  - {id: c%d, on: 'GET /api/r%d/{id}', entity: lead, action: view, request: {read: {capture: id, as: id}}}\n", i, i)
			fmt.Fprintf(&text, "  - {id: m%d, kind: page, on: POST /rpc, when: {body: /method, is: 'x.{model}.verb%d'}}\n", i, i)
		}
		m, err := Parse("m.yaml", []byte(text.String()))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("path/%d", n), func(b *testing.B) {
			benchmarkRequest(b, m, &Request{Method: "GET", Path: fmt.Sprintf("/api/r%d/7", n-1)})
		})
		b.Run(fmt.Sprintf("body/%d", n), func(b *testing.B) {
			benchmarkRequest(b, m, &Request{Method: "POST", Path: "/rpc", Body: []byte(fmt.Sprintf(`{"method":"x.a.b.verb%d"}`, n-1))})
		})
	}
}

func BenchmarkCanonical(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Canonical("/v2/LeadManagement.svc/Leads.GetById"); err != nil {
			b.Fatal(err)
		}
	}
}
