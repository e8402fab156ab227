// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

// finder looks for the end of a value that did not fit the window, each byte
// once, however the body is cut into chunks. It believes whatever it reads: the
// value is walked strictly once it is there.
type finder struct {
	short  bool // a value did not fit; from the second time on it is looked for
	active bool
	matrix bool // the value is a matrix, which can be read in parts
	off    int  // next byte to look at, from the masker's position
	depth  int
	str    bool
	esc    bool
	begun  bool
}

// complete looks at what has come and reports whether the value is there.
func (f *finder) complete(in []byte) bool {
	for f.off < len(in) {
		c := in[f.off]
		switch {
		case f.esc:
			f.esc = false
		case f.str:
			if c != '"' && c != '\\' {
				f.off = plainEnd(in, f.off+1)
				continue
			}
			f.esc, f.str = c == '\\', c != '"'
			if !f.str && f.depth == 0 {
				return true
			}
		case c == '"':
			f.str = true
		case c == '{' || c == '[':
			f.depth++
		case c == '}' || c == ']':
			if f.depth--; f.depth <= 0 {
				return true
			}
		case f.depth == 0 && f.begun && (c <= ' ' || c == ','):
			return true
		}
		f.begun = true
		f.off++
	}
	return false
}
