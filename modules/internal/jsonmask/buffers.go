// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"sync"

	"github.com/crmgate/crmgate/policy/echo"
)

// buffers are the window and the output of a masker while it reads a body. They
// go from one to the next, whatever its plan: a masker that is new then has
// nothing large to make. Bytes beyond the length of a buffer are never read.
type buffers struct {
	in, out     []byte
	ends, hints bitmap
	echo        *echo.Set // made when it is needed first
}

var spare = sync.Pool{New: func() any {
	return &buffers{in: make([]byte, 0, 2*chunk), out: make([]byte, 0, 2*chunk)}
}}

// take gives m buffers unless it has some.
func (m *Masker) take() {
	if m.held != nil {
		return
	}
	m.held, _ = spare.Get().(*buffers)
	m.in, m.out = m.held.in[:0], m.held.out[:0]
	m.ends, m.hints = m.held.ends[:0], m.held.hints[:0]
	if m.echoing && m.known == nil {
		if m.held.echo == nil {
			m.held.echo = &echo.Set{}
		}
		m.known = m.held.echo
	}
	if m.echoing {
		m.raise()
	}
}

// giveBack takes the buffers from m. One that a large body made grow is left to
// the collector.
func (m *Masker) giveBack() {
	if m.held == nil {
		return
	}
	if m.held.echo != nil {
		m.held.echo.Reset()
	}
	if cap(m.in) <= maxKept && cap(m.out) <= maxKept {
		m.held.in, m.held.out = m.in[:0], m.out[:0]
		m.held.ends, m.held.hints = m.ends[:0], m.hints[:0]
		spare.Put(m.held)
	}
	m.held, m.in, m.out, m.ends, m.hints = nil, nil, nil, nil, nil
}
