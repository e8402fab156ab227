// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package coding undoes the content codings of response bodies, so that they
// can be read before they are shown.
//
// What cannot be undone for sure is refused: a coding that is not known, several
// codings on top of each other, a body that ends early, bytes behind its end, and
// a body that grows beyond its limits.
package coding

import (
	"bufio"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The refusals; match them with errors.Is.
var (
	ErrUnknownCoding  = errors.New("coding: unknown content coding")
	ErrUnknownCharset = errors.New("coding: charset that cannot be rewritten")
	ErrBomb           = errors.New("coding: body grows beyond its limit")
	ErrTrailing       = errors.New("coding: bytes behind the end of the body")
	ErrCorrupt        = errors.New("coding: damaged body")
)

// Limits bounds what a body may become. Zero members take the default.
type Limits struct {
	MaxDecoded int64 // decoded bytes, default 64 MiB; negative for no limit
	MaxRatio   int64 // decoded bytes for each coded one, default 100; not looked at before 1 MiB
}

const (
	defaultDecoded = 64 << 20
	defaultRatio   = 100
	ratioFrom      = 1 << 20 // small bodies of one repeated value are no bombs
	window         = 8 << 20 // the largest zstd window that RFC 9659 lets servers use
)

// NewReader returns the decoded form of r. contentEncoding is the value of the
// Content-Encoding header field: "", identity, gzip, x-gzip, deflate (with the
// zlib wrapper of RFC 9110, or without it as some servers send it), br or zstd,
// in any case. Anything else, a list of two codings as well, is
// ErrUnknownCoding. The limit on decoded bytes holds for identity too.
//
// Reading returns an error wrapping ErrCorrupt for a damaged or shortened body,
// ErrTrailing, ErrBomb, or an error of r. Closing the result does not close r.
func NewReader(contentEncoding string, r io.Reader, l Limits) (io.ReadCloser, error) {
	if l.MaxDecoded == 0 {
		l.MaxDecoded = defaultDecoded
	}
	if l.MaxRatio <= 0 {
		l.MaxRatio = defaultRatio
	}
	d := &decoder{limits: l}
	switch strings.ToLower(strings.TrimSpace(contentEncoding)) {
	case "", "identity":
		d.plain = true
	case "gzip", "x-gzip":
		d.open = openGzip
	case "deflate":
		d.open = openDeflate
	case "br":
		d.open = openBrotli
	case "zstd":
		d.open = openZstd
	default:
		return nil, fmt.Errorf("%w: %.40q", ErrUnknownCoding, contentEncoding)
	}
	d.src = source{r: r, n: &d.read, err: &d.failed}
	if !d.plain {
		d.in = bufio.NewReader(&d.src)
	}
	return d, nil
}

// source counts coded bytes and remembers an error of the body itself, so that
// it is not taken for damage.
type source struct {
	r   io.Reader
	n   *int64
	err *error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	*s.n += int64(n)
	if err != nil && err != io.EOF {
		*s.err = err
	}
	return n, err
}

// stream is one coded stream being undone.
type stream struct {
	io.Reader
	close func()
}

type decoder struct {
	src     source
	in      *bufio.Reader // of src, nil when plain
	open    func(*bufio.Reader) (stream, error)
	plain   bool
	stream  stream
	limits  Limits
	read    int64 // coded bytes
	written int64 // decoded bytes
	failed  error // of the source
	err     error
}

// Read implements io.Reader.
func (d *decoder) Read(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	n, err := d.next(p)
	d.written += int64(n)
	switch {
	case d.limits.MaxDecoded > 0 && d.written > d.limits.MaxDecoded:
		err = fmt.Errorf("%w of %d bytes", ErrBomb, d.limits.MaxDecoded)
	case !d.plain && d.written > ratioFrom && d.written/d.limits.MaxRatio > d.read:
		err = fmt.Errorf("%w of %d to 1", ErrBomb, d.limits.MaxRatio)
	}
	if err != nil {
		d.err = err
		if !errors.Is(err, io.EOF) {
			return 0, err
		}
	}
	return n, err
}

// next reads decoded bytes, and names what goes wrong.
func (d *decoder) next(p []byte) (int, error) {
	if d.plain {
		return d.src.Read(p)
	}
	if d.stream.Reader == nil {
		if _, err := d.in.Peek(1); err == io.EOF {
			return 0, io.EOF // an empty body, as answers to HEAD have
		}
		s, err := d.open(d.in)
		if err != nil {
			return 0, d.damage(err)
		}
		d.stream = s
	}
	n, err := d.stream.Read(p)
	switch {
	case errors.Is(err, io.EOF):
		if _, err := d.in.Peek(1); err == nil {
			return n, ErrTrailing
		} else if !errors.Is(err, io.EOF) {
			return n, fmt.Errorf("reading body: %w", err)
		}
	case err != nil:
		err = d.damage(err)
	}
	return n, err
}

func (d *decoder) damage(err error) error {
	if d.failed != nil {
		return fmt.Errorf("reading body: %w", d.failed)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// Close frees the decoder.
func (d *decoder) Close() error {
	if d.stream.close != nil {
		d.stream.close()
		d.stream.close = nil
	}
	if d.err == nil {
		d.err = io.ErrClosedPipe
	}
	return nil
}

// openGzip reads one member: several in a row are legal in files, and unheard
// of in answers.
func openGzip(r *bufio.Reader) (stream, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return stream{}, err
	}
	z.Multistream(false)
	return stream{Reader: z}, nil
}

// openDeflate tells the zlib wrapper from raw deflate by its header: method 8,
// a window of at most 32 KiB, and a check that a raw stream meets by chance only.
func openDeflate(r *bufio.Reader) (stream, error) {
	h, err := r.Peek(2)
	if err != nil {
		return stream{}, err
	}
	if h[0]&0x0F == 8 && h[0]>>4 <= 7 && (int(h[0])<<8|int(h[1]))%31 == 0 {
		z, err := zlib.NewReader(r)
		return stream{Reader: z}, err
	}
	return stream{Reader: flate.NewReader(r)}, nil
}

func openBrotli(r *bufio.Reader) (stream, error) {
	return stream{Reader: brotli.NewReader(r)}, nil
}

func openZstd(r *bufio.Reader) (stream, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(window), zstd.WithDecoderMaxMemory(64<<20))
	if err != nil {
		return stream{}, err
	}
	return stream{Reader: z, close: z.Close}, nil
}
