// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"errors"
	"io"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
)

// part reads a part whose element has a name, and gives its children to each.
func (p *pack) part(name, root string, most int, each func(*scanner) error) error {
	r, err := p.open(name)
	if err != nil {
		return err
	}
	defer r.Close()
	s := newScanner(r, most)
	for {
		t, err := s.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if t == startTag {
			if string(s.local) != root || s.space != sheetSpace && s.space != relsSpace {
				return bad("a part that holds something else than its place says")
			}
			if err := s.children(func() error { return each(s) }); err != nil {
				return err
			}
		}
	}
}

// children calls each for the elements within the one that was just opened. What
// each does not read is skipped.
func (s *scanner) children(each func() error) error {
	for in := s.depth(); ; {
		more, err := s.child(in)
		if err != nil || !more {
			return err
		}
		if err := each(); err != nil {
			return err
		}
	}
}

// child goes on to the next element within the in-th of those that are open;
// false is the end of that one. What was not read of the child before is skipped.
func (s *scanner) child(in int) (bool, error) {
	for {
		t, err := s.next()
		switch {
		case err != nil:
			return false, err
		case t == startTag && s.depth() == in+1:
			return true, nil
		case t == endTag && s.depth() < in:
			return false, nil
		}
	}
}

// is says whether the element at hand is one of spreadsheets, of a local name.
func (s *scanner) is(name string) bool { return s.space == sheetSpace && string(s.local) == name }

// attr returns an attribute without a namespace, nil when it is not there.
func (s *scanner) attr(name string) []byte {
	for i := range s.attrs {
		if a := &s.attrs[i]; a.prefix == nil && string(a.local) == name {
			return a.value
		}
	}
	return nil
}

// value appends the characters of the element that was just opened, in which
// there may be no other.
func (s *scanner) value(dst []byte) ([]byte, error) {
	for from := len(dst); ; {
		t, err := s.next()
		switch {
		case err != nil:
			return dst, err
		case t == startTag:
			return dst, bad("an element within a value")
		case t == endTag:
			return dst, nil
		case len(dst)-from+len(s.text) > s.most:
			return dst, &jsonmask.LimitError{What: "size of a text or a tag", Limit: s.most}
		}
		dst = append(dst, s.text...)
	}
}

// rich appends the text of a string item: its own, or that of its runs. How a
// text is pronounced is left out.
func (s *scanner) rich(dst []byte) ([]byte, error) {
	from := len(dst)
	add := func() (err error) {
		if dst, err = s.value(dst); err == nil && len(dst)-from > s.most {
			err = &jsonmask.LimitError{What: "size of a text or a tag", Limit: s.most}
		}
		return err
	}
	err := s.children(func() error {
		switch {
		case s.is("t"):
			return add()
		case s.is("r"):
			return s.children(func() error {
				if s.is("t") {
					return add()
				}
				return nil
			})
		case s.is("rPh"), s.is("phoneticPr"), s.is("extLst"):
			return nil
		}
		return bad("a string nobody understands")
	})
	return dst, err
}
