// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package framed

import (
	"bytes"
	"fmt"
)

// lines are documents that end with a line feed; the last may do without. Empty
// lines stay.
type lines struct{}

func (lines) end(in []byte, seen int, final bool) int {
	if n := bytes.IndexByte(in[seen:], '\n'); n >= 0 {
		return seen + n + 1
	}
	if final {
		return len(in)
	}
	return 0
}

func (lines) rewrite(m *Masker, line []byte) error {
	if blank(line) {
		m.out = append(m.out, line...)
		return nil
	}
	out, _, err := m.document(m.out, line)
	m.out = out
	return err
}

// recordSeparator is what stands in front of each document of a sequence.
const recordSeparator = 0x1E

// sequence are documents behind a record separator each. One that nothing
// follows the separator of stays.
type sequence struct{}

func (sequence) end(in []byte, seen int, final bool) int {
	seen = max(seen, 1)
	if n := bytes.IndexByte(in[min(seen, len(in)):], recordSeparator); n >= 0 {
		return seen + n
	}
	if final {
		return len(in)
	}
	return 0
}

func (sequence) rewrite(m *Masker, text []byte) error {
	if text[0] != recordSeparator {
		return fmt.Errorf("%w: bytes in front of the first record separator", ErrFrame)
	}
	if blank(text[1:]) {
		m.out = append(m.out, text...)
		return nil
	}
	before := len(m.out)
	out, keep, err := m.document(append(m.out, recordSeparator), text[1:])
	if m.out = out; !keep {
		m.out = out[:before]
	}
	return err
}
