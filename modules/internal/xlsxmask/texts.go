// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"bytes"
	"hash/crc32"
)

// texts are the strings that the cells of a new workbook share. One that was used
// not long ago is found again, and one that cells shared before; any other may
// stand there twice, which every program takes.
type texts struct {
	bytes  []byte
	ends   []int           // of each in bytes
	recent [1 << 16]uint32 // by checksum: one more than the place of a text that has it
	shared []uint32        // by its place in the workbook that was read: one more than the new one
	used   int             // references to them
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// at returns the n-th.
func (t *texts) at(n int) []byte {
	from := 0
	if n > 0 {
		from = t.ends[n-1]
	}
	return t.bytes[from:t.ends[n]]
}

// place returns the place of a text, which is added when it is not found.
func (t *texts) place(s []byte) int {
	seen := &t.recent[crc32.Checksum(s, castagnoli)%uint32(len(t.recent))]
	if n := int(*seen); n == 0 || !bytes.Equal(t.at(n-1), s) {
		*seen = uint32(t.add(s)) + 1
	}
	return int(*seen) - 1
}

// keep returns the place of the text that was at a place of the workbook that was
// read.
func (t *texts) keep(place int, s []byte) int {
	if t.shared[place] == 0 {
		t.shared[place] = uint32(t.add(s)) + 1
	}
	return int(t.shared[place]) - 1
}

func (t *texts) add(s []byte) int {
	t.bytes = append(t.bytes, s...)
	t.ends = append(t.ends, len(t.bytes))
	return len(t.ends) - 1
}
