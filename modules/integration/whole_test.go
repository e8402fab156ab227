// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// TestBrokenPages: a page of leads that the CRM announced with its length, and that
// breaks at its very end, is a clean 502 with nothing of it; where nobody knows how
// long it will be, or beyond two megabytes, it is cut in a way no client takes for
// the end.
func TestBrokenPages(t *testing.T) {
	const lead = `{"ProspectID":"l-1","Phone":"+91-9812345670","ProspectStage":"Qualified","FirstName":"Ann"},`
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Query().Get("size"))
		body := `{"RecordCount":1,"Leads":[` + strings.Repeat(lead, n/len(lead)) + `{"ProspectID":]}`
		w.Header().Set("Content-Type", "application/json")
		if n%2 == 1 { // the CRM says how long it is
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(crm.Close)
	s := &setup{crm: crm.URL, policy: maskedPhones}
	d := s.start(t)
	d.add(t, "mira@acme.test", "sales_manager", crmUser{})
	b := d.signedIn(t, "mira@acme.test")
	for _, c := range []struct {
		name, query string
		whole       bool
	}{
		{"a short one", "size=10001", true},
		{"a short one of unknown length", "size=10000", true},
		{"a megabyte", "size=1000001", true},
		{"a megabyte of unknown length", "size=1000000", false},
		{"three megabytes", "size=3000001", false},
	} {
		req, err := http.NewRequest(http.MethodGet, b.base+"/app/api/leads?"+c.query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", "application/json")
		res, err := b.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		switch text := string(raw); {
		case strings.Contains(text, "9812345670"):
			t.Errorf("%s: the number comes through", c.name)
		case c.whole && (res.StatusCode != http.StatusBadGateway || err != nil || strings.Contains(text, "Qualified")):
			t.Errorf("%s: not a clean 502: %s, %d bytes, %v", c.name, res.Status, len(raw), err)
		case !c.whole && (res.StatusCode != http.StatusOK || err == nil || !strings.Contains(text, "Qualified")):
			t.Errorf("%s: ends like a whole one: %s, %d bytes, %v", c.name, res.Status, len(raw), err)
		}
	}
}

// TestClientsThatLeaveAWholeAnswer: who goes away in the middle of an answer is no
// failure of the CRM, in the log or in the audit, and what stays of it disturbs nobody.
func TestClientsThatLeaveAWholeAnswer(t *testing.T) {
	const lead = `{"ProspectID":"l-1","Phone":"+91-9812345670","ProspectStage":"Qualified","FirstName":"Ann"},`
	body := `{"RecordCount":1,"Leads":[` + strings.Repeat(lead, (1900<<10)/len(lead)) + `{"ProspectID":"l-2"}]}`
	crm := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(crm.Close)
	d := (&setup{crm: crm.URL, policy: maskedPhones}).start(t)
	d.add(t, "mira@acme.test", "sales_manager", crmUser{})
	b := d.signedIn(t, "mira@acme.test")
	home, err := url.Parse(d.Gateway)
	if err != nil {
		t.Fatal(err)
	}
	request := "GET /app/api/leads HTTP/1.1\r\nHost: " + home.Host + "\r\nAccept: application/json\r\nCookie: "
	for _, c := range b.Jar.Cookies(home) {
		request += c.Name + "=" + c.Value + "; "
	}
	request = strings.TrimSuffix(request, "; ") + "\r\n\r\n"
	open := func(room, times int) (net.Conn, *http.Response) {
		tcp, err := net.Dial("tcp", "127.0.0.1:"+home.Port())
		if err != nil {
			t.Fatal(err)
		}
		_ = tcp.(*net.TCPConn).SetReadBuffer(room)
		conn := tls.Client(tcp, &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: d.pool, ServerName: "localhost", NextProtos: []string{"http/1.1"}})
		if _, err := io.WriteString(conn, strings.Repeat(request, times)); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		return conn, res
	}
	var left []net.Conn
	for range 20 { // they read the beginning, and ask for more than a connection holds
		conn, res := open(8<<10, 5)
		if _, err := io.ReadFull(res.Body, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		left = append(left, conn)
	}
	for _, conn := range left {
		_ = conn.Close()
	}
	conn, res := open(1<<20, 1)
	raw, err := io.ReadAll(res.Body)
	_ = conn.Close()
	if err != nil || strings.Count(string(raw), "Qualified") != strings.Count(body, "Qualified") || strings.Contains(string(raw), "9812345670") {
		t.Errorf("behind those who left: %d bytes, %v", len(raw), err)
	}
	d.stop(t) // the answers have ended by then
	for line := range strings.Lines(d.log()) {
		if strings.Contains(line, `"level":"error"`) || strings.Contains(line, "ERROR") {
			t.Errorf("an operator is woken by a client that left: %s", line)
		}
	}
	if !strings.Contains(d.log(), "writing it to the client") {
		t.Error("no answer was left in the middle, or nobody can tell who was gone")
	}
}

// maskedPhones masks the phones of leads for sales managers.
const maskedPhones = `version: 1
account: acme
templates:
  masked: {entities: {lead: {view: {partial: {mask: [phone]}}}}}
assign: [{template: masked, roles: [sales_manager]}]
`
