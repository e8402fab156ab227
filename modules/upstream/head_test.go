// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/policy"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// answered sends an answer of the CRM through a transport and a plan that masks.
func answered(t *testing.T, tr *Transport, body string, length int64) *http.Response {
	t.Helper()
	return answeredInto(t, nil, tr, body, length)
}

// answeredInto is answered with a sink, unless that is nil.
func answeredInto(t *testing.T, into *sink, tr *Transport, body string, length int64) *http.Response {
	t.Helper()
	return answeredFrom(t, into, tr, io.NopCloser(strings.NewReader(body)), length)
}

// answeredFrom is answeredInto for any body.
func answeredFrom(t *testing.T, into *sink, tr *Transport, body io.ReadCloser, length int64) *http.Response {
	t.Helper()
	hidden, err := mask.Compile(mask.Spec{Fn: "full"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	leads := &plan.Entity{Fields: map[string]*plan.Treatment{"phone": {Field: "phone", Effect: plan.Mask, Mask: hidden}}, Unknown: &plan.Treatment{Effect: plan.Show}}
	req := httptest.NewRequest(http.MethodGet, "/leads", nil)
	res := &http.Response{
		StatusCode: http.StatusOK, ContentLength: length, Body: body,
		Header: http.Header{"Content-Type": {"application/json"}, "Date": {"Sun, 22 Nov 2026 00:49:59 GMT"}},
	}
	d := decided(http.MethodGet, "/leads")
	if into != nil {
		d.Sink = into
	}
	d.Plans = []*plan.Plan{{ID: "r", Root: &plan.Node{Elements: &plan.Node{Record: &plan.Record{Entity: leads}}}, Fallback: leads}}
	out, reason := outbound(req, d)
	if reason != policy.Allowed {
		t.Fatal(reason)
	}
	return tr.answer(req, out, res, d)
}

// list is a list of leads of about n bytes.
func list(n int) string {
	const lead = `{"phone":"+91 98765 43210","stage":"Qualified","note":"called twice"}`
	return "[" + strings.Repeat(lead+",", n/len(lead)) + lead + "]"
}

// TestWholeAnswers: an answer the CRM has made as a whole is kept as a whole, as far
// as there is room, so that its length is exact; what is longer, or of unknown length, is streamed.
func TestWholeAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		size  int
		known bool
		taken int64 // room that others have
		whole bool
	}{
		"short":                     {size: 10 << 10, known: true, whole: true},
		"short, of unknown length":  {size: 10 << 10, whole: true},
		"long":                      {size: 1500 << 10, known: true, whole: true},
		"long, of unknown length":   {size: 1500 << 10},
		"too long":                  {size: 2100 << 10, known: true},
		"long, and there's no room": {size: 1500 << 10, known: true, taken: wholes - 1<<20},
		"short, and there's none":   {size: 10 << 10, known: true, taken: wholes, whole: true},
	} {
		t.Run(name, func(t *testing.T) {
			heldWhole.Add(c.taken)
			defer heldWhole.Add(-c.taken)
			body, length := list(c.size), int64(-1)
			if c.known {
				length = int64(len(body))
			}
			res := answered(t, &Transport{maskers: new(maskers)}, body, length)
			got, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != http.StatusOK || bytes.Count(got, []byte("Qualified")) != strings.Count(body, "Qualified") || bytes.Contains(got, []byte("43210")) {
				t.Errorf("%d with %d bytes, %v: not the masked list", res.StatusCode, len(got), err)
			}
			if says := res.Header.Get("Content-Length"); c.whole && says != strconv.Itoa(len(got)) || !c.whole && says != "" {
				t.Errorf("the length says %q for %d bytes", says, len(got))
			}
			_ = res.Body.Close()
			_ = res.Body.Close()
			if left := heldWhole.Load() - c.taken; left != 0 {
				t.Errorf("%d bytes of room are never given back", left)
			}
		})
	}
}

// sink takes what it is given, if it takes.
type sink struct {
	takes bool
	fails error
	got   []byte
}

func (s *sink) Whole(_ context.Context, body []byte) (bool, error) {
	if !s.takes {
		return false, nil
	}
	s.got = append(s.got, body...)
	return true, s.fails
}

// TestWholeAnswersGoPastTheProxy: what is there as a whole is given to the sink once,
// and otherwise read like anything else; what is not goes through the proxy.
func TestWholeAnswersGoPastTheProxy(t *testing.T) {
	for name, c := range map[string]struct {
		size  int
		known bool
		sink  *sink
		past  bool
		err   error
	}{
		"short":                     {size: 10 << 10, known: true, sink: &sink{takes: true}, past: true},
		"long":                      {size: 1500 << 10, known: true, sink: &sink{takes: true}, past: true},
		"long, of unknown length":   {size: 1500 << 10, sink: &sink{takes: true}},
		"before the header":         {size: 10 << 10, known: true, sink: &sink{}},
		"the client is gone":        {size: 10 << 10, known: true, sink: &sink{takes: true, fails: io.ErrClosedPipe}, past: true, err: io.ErrClosedPipe},
		"something stands between":  {size: 10 << 10, known: true},
		"one record, then the rest": {size: 1, known: true, sink: &sink{takes: true}, past: true},
	} {
		t.Run(name, func(t *testing.T) {
			body, length := list(c.size), int64(-1)
			if c.known {
				length = int64(len(body))
			}
			res := answeredInto(t, c.sink, &Transport{maskers: new(maskers)}, body, length)
			got, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if !errors.Is(err, c.err) || c.err == nil && err != nil {
				t.Errorf("reading ends with %v, want %v: the answer must be cut where the client is gone, and nowhere else", err, c.err)
			}
			all := got
			if c.sink != nil {
				all = append(all, c.sink.got...)
			}
			if c.past != (len(got) == 0) || bytes.Count(all, []byte("Qualified")) != strings.Count(body, "Qualified") || bytes.Contains(all, []byte("43210")) {
				t.Errorf("%d bytes to the proxy and %d past it: not the masked list, once, where it belongs", len(got), len(all)-len(got))
			}
		})
	}
}

// TestAnEndThatIsNone: a connection that broke is an error, also where that error holds
// the one that means the end.
func TestAnEndThatIsNone(t *testing.T) {
	broken := fmt.Errorf("the connection broke: %w", io.EOF)
	for name, body := range map[string]io.Reader{
		"within a record":  io.MultiReader(strings.NewReader(`[{"stage":"Qualified"},{"sta`), iotest.ErrReader(broken)),
		"behind the value": io.MultiReader(strings.NewReader(`[{"stage":"Qualified"}]`), iotest.ErrReader(broken)),
	} {
		into := &sink{takes: true}
		res := answeredFrom(t, into, &Transport{maskers: new(maskers), app: new(crmgate.App)}, io.NopCloser(body), -1)
		got, _ := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusBadGateway || len(into.got) > 0 || bytes.Contains(got, []byte("Qualified")) {
			t.Errorf("%s: %s with %s%s: part of an answer looks like all of it", name, res.Status, got, into.got)
		}
	}
}

// TestRoomForWholeAnswersIsBounded: however many ask for long pages and do not read
// them, no more than wholes is kept for them.
func TestRoomForWholeAnswersIsBounded(t *testing.T) {
	const length = 1 << 20
	var wg sync.WaitGroup
	var all [200]*head
	for i := range all {
		wg.Go(func() { all[i] = newHead(length) })
	}
	wg.Wait()
	wide := int64(0)
	for _, h := range all {
		wide += h.wide
		if h.wide == 0 && h.most != hold {
			t.Errorf("without room %d bytes are kept", h.most)
		}
	}
	if wide > wholes || wide < wholes/2 || wide != heldWhole.Load() {
		t.Errorf("%d bytes are kept, counted as %d, of %d", wide, heldWhole.Load(), wholes)
	}
	for _, h := range all {
		wg.Go(func() { _ = h.Close() })
	}
	wg.Wait()
	if left := heldWhole.Load(); left != 0 {
		t.Errorf("%d bytes of room are never given back", left)
	}
}
