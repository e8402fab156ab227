// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// receiver keeps what arrives, and in which pieces.
type receiver struct {
	*httptest.ResponseRecorder

	pieces  []int
	flushed []int // how much had arrived when it was flushed
	fails   error
	behind  func() // is called behind each piece
	pushed  func() // and at each push
}

func newReceiver(length int) *receiver {
	c := &receiver{ResponseRecorder: httptest.NewRecorder()}
	if length >= 0 {
		c.Header().Set("Content-Length", strconv.Itoa(length))
	}
	return c
}

func (c *receiver) Write(p []byte) (int, error) {
	if c.fails != nil {
		return 0, c.fails
	}
	c.pieces = append(c.pieces, len(p))
	if c.behind != nil {
		defer c.behind()
	}
	return c.ResponseRecorder.Write(p)
}

// WriteHeader keeps the status; unlike a server the recorder takes the first for the last.
func (c *receiver) WriteHeader(status int) {
	if status >= http.StatusOK {
		c.ResponseRecorder.WriteHeader(status)
	}
}

func (c *receiver) FlushError() error {
	c.flushed = append(c.flushed, c.Body.Len())
	if c.pushed != nil {
		c.pushed()
	}
	return c.fails
}

func gathering(c *receiver) *gatherer {
	g := new(gatherer)
	g.ResponseWriter = c
	return g
}

// TestGathering: full pieces travel together, and nothing else waits.
func TestGathering(t *testing.T) {
	const flush = -1
	for name, c := range map[string]struct {
		length int
		writes []int
		want   []int // before the handler ends
		end    []int // then
	}{
		"a page of 100 KB":                   {100 << 10, []int{piece, piece, piece, 4 << 10}, []int{gathered, piece + 4<<10}, nil},
		"a small answer":                     {500, []int{500}, []int{500}, nil},
		"one that trickles":                  {9000, []int{10, 3000, 10, 5980}, []int{10, 3000, 10, 5980}, nil},
		"one that trickles behind a piece":   {piece + 20, []int{piece, 10, 10}, []int{piece + 10, 10}, nil},
		"one that ends with a full piece":    {3 * piece, []int{piece, piece, piece}, []int{gathered}, []int{piece}},
		"one of unknown length":              {-1, []int{piece, piece, 1}, []int{gathered, 1}, nil},
		"a long one":                         {longest + 1, []int{piece, piece, 1}, []int{piece, piece, 1}, nil},
		"one as long as is gathered":         {longest, []int{piece, piece}, []int{gathered}, nil},
		"pieces larger than what is full":    {-1, []int{piece, 3 * piece, piece}, []int{gathered, gathered}, []int{piece}},
		"pushed while a piece waits":         {-1, []int{piece, flush, piece}, []int{piece}, []int{piece}},
		"pushed behind each piece":           {-1, []int{piece, flush, 7, flush}, []int{piece, 7}, nil},
		"a short piece, then full ones":      {-1, []int{16 << 10, piece, piece, 20 << 10}, []int{16 << 10, gathered, 20 << 10}, nil},
		"a page read with its header":        {100 << 10, []int{16 << 10, piece, piece, 20 << 10}, []int{gathered, 36 << 10}, nil},
		"one that pauses behind its start":   {100 << 10, []int{16 << 10, 10, 16 << 10}, []int{16<<10 + 10, 16 << 10}, nil},
		"one that ends behind its start":     {100 << 10, []int{16 << 10}, nil, []int{16 << 10}},
		"one pushed behind its start":        {100 << 10, []int{16 << 10, flush, 16 << 10}, []int{16 << 10, 16 << 10}, nil},
		"one flushed before its start":       {100 << 10, []int{flush, 16 << 10}, []int{16 << 10}, nil},
		"one that is there at its start":     {16 << 10, []int{16 << 10}, []int{16 << 10}, nil},
		"one with a short start":             {100 << 10, []int{start - 1, piece, piece}, []int{start - 1, gathered}, nil},
		"a long one, read with its header":   {longest + 1, []int{16 << 10, piece}, []int{16 << 10, piece}, nil},
		"nothing":                            {0, nil, nil, nil},
		"a length that is none, full pieces": {-2, []int{piece, piece}, []int{gathered}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			out := newReceiver(c.length)
			if c.length == -2 {
				out.Header().Set("Content-Length", "many")
			}
			g := gathering(out)
			for _, n := range c.writes {
				if n == flush {
					if err := g.FlushError(); err != nil || g.n != 0 {
						t.Errorf("%d bytes wait after they were pushed: %v", g.n, err)
					}
					continue
				}
				if got, err := g.Write(make([]byte, n)); got != n || err != nil {
					t.Fatalf("writing %d bytes: %d, %v", n, got, err)
				}
			}
			if !slices.Equal(out.pieces, c.want) {
				t.Errorf("went out as %v, want %v", out.pieces, c.want)
			}
			g.end(t.Context())
			g.end(t.Context())
			if got := out.pieces[len(c.want):]; !slices.Equal(got, c.end) {
				t.Errorf("went out at the end: %v, want %v", got, c.end)
			}
		})
	}
}

// TestGatheringLosesNothing: whatever pieces an answer comes in, the client gets its
// bytes in order; and after a piece that was not full, all of them, but for the first of
// an answer of known length.
func TestGatheringLosesNothing(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	sizes := []int{1, 100, piece - 1, piece, piece, piece, piece + 1, 3*piece + 5, gathered}
	for range 300 {
		length := []int{-1, 100 << 10, longest, longest + 1}[rng.IntN(4)]
		out := newReceiver(length)
		g := gathering(out)
		var sent []byte
		for k := range rng.IntN(12) {
			p := make([]byte, sizes[rng.IntN(len(sizes))])
			for i := range p {
				p[i] = byte(rng.Uint32())
			}
			sent = append(sent, p...)
			copied := rng.IntN(8) == 0
			if copied {
				if n, err := g.ReadFrom(bytes.NewReader(p)); n != int64(len(p)) || err != nil {
					t.Fatal(n, err)
				}
			} else if _, err := g.Write(p); err != nil {
				t.Fatal(err)
			}
			early := k == 0 && !copied && length <= longest && start <= len(p) && len(p) < length // see start
			if len(p) != piece && !early && out.Body.Len() != len(sent) {
				t.Fatalf("%d of %d bytes wait though the last piece was not full", len(sent)-out.Body.Len(), len(sent))
			}
			clear(p) // whoever wrote it uses it again
		}
		g.end(t.Context())
		if !bytes.Equal(out.Body.Bytes(), sent) {
			t.Fatal("the client gets other bytes than were written")
		}
	}
}

// TestGatheringEndsWithTheRequest: a lock ends the context of what runs. What waits
// then is dropped.
func TestGatheringEndsWithTheRequest(t *testing.T) {
	out := newReceiver(-1)
	g := gathering(out)
	ctx, cancel := context.WithCancel(t.Context())
	for range 3 {
		if _, err := g.Write(make([]byte, piece)); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	g.end(ctx)
	g.end(t.Context())
	if out.Body.Len() != gathered {
		t.Errorf("%d bytes went out, %d of them when the person was locked out", out.Body.Len(), out.Body.Len()-gathered)
	}
}

// TestWholeAnswers: an answer that is there as a whole goes out as it is, behind its
// header, and no farther than the client or the person's session lasts.
func TestWholeAnswers(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789abcdef"), (2*gathered+4<<10)/16)
	out := newReceiver(len(body))
	g := gathering(out)
	if taken, err := g.Whole(t.Context(), body); taken || err != nil || out.Body.Len() > 0 {
		t.Errorf("a body without a header: taken %v, %v, %d bytes", taken, err, out.Body.Len())
	}
	g.WriteHeader(http.StatusEarlyHints)
	if taken, _ := g.Whole(t.Context(), body); taken {
		t.Error("a body went out behind early hints, as if they were its header")
	}
	g.WriteHeader(http.StatusOK)
	if taken, err := g.Whole(t.Context(), body); !taken || err != nil {
		t.Fatalf("taken %v, %v", taken, err)
	}
	if want := []int{gathered, gathered, 4 << 10}; !slices.Equal(out.pieces, want) || !bytes.Equal(out.Body.Bytes(), body) {
		t.Errorf("went out as %v, want %v: the client gets another answer", out.pieces, want)
	}
	if taken, _ := g.Whole(t.Context(), body); taken {
		t.Error("it went out twice")
	}
	g.end(t.Context())
	if out.Body.Len() != len(body) {
		t.Errorf("%d bytes too many went out at the end", out.Body.Len()-len(body))
	}

	out = newReceiver(len(body))
	g = gathering(out)
	g.WriteHeader(http.StatusOK)
	ctx, cancel := context.WithCancel(t.Context())
	out.behind = cancel
	if taken, err := g.Whole(ctx, body); !taken || !errors.Is(err, context.Canceled) || out.Body.Len() != gathered {
		t.Errorf("locked out behind the first piece: taken %v, %v, %d bytes", taken, err, out.Body.Len())
	}

	gone := errors.New("gone")
	out = newReceiver(len(body))
	g = gathering(out)
	g.WriteHeader(http.StatusOK)
	out.fails = gone
	if taken, err := g.Whole(t.Context(), body); !taken || !errors.Is(err, gone) {
		t.Errorf("to a client that is gone: taken %v, %v", taken, err)
	}
}

// TestNothingIsWrittenAtOnce: the proxy may flush by time, on a goroutine that does not
// know what goes past its copying. Were both to write, the client would get pieces of an
// answer in disorder.
func TestNothingIsWrittenAtOnce(t *testing.T) {
	out := newReceiver(gathered)
	g := gathering(out)
	alone := func() {
		if g.mu.TryLock() {
			g.mu.Unlock()
			t.Error("something else could be written meanwhile")
		}
	}
	out.behind, out.pushed = alone, alone
	g.WriteHeader(http.StatusOK)
	_, whole := g.Whole(t.Context(), make([]byte, gathered))
	_, write := g.Write(make([]byte, 10))
	_, copied := g.ReadFrom(io.LimitReader(zeros{}, 5))
	if err := errors.Join(whole, write, copied, g.FlushError()); err != nil || len(out.pieces) < 3 || len(out.flushed) != 1 {
		t.Errorf("%v; written in %v, pushed %d times", err, out.pieces, len(out.flushed))
	}
	g.end(t.Context())
}

// TestGatheringFails: who copies learns that the client is gone.
func TestGatheringFails(t *testing.T) {
	gone := errors.New("gone")
	for name, act := range map[string]func(*gatherer) error{
		"the next piece": func(g *gatherer) error { _, err := g.Write(make([]byte, piece)); return err },
		"a short piece":  func(g *gatherer) error { _, err := g.Write([]byte("x")); return err },
		"a push":         func(g *gatherer) error { return g.FlushError() },
		"a copy":         func(g *gatherer) error { _, err := g.ReadFrom(strings.NewReader("x")); return err },
	} {
		out := newReceiver(-1)
		g := gathering(out)
		if _, err := g.Write(make([]byte, piece)); err != nil {
			t.Fatal(err)
		}
		out.fails = gone
		if err := act(g); !errors.Is(err, gone) {
			t.Errorf("%s: %v", name, err)
		}
		g.end(t.Context())
	}
}

// TestGatheringLeavesTheRest: what is behind it is reached through it.
func TestGatheringLeavesTheRest(t *testing.T) {
	out := newReceiver(-1)
	g := gathering(out)
	g.WriteHeader(http.StatusTeapot)
	rc := http.NewResponseController(g)
	if err := rc.Flush(); err != nil || out.Code != http.StatusTeapot || len(out.flushed) != 1 {
		t.Errorf("pushing the header alone: %v, status %d, pushed %d times", err, out.Code, len(out.flushed))
	}
	if g.Unwrap() != http.ResponseWriter(out) {
		t.Error("sockets and deadlines reach the connection through Unwrap")
	}
	if _, err := io.Copy(g, io.LimitReader(zeros{}, 3*piece+1)); err != nil || out.Body.Len() != 3*piece+1 {
		t.Errorf("a handler that copies by itself: %d bytes, %v", out.Body.Len(), err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
