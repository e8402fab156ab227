// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"io"
	"slices"
	"sync"
	"sync/atomic"
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
	buf  *[]byte // nil when it was closed
	read int     // of it
	most int     // bytes that may be kept
	wide int64   // what was taken of wholes
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

// fill reads r to its end, which is no error, or until there is no more room, and
// says which of them it was.
func (h *head) fill(r io.Reader) (ended bool, err error) {
	b := *h.buf
	for len(b) < h.most {
		b = slices.Grow(b, leastRoom)
		n, err := r.Read(b[len(b):min(cap(b), h.most)])
		b = b[:len(b)+n]
		*h.buf = b
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, err //nolint:wrapcheck // of the body this is a part of
		}
	}
	return false, nil
}

// Len returns how many bytes were kept and not read.
func (h *head) Len() int { return len(*h.buf) - h.read }

// Read reads what was kept.
func (h *head) Read(p []byte) (int, error) {
	if h.buf == nil || h.read == len(*h.buf) {
		return 0, io.EOF
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
