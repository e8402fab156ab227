// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package framed

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/crmgate/crmgate/policy/mask"
)

// events are server-sent events (HTML standard, 9.2): lines up to an empty one.
// Lines end with CR LF, LF or CR. An event that the body ends in the middle of
// is read like any other.
//
// The lines of data are one document, which goes out in as many lines as it then
// has. Comments, and the values of event and id, stay with personal data in them
// masked, and all but event with values that are masked or hidden in the events so
// far; a retry that is no number goes, and so does a line of another name,
// which no client reads.
type events struct{}

func (events) end(in []byte, seen int, final bool) int {
	// A line's end may be cut in the middle: the last bytes are looked at again, and no
	// others, or a long line that comes byte by byte would be read as often as it has bytes.
	i := max(0, seen-3)
	begun := i > 0 && in[i-1] != '\r' && in[i-1] != '\n' // in the middle of a line, which is not empty
	if i > 0 && in[i-1] == '\r' && in[i] == '\n' {
		i++
	}
	for i < len(in) {
		text, size, whole := cutLine(in[i:], final)
		if !whole {
			break
		}
		if i += size; len(text) == 0 && !begun {
			return i
		}
		begun = false
	}
	if final {
		return len(in)
	}
	return 0
}

// cutLine returns the first line without its end, and its length with it. whole
// is false when the end may not have come yet.
func cutLine(in []byte, final bool) (text []byte, size int, whole bool) {
	n := bytes.IndexAny(in, "\r\n")
	switch {
	case n < 0:
		return in, len(in), final
	case in[n] == '\n':
		return in[:n], n + 1, true
	case n+1 < len(in) && in[n+1] == '\n':
		return in[:n], n + 2, true
	case n+1 == len(in) && !final: // the LF of a CR LF may be on its way
		return in, len(in), false
	}
	return in[:n], n + 1, true
}

func (events) rewrite(m *Masker, block []byte) error {
	if !utf8.Valid(block) {
		return fmt.Errorf("%w: an event that is not UTF-8", ErrFrame)
	}
	data := m.text[:0]
	has := false
	for rest := block; len(rest) > 0; {
		text, size, _ := cutLine(rest, true)
		rest = rest[size:]
		if name, value := cutField(text); name == "data" {
			if has {
				data = append(data, '\n')
			}
			has = true
			data = append(data, value...)
		}
	}
	m.text = data
	before := len(m.out)
	document, changed := data, false
	if has && !blank(data) {
		out, keep, err := m.document(m.out, data)
		if err != nil || !keep {
			return err
		}
		document = bytes.Clone(out[before:])
		changed = !bytes.Equal(document, data)
		m.out = out[:before]
	}
	for rest := block; len(rest) > 0; {
		text, size, _ := cutLine(rest, true)
		line := rest[:size]
		rest = rest[size:]
		name, value := cutField(text)
		switch {
		case len(text) == 0:
			m.out = append(m.out, line...)
		case name == "data":
			if !changed {
				m.out = append(m.out, line...)
			} else if document != nil {
				m.data(document, line, text, value)
				document = nil
			}
		case name == "" || name == "id":
			m.searched(line, text, m.known.Search)
		case name == "event": // a client may wait for it, whatever else has that word for its value
			m.searched(line, text, mask.Detect)
		case name == "retry" && isNumber(value):
			m.out = append(m.out, line...)
		}
	}
	return nil
}

// cutField returns name and value of a line. A comment has no name; a line that
// has no colon is a name without a value.
func cutField(text []byte) (name string, value []byte) {
	before, value, found := bytes.Cut(text, []byte(":"))
	if !found {
		return string(text), nil
	}
	return string(before), bytes.TrimPrefix(value, []byte(" "))
}

// data writes a document in the way its first line was written.
func (m *Masker) data(document, line, text, value []byte) {
	lead, end := text[:len(text)-len(value)], line[len(text):]
	if !bytes.Contains(lead, []byte(":")) {
		lead = []byte("data:")
	}
	if len(end) == 0 {
		end = []byte("\n")
	}
	for {
		part, rest, more := bytes.Cut(document, []byte("\n"))
		m.out = append(append(m.out, lead...), part...)
		if !more {
			m.out = append(m.out, line[len(text):]...)
			return
		}
		m.out = append(m.out, end...)
		document = rest
	}
}

// searched writes a line with what is found in it masked.
func (m *Masker) searched(line, text []byte, search func(dst, text []byte) ([]byte, int)) {
	n := 0
	if m.out, n = search(m.out, text); n > 0 {
		m.stats.Masked[""] += n
	}
	m.out = append(m.out, line[len(text):]...)
}

// isNumber reports whether v is a time to wait, in at most seven digits, so that
// no telephone number is one.
func isNumber(v []byte) bool {
	for _, c := range v {
		if c < '0' || c > '9' {
			return false
		}
	}
	return 0 < len(v) && len(v) <= 7
}
