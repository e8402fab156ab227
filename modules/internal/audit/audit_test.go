// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

var errAway = errors.New("store away")

// memory is a store in memory that can be sent away, hang up after the commit,
// or refuse.
type memory struct {
	mu      sync.Mutex
	rs      map[string][]Record
	away    bool // nothing answers
	refuses bool // appends fail, reads answer
	lost    int  // so many appends are done and then reported as failed, answers away
	batches []int
	block   chan struct{} // when set, an append waits for it
}

func newMemory() *memory { return &memory{rs: map[string][]Record{}} }

func (m *memory) set(fn func(*memory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	fn(m)
}

func (m *memory) AppendAudit(_ context.Context, rs []Record) error {
	m.mu.Lock()
	block := m.block
	m.mu.Unlock()
	if block != nil {
		<-block
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away || m.refuses {
		return errAway
	}
	chain := m.rs[rs[0].Chain]
	for _, r := range rs {
		prev := ""
		if len(chain) > 0 {
			prev = chain[len(chain)-1].Hash
		}
		if r.Seq != int64(len(chain))+1 || r.Prev != prev {
			return errors.New("conflict")
		}
		chain = append(chain, r)
	}
	m.rs[rs[0].Chain] = chain
	m.batches = append(m.batches, len(rs))
	if m.lost > 0 {
		m.lost--
		m.away = true
		return errAway
	}
	return nil
}

func (m *memory) AuditHead(_ context.Context, chain string) (Head, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return Head{}, errAway
	}
	rs := m.rs[chain]
	if len(rs) == 0 {
		return Head{}, nil
	}
	return Head{chain, rs[len(rs)-1].Seq, rs[len(rs)-1].Hash}, nil
}

func (m *memory) Audit(_ context.Context, q Query) ([]Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.away {
		return nil, errAway
	}
	rs := m.rs[q.Chain]
	rs = rs[min(int(q.AfterSeq), len(rs)):]
	return slices.Clone(rs[:min(q.Limit, len(rs))]), nil
}

func (m *memory) AuditChains(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for c := range m.rs {
		out = append(out, c)
	}
	slices.Sort(out)
	return out, nil
}

// AuditIndex finds nothing: there is no index.
func (*memory) AuditIndex(context.Context, func(string, int64, string)) error { return nil }

func full() Record {
	return Record{
		Chain: "c", Seq: 7, Time: time.Date(2031, 2, 3, 4, 5, 6, 7000, time.UTC), Kind: "request", RequestID: "req", PersonID: "p",
		Email: "asha@example.com", Role: "sales_user", Session: "0123456789ab", Device: "d", IP: "203.0.113.9", IPFlags: "tor",
		Method: "POST", Host: "crm.example.com", Path: "/leads", Operation: "lead.get", Entity: "lead", Action: "view",
		Records: []string{"a", "b"}, Count: 2, Decision: "allow", Reason: "allowed", Detail: "why", Plan: "plan",
		Masked: []string{"Phone"}, Hidden: []string{"Notes"}, Dropped: 1, Status: 200, Bytes: 300, Micros: 400, Prev: "aa", Hash: "bb",
	}
}

// TestHashCoversEveryMember fails when a member is added to Record and forgotten
// in the encoding.
func TestHashCoversEveryMember(t *testing.T) {
	base := full()
	seen := map[string]string{HashOf(&base): "the record itself"}
	for i := range reflect.TypeFor[Record]().NumField() {
		name := reflect.TypeFor[Record]().Field(i).Name
		for _, change := range []string{"more", "none"} {
			r := full()
			v := reflect.ValueOf(&r).Elem().Field(i)
			switch x := v.Interface().(type) {
			case string:
				v.SetString(x + "x")
			case int, int64:
				v.SetInt(v.Int() + 1)
			case time.Time:
				v.Set(reflect.ValueOf(x.Add(time.Microsecond)))
			case []string:
				v.Set(reflect.ValueOf(append(slices.Clone(x), "x")))
			default:
				t.Fatalf("member %s has a type the encoding does not know", name)
			}
			if change == "none" {
				v.SetZero()
			}
			h := HashOf(&r)
			if name == "Hash" {
				continue
			}
			if other, ok := seen[h]; ok {
				t.Errorf("a record with %s changed (%s) hashes like %s: the change would not be seen", name, change, other)
			}
			seen[h] = name + " " + change
		}
	}
}

func TestHashKeepsMembersApart(t *testing.T) {
	for _, c := range []struct {
		name string
		a, b Record
		same bool
	}{
		{"text moved to the next member", Record{Kind: "ab"}, Record{Kind: "a", RequestID: "b"}, false},
		{"item split", Record{Records: []string{"ab"}}, Record{Records: []string{"a", "b"}}, false},
		{"item moved to the next list", Record{Masked: []string{"a"}}, Record{Hidden: []string{"a"}}, false},
		{"empty item", Record{Masked: []string{""}}, Record{}, false},
		{"nil and empty list", Record{Masked: []string{}}, Record{}, true},
		{"time zone", Record{Time: time.Unix(5, 0)}, Record{Time: time.Unix(5, 0).UTC()}, true},
	} {
		if got := HashOf(&c.a) == HashOf(&c.b); got != c.same {
			t.Errorf("%s: same hash is %v, want %v", c.name, got, c.same)
		}
	}
}

// TestHashIsFixed holds the encoding: if it changes, every stored chain breaks.
func TestHashIsFixed(t *testing.T) {
	r := full()
	const want = "5efa9f7e55bb3c33de1eec57c915b917cd805fe7bd0a7b30ceef966cbc7ba113"
	if got := HashOf(&r); got != want {
		t.Errorf("the hash is %s, was %s: stored chains no longer verify", got, want)
	}
}

func TestBound(t *testing.T) {
	long := strings.Repeat("ü", 2000)
	many := make([]string, 300)
	for i := range many {
		many[i] = "id"
	}
	for _, c := range []struct{ name, in, want string }{
		{"plain", "/api/leads", "/api/leads"},
		{"letters", "आशा ☎ 中 \U0001f600", "आशा ☎ 中 \U0001f600"},
		{"new line", "a\r\nb", `a\u000d\u000ab`},
		{"terminal", "\x1b[2J\u009b", `\u001b[2J\u009b`},
		{"NUL and DEL", "\x00\x7f", `\u0000\u007f`},
		{"bad UTF-8", "a\xff\xc0b", `a\xff\xc0b`},
		{"direction", "a\u202eb\u2028", `a\u202eb\u2028`},
		{"invisible", "a\u200bb\U000e0041", `a\u200bb\U000e0041`},
	} {
		r := Record{Detail: c.in, Records: []string{c.in}}
		Bound(&r)
		if r.Detail != c.want || r.Records[0] != c.want {
			t.Errorf("%s: became %q and %q, want %q", c.name, r.Detail, r.Records[0], c.want)
		}
	}
	r := full()
	v := reflect.ValueOf(&r).Elem()
	for _, field := range v.Fields() {
		switch field.Kind() {
		case reflect.String:
			field.SetString(long)
		case reflect.Slice:
			field.Set(reflect.ValueOf(append(slices.Clone(many), long)))
		}
	}
	shared := r.Masked
	shared[0] = "a\nb"
	Bound(&r)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		limit := map[string]int{"Path": MaxPath, "Detail": MaxDetail}[name]
		if limit == 0 {
			limit = MaxText
		}
		if v.Field(i).Kind() == reflect.String && !strings.Contains("Chain Prev Hash", name) {
			if s := v.Field(i).String(); len(s) > limit || !utf8.ValidString(s) || !strings.HasSuffix(s, "ü…") || len(s) < limit-6 {
				t.Errorf("%s of 4000 bytes became %d bytes ending in %q", name, len(s), s[len(s)-5:])
			}
		}
	}
	if len(r.Records) != MaxRecords || len(r.Masked) != MaxFields || len(r.Hidden) != MaxFields {
		t.Errorf("lists of 301 became %d, %d, %d", len(r.Records), len(r.Masked), len(r.Hidden))
	}
	if shared[0] != "a\nb" || r.Masked[0] != `a\u000ab` {
		t.Errorf("the caller's list was changed to %q", shared[0])
	}
}

func FuzzBound(f *testing.F) {
	f.Add("/a\x00b\xff\u202e", 3)
	f.Add(strings.Repeat("ü", 700), 40)
	f.Fuzz(func(t *testing.T, s string, n int) {
		r := Record{Path: s, Detail: s, Kind: s, Records: slices.Repeat([]string{s}, n&63)}
		Bound(&r)
		for _, got := range append([]string{r.Path, r.Detail, r.Kind}, r.Records...) {
			if !utf8.ValidString(got) || strings.ContainsFunc(got, func(c rune) bool { return !unicode.IsGraphic(c) }) || len(got) > MaxPath {
				t.Fatalf("%q became %q", s, got)
			}
		}
		again := r
		Bound(&again)
		if !reflect.DeepEqual(again, r) && len(r.Records) > 0 {
			t.Fatalf("bounding twice differs: %q, %q", r.Path, again.Path)
		}
		b, err := json.Marshal(&r)
		var back Record
		if err != nil || json.Unmarshal(b, &back) != nil || HashOf(&back) != HashOf(&r) {
			t.Fatalf("a record does not survive the spool: %q", r.Path)
		}
	})
}

func fill(t *testing.T, m *memory, chain string, n int, step time.Duration) {
	t.Helper()
	head := Head{Chain: chain}
	for i := range n {
		rs := []Record{{Time: time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * step), Kind: "request", Path: fmt.Sprintf("/%s/%d", chain, i)}}
		head = Seal(head, rs)
		if err := m.AppendAudit(t.Context(), rs); err != nil {
			t.Fatal(err)
		}
	}
}

func TestExport(t *testing.T) {
	m := newMemory()
	fill(t, m, "one", page+5, 2*time.Second)
	fill(t, m, "two", 3, 3*time.Second)
	for _, c := range []struct {
		name string
		q    Query
		want int
	}{
		{"everything", Query{}, page + 8},
		{"one chain", Query{Chain: "one"}, page + 5},
		{"after", Query{Chain: "one", AfterSeq: page}, 5},
		{"limited", Query{Limit: 4}, 4},
	} {
		var out bytes.Buffer
		if err := Export(t.Context(), m, c.q, &out, JSONL); err != nil {
			t.Fatal(err)
		}
		var last time.Time
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		for _, line := range lines {
			var r Record
			if err := json.Unmarshal([]byte(line), &r); err != nil || HashOf(&r) != r.Hash || r.Time.Before(last) {
				t.Fatalf("%s: line %q: %v, or changed, or not in order", c.name, line, err)
			}
			last = r.Time
		}
		if len(lines) != c.want {
			t.Errorf("%s: %d lines, want %d", c.name, len(lines), c.want)
		}
	}
	for _, format := range []string{"", "xml", "CSV"} {
		if err := Export(t.Context(), m, Query{}, new(bytes.Buffer), format); err == nil {
			t.Errorf("format %q was accepted", format)
		}
	}
	m.set(func(m *memory) { m.away = true })
	if err := Export(t.Context(), m, Query{}, new(bytes.Buffer), JSONL); !errors.Is(err, errAway) {
		t.Errorf("a source that is away gives %v: the admin takes an empty file for the truth", err)
	}
}

func TestExportCSVIsNoFormula(t *testing.T) {
	attacks := []string{
		"=cmd|'/c calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "\u00a0=1", "＝1", "＋1", "－1", "＠x", "|x", "%x", "\n=1",
		`"=1`, "a,b", "a\"b",
	}
	m := newMemory()
	head := Head{Chain: "c"}
	for _, a := range attacks {
		rs := []Record{{Kind: "request", Detail: a, Masked: []string{a}}}
		head = Seal(head, rs)
		if err := m.AppendAudit(t.Context(), rs); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := Export(t.Context(), m, Query{}, &out, CSV); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil || len(rows) != len(attacks)+1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	names := reflect.TypeFor[Record]()
	for i := range names.NumField() {
		if tag, _, _ := strings.Cut(names.Field(i).Tag.Get("json"), ","); rows[0][i] != tag {
			t.Errorf("column %d is %q, the member is %q", i, rows[0][i], tag)
		}
	}
	for i, row := range rows[1:] {
		for _, cell := range row {
			if strings.ContainsAny(strings.TrimLeft(cell, " \u00a0")[:min(1, len(cell))], "=+-@\t\r\n|%") {
				t.Errorf("%q became the cell %q: a spreadsheet runs it", attacks[i], cell)
			}
		}
		if !strings.HasSuffix(strings.ReplaceAll(row[22], "\n", ""), strings.TrimLeft(strings.ReplaceAll(attacks[i], "\r", ""), "\n")) && !strings.Contains(attacks[i], "\r") {
			t.Errorf("%q was exported as %q", attacks[i], row[22])
		}
	}
}

func TestVerifyAnchors(t *testing.T) {
	m := newMemory()
	fill(t, m, "c", 10, time.Second)
	report, err := Verify(t.Context(), m)
	if err != nil || !report.OK() || report.Records != 10 || len(report.Heads) != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	head := report.Heads[0]
	// Somebody who may write everything computes a whole new chain.
	m.set(func(m *memory) { delete(m.rs, "c") })
	fill(t, m, "c", 10, time.Minute)
	if report, err = Verify(t.Context(), m); err != nil || !report.OK() {
		t.Fatalf("a new chain that is right in itself: %+v, %v", report, err)
	}
	for _, c := range []struct {
		name string
		a    Head
	}{
		{"the head", head}, {"a later record", Head{"c", 99, "x"}}, {"another chain", Head{"d", 1, "x"}},
	} {
		if report, err = Verify(t.Context(), m, c.a); err != nil || report.OK() || report.Findings[0].Kind != Anchor {
			t.Errorf("%s is known from elsewhere and not there: %+v, %v", c.name, report, err)
		}
	}
	m.set(func(m *memory) { m.away = true })
	if _, err := Verify(t.Context(), m); !errors.Is(err, errAway) {
		t.Errorf("a source that is away gives %v: unknown is not the same as right", err)
	}
}

func TestVerifyIsBounded(t *testing.T) {
	m := newMemory()
	fill(t, m, "c", 2*MaxFindings, time.Second)
	m.set(func(m *memory) {
		for i := range m.rs["c"] {
			m.rs["c"][i].Status = 999
		}
	})
	report, err := Verify(t.Context(), m)
	if err != nil || len(report.Findings) != MaxFindings || !report.More {
		t.Errorf("%d findings, more %v, %v", len(report.Findings), report.More, err)
	}
}

func BenchmarkSeal(b *testing.B) {
	rs := make([]Record, 512)
	for i := range rs {
		rs[i] = full()
	}
	head := Head{Chain: "c"}
	b.ReportAllocs()
	for range b.N {
		head = Seal(head, rs)
	}
	b.ReportMetric(float64(b.N*len(rs))/b.Elapsed().Seconds(), "records/s")
}

func BenchmarkBound(b *testing.B) {
	r := Record{ // as a request makes it
		Kind: "request", RequestID: "01k8m3v0y0123456789", PersonID: "0198f3a2c4d57e6f", Email: "asha@example.com", Role: "sales_user", Session: "0123456789ab",
		IP: "203.0.113.9", Method: "GET", Host: "crm.example.com", Path: "/app/api/leads", Operation: "lead.list", Entity: "lead", Action: "view",
		Decision: "allow", Reason: "allowed", Plan: "0123456789abcdef01234567", Masked: []string{"email", "phone"}, Hidden: []string{"notes"},
	}
	b.ReportAllocs()
	for b.Loop() {
		Bound(&r)
	}
}
