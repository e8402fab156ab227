// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package cork

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// room is how much is kept: the first piece of a server and a record of TLS, whose
// limit is 16 KiB and some bytes around it.
const room = 32 << 10

var rooms = sync.Pool{New: func() any { return new([room]byte) }}

// Conn is a TCP connection that can be corked. What is written meanwhile is kept, up to
// 32 KiB; what does not fit in goes out at once, together with what was kept before it.
// Reading, deadlines and closing are those of the connection beneath. Like any
// connection it may be used by several goroutines.
//
// A write that was kept may fail later. Nothing is sent after that: each later write
// fails with the same error, as what the client has got by then ends in the middle.
// What is kept when the connection is closed is lost, as after any closing.
type Conn struct {
	*net.TCPConn

	mu     sync.Mutex
	corked bool
	n      int         // of held
	held   *[room]byte // of a pool, while something is kept
	err    error       // of the first write that failed after it had been kept
	pieces [2][]byte   // for both, so that it need not be allocated
	both   net.Buffers
}

// Cork keeps what is written from now on. A connection that is corked stays so.
func (c *Conn) Cork() {
	c.mu.Lock()
	c.corked = true
	c.mu.Unlock()
}

// Uncork sends what was kept. Corked or not, nothing is kept afterwards.
func (c *Conn) Uncork() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.corked = false
	_, err := c.send(nil)
	if c.held != nil {
		rooms.Put(c.held)
		c.held = nil
	}
	return err
}

// Write writes p, or keeps a copy of it.
func (c *Conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.corked || c.err != nil || c.n+len(p) > room {
		return c.send(p)
	}
	if c.held == nil {
		c.held = rooms.Get().(*[room]byte) //nolint:forcetypeassert // the pool holds nothing else
	}
	c.n += copy(c.held[c.n:], p)
	return len(p), nil
}

// ReadFrom sends what was kept, and then all of r.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) {
	c.mu.Lock()
	_, err := c.send(nil)
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return c.TCPConn.ReadFrom(r) //nolint:wrapcheck // the connection's own, which servers compare
}

// send sends what is kept and p behind it. It returns how much of p was sent. The
// caller holds mu.
func (c *Conn) send(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if c.n == 0 {
		if len(p) == 0 {
			return 0, nil
		}
		return c.TCPConn.Write(p) //nolint:wrapcheck // as above
	}
	kept := c.n
	c.n = 0
	if len(p) == 0 {
		_, err := c.TCPConn.Write(c.held[:kept])
		c.err = failed(err)
		return 0, c.err
	}
	c.pieces = [2][]byte{c.held[:kept], p}
	c.both = c.pieces[:]
	sent, err := c.both.WriteTo(c.TCPConn)
	c.pieces = [2][]byte{}
	c.err = failed(err)
	return max(0, int(sent)-kept), c.err
}

func failed(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sending what was kept of an answer: %w", err)
}

// Interface guards
var (
	_ net.Conn      = (*Conn)(nil)
	_ io.ReaderFrom = (*Conn)(nil)
)
