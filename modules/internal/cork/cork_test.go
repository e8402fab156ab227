// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package cork

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/crmgate/crmgate/modules/internal/cork/corktest"
)

// pair returns a connection that can be corked and the other end of it.
func pair(t testing.TB) (*Conn, net.Conn) {
	t.Helper()
	here, there := corktest.Pair(t, func(l net.Listener) net.Listener { return Listener{l} })
	c, ok := here.(*Conn)
	if !ok {
		t.Fatalf("a TCP connection was accepted as %T: it cannot be corked", here)
	}
	return c, there
}

// pipes is a listener of connections that are not TCP.
type pipes struct {
	net.Listener

	conn net.Conn
	err  error
}

func (p pipes) Accept() (net.Conn, error) { return p.conn, p.err }

// TestOtherConnectionsAreLeftAlone: what is not TCP, and what goes wrong, is handed on.
func TestOtherConnectionsAreLeftAlone(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if c, err := (Listener{pipes{conn: a}}).Accept(); c != a || err != nil {
		t.Errorf("a pipe was accepted as %T, %v", c, err)
	}
	if _, err := (Listener{pipes{err: net.ErrClosed}}).Accept(); err != net.ErrClosed { //nolint:errorlint // servers compare it
		t.Errorf("a listener's error became %v", err)
	}
	ctx := t.Context()
	if With(ctx, a) != ctx || Of(ctx) != nil {
		t.Error("a request over a pipe has a connection that can be corked")
	}
}

// proxied is a connection behind a load balancer, as packages of the PROXY protocol make it.
type proxied struct{ net.Conn }

func (p proxied) Raw() net.Conn { return p.Conn }

// TestRequestsKnowTheirConnection: plain, under TLS or behind the PROXY protocol, once.
func TestRequestsKnowTheirConnection(t *testing.T) {
	c, _ := pair(t)
	ctx := With(t.Context(), c)
	if Of(ctx) != c {
		t.Error("a request does not know its connection")
	}
	if With(ctx, c) != ctx {
		t.Error("a connection is told twice")
	}
	if Of(With(t.Context(), tls.Server(c, &tls.Config{MinVersion: tls.VersionTLS13}))) != c {
		t.Error("a request over TLS does not know its connection")
	}
	if Of(With(t.Context(), tls.Server(proxied{c}, &tls.Config{MinVersion: tls.VersionTLS13}))) != c {
		t.Error("a request over TLS behind the PROXY protocol does not know its connection")
	}
}

// TestNothingIsLost: whatever is written and whenever it is corked, the other end
// gets all of it in order; nothing while it is kept, all when it is not.
func TestNothingIsLost(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		c, there := pair(t)
		var sent bytes.Buffer
		arrived := make(chan []byte)
		go func() {
			all, _ := io.ReadAll(there)
			arrived <- all
		}()
		for range 200 {
			switch rng.IntN(6) {
			case 0:
				c.Cork()
			case 1:
				if err := c.Uncork(); err != nil || c.n != 0 || c.held != nil {
					t.Fatalf("%d bytes are kept after uncorking: %v", c.n, err)
				}
			case 2:
				p := random(rng, 40<<10)
				sent.Write(p)
				if n, err := c.ReadFrom(bytes.NewReader(p)); n != int64(len(p)) || err != nil || c.n != 0 {
					t.Fatalf("reading %d bytes from somewhere: %d, %v, %d kept", len(p), n, err, c.n)
				}
			default:
				p := random(rng, []int{1, 10, 5000, room, 100 << 10}[rng.IntN(5)])
				sent.Write(p)
				if n, err := c.Write(p); n != len(p) || err != nil {
					t.Fatalf("writing %d bytes: %d, %v", len(p), n, err)
				}
				clear(p) // who writes may use the bytes again
				if !c.corked && c.n > 0 {
					t.Fatalf("%d bytes are kept though it is not corked", c.n)
				}
			}
		}
		if err := c.Uncork(); err != nil {
			t.Fatalf("uncorking: %v", err)
		}
		c.Close()
		if got := <-arrived; !bytes.Equal(got, sent.Bytes()) {
			t.Fatalf("seed %d: %d bytes were written and %d arrived, or others", seed, sent.Len(), len(got))
		}
	}
}

// random are up to that many bytes, from somewhere in a sequence without an end.
func random(rng *rand.Rand, most int) []byte {
	p := binary.AppendUvarint(nil, rng.Uint64())
	for n := rng.IntN(most + 1); len(p) < n; {
		p = append(p, p...)
	}
	return p[:min(len(p), most)]
}

// TestNothingFollowsWhatFailed: a client that got half of a header gets nothing behind it.
func TestNothingFollowsWhatFailed(t *testing.T) {
	for name, fail := range map[string]func(*Conn) error{
		"uncorking":        func(c *Conn) error { return c.Uncork() },
		"a larger write":   func(c *Conn) error { _, err := c.Write(make([]byte, room+1)); return err },
		"reading the rest": func(c *Conn) error { _, err := c.ReadFrom(strings.NewReader("x")); return err },
	} {
		t.Run(name, func(t *testing.T) {
			c, there := pair(t)
			c.Cork()
			if _, err := c.Write([]byte("HTTP/1.1 200 OK")); err != nil {
				t.Fatalf("keeping: %v", err)
			}
			if err := c.SetWriteDeadline(time.Unix(1, 0)); err != nil {
				t.Fatalf("setting the deadline: %v", err)
			}
			if err := fail(c); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("what was kept could not be sent, and that was %v", err)
			}
			_ = c.SetWriteDeadline(time.Time{})
			for _, again := range []func() error{
				func() error { _, err := c.Write([]byte("more")); return err },
				func() error { _, err := c.ReadFrom(strings.NewReader("more")); return err },
				func() error { c.Cork(); _, err := c.Write([]byte("more")); return err },
				c.Uncork,
			} {
				if err := again(); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("a write after one that failed was %v", err)
				}
			}
			c.Close()
			if got, _ := io.ReadAll(there); len(got) > 0 {
				t.Errorf("the client got %q", got)
			}
		})
	}
}

// TestClosingLosesWhatIsKept: and says so to who writes.
func TestClosingLosesWhatIsKept(t *testing.T) {
	c, there := pair(t)
	c.Cork()
	_, _ = c.Write([]byte("kept"))
	c.Close()
	if err := c.Uncork(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("uncorking what was closed: %v", err)
	}
	if got, _ := io.ReadAll(there); len(got) > 0 {
		t.Errorf("the client got %q", got)
	}
}

// TestUsedByMany: corked by one, written by others, each write arrives in one piece.
func TestUsedByMany(t *testing.T) {
	c, there := pair(t)
	arrived := make(chan []byte)
	go func() {
		all, _ := io.ReadAll(there)
		arrived <- all
	}()
	var wg sync.WaitGroup
	for _, letter := range "abcd" {
		wg.Go(func() {
			p := bytes.Repeat([]byte(string(letter)), 1000)
			for range 50 {
				if _, err := c.Write(p); err != nil {
					t.Errorf("writing: %v", err)
				}
			}
		})
	}
	for range 100 {
		c.Cork()
		if err := c.Uncork(); err != nil {
			t.Errorf("uncorking: %v", err)
		}
	}
	wg.Wait()
	if err := c.Uncork(); err != nil {
		t.Errorf("uncorking: %v", err)
	}
	c.Close()
	got := <-arrived
	if len(got) != 4*50*1000 {
		t.Fatalf("%d bytes arrived of 200,000", len(got))
	}
	for i := 0; i < len(got); i += 1000 {
		if !bytes.Equal(got[i:i+1000], bytes.Repeat(got[i:i+1], 1000)) {
			t.Fatalf("writes are mixed at byte %d", i)
		}
	}
}

// TestServing: a server of the standard library, plain and with TLS, corked or not,
// answers the same, and takes the next request over the same connection.
func TestServing(t *testing.T) {
	page := strings.Repeat("0123456789abcdef", 6<<10) // 96 KiB
	for _, c := range []struct{ secure, corked bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			k := Of(r.Context())
			if k == nil {
				t.Error("a request does not know its connection")
				return
			}
			if c.corked {
				k.Cork()
			}
			_, _ = io.WriteString(w, page)
			if err := k.Uncork(); err != nil {
				t.Errorf("%+v: sending the answer: %v", c, err)
			}
		}))
		conns := 0
		s.Listener = Listener{s.Listener}
		s.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
			conns++
			return With(ctx, conn)
		}
		if c.secure {
			s.StartTLS()
		} else {
			s.Start()
		}
		client := s.Client()
		for range 3 {
			resp, err := client.Get(s.URL)
			if err != nil {
				t.Fatalf("%+v: asking: %v", c, err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || string(got) != page {
				t.Errorf("%+v: an answer of %d bytes arrived as %d, %v", c, len(page), len(got), err)
			}
		}
		s.Close()
		if conns != 1 {
			t.Errorf("%+v: three requests took %d connections", c, conns)
		}
	}
}

// TestCorkingAllocatesNothing once warm.
func TestCorkingAllocatesNothing(t *testing.T) {
	c, there := pair(t)
	go io.Copy(io.Discard, there)
	start, rest := make([]byte, 4096), make([]byte, 60<<10)
	ctx := context.WithValue(With(t.Context(), c), http.ServerContextKey, nil)
	if n := testing.AllocsPerRun(100, func() {
		k := Of(ctx)
		k.Cork()
		_, _ = k.Write(start)
		_, _ = k.Write(rest)
		_ = k.Uncork()
	}); n > 0.5 { // the pool may be emptied by the garbage collector
		t.Errorf("%v objects are allocated for an answer", n)
	}
}
