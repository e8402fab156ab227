// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"bytes"
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

// heads keeps the buffers in which the first part of an answer waits for its header;
// those for whole answers are in a pool of their own.
var heads, wideHeads = sync.Pool{New: func() any { return new(bytes.Buffer) }}, sync.Pool{New: func() any { return new(bytes.Buffer) }}

// head is the first part of an answer, or all of it. Closing it gives the buffer back.
type head struct {
	*bytes.Buffer
	most int64 // how much may be put into it
	wide int64 // what was taken of wholes
}

// newHead returns room for the first part of an answer that is length bytes long
// before it is rewritten, -1 if nobody knows.
func newHead(length int64) *head {
	h := &head{most: hold}
	if length > hold/2 && length <= whole {
		most := length + length/8 + hold // masks may be longer than what they stand for
		if heldWhole.Add(most) <= wholes {
			h.most, h.wide = most, most
			h.Buffer = wideHeads.Get().(*bytes.Buffer) //nolint:forcetypeassert // the pool holds nothing else
			h.Reset()
			h.Grow(int(length + length/8 + bytes.MinRead))
			return h
		}
		heldWhole.Add(-most)
	}
	h.Buffer = heads.Get().(*bytes.Buffer) //nolint:forcetypeassert // the pool holds nothing else
	h.Reset()
	return h
}

// Close gives the buffer back; it must not be read afterwards.
func (h *head) Close() error {
	if h.Buffer == nil {
		return nil
	}
	switch {
	case h.wide > 0:
		heldWhole.Add(-h.wide)
		if h.Cap() <= 2*whole {
			wideHeads.Put(h.Buffer)
		}
	case h.Cap() <= 2*hold:
		heads.Put(h.Buffer)
	}
	h.Buffer, h.wide = new(bytes.Buffer), 0
	return nil
}
