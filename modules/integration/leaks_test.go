// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// leakWay is one way an answer reaches the client.
type leakWay struct {
	site    string
	http2   bool
	framing string
}

func (w leakWay) String() string {
	s := "HTTP/1.1"
	if w.http2 {
		s = "HTTP/2"
	}
	if w.site == "encode" {
		s += " with encode"
	}
	if w.framing != "" {
		s += ", every byte a chunk"
	}
	return s
}

// ways are those of a case: small bodies also come byte by byte.
func (c *leakCase) ways() []leakWay {
	var out []leakWay
	for _, site := range []string{"gate", "encode"} {
		for _, two := range []bool{false, true} {
			if c.Only == "h1" && two || c.Only == "h2" && !two {
				continue
			}
			out = append(out, leakWay{site, two, ""})
			a := &c.Answer
			if a.Raw == "" && a.Socket == nil && !a.HTTP2 && a.Length == nil && a.Cut == 0 && len(a.Body) <= 2<<10 && a.Status >= 200 && a.Status != 204 && a.Status != 304 {
				out = append(out, leakWay{site, two, "bytes"})
			}
		}
	}
	return out
}

// TestLeaks runs the corpus: no canary comes through, on any way, and what was
// not masked still arrives.
func TestLeaks(t *testing.T) {
	cases := leakCases(t)
	crm, addr, addr2 := startLeakCRM(t, cases)
	sites := map[string]*leakSite{}
	shapes, err := filepath.Abs("../../testdata/leaks/map.yaml")
	if err != nil {
		t.Fatal(err)
	}
	sites["leadsquared"] = startLeakSite(t, "leadsquared", addr, addr2)
	sites["shapes"] = startLeakSite(t, shapes, addr, addr2)
	leaks, limits, asked, bare := 0, 0, 0, 0
	for _, c := range cases {
		run := &leakRun{T: t, c: c, crm: crm, site: sites[c.Map]}
		if run.site == nil {
			t.Fatalf("%s: there is no map %q", c.ID, c.Map)
		}
		for _, way := range c.ways() {
			run.one(way)
		}
		open := run.bare()
		if open {
			bare++
		}
		asked += run.n
		switch {
		case c.Limit && run.leaks == 0:
			run.failed("it does not leak any more: take it out of the limits")
		case c.Limit:
			limits++
		case run.leaks > 0:
			leaks++
		}
		if testing.Verbose() {
			fmt.Println(run.line(open))
		}
	}
	if testing.Verbose() {
		fmt.Printf("%d exchanges; through a plain proxy %d of %d leak; limits: %d\nleaks: %d of %d\n",
			asked, bare, len(cases), limits, leaks, len(cases)-limits)
	}
	if bare < len(cases)/2 {
		t.Errorf("only %d of %d cases leak through a plain proxy: the corpus does not provoke what it is for", bare, len(cases))
	}
}

// leakRun is a case being run.
type leakRun struct {
	*testing.T
	c     *leakCase
	crm   *leakCRM
	site  *leakSite
	way   leakWay
	n     int // exchanges
	leaks int // with a canary in them
	bad   int // that were not as expected
}

// line says how a case came out.
func (r *leakRun) line(bare bool) string {
	how := "no leak"
	switch {
	case r.c.Limit:
		how = "a limit, see docs/limits.md"
	case r.leaks > 0:
		how = fmt.Sprintf("LEAK in %d of %d", r.leaks, r.n)
	case r.bad > 0:
		how = fmt.Sprintf("no leak, not as expected in %d of %d", r.bad, r.n)
	}
	if bare {
		how += " (a plain proxy leaks)"
	}
	return fmt.Sprintf("%-8s %s: %s", r.c.ID, r.c.What, how)
}

// failed notes what is wrong with an exchange.
func (r *leakRun) failed(format string, args ...any) {
	r.bad++
	r.Errorf("%s (%s; %s): %s", r.c.ID, r.c.What, r.way, fmt.Sprintf(format, args...))
}

// ask sends the case's request in somebody's name.
func (r *leakRun) ask(role, tag string) (*leakGot, *leakTold) {
	r.n++
	exchange := fmt.Sprintf("%s/%d/%p", r.c.ID, r.n, r)
	h := http.Header{
		"Accept": {"application/json"}, "Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Mode": {"cors"},
		caseHeader: {r.c.ID}, exchangeHeader: {exchange},
	}
	if cookie := r.site.cookies[role]; cookie != "" {
		h.Set("Cookie", cookie)
	}
	if r.way.framing != "" {
		h.Set(framingHeader, r.way.framing)
	}
	if r.c.Answer.HTTP2 {
		h.Set("X-Http2", "1")
	}
	if r.c.Ask.Body != "" {
		h.Set("Content-Type", "application/json")
	}
	if r.way.site == "encode" {
		h.Set("Accept-Encoding", "gzip")
	}
	for name, v := range r.c.Ask.Headers {
		h.Set(name, strings.ReplaceAll(v, "{etag}", tag))
	}
	w := &leakWire{addr: r.site.hosts[r.way.site], pool: r.site.pool, http2: r.way.http2}
	g, err := w.send(r.c.Ask.Method, r.c.Ask.Path, h, r.c.Ask.Body)
	if err != nil {
		r.failed("%v", err)
		return nil, nil
	}
	return g, r.crm.take(exchange)
}

// one runs the case on one way.
func (r *leakRun) one(way leakWay) {
	r.way = way
	tag := ""
	if r.c.Ask.After != "" {
		g, _ := r.ask(r.c.Ask.After, `"none"`)
		if g == nil {
			return
		}
		if tag = g.header.Get("Etag"); tag == "" {
			r.failed("the first answer has no entity tag")
		}
	}
	g, told := r.ask(r.c.As, tag)
	if g == nil {
		return
	}
	if r.c.Want.Socket {
		g.plain, g.extra = g.extra, nil
	}
	found := findCanaries(g.raw)
	found = append(found, findCanaries(g.body)...)
	if !bytes.Equal(g.body, g.plain) {
		found = append(found, findCanaries(g.plain)...)
	}
	found = append(found, findCanaries([]byte(headerText(g.header)+headerText(g.trailer)))...)
	for _, early := range g.early {
		found = append(found, findCanaries([]byte(headerText(early)))...)
	}
	if len(found) > 0 && !r.c.Want.Clear {
		r.leaks++
		if r.c.Limit {
			return
		}
		slices.Sort(found)
		r.failed("the client gets %s:\n%d %.600q\n%s", strings.Join(slices.Compact(found), ", "), g.status, g.plain, headerText(g.header))
	}
	r.check(g)
	r.checkCRM(told)
}

// check holds an answer against what is wanted beside silence.
func (r *leakRun) check(g *leakGot) {
	want := &r.c.Want
	if want.Status != 0 && g.status != want.Status {
		r.failed("status %d, want %d: %.600q\n%s", g.status, want.Status, g.plain, headerText(g.header))
	}
	if g.cut != want.Cut {
		r.failed("the answer breaks off: %v, want %v (%d bytes)", g.cut, want.Cut, len(g.body))
	}
	if len(g.extra) > 0 || len(g.trailer) > 0 || len(g.early) > 0 {
		r.failed("there is more than an answer: %q behind it, trailers %v, early hints %v", g.extra, g.trailer, g.early)
	}
	for _, s := range want.Has {
		if !strings.Contains(string(g.plain), s) {
			r.failed("the body lacks %q:\n%.800q", s, g.plain)
		}
	}
	for _, s := range want.Lacks {
		if strings.Contains(string(g.plain), s) {
			r.failed("the body has %q:\n%.800q", s, g.plain)
		}
	}
	for name, v := range want.Headers {
		if !strings.Contains(strings.Join(g.header.Values(name), ", "), v) || g.header.Values(name) == nil {
			r.failed("%s is %q, want %q", name, g.header.Values(name), v)
		}
	}
	for _, name := range want.Absent {
		if g.header.Values(name) != nil {
			r.failed("the client gets %s: %q", name, g.header.Values(name))
		}
	}
	if want.Reason != "" && !strings.Contains(string(g.plain), want.Reason) {
		r.failed("the refusal does not give the reason %s: %.300q", want.Reason, g.plain)
	}
}

// checkCRM holds what the CRM was asked, and that its answer had a canary in it.
func (r *leakRun) checkCRM(told *leakTold) {
	asked := r.c.Want.Asked == nil || *r.c.Want.Asked
	if (told != nil) != asked {
		r.failed("the CRM was asked: %v, want %v", told != nil, asked)
	}
	if told == nil {
		return
	}
	if r.way.framing == "" && len(findCanaries(told.said))+len(findCanaries(told.body)) == 0 {
		r.failed("the CRM's answer has no canary in it: this case proves nothing")
	}
	for name, v := range r.c.Want.CRM {
		if got := told.header.Values(name); v == "" && got != nil || v != "" && (len(got) != 1 || got[0] != v) {
			r.failed("the CRM got %s: %q, want %q", name, got, v)
		}
	}
}

// bare runs the case through a plain proxy and says whether it leaks there.
func (r *leakRun) bare() bool {
	if r.c.Only == "h2" {
		return false
	}
	quiet := &leakRun{T: r.T, c: r.c, crm: r.crm, site: r.site, way: leakWay{site: "bare"}}
	h := http.Header{caseHeader: {r.c.ID}, exchangeHeader: {"bare"}}
	for name, v := range r.c.Ask.Headers {
		h.Set(name, v)
	}
	if r.c.Answer.HTTP2 {
		h.Set("X-Http2", "1")
	}
	w := &leakWire{addr: quiet.site.hosts["bare"], pool: quiet.site.pool}
	g, err := w.send(r.c.Ask.Method, r.c.Ask.Path, h, r.c.Ask.Body)
	return err == nil && len(findCanaries(g.raw))+len(findCanaries(g.body)) > 0
}
