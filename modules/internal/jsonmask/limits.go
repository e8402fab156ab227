// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import "github.com/crmgate/crmgate/policy/echo"

// Limits bounds what one body may make the masker hold. Zero members take the
// default; a body beyond a limit is refused with a *LimitError.
type Limits struct {
	Depth   int // open arrays and objects, default 256
	Name    int // bytes of a member's name as written, default 1 KiB
	Record  int // bytes of a record, and of any other value judged as a whole, default 1 MiB
	Members int // members of one object, default 10,000
	Hold    int // bytes held back for a total or a single record still to be judged, default 128 KiB

	// Pushed says that the row filter went into the CRM's own query, so that its
	// totals count the visible records, on this page and on the others. They stand
	// as long as no record had to be dropped all the same; from the first one on
	// they are corrected like any other.
	Pushed bool

	// Link, where it is set, returns what an address at the CRM goes out as; see
	// plan.Node.Link.
	Link func(address string) string

	// Echo, where it is set, holds the values of other parts of the same answer, and is
	// given those of this body. Whoever made it has it forget them when the answer ends.
	// Without one a body's values are forgotten with the body.
	Echo *echo.Set
}

const (
	maxMisplaced = 4 << 10   // bytes of an object in place of another shape where rows are filtered
	maxText      = 4         // documents within strings within documents
	chunk        = 32 << 10  // bytes asked of the source at once, and released at most before asking again
	maxKept      = 8 * chunk // bytes of a buffer that is used again for the next body
	maxGap       = 64 << 10  // white space between two values
	maxWhole     = 2 * chunk // bytes of a body that is judged as a whole where values are looked for again
)

// standard sets the members that are zero.
func (l *Limits) standard() {
	if l.Depth <= 0 {
		l.Depth = 256
	}
	if l.Name <= 0 {
		l.Name = 1 << 10
	}
	if l.Record <= 0 {
		l.Record = 1 << 20
	}
	if l.Members <= 0 {
		l.Members = 10_000
	}
	if l.Hold <= 0 {
		l.Hold = 128 << 10
	}
}
