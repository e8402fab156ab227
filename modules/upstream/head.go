// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/crmgate/crmgate/modules/crmgate"
)

const (
	// hold is how much rewritten output is kept before the header goes out, whatever
	// the CRM says: within it a broken answer is a clean 502 and the length is exact.
	hold = 128 << 10
	// whole is the length up to which an answer is kept as a whole, if the CRM says
	// how long it is: it has made all of it, so nobody waits for long.
	whole = 2 << 20
	// wholes bounds what all those answers together may take. Beyond it, as for longer
	// answers, hold is what is kept.
	wholes = 64 << 20
)

// heldWhole is how much room answers that are kept as a whole have now, in bytes.
var heldWhole atomic.Int64

// heads keeps the buffers in which the first part of an answer waits for its header,
// wideHeads those for whole answers.
var heads, wideHeads sync.Pool // of *[]byte

// head is the first part of an answer, or all of it. Closing it gives the buffer back.
type head struct {
	buf  *[]byte         // nil when it was closed
	read int             // of it
	most int             // bytes that may be kept
	wide int64           // what was taken of wholes
	sink crmgate.Sink    // of what is all of an answer; may be nil
	ctx  context.Context // of the request, for sink
}

// newHead returns room for the first part of an answer that is length bytes long
// before it is rewritten, -1 if nobody knows.
func newHead(length int64) *head {
	h := &head{most: hold}
	pool, room := &heads, 16<<10
	if length > hold/2 && length <= whole { // what is nearly as long as hold may be longer when it is masked
		wide := length + length/8 + hold // as above
		if heldWhole.Add(wide) <= wholes {
			h.most, h.wide = int(wide), wide
			pool, room = &wideHeads, int(length+length/8)
		} else {
			heldWhole.Add(-wide)
		}
	}
	if h.buf, _ = pool.Get().(*[]byte); h.buf == nil {
		h.buf = new([]byte)
	}
	*h.buf = slices.Grow((*h.buf)[:0], room)
	return h
}

// leastRoom is what is offered to whoever fills a head.
const leastRoom = 512

// filler is a reader that can make what is read where it is to stay.
type filler interface {
	// Fill reads into dst, which is empty, to the end, for which it returns io.EOF, or
	// until most bytes are there. Read goes on behind them.
	Fill(dst []byte, most int) ([]byte, error)
}

// fill reads r to its end, which is no error, or until there is no more room, and
// says which of them it was.
func (h *head) fill(r filler) (ended bool, err error) {
	*h.buf, err = r.Fill(*h.buf, h.most)
	if err == io.EOF { //nolint:errorlint // an end that somebody wrapped is none: the answer broke off
		return true, nil
	}
	return false, err //nolint:wrapcheck // of the body this is a part of
}

// fill is Fill for a reader that cannot.
func fill(dst []byte, most int, r io.Reader) ([]byte, error) {
	for len(dst) < most {
		dst = slices.Grow(dst, leastRoom)
		n, err := r.Read(dst[len(dst):min(cap(dst), most)])
		dst = dst[:len(dst)+n]
		if err != nil {
			return dst, err //nolint:wrapcheck // of the body this is a part of
		}
	}
	return dst, nil
}

// Len returns how many bytes were kept and not read.
func (h *head) Len() int { return len(*h.buf) - h.read }

// Read reads what was kept, or has all of it written.
func (h *head) Read(p []byte) (int, error) {
	if h.buf == nil || h.read == len(*h.buf) {
		return 0, io.EOF
	}
	if h.sink != nil && h.read == 0 {
		if taken, err := h.sink.Whole(h.ctx, *h.buf); taken {
			h.read = len(*h.buf)
			if err != nil {
				return 0, fmt.Errorf("writing it to the client: %w", err)
			}
			return 0, io.EOF
		}
	}
	n := copy(p, (*h.buf)[h.read:])
	h.read += n
	return n, nil
}

// Close gives the buffer back. What was not read by then is gone.
func (h *head) Close() error {
	if h.buf == nil {
		return nil
	}
	pool, largest := &heads, 2*hold
	if h.wide > 0 {
		heldWhole.Add(-h.wide)
		pool, largest = &wideHeads, 2*whole
	}
	if cap(*h.buf) <= largest {
		pool.Put(h.buf)
	}
	h.buf = nil
	return nil
}
