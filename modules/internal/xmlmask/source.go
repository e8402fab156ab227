// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
)

// source gives the decoder one byte at a time, so that it reads no further than
// it must, and keeps the bytes of the token at hand.
type source struct {
	r    io.Reader
	buf  []byte
	base int64 // offset of buf[0], as the decoder counts
	next int   // in buf: the byte to be given
	from int64 // offset of the token at hand
	most int   // bytes of a token
	err  error // of the source, or that a token is too long
	end  bool
}

// start removes a byte order mark.
func (s *source) start() error {
	for len(s.buf) < 3 && !s.end && s.err == nil {
		s.fill()
	}
	if bytes.HasPrefix(s.buf, []byte("\xEF\xBB\xBF")) {
		s.buf = s.buf[:copy(s.buf, s.buf[3:])]
	}
	return s.err
}

// ReadByte implements io.ByteReader.
func (s *source) ReadByte() (byte, error) {
	if s.next == len(s.buf) {
		if s.err == nil && s.base+int64(s.next)-s.from > int64(s.most) {
			s.err = &jsonmask.LimitError{What: "size of a text or a tag", Limit: s.most}
		}
		if s.err == nil && !s.end {
			s.fill()
		}
		if s.err != nil {
			return 0, s.err
		}
		if s.next == len(s.buf) {
			return 0, io.EOF
		}
	}
	s.next++
	return s.buf[s.next-1], nil
}

// Read is there for the decoder's sake, which uses ReadByte.
func (s *source) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c, err := s.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = c
	return 1, nil
}

// mark says that a token starts at an offset; what is before it goes with the
// next fill.
func (s *source) mark(from int64) { s.from = from }

// bytes returns a stretch that was not given up yet.
func (s *source) bytes(from, to int64) []byte { return s.buf[from-s.base : to-s.base] }

// fill reads more of the source.
func (s *source) fill() {
	if gone := int(s.from - s.base); gone > 0 {
		s.buf = s.buf[:copy(s.buf, s.buf[gone:])]
		s.base += int64(gone)
		s.next -= gone
	}
	if cap(s.buf)-len(s.buf) < chunk {
		s.buf = append(make([]byte, 0, 2*len(s.buf)+2*chunk), s.buf...)
	}
	for range 100 {
		n, err := s.r.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+n]
		switch {
		case errors.Is(err, io.EOF):
			s.end = true
		case err != nil:
			s.err = fmt.Errorf("reading body: %w", err)
		}
		if n > 0 || s.end || s.err != nil {
			return
		}
	}
	s.err = fmt.Errorf("reading body: %w", io.ErrNoProgress)
}
