// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package coding

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// writers are the codings, each by the name it is declared by.
var writers = []struct {
	test, name string
	open       func(io.Writer) io.WriteCloser
}{
	{"gzip", "gzip", func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }},
	{"x-gzip", " X-GZip ", func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }},
	{"deflate zlib", "deflate", func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }},
	{"deflate raw", "deflate", func(w io.Writer) io.WriteCloser { z, _ := flate.NewWriter(w, 5); return z }},
	{"br", "br", func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) }},
	{"zstd", "zstd", func(w io.Writer) io.WriteCloser { z, _ := zstd.NewWriter(w); return z }},
}

func encode(t testing.TB, open func(io.Writer) io.WriteCloser, body []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := open(&b)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decode(t testing.TB, name string, r io.Reader, l Limits) ([]byte, error) {
	t.Helper()
	d, err := NewReader(name, r, l)
	if err != nil {
		t.Fatalf("NewReader(%q): %v", name, err)
	}
	defer d.Close()
	return io.ReadAll(d)
}

var body = []byte(strings.Repeat(`{"Phone":"+91-98765 43210","Notes":"asha"},`, 50))

func TestEveryCoding(t *testing.T) {
	for _, w := range writers {
		coded := encode(t, w.open, body)
		for name, r := range map[string]io.Reader{"whole": bytes.NewReader(coded), "byte by byte": iotest.OneByteReader(bytes.NewReader(coded))} {
			got, err := decode(t, w.name, r, Limits{})
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("%s, %s: %v, %d bytes of %d: an honest answer is lost", w.test, name, err, len(got), len(body))
			}
		}
		if got, err := decode(t, w.name, strings.NewReader(""), Limits{}); err != nil || len(got) > 0 {
			t.Errorf("%s: an empty body gives %v: answers to HEAD are lost", w.test, err)
		}
	}
	for _, name := range []string{"", "identity", "Identity"} {
		if got, err := decode(t, name, bytes.NewReader(body), Limits{}); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%q: %v: a plain answer is lost", name, err)
		}
	}
}

func TestEveryTruncationIsRefused(t *testing.T) {
	for _, w := range writers {
		coded := encode(t, w.open, body)
		for n := 1; n < len(coded); n++ {
			if _, err := decode(t, w.name, bytes.NewReader(coded[:n]), Limits{}); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%s cut at %d of %d: %v: half an answer passes for a whole one", w.test, n, len(coded), err)
			}
		}
	}
}

func TestTrailingBytesAreRefused(t *testing.T) {
	for _, w := range writers {
		coded := append(encode(t, w.open, body), "junk"...)
		for name, r := range map[string]io.Reader{"whole": bytes.NewReader(coded), "byte by byte": iotest.OneByteReader(bytes.NewReader(coded))} {
			if _, err := decode(t, w.name, r, Limits{}); !errors.Is(err, ErrTrailing) && !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s, %s: %v: bytes behind the body pass unseen", w.test, name, err)
			}
		}
	}
}

func TestBombsAreRefused(t *testing.T) {
	zeros := make([]byte, 8<<20)
	for _, w := range writers {
		coded := encode(t, w.open, zeros)
		for name, l := range map[string]Limits{"ratio": {}, "size": {MaxDecoded: 3 << 20, MaxRatio: 1 << 40}} {
			got, err := decode(t, w.name, bytes.NewReader(coded), l)
			if !errors.Is(err, ErrBomb) || len(got) > 4<<20 {
				t.Errorf("%s by %s: %v after %d bytes: a small answer fills the memory", w.test, name, err, len(got))
			}
		}
		if got, err := decode(t, w.name, bytes.NewReader(coded), Limits{MaxRatio: 1 << 40}); err != nil || len(got) != len(zeros) {
			t.Errorf("%s: %v within the limits", w.test, err)
		}
	}
	if _, err := decode(t, "", bytes.NewReader(zeros), Limits{MaxDecoded: 1 << 20}); !errors.Is(err, ErrBomb) {
		t.Errorf("identity: %v: the limit does not hold for plain bodies", err)
	}
	if got, err := decode(t, "", bytes.NewReader(zeros), Limits{MaxDecoded: -1}); err != nil || len(got) != len(zeros) {
		t.Errorf("no limit: %v", err)
	}
}

func TestUnknownCodingsAreRefused(t *testing.T) {
	for _, name := range []string{"gzip, br", "gzip,gzip", "compress", "dcb", "utf-8", "gzip;q=1", "aes128gcm", "identity, gzip", "*"} {
		if d, err := NewReader(name, bytes.NewReader(body), Limits{}); !errors.Is(err, ErrUnknownCoding) || d != nil {
			t.Errorf("%q: %v: a body that nobody read is shown", name, err)
		}
	}
}

func TestErrorsOfTheBodyAreNotDamage(t *testing.T) {
	cut := errors.New("connection cut")
	for _, w := range writers {
		coded := encode(t, w.open, body)
		r := io.MultiReader(bytes.NewReader(coded[:len(coded)/2]), iotest.ErrReader(cut))
		if _, err := decode(t, w.name, r, Limits{}); !errors.Is(err, cut) || errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v: the operator looks for the fault in the wrong place", w.test, err)
		}
	}
}

func TestErrorsStay(t *testing.T) {
	d, err := NewReader("gzip", strings.NewReader("no gzip at all"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	_, first := d.Read(make([]byte, 10))
	_, again := d.Read(make([]byte, 10))
	if first == nil || !errors.Is(again, first) {
		t.Errorf("%v, then %v: reading goes on behind an error", first, again)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

func FuzzReader(f *testing.F) {
	for _, w := range writers {
		f.Add(w.name, encode(f, w.open, body))
	}
	f.Add("deflate", []byte{0x78, 0x9c})
	f.Fuzz(func(t *testing.T, name string, in []byte) {
		d, err := NewReader(name, bytes.NewReader(in), Limits{MaxDecoded: 1 << 20})
		if err != nil {
			return
		}
		defer d.Close()
		out, err := io.ReadAll(d)
		if len(out) > 1<<20 {
			t.Fatalf("%d bytes beyond the limit", len(out))
		}
		if _, again := d.Read(make([]byte, 1)); again == nil || err != nil && !errors.Is(again, err) {
			t.Fatalf("reading goes on behind %v", err)
		}
	})
}
