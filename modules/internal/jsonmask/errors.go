// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package jsonmask

import (
	"errors"
	"fmt"
)

// ErrNotVisible is returned when the one record that was asked for is outside
// the viewer's rows. No byte of the body has been released then.
var ErrNotVisible = errors.New("jsonmask: the record is not visible")

// errShort means that the window ends before the value does: read more, try again.
var errShort = errors.New("jsonmask: more input needed")

// errAgain means that the value is to be walked again in another way.
var errAgain = errors.New("jsonmask: another way needed")

// SyntaxError is a body that is not strict JSON. It never holds bytes of the body.
type SyntaxError struct {
	Offset int64  // from the start of the body, in bytes
	What   string // such as "duplicate name"
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("reading JSON: offset %d: %s", e.Offset, e.What)
}

// ShapeError is a body that is JSON of another shape than the map declares.
type ShapeError struct {
	Offset int64
	What   string // such as "an array was declared"
}

func (e *ShapeError) Error() string {
	return fmt.Sprintf("matching JSON to its declared shape: offset %d: %s", e.Offset, e.What)
}

// LimitError is a body of any format beyond one of the Limits.
type LimitError struct {
	Offset int64  // where, in JSON; 0 where nobody counts
	What   string // such as "nesting"
	Limit  int
}

func (e *LimitError) Error() string {
	if e.Offset > 0 {
		return fmt.Sprintf("reading JSON: offset %d: %s is beyond the limit of %d", e.Offset, e.What, e.Limit)
	}
	return fmt.Sprintf("reading an answer: %s is beyond the limit of %d", e.What, e.Limit)
}
