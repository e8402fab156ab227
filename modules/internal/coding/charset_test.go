// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package coding

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestCharsetOf(t *testing.T) {
	for ct, want := range map[string]Charset{
		"": UTF8, "application/json": UTF8, "application/json; charset=utf-8": UTF8, `text/html; charset="UTF-8"`: UTF8, "text/plain; charset=us-ascii": UTF8,
		"text/html; charset=iso-8859-1": Western, "text/csv;charset=Windows-1252": Western, `text/csv; header=present; charset="Latin1"`: Western,
	} {
		if got, err := CharsetOf(ct); got != want || err != nil {
			t.Errorf("CharsetOf(%q) = %v, %v, want %v", ct, got, err, want)
		}
	}
	for _, ct := range []string{
		"application/json; charset=utf-16le", "text/html; charset=utf-7", "text/html; charset=ibm037", "nonsense; charset", "; charset=utf-8",
		"text/html; charset=utf-8; charset=utf-16", "text/html; charset=iso-8859-15", "text/csv; charset=windows-1251", "text/csv; charset='latin1'",
	} {
		if got, err := CharsetOf(ct); !errors.Is(err, ErrUnknownCharset) || got != UTF8 {
			t.Errorf("CharsetOf(%q) = %v, %v: a body is read in another charset than the client's", ct, got, err)
		}
	}
	if _, err := CharsetNamed("us-ascii"); err == nil {
		t.Error("US-ASCII is a charset that a page may declare: browsers take it for windows-1252")
	}
}

// TestWestern: letters are what browsers take them for, and come out as they came in.
func TestWestern(t *testing.T) {
	const wire, text = "Jos\xe9 \x80 5 \x93x\x94 \xa0\xff \x00\x1b\r\n", "Jos\u00e9 \u20ac 5 \u201cx\u201d \u00a0\u00ff \x00\x1b\r\n"
	got, err := io.ReadAll(FromWestern(strings.NewReader(wire)))
	if err != nil || string(got) != text {
		t.Errorf("%q is read as %q, %v", wire, got, err)
	}
	for name, back := range map[string]func(io.Reader) io.Reader{"text": ToWestern, "pages": ToWesternPage} {
		if got, err := io.ReadAll(back(iotest.OneByteReader(strings.NewReader(text)))); err != nil || string(got) != wire {
			t.Errorf("%s: %q goes out as %q, %v", name, text, got, err)
		}
	}
	if got, err := io.ReadAll(ToWestern(strings.NewReader("a\u20b9\u0939b"))); err != nil || string(got) != "a??b" {
		t.Errorf("characters that windows-1252 has not go out as %q, %v", got, err)
	}
	if got, err := io.ReadAll(ToWesternPage(strings.NewReader("<a title=\"\u20b9\">"))); err != nil || string(got) != `<a title="&#8377;">` {
		t.Errorf("a character that windows-1252 has not goes out in a page as %q, %v", got, err)
	}
}

// TestNoWestern: what is another charset for whoever reads it is refused before the
// first character.
func TestNoWestern(t *testing.T) {
	for _, body := range []string{
		"\xef\xbb\xbfPhone", "\xff\xfeP\x00h\x00", "\xfe\xff\x00P\x00h", "\x81", "\x8d", "\x8f", "\x90", "\x9d",
		"\xef\xbb\xbf", "\xff\xfe",
	} {
		if got, err := io.ReadAll(FromWestern(iotest.OneByteReader(strings.NewReader(body)))); !errors.Is(err, ErrUnknownCharset) || len(got) > 0 {
			t.Errorf("%q is read as %q, %v", body, got, err)
		}
	}
	if _, err := io.ReadAll(FromWestern(iotest.ErrReader(io.ErrUnexpectedEOF))); err != io.ErrUnexpectedEOF { //nolint:errorlint // as it came
		t.Errorf("a body that breaks off ends with %v", err)
	}
}

// FuzzWestern: whatever is read as windows-1252 is UTF-8, a character for each byte, and
// goes out as the same bytes; nothing else is read.
func FuzzWestern(f *testing.F) {
	f.Add([]byte("Jos\xe9\x80"))
	f.Add([]byte("\xef\xbb\xbfx"))
	f.Add([]byte("a\x81b"))
	f.Add(bytes.Repeat([]byte("\xe9"), 9000))
	f.Fuzz(func(t *testing.T, in []byte) {
		marked := bytes.HasPrefix(in, []byte("\xef\xbb\xbf")) || bytes.HasPrefix(in, []byte("\xfe\xff")) || bytes.HasPrefix(in, []byte("\xff\xfe"))
		text, err := io.ReadAll(FromWestern(bytes.NewReader(in)))
		if (err != nil) != (marked || hasUnused(in)) {
			t.Fatalf("reading %q: %v", in, err)
		}
		if err != nil {
			return
		}
		if n := len([]rune(string(text))); n != len(in) {
			t.Fatalf("%q is read as %d characters", in, n)
		}
		for _, back := range []func(io.Reader) io.Reader{ToWestern, ToWesternPage} {
			if out, err := io.ReadAll(back(bytes.NewReader(text))); err != nil || !bytes.Equal(out, in) {
				t.Fatalf("%q goes out as %q, %v", in, out, err)
			}
		}
	})
}

func hasUnused(in []byte) bool {
	for _, b := range in {
		switch b {
		case 0x81, 0x8d, 0x8f, 0x90, 0x9d:
			return true
		}
	}
	return false
}
