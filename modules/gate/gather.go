// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/crmgate/crmgate/modules/crmgate"
	"github.com/crmgate/crmgate/modules/internal/cork"
)

const (
	// piece is what the proxy copies an answer by. A piece that is full says that the
	// CRM is ahead of us, a shorter one that whatever was there has been read.
	piece = 32 << 10
	// gathered is how much goes out at once: more than this Caddy cuts in parts again.
	gathered = 2 * piece
	// start is how long the first piece of an answer at least is that waits although it
	// is not full: it is what had been read together with the header.
	start = 8 << 10
	// longest is the length up to which gathering pays: of longer answers the kernel's
	// own copying is what costs, and another copy only adds to it.
	longest = 512 << 10
	// ahead is the least that is corked: of less Go's server makes one piece by itself.
	ahead = 2 << 10
)

// gatherer hands an answer on in larger pieces than the proxy copies it by, since a
// system call for each of those is what most of a page of 100 KB costs. Only full
// pieces wait for the next one, and the first of an answer of known length, which is as
// much as came together with the header; what is shorter goes out at once with what waits,
// so that an answer that trickles arrives as it is made, and so does what is flushed.
// What waits when the handler ends goes out then, unless the request was ended: whoever
// is locked out gets no more of an answer than had gone out by then.
//
// An answer that was rewritten as a whole comes to Whole in place of Write where nobody
// stands between, see [Handler.Adjacent], and is copied by neither.
type gatherer struct {
	caddyhttp.ResponseWriterWrapper

	// mu is held while something is written: where the proxy flushes by time it does so
	// on a goroutine of its own, which knows of its own writing alone.
	mu     sync.Mutex
	conn   *cork.Conn      // nil: it cannot be corked
	plain  bool            // the connection is no TLS, which makes records of what it is given
	headed bool            // the answer's header has been written
	asked  bool            // whether this answer is gathered has been looked at
	on     bool            // it is
	length int64           // what the header says; -1 for nothing, and chunks
	begun  bool            // something of the answer has been written, or flushed
	sent   bool            // and with it the header has gone out
	n      int             // of held that waits
	held   *[gathered]byte // of a pool, while something waits
}

var gatherings = sync.Pool{New: func() any { return new([gathered]byte) }}

// WriteHeader notes that the answer has begun.
func (g *gatherer) WriteHeader(status int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.headed = g.headed || status >= http.StatusOK
	g.ResponseWriter.WriteHeader(status)
}

// ask looks at the header once.
func (g *gatherer) ask() {
	if g.asked {
		return
	}
	length, err := strconv.ParseInt(g.Header().Get("Content-Length"), 10, 64)
	if err != nil {
		length = -1
	}
	g.asked, g.length, g.on = true, length, length <= longest
}

// Whole writes p, which is all of the answer, by the pieces that go out at once. Like
// what waits it goes no farther when ctx has ended.
func (g *gatherer) Whole(ctx context.Context, p []byte) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.headed || g.begun {
		return false, nil
	}
	g.ask()
	g.begun = true
	for len(p) > 0 {
		if err := ctx.Err(); err != nil {
			return true, err //nolint:wrapcheck // its own, for who copies
		}
		n, err := g.send(p[:min(len(p), gathered)])
		if err != nil {
			return true, err
		}
		p = p[n:]
	}
	return true, nil
}

// Write writes p, or keeps it for a while.
func (g *gatherer) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ask()
	waits := len(p) == piece || !g.begun && len(p) >= start && int64(len(p)) < g.length
	g.begun = true
	if !g.on || !waits && g.n == 0 && len(p) < piece {
		return g.send(p)
	}
	for took := 0; ; {
		if g.held == nil {
			g.held = gatherings.Get().(*[gathered]byte) //nolint:forcetypeassert // the pool holds nothing else
		}
		c := copy(g.held[g.n:], p[took:])
		g.n, took = g.n+c, took+c
		if took == len(p) && waits && g.n < gathered {
			return took, nil
		}
		if err := g.push(); err != nil {
			return 0, err
		}
		if took == len(p) {
			return took, nil
		}
	}
}

// push writes what waits.
func (g *gatherer) push() error {
	if g.n == 0 {
		return nil
	}
	_, err := g.send(g.held[:g.n])
	g.n = 0
	return err
}

// send writes p, and what the server makes of it in as few system calls as may be.
// Where it makes nothing of it the cork would only copy.
func (g *gatherer) send(p []byte) (n int, err error) {
	bare := g.sent && g.length >= 0 && g.plain
	if g.conn != nil && len(p) >= ahead && !bare {
		g.sent = true
		g.conn.Cork()
		defer func() {
			if e := g.conn.Uncork(); err == nil {
				err = e
			}
		}()
	}
	return g.ResponseWriter.Write(p) //nolint:gosec,wrapcheck // the bytes of an answer as they were written; a writer's error, for who copies
}

// FlushError pushes what waits and flushes what is beneath.
func (g *gatherer) FlushError() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.begun = true
	if err := g.push(); err != nil {
		return err
	}
	return http.NewResponseController(g.ResponseWriter).Flush() //nolint:wrapcheck // as above
}

// ReadFrom pushes what waits and copies r.
func (g *gatherer) ReadFrom(r io.Reader) (int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.begun = true
	if err := g.push(); err != nil {
		return 0, err
	}
	return g.ResponseWriterWrapper.ReadFrom(r) //nolint:wrapcheck // as above
}

// end pushes what waits unless ctx has ended, and gives the buffer back.
func (g *gatherer) end(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ctx.Err() == nil {
		_ = g.push() // a client that is gone is nobody to tell
	}
	g.n = 0
	if g.held != nil {
		gatherings.Put(g.held)
		g.held = nil
	}
}

// Interface guards
var (
	_ http.ResponseWriter = (*gatherer)(nil)
	_ io.ReaderFrom       = (*gatherer)(nil)
	_ http.Pusher         = (*gatherer)(nil)
	_ crmgate.Sink        = (*gatherer)(nil)
)
