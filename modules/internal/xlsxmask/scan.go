// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
)

const (
	maxDepth = 64 // open elements
	maxAttrs = 64 // of an element
	minFill  = 32 << 10
)

// token is what a scanner came to.
type token uint8

const (
	nothing  token = iota // a comment, the declaration, white space outside
	startTag              // also of an element that is closed at once: its endTag follows
	endTag
	charData
)

// scanner reads the tokens of one part: XML 1.0 with namespaces, in UTF-8, as
// programs write it into workbooks. What is more is refused: document types,
// entities but the five, processing instructions, names beyond ASCII, prefixes
// that are not declared. A token is read when all of it is in memory.
type scanner struct {
	r     io.Reader
	most  int    // bytes of a token
	buf   []byte // what was read and not given up
	pos   int    // in buf: where the next token starts
	good  int    // in buf: up to here the characters are known to be XML's
	eof   bool
	begun bool // the first bytes were read
	past  bool // something of the part was read: no declaration can follow
	root  bool // the part's element was there

	open  []open
	names []byte    // of the elements that are open, as they are written
	bound []binding // prefixes in force, the latest last
	usual space     // of elements without a prefix

	// The token at hand: what is said of it holds until the next one is read.
	local   []byte
	space   space
	attrs   []attribute
	text    []byte
	decoded []byte
	empty   bool // the element at hand is closed at once
}

// open is an element that is not closed yet, and what was in force around it.
type open struct {
	name, bound int // where its own start, in scanner.names and scanner.bound
	usual       space
}

var (
	errBroken   = bad("a part that is not well-formed XML in UTF-8")
	errDoctype  = bad("a part with a document type")
	errProcInst = bad("a part with an instruction for a program")
	errOutside  = bad("text outside of a part's element")
	errRoots    = bad("a part with two elements")
	errDeep     = bad("a part that is nested too deep")
	errEnds     = bad("a part that breaks off")
)

func newScanner(r io.Reader, most int) *scanner { return &scanner{r: r, most: most} }

// depth is how many elements are open.
func (s *scanner) depth() int { return len(s.open) }

// next reads the next token, or io.EOF behind the part's element.
func (s *scanner) next() (token, error) {
	if s.empty {
		s.empty = false
		s.pop()
		return endTag, nil
	}
	for {
		t, n, err := s.scan(s.buf[s.pos:s.good])
		if err != nil {
			return 0, err
		}
		if n > s.most || n == 0 && s.good-s.pos > s.most {
			return 0, &jsonmask.LimitError{What: "size of a text or a tag", Limit: s.most}
		}
		if n > 0 {
			s.past = true
			if s.pos += n; t != nothing {
				return t, nil
			}
			continue
		}
		if s.eof {
			switch {
			case s.good < len(s.buf):
				return 0, errBroken // half a character
			case s.pos < s.good || !s.root:
				return 0, errBroken
			case len(s.open) > 0:
				return 0, errEnds
			}
			return 0, io.EOF
		}
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
}

// scan reads the token that b starts with and returns its length, 0 when more of
// it is needed. Nothing is changed then but what is said of the token at hand.
func (s *scanner) scan(b []byte) (token, int, error) {
	switch {
	case len(b) == 0:
		return 0, 0, nil
	case b[0] != '<':
		return s.chars(b)
	case len(b) == 1:
		return 0, 0, nil
	case b[1] == '/':
		return s.endTag(b)
	case b[1] == '!':
		return s.marked(b)
	case b[1] == '?':
		n, err := s.declaration(b)
		return nothing, n, err
	}
	return s.startTag(b)
}

// chars reads text up to the next tag.
func (s *scanner) chars(b []byte) (token, int, error) {
	n, plain := 0, true
	for n < len(b) && b[n] != '<' {
		switch b[n] {
		case '&', '\r':
			plain = false
		case '>':
			if n >= 2 && b[n-1] == ']' && b[n-2] == ']' {
				return 0, 0, errBroken
			}
		}
		n++
	}
	if n == len(b) && (!s.eof || s.good < len(s.buf)) {
		return 0, 0, nil
	}
	if len(s.open) == 0 {
		if skipWhite(b, 0) < n {
			return 0, 0, errOutside
		}
		return nothing, n, nil
	}
	if s.text = b[:n]; !plain {
		var err error
		s.decoded = s.decoded[:0]
		if s.text, err = s.decode(s.text, true); err != nil {
			return 0, 0, err
		}
	}
	return charData, n, nil
}

// marked reads a comment or character data.
func (s *scanner) marked(b []byte) (token, int, error) {
	const comment, section = "<!--", "<![CDATA["
	switch {
	case bytes.HasPrefix(b, []byte(comment)):
		n := bytes.Index(b[len(comment):], []byte("--"))
		if n += len(comment) + 2; n < len(comment)+2 || n == len(b) {
			return 0, 0, nil
		}
		if b[n] != '>' {
			return 0, 0, errBroken
		}
		return nothing, n + 1, nil
	case bytes.HasPrefix(b, []byte(section)):
		if len(s.open) == 0 {
			return 0, 0, errOutside
		}
		n := bytes.Index(b, []byte("]]>"))
		if n < 0 {
			return 0, 0, nil
		}
		var err error
		s.decoded = s.decoded[:0]
		s.text, err = s.decode(b[len(section):n], false)
		return charData, n + 3, err
	case len(b) < len(section) && (bytes.HasPrefix([]byte(section), b) || bytes.HasPrefix([]byte(comment), b)):
		return 0, 0, nil
	}
	return 0, 0, errDoctype
}

// fill gives up what was read, and reads more: as much as there is room for.
func (s *scanner) fill() error {
	rest := len(s.buf) - s.pos
	if 2*rest > cap(s.buf) || cap(s.buf) == 0 {
		s.buf = append(make([]byte, 0, max(2*cap(s.buf), minFill)), s.buf[s.pos:]...)
	} else {
		s.buf = s.buf[:copy(s.buf, s.buf[s.pos:])]
	}
	s.good -= s.pos
	s.pos = 0
	for tries := 0; len(s.buf) < cap(s.buf) && !s.eof; tries++ {
		n, err := s.r.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+n]
		switch {
		case errors.Is(err, io.EOF):
			s.eof = true
		case err != nil:
			return err
		case n > 0:
			tries = 0
		case tries == 100:
			return io.ErrNoProgress
		}
	}
	if !s.begun {
		s.begun = true
		s.buf = bytes.TrimPrefix(s.buf, []byte("\uFEFF"))
	}
	return s.check()
}

// check looks at the characters that were read: whether they are characters in
// UTF-8, and such as XML has. Half of one is left for the next time.
func (s *scanner) check() error {
	b := s.buf
	i := s.good
	for i < len(b) {
		for len(b)-i >= 8 {
			const ones, tops = 0x0101010101010101, 0x8080808080808080
			w := binary.LittleEndian.Uint64(b[i:])
			if (w|(w-' '*ones)&^w)&tops != 0 { // a byte beyond ASCII or below the space
				break
			}
			i += 8
		}
		for end := min(i+8, len(b)); i < end; {
			c := b[i]
			if c < utf8.RuneSelf {
				if c < ' ' && c != '\t' && c != '\n' && c != '\r' {
					return errBroken
				}
				i++
				continue
			}
			r, n := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && n == 1 {
				if !utf8.FullRune(b[i:]) {
					s.good = i
					return nil
				}
				return errBroken
			}
			if r == 0xFFFE || r == 0xFFFF {
				return errBroken
			}
			i += n
		}
	}
	s.good = i
	return nil
}
