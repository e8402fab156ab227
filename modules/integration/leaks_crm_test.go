// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// How a request names its case, the exchange it belongs to, and the framing.
const (
	caseHeader     = "X-Case"
	exchangeHeader = "X-Exchange"
	framingHeader  = "X-Framing"
)

// leakCRM is a CRM that answers whatever a case says, byte for byte.
type leakCRM struct {
	cases map[string]*leakCase

	mu   sync.Mutex
	seen map[string]*leakTold // by exchange
}

// leakTold is what the CRM got and what it said to that.
type leakTold struct {
	header http.Header
	said   []byte // head, chunks and all
	body   []byte
}

// startLeakCRM listens for HTTP/1.1 and, at the second address, for HTTP/2.
func startLeakCRM(t testing.TB, cases []*leakCase) (h *leakCRM, addr, addr2 string) {
	t.Helper()
	h = &leakCRM{cases: map[string]*leakCase{}, seen: map[string]*leakTold{}}
	for _, c := range cases {
		h.cases[c.ID] = c
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go h.serve(conn)
		}
	}()
	l2, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{Handler: http.HandlerFunc(h.serve2), Protocols: protocols, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(l2) }()
	t.Cleanup(func() { _ = srv.Close() })
	return h, l.Addr().String(), l2.Addr().String()
}

// take returns what an exchange told the CRM, nil when it was not asked.
func (h *leakCRM) take(exchange string) *leakTold {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.seen[exchange]
	delete(h.seen, exchange)
	return t
}

// note keeps what was asked.
func (h *leakCRM) note(r *http.Request, a *leakAnswer, said string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen[r.Header.Get(exchangeHeader)] = &leakTold{r.Header.Clone(), []byte(said), []byte(a.Body)}
}

// serve answers request after request of one connection by hand: no library
// would send what some cases need.
func (h *leakCRM) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		c := h.cases[r.Header.Get(caseHeader)]
		if c == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
			continue
		}
		a := c.Answer.from(conn.LocalAddr())
		pieces, closes := a.wire(r)
		h.note(r, a, strings.Join(pieces, ""))
		for _, p := range pieces {
			if _, err := io.WriteString(conn, p); err != nil {
				return
			}
		}
		if closes {
			return
		}
	}
}

// from returns the answer of a CRM at addr, which {origin} stands for.
func (a *leakAnswer) from(addr net.Addr) *leakAnswer {
	if !strings.Contains(a.Body, "{origin}") {
		return a
	}
	own := *a
	own.Body = strings.ReplaceAll(a.Body, "{origin}", "http://"+addr.String())
	return &own
}

// wire returns the answer as it goes over the line, in the pieces it is written
// in, and whether the connection ends with it.
func (a *leakAnswer) wire(r *http.Request) (pieces []string, closes bool) {
	if a.Raw != "" {
		return []string{a.Raw}, true
	}
	if a.Socket != nil && r.Header.Get("Upgrade") != "" {
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		head := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
		for name, values := range a.Headers {
			if name != "Content-Type" {
				head += name + ": " + strings.Join(values, ", ") + "\r\n"
			}
		}
		return []string{head + "\r\n" + a.Body}, true
	}
	for _, early := range a.Early {
		var b strings.Builder
		b.WriteString("HTTP/1.1 103 Early Hints\r\n")
		for name, v := range early {
			fmt.Fprintf(&b, "%s: %s\r\n", name, v)
		}
		pieces = append(pieces, b.String()+"\r\n")
	}
	framing := a.Framing
	if f := r.Header.Get(framingHeader); f != "" {
		framing = f
	}
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", a.Status, http.StatusText(a.Status))
	for name, values := range a.Headers {
		for _, v := range values {
			if v != "" {
				fmt.Fprintf(&b, "%s: %s\r\n", name, v)
			}
		}
	}
	body := a.Body
	if r.Method == http.MethodHead {
		body = ""
	}
	switch length := len(a.Body); framing {
	case "close":
		b.WriteString("Connection: close\r\n\r\n")
		closes = true
	case "length":
		if a.Length != nil {
			length, closes = *a.Length, true
		}
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n", length)
	default:
		for name := range a.Trailers {
			fmt.Fprintf(&b, "Trailer: %s\r\n", name)
		}
		b.WriteString("Transfer-Encoding: chunked\r\n\r\n")
	}
	pieces = append(pieces, b.String())
	if a.Cut > 0 && a.Cut < len(body) {
		body, closes = body[:a.Cut], true
	}
	switch {
	case body == "" && r.Method == http.MethodHead:
		return pieces, closes
	case framing == "bytes":
		for i := range len(body) {
			pieces = append(pieces, "1\r\n"+body[i:i+1]+"\r\n")
		}
	case framing == "chunked":
		for len(body) > 0 {
			n := min(len(body), 16<<10)
			pieces = append(pieces, fmt.Sprintf("%x\r\n%s\r\n", n, body[:n]))
			body = body[n:]
		}
	default:
		return append(pieces, body), closes
	}
	if a.Cut > 0 {
		return pieces, true
	}
	end := "0\r\n"
	for name, v := range a.Trailers {
		end += name + ": " + v + "\r\n"
	}
	return append(pieces, end+"\r\n"), closes
}

// serve2 answers over HTTP/2, where the library sends all that is needed.
func (h *leakCRM) serve2(w http.ResponseWriter, r *http.Request) {
	c := h.cases[r.Header.Get(caseHeader)]
	if c == nil {
		http.NotFound(w, r)
		return
	}
	addr, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	a := c.Answer.from(addr)
	pieces, _ := a.wire(r)
	h.note(r, a, strings.Join(pieces, ""))
	for _, early := range a.Early {
		for name, v := range early {
			w.Header().Set(name, v)
		}
		w.WriteHeader(http.StatusEarlyHints)
		clear(w.Header())
	}
	for name, values := range a.Headers {
		w.Header()[name] = values
	}
	for name := range a.Trailers {
		w.Header().Add("Trailer", name)
	}
	w.WriteHeader(a.Status)
	_, _ = io.WriteString(w, a.Body)
	for name, v := range a.Trailers {
		w.Header().Set(name, v)
	}
}
