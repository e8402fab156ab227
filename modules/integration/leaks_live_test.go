// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// liveCRM speaks on a stream and on a socket when it is told to.
type liveCRM struct {
	say   chan string // what it says next, on either
	heard chan string // what it hears on the socket
}

// ServeHTTP implements http.Handler.
func (c *liveCRM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		for {
			_ = http.NewResponseController(w).Flush()
			select {
			case s := <-c.say:
				fmt.Fprintf(w, "data: %s\n\n", s)
			case <-r.Context().Done():
				return
			}
		}
	case "/socket":
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		go func() {
			for {
				_, b, err := conn.Read(context.Background())
				if err != nil {
					c.heard <- "the end"
					return
				}
				c.heard <- string(b)
			}
		}()
		for {
			select {
			case s := <-c.say:
				if conn.Write(r.Context(), websocket.MessageText, []byte(s)) != nil {
					return
				}
			case <-r.Context().Done():
				return
			}
		}
	}
}

// TestLeaksLive: what a CRM says on a stream and on a socket goes out at once, and
// rewritten; what a client says goes in when the map declares it.
func TestLeaksLive(t *testing.T) {
	crm := &liveCRM{say: make(chan string), heard: make(chan string, 4)}
	srv := httptest.NewServer(crm)
	defer srv.Close()
	shapes, err := filepath.Abs("../../testdata/leaks/map.yaml")
	if err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimPrefix(srv.URL, "http://")
	site := startLeakSite(t, shapes, addr, addr)
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	header := http.Header{"Cookie": {site.cookies["sales_manager"]}, "Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Mode": {"cors"}}
	client := site.browser(t).Client
	const want = `"FirstName":"Asha"`

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+site.hosts["gate"]+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header.Clone()
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("the stream does not start before the CRM says something: %v", err)
	}
	defer res.Body.Close()
	lines := bufio.NewReader(res.Body)
	for range 3 {
		crm.say <- leakLead
		line, err := lines.ReadString('\n')
		if blank, _ := lines.ReadString('\n'); err != nil || blank != "\n" || !strings.Contains(line, want) || len(findCanaries([]byte(line))) > 0 {
			t.Fatalf("an event comes as %q, %v", line, err)
		}
	}
	_ = res.Body.Close()

	header.Set("Origin", "https://"+site.hosts["gate"])
	conn, _, err := websocket.Dial(ctx, "wss://"+site.hosts["gate"]+"/socket", &websocket.DialOptions{HTTPClient: client, HTTPHeader: header, CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		t.Fatalf("opening the socket: %v", err)
	}
	defer conn.CloseNow()
	for range 3 {
		crm.say <- leakLead
		_, b, err := conn.Read(ctx)
		if err != nil || !strings.Contains(string(b), want) || len(findCanaries(b)) > 0 {
			t.Fatalf("a message comes as %q, %v", b, err)
		}
	}
	for _, said := range []string{"ping", `{"phone":"98"}`} {
		if err := conn.Write(ctx, websocket.MessageText, []byte(said)); err != nil {
			t.Fatal(err)
		}
		heard := <-crm.heard
		if said == "ping" && heard != said || said != "ping" && heard != "the end" {
			t.Errorf("the client says %q, and the CRM hears %q", said, heard)
		}
	}
}
