// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package socketmask stands between a reverse proxy and the CRM's end of a
// WebSocket (RFC 6455), once both have agreed on it. What the CRM says is one
// JSON document a message, rewritten by the plan; a message that holds a record
// the viewer may not see is left out. What the client says reaches the CRM only
// when it is, word for word, one of the texts the plan allows.
//
// Everything else ends the connection: a binary message, one that cannot be
// read, a frame with an extension's bits, a frame nobody may send.
package socketmask

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/echo"
	"github.com/crmgate/crmgate/policy/plan"
)

// ErrSocket is wrapped by every error about what was said, by whomever.
var ErrSocket = errors.New("socketmask: cannot be said")

// The opcodes of RFC 6455, 5.2.
const (
	opMore  = 0
	opText  = 1
	opClose = 8
	opPing  = 9
	opPong  = 10
)

const (
	chunk   = 32 << 10
	maxSaid = 4 << 10 // bytes of a message of the client's
)

// Conn is the CRM's end. One goroutine may read while others write.
type Conn struct {
	conn io.ReadWriteCloser
	doc  *jsonmask.Masker
	plan *plan.Plan
	view *plan.Viewer
	lim  jsonmask.Limits

	in    []byte // from the CRM
	done  int    // bytes of it that were looked at
	text  []byte // of the message at hand
	open  bool   // a message was begun
	out   []byte
	sent  int
	err   error
	stats jsonmask.Stats

	writing sync.Mutex
	said    []byte // from the client, not looked at yet
	frames  []byte // of the client's message at hand, as they came
	words   []byte // of it, unmasked
	saying  bool
	failed  error
}

// New returns the end of a connection on which nothing was said yet.
func New(conn io.ReadWriteCloser, p *plan.Plan, v *plan.Viewer, l jsonmask.Limits) *Conn {
	if l.Record <= 0 {
		l.Record = 1 << 20
	}
	l.Echo = &echo.Set{} // values of one message are looked for in the next ones
	return &Conn{
		conn: conn, doc: jsonmask.New(p, v, l), plan: p, view: v, lim: l,
		stats: jsonmask.Stats{Masked: map[string]int{}, Hidden: map[string]int{}},
	}
}

// Stats returns what was done so far. It may be called when reading has ended.
func (c *Conn) Stats() jsonmask.Stats { return c.stats }

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// Read returns what the CRM says, rewritten: whole frames, each as soon as it is
// judged.
func (c *Conn) Read(p []byte) (int, error) {
	for len(p) > 0 {
		if c.sent < len(c.out) {
			n := copy(p, c.out[c.sent:])
			c.sent += n
			return n, nil
		}
		c.out, c.sent = c.out[:0], 0
		if c.err != nil {
			return 0, c.err
		}
		c.err = c.advance()
	}
	return 0, nil
}

// advance takes the next frame, or reads on.
func (c *Conn) advance() error {
	f, size, err := cutFrame(c.in[c.done:], c.lim.Record)
	if err != nil {
		return err
	}
	if size > 0 {
		c.done += size
		return c.hear(f)
	}
	// What is left is moved once all the frames in front of it were heard: moved for
	// each of many small ones behind a large one, it would be copied all day.
	c.in, c.done = c.in[:copy(c.in, c.in[c.done:])], 0
	if cap(c.in)-len(c.in) < chunk {
		c.in = append(make([]byte, 0, 2*len(c.in)+chunk), c.in...)
	}
	n, err := c.conn.Read(c.in[len(c.in):cap(c.in)])
	c.in = c.in[:len(c.in)+n]
	if n > 0 {
		return nil
	}
	return err
}

// hear takes a frame of the CRM's.
func (c *Conn) hear(f frame) error {
	if f.masked {
		return fmt.Errorf("%w: a masked frame from the server", ErrSocket)
	}
	switch f.op {
	case opPing, opPong:
		if _, hits := c.lim.Echo.Search(nil, f.payload); hits == 0 {
			c.out = appendFrame(c.out, f.op, f.payload)
		}
		return nil
	case opClose:
		return c.hearClose(f.payload)
	}
	if err := follow(f, c.open); err != nil {
		return err
	}
	if len(c.text)+len(f.payload) > c.lim.Record {
		return &jsonmask.LimitError{What: "size of a message", Limit: c.lim.Record}
	}
	c.text = append(c.text, f.payload...)
	if c.open = !f.fin; c.open {
		return nil
	}
	return c.message()
}

// hearClose hands the end on, with personal data in its reason masked, and what is masked
// or hidden in the messages so far.
func (c *Conn) hearClose(payload []byte) error {
	if len(payload) < 2 {
		c.out = appendFrame(c.out, opClose, nil)
		return nil
	}
	if !utf8.Valid(payload[2:]) {
		return fmt.Errorf("%w: a reason that is not UTF-8", ErrSocket)
	}
	reason, _ := c.lim.Echo.Search(bytes.Clone(payload[:2]), payload[2:])
	if len(reason) > 125 {
		reason = reason[:2]
	}
	c.out = appendFrame(c.out, opClose, reason)
	return nil
}

// message rewrites the message at hand.
func (c *Conn) message() error {
	defer func() { c.text = c.text[:0] }()
	c.doc.Reset(c.plan, c.view, c.lim)
	out, err := c.doc.Append(nil, c.text)
	if errors.Is(err, jsonmask.ErrNotVisible) {
		c.stats.Dropped++
		return nil
	}
	if err != nil {
		return err
	}
	s := c.doc.Stats()
	for name, n := range s.Masked {
		c.stats.Masked[name] += n
	}
	for name, n := range s.Hidden {
		c.stats.Hidden[name] += n
	}
	c.stats.Kept += s.Kept
	c.stats.Dropped += s.Dropped
	c.out = appendFrame(c.out, opText, out)
	return nil
}

// Write takes what the client says. It reports all of p as written, though some
// of it may wait for the rest of its message. After an error nothing is sent any
// more.
func (c *Conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.failed != nil {
		return 0, c.failed
	}
	c.said = append(c.said, p...)
	for {
		f, size, err := cutFrame(c.said, maxSaid)
		if err == nil && size > 0 {
			err = c.say(f, c.said[:size])
			c.said = c.said[:copy(c.said, c.said[size:])]
		}
		if err != nil {
			c.failed = err
			return 0, err
		}
		if size == 0 {
			return len(p), nil
		}
	}
}

// say takes a frame of the client's, which came as raw.
func (c *Conn) say(f frame, raw []byte) error {
	if !f.masked {
		return fmt.Errorf("%w: a frame without a mask from the client", ErrSocket)
	}
	if f.op >= opClose {
		_, err := c.conn.Write(raw)
		return err
	}
	if err := follow(f, c.saying); err != nil {
		return err
	}
	if len(c.frames)+len(raw) > maxSaid {
		return fmt.Errorf("%w: a long message of the client's", ErrSocket)
	}
	c.frames = append(c.frames, raw...)
	for i, b := range f.payload {
		c.words = append(c.words, b^f.key[i&3])
	}
	if c.saying = !f.fin; c.saying {
		return nil
	}
	if !slices.Contains(c.plan.Say, string(c.words)) {
		return fmt.Errorf("%w: a message of the client's that the map does not declare", ErrSocket)
	}
	_, err := c.conn.Write(c.frames)
	c.frames, c.words = c.frames[:0], c.words[:0]
	return err
}

// follow refuses a data frame that is not text, or that does not follow the one
// before.
func follow(f frame, open bool) error {
	switch {
	case f.op == opMore && !open, f.op == opText && open:
		return fmt.Errorf("%w: a frame out of order", ErrSocket)
	case f.op > opText:
		return fmt.Errorf("%w: a message that is no text", ErrSocket)
	}
	return nil
}

// frame is one frame.
type frame struct {
	fin, masked bool
	op          byte
	key         [4]byte
	payload     []byte
}

// cutFrame returns the frame that in starts with and its size, 0 when it is not
// all there.
func cutFrame(in []byte, most int) (f frame, size int, err error) {
	if len(in) < 2 {
		return f, 0, nil
	}
	f = frame{fin: in[0]&0x80 != 0, op: in[0] & 0x0F, masked: in[1]&0x80 != 0}
	n, at := uint64(in[1]&0x7F), 2
	switch {
	case in[0]&0x70 != 0:
		return f, 0, fmt.Errorf("%w: a frame of an extension", ErrSocket)
	case f.op > opText && f.op < opClose && f.op != 2 || f.op > opPong:
		return f, 0, fmt.Errorf("%w: a frame of no kind", ErrSocket)
	case f.op >= opClose && (n > 125 || !f.fin):
		return f, 0, fmt.Errorf("%w: a long or torn control frame", ErrSocket)
	case n == 126:
		if at += 2; len(in) < at {
			return f, 0, nil
		}
		n = uint64(binary.BigEndian.Uint16(in[2:]))
	case n == 127:
		if at += 8; len(in) < at {
			return f, 0, nil
		}
		n = binary.BigEndian.Uint64(in[2:])
	}
	if n > uint64(most) {
		return f, 0, &jsonmask.LimitError{What: "size of a message", Limit: most}
	}
	if f.masked {
		if at += 4; len(in) < at {
			return f, 0, nil
		}
		copy(f.key[:], in[at-4:])
	}
	if len(in)-at < int(n) {
		return f, 0, nil
	}
	f.payload = in[at : at+int(n)]
	return f, at + int(n), nil
}

// appendFrame appends a frame as servers write it.
func appendFrame(dst []byte, op byte, payload []byte) []byte {
	dst = append(dst, 0x80|op)
	switch n := len(payload); {
	case n <= 125:
		dst = append(dst, byte(n))
	case n <= 0xFFFF:
		dst = binary.BigEndian.AppendUint16(append(dst, 126), uint16(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 127), uint64(n))
	}
	return append(dst, payload...)
}
