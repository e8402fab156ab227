// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package coding

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
)

// Charset is what the text of a body is written in.
type Charset uint8

// The charsets that can be rewritten.
const (
	UTF8    Charset = iota // and US-ASCII, which is a part of it
	Western                // windows-1252, under this name or that of ISO 8859-1
)

// CharsetOf returns the charset that a Content-Type names, UTF8 if it names none. ISO
// 8859-1 is read as windows-1252, as all browsers do (WHATWG Encoding, 4.2): the two
// differ where ISO 8859-1 has control characters. Any other charset, and a Content-Type
// that cannot be read, is ErrUnknownCharset.
func CharsetOf(contentType string) (Charset, error) {
	switch contentType {
	case "application/json", "application/json; charset=utf-8":
		return UTF8, nil // what nearly every answer says
	}
	if strings.TrimSpace(contentType) == "" {
		return UTF8, nil
	}
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return UTF8, fmt.Errorf("%w: reading content type: %w", ErrUnknownCharset, err)
	}
	switch name := params["charset"]; strings.ToLower(name) {
	case "", "us-ascii", "ascii":
		return UTF8, nil
	default:
		return CharsetNamed(name)
	}
}

// CharsetNamed returns the charset of a name, in any case. It does not take US-ASCII, which
// browsers take for another name of windows-1252 where a page declares it.
func CharsetNamed(name string) (Charset, error) {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "utf-8", "utf8":
		return UTF8, nil
	case "windows-1252", "cp1252", "x-cp1252", "iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "l1":
		return Western, nil
	}
	return UTF8, fmt.Errorf("%w: %.40q", ErrUnknownCharset, name)
}

// FromWestern returns the text of r, which is in windows-1252, in UTF-8. Reading
// returns ErrUnknownCharset for a byte that stands for no character, and for a byte
// order mark: whatever is behind one is read as UTF-8 or UTF-16 by browsers, whatever
// its Content-Type says.
func FromWestern(r io.Reader) io.Reader {
	return transform.NewReader(&western{src: bufio.NewReader(r)}, charmap.Windows1252.NewDecoder())
}

// ToWestern returns the text of r, which is in UTF-8, in windows-1252. What FromWestern
// made comes out as the same bytes. A character that windows-1252 has not, as the text of
// a mask may have, becomes a question mark.
func ToWestern(r io.Reader) io.Reader {
	known := runes.Map(func(c rune) rune {
		if _, ok := charmap.Windows1252.EncodeRune(c); !ok {
			return '?'
		}
		return c
	})
	return transform.NewReader(r, transform.Chain(known, charmap.Windows1252.NewEncoder()))
}

// ToWesternPage is ToWestern for pages: a character that windows-1252 has not, as a
// reference in an attribute may stand for, goes out as a numeric reference.
func ToWesternPage(r io.Reader) io.Reader {
	return transform.NewReader(r, encoding.HTMLEscapeUnsupported(charmap.Windows1252.NewEncoder()))
}

// western refuses bytes that are no text in windows-1252.
type western struct {
	src  *bufio.Reader
	seen bool // whether it begins with a byte order mark has been looked at
}

// The byte order marks of UTF-8 and UTF-16, and what windows-1252 has no character for.
const (
	mark8, mark16be, mark16le = "\xef\xbb\xbf", "\xfe\xff", "\xff\xfe"
	nothing                   = "\x81\x8d\x8f\x90\x9d"
)

// Read reads bytes as they are.
func (w *western) Read(p []byte) (int, error) {
	if !w.seen {
		w.seen = true
		first, _ := w.src.Peek(len(mark8)) // an error comes again when it is read
		for _, mark := range [...]string{mark8, mark16be, mark16le} {
			if bytes.HasPrefix(first, []byte(mark)) {
				return 0, fmt.Errorf("%w: windows-1252 that begins with the byte order mark of another", ErrUnknownCharset)
			}
		}
	}
	n, err := w.src.Read(p)
	for i := range len(nothing) {
		if bytes.IndexByte(p[:n], nothing[i]) >= 0 {
			return 0, fmt.Errorf("%w: byte %#x, which is no text in windows-1252", ErrUnknownCharset, nothing[i])
		}
	}
	return n, err //nolint:wrapcheck // the body's own
}
