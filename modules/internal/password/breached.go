// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the form in which lists of stolen passwords are published
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

// ErrBreached wraps every failure to read the list of stolen passwords. No new
// password is taken then.
var ErrBreached = errors.New("the list of stolen passwords cannot be read")

const (
	maxLine    = 128      // bytes of a line
	fullCheck  = 64 << 20 // files up to this many bytes are checked line by line when opened
	probes     = 512      // places at which a greater one is checked
	smallRange = 4096     // bytes that are read in one go at the end of a search
	minHex     = 16       // digits a hash must have to tell passwords apart
)

// Breached is a list of passwords stolen elsewhere: a file with one SHA-1 hash
// (40 hexadecimal digits, or the first 16 or more of them, the same number in
// every line) a line, in ascending order, with or without ":count" behind it, as
// Have I Been Pwned distributes them. It is searched on disk; it is never read
// into memory, so it may be of any size.
//
// A file that is missing, empty, not sorted or holds another line is one clear
// error when it is opened; the list that was open stays then. Files up to 64 MiB
// are checked wholly, greater ones at 512 places and, around what is looked for,
// at every look. Replace a file by renaming another one over it and call Reload;
// one that is cut while it is open makes looks fail, and then no new password is
// taken.
//
// All methods are safe for concurrent use.
type Breached struct {
	path    string
	mu      sync.Mutex // one Reload at a time
	current atomic.Pointer[breachedFile]
}

// breachedFile is one opened file. It is closed by the garbage collector, when
// nobody searches it any more.
type breachedFile struct {
	in    io.ReaderAt
	info  os.FileInfo
	size  int64
	width int // hexadecimal digits
}

// OpenBreached opens and checks a list.
func OpenBreached(path string) (*Breached, error) {
	b := &Breached{path: path}
	if _, err := b.Reload(); err != nil {
		return nil, err
	}
	return b, nil
}

// Reload opens the file again if it is another one, or was changed, and says
// whether it did. On an error the list that was open stays.
func (b *Breached) Reload() (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, err := os.Open(b.path)
	if err != nil {
		return false, fmt.Errorf("opening the list of stolen passwords: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", b.path)
	}
	if err != nil {
		_ = f.Close()
		return false, fmt.Errorf("opening the list of stolen passwords: %w", err)
	}
	if old := b.current.Load(); old != nil && os.SameFile(old.info, info) && old.size == info.Size() && old.info.ModTime().Equal(info.ModTime()) {
		_ = f.Close()
		return false, nil
	}
	list := &breachedFile{in: f, info: info, size: info.Size()}
	if err := list.check(b.path); err != nil {
		_ = f.Close()
		return false, fmt.Errorf("checking the list of stolen passwords: %w", err)
	}
	b.current.Store(list)
	return true, nil
}

// Has says whether a password is in the list. Errors wrap ErrBreached.
func (b *Breached) Has(password string) (bool, error) {
	sum := sha1.Sum([]byte(password)) //nolint:gosec // see above
	list := b.current.Load()
	found, err := list.find([]byte(strings.ToUpper(hex.EncodeToString(sum[:]))[:list.width]))
	if err != nil {
		return false, fmt.Errorf("%w: %w", ErrBreached, err)
	}
	return found, nil
}

// Verify reads the whole file and checks every line, which takes minutes for the
// greatest lists.
func (b *Breached) Verify(ctx context.Context) error {
	list := b.current.Load()
	return list.scan(b.path, ctx.Err)
}

func (l *breachedFile) check(name string) error {
	head := make([]byte, maxLine)
	n, err := l.in.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	line, _, _ := bytes.Cut(head[:n], []byte("\n"))
	for l.width < len(line) && hexValue(line[l.width]) >= 0 {
		l.width++
	}
	if _, err := l.key(line); err != nil || l.width < minHex || l.width > 2*sha1.Size {
		if l.size == 0 {
			return fmt.Errorf("%s: it is empty; a list holds lines such as 5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8:3", name)
		}
		return fmt.Errorf("%s:1: this is no line of a list of SHA-1 hashes, such as 5BAA61E4C9B93F3F0682250B6CF8331B7EE68FD8:3", name)
	}
	if l.size <= fullCheck {
		return l.scan(name, func() error { return nil })
	}
	return l.sample(name)
}

// scan checks every line.
func (l *breachedFile) scan(name string, goOn func() error) error {
	lines := bufio.NewReaderSize(io.NewSectionReader(l.in, 0, l.size), int(min(l.size, 1<<18)))
	last := make([]byte, 0, 2*sha1.Size)
	for number := 1; ; number++ {
		line, err := lines.ReadSlice('\n')
		if len(line) == 0 && errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("%s:%d: %w", name, number, err)
		}
		if number%(1<<16) == 0 {
			if err := goOn(); err != nil {
				return err
			}
		}
		key, err := l.key(bytes.TrimSuffix(line, []byte("\n")))
		if err != nil {
			return fmt.Errorf("%s:%d: %w", name, number, err)
		}
		if bytes.Compare(last, key) >= 0 {
			return fmt.Errorf("%s:%d: this hash is not greater than the one before it; sort the file (LC_ALL=C sort -u)", name, number)
		}
		last = append(last[:0], key...)
	}
}

// sample checks the order at evenly spaced places, and the end.
func (l *breachedFile) sample(name string) error {
	var last []byte
	for i := range int64(probes) {
		at, key, err := l.lineAfter(l.size / probes * i)
		if err != nil {
			return fmt.Errorf("%s: near byte %d: %w", name, l.size/probes*i, err)
		}
		if bytes.Compare(last, key) >= 0 {
			return fmt.Errorf("%s: byte %d: this hash is not greater than one before it; sort the file (LC_ALL=C sort -u)", name, at)
		}
		last = key
	}
	tail := make([]byte, smallRange)
	if _, err := l.in.ReadAt(tail, l.size-smallRange); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", name, err)
	}
	_, tail, _ = bytes.Cut(tail, []byte("\n"))
	if _, err := l.search(tail, last); err != nil {
		return fmt.Errorf("%s: near its end: %w", name, err)
	}
	return nil
}

// find looks for a key: halving until few lines are left, which are read in one go.
func (l *breachedFile) find(want []byte) (bool, error) {
	from, to := int64(0), l.size // both begin a line
	for to-from > smallRange {
		at, key, err := l.lineAfter(from + (to-from)/2)
		switch {
		case err != nil:
			return false, fmt.Errorf("near byte %d: %w", from+(to-from)/2, err)
		case at >= to:
			return false, fmt.Errorf("near byte %d: the file changed", at)
		case bytes.Compare(key, want) <= 0:
			from = at
		default:
			to = at
		}
	}
	few := make([]byte, to-from)
	if n, err := l.in.ReadAt(few, from); n < len(few) {
		return false, fmt.Errorf("near byte %d: %w", from, err)
	}
	return l.search(few, want)
}

// search goes through whole lines and checks them and their order.
func (l *breachedFile) search(lines, want []byte) (found bool, err error) {
	var last []byte
	for len(lines) > 0 {
		var line []byte
		line, lines, _ = bytes.Cut(lines, []byte("\n"))
		key, err := l.key(line)
		if err != nil {
			return false, err
		}
		if bytes.Compare(last, key) >= 0 {
			return false, errors.New("it is not sorted")
		}
		found = found || bytes.Equal(key, want)
		last = key
	}
	return found, nil
}

// lineAfter reads the first line that begins behind a place, or the first of all.
func (l *breachedFile) lineAfter(place int64) (at int64, key []byte, err error) {
	buf := make([]byte, 2*maxLine)
	n, err := l.in.ReadAt(buf, place)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, nil, err
	}
	rest := buf[:n]
	if place > 0 {
		begin := bytes.IndexByte(rest, '\n') + 1
		if begin == 0 || begin > maxLine {
			return 0, nil, errors.New("a line is too long, or the file was cut")
		}
		place, rest = place+int64(begin), rest[begin:]
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	key, err = l.key(line)
	return place, key, err
}

// key reads the hash of one line, in upper case.
func (l *breachedFile) key(line []byte) ([]byte, error) {
	bad := errors.New("this is no SHA-1 hash in hexadecimal of the same length as in the first line, with :count or nothing behind it")
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) > maxLine || len(line) < max(l.width, 1) {
		return nil, bad
	}
	for _, c := range line[:l.width] {
		if hexValue(c) < 0 {
			return nil, bad
		}
	}
	if count := line[l.width:]; len(count) > 0 {
		if count[0] != ':' || len(count) == 1 || len(bytes.Trim(count[1:], "0123456789")) > 0 {
			return nil, bad
		}
	}
	return bytes.ToUpper(line[:l.width]), nil
}

func hexValue(c byte) int { return strings.IndexByte("0123456789ABCDEFabcdef", c) }
