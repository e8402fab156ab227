// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/cork"
	"github.com/crmgate/crmgate/modules/internal/cork/corktest"
)

// corked is a connection as the listener makes them, and its other end.
func corked(t *testing.T) (*cork.Conn, net.Conn) {
	t.Helper()
	here, there := corktest.Pair(t, new(Listener).WrapListener)
	c, ok := here.(*cork.Conn)
	if !ok {
		t.Fatalf("the listener's connection is a %T", here)
	}
	return c, there
}

// onConn is a response writer over a connection.
type onConn struct {
	http.ResponseWriter

	conn net.Conn
}

func (w onConn) Write(p []byte) (int, error) { return w.conn.Write(p) }

// TestNothingIsKeptAfterAWrite: what the gate has written is on its way, and what
// cannot be sent is an error of that write and no other.
func TestNothingIsKeptAfterAWrite(t *testing.T) {
	conn, there := corked(t)
	g := &gatherer{conn: conn}
	g.ResponseWriter = onConn{httptest.NewRecorder(), conn}
	for _, n := range []int{1, ahead - 1, ahead, 10 << 10, 40 << 10} {
		if got, err := g.Write(make([]byte, n)); got != n || err != nil {
			t.Fatalf("writing %d bytes: %d, %v", n, got, err)
		}
		_ = there.SetReadDeadline(time.Now().Add(10 * time.Second))
		for left := n; left > 0; {
			c, err := there.Read(make([]byte, left))
			if left -= c; err != nil {
				t.Fatalf("of %d bytes %d did not arrive: %v", n, left, err)
			}
		}
	}
	_ = conn.SetWriteDeadline(time.Unix(1, 0))
	if _, err := g.Write(make([]byte, ahead)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a piece that could not be sent: %v", err)
	}
}

// TestSharedConnectionsAreNotCorked: under HTTP/2 it would hold up other requests.
func TestSharedConnectionsAreNotCorked(t *testing.T) {
	conn, _ := corked(t)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	if connectionOf(r) != nil {
		t.Error("a request of a server without the listener has a connection to cork")
	}
	r = r.WithContext(cork.With(r.Context(), conn))
	if connectionOf(r) != conn {
		t.Error("a request over HTTP/1 does not know its connection")
	}
	r.ProtoMajor = 2
	if connectionOf(r) != nil {
		t.Error("a request over HTTP/2 corks the connection of others")
	}
}
