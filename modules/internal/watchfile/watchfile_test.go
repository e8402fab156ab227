// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package watchfile

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/crmgate/crmgate/modules/internal/clock"
)

var start = time.Date(2026, 11, 2, 8, 0, 0, 0, time.UTC)

// words takes lower-case words that end in a line feed.
func words(data []byte) (string, error) {
	s := string(data)
	switch {
	case strings.HasPrefix(s, "panic"):
		panic("a parser that falls over")
	case !strings.HasSuffix(s, "\n"), strings.ToLower(s) != s:
		return "", errors.New("line 1, column 1: not a word")
	}
	return strings.TrimSpace(s), nil
}

type fixture struct {
	*testing.T
	path    string
	clock   *clock.Fake
	written int
	told    []error
	swapped []string
	file    *File[string]
}

func (f *fixture) write(s string) {
	f.Helper()
	if err := os.WriteFile(f.path, []byte(s), 0o600); err != nil {
		f.Fatal(err)
	}
	f.written++
	f.touch(start.Add(time.Duration(f.written) * time.Minute))
}

func (f *fixture) touch(at time.Time) {
	f.Helper()
	if err := os.Chtimes(f.path, at, at); err != nil {
		f.Fatal(err)
	}
}

func (f *fixture) looks(n int) {
	for range n {
		f.clock.Advance(2 * time.Second)
		f.file.look()
	}
}

func (f *fixture) want(content string) {
	f.Helper()
	if got := f.file.Current(); got != content {
		f.Fatalf("the current content is %q, want %q", got, content)
	}
}

func open(t *testing.T, accept func(old, new string) error) *fixture {
	t.Helper()
	f := &fixture{T: t, path: filepath.Join(t.TempDir(), "list.txt"), clock: clock.NewFake(start.Add(time.Hour))}
	f.write("good\n")
	var err error
	f.file, err = Open(f.path, words, Options[string]{
		Clock: f.clock, MaxBytes: 100, Accept: accept,
		Report:  func(err error) { f.told = append(f.told, err) },
		Swapped: func(s string) { f.swapped = append(f.swapped, s) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestStartRefusesABadFile(t *testing.T) {
	cases := map[string]struct {
		content string
		want    error
	}{
		"empty":            {"", ErrEmpty},
		"only white space": {" \r\n\t\n", ErrEmpty},
		"html":             {"<!DOCTYPE html>\n<html>", ErrHTML},
		"html behind mark": {"\xef\xbb\xbf \n<HTML lang=en>", ErrHTML},
		"too large":        {strings.Repeat("a", 101), ErrTooLarge},
		"parser refuses":   {"NO\n", nil},
		"parser panics":    {"panic\n", nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Open(path, words, Options[string]{MaxBytes: 100})
			if err == nil || !strings.Contains(err.Error(), path) || (c.want != nil && !errors.Is(err, c.want)) {
				t.Fatalf("the gate would start without its list: got error %v, want one naming %s (%v)", err, path, c.want)
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		if _, err := Open(filepath.Join(t.TempDir(), "none"), words, Options[string]{}); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("the gate would start without its list: %v", err)
		}
	})
	t.Run("a folder", func(t *testing.T) {
		if _, err := Open(t.TempDir(), words, Options[string]{}); err == nil {
			t.Fatal("a folder was taken for a list")
		}
	})
}

func TestBadContentNeverReplacesGood(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "html": "<html><body>502</body></html>\n", "refused": "BAD\n", "panics": "panic\n",
		"cut in the middle of a line": "goo", "too large": strings.Repeat("a", 200) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			f := open(t, nil)
			f.write(content)
			f.looks(4)
			f.want("good")
			if len(f.told) != 1 || f.told[0] == nil {
				t.Fatalf("the operator must hear of a bad file exactly once, heard %v", f.told)
			}
			if f.file.Status().LastError == nil {
				t.Fatal("metrics would show a bad file as good")
			}
			if _, err := f.file.Refresh(); err == nil {
				t.Fatal("a refresh of a bad file must say so")
			}
			f.want("good")
			f.write("better\n")
			f.looks(2)
			f.want("better")
			if len(f.told) != 2 || f.told[1] != nil || f.file.Status().LastError != nil {
				t.Fatalf("the operator must hear that the file is good again, heard %v", f.told)
			}
		})
	}
}

func TestTheOldContentMendsAFailure(t *testing.T) {
	f := open(t, nil)
	f.write("BAD\n")
	f.looks(2)
	f.write("good\n")
	f.looks(2)
	if len(f.told) != 2 || f.told[1] != nil || f.file.Status().LastError != nil || len(f.swapped) != 0 {
		t.Fatalf("a file set back to what it was must end the alarm without a swap: heard %v, swapped %v", f.told, f.swapped)
	}
}

func TestMissingFileKeepsTheLastGoodOne(t *testing.T) {
	f := open(t, nil)
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	f.looks(3)
	f.want("good")
	if len(f.told) != 1 || !errors.Is(f.told[0], os.ErrNotExist) {
		t.Fatalf("a deleted file must be told once, heard %v", f.told)
	}
}

func TestAChangeIsTakenOnceItStandsStill(t *testing.T) {
	f := open(t, nil)
	f.write("half\n")
	f.looks(1)
	f.want("good")
	f.write("half and\n")
	f.looks(1)
	f.want("good") // still moving
	f.looks(1)
	f.want("half and")
	if len(f.swapped) != 1 || f.swapped[0] != "half and" {
		t.Fatalf("who depends on the file must hear of the swap once, heard %v", f.swapped)
	}
}

func TestRefreshTakesAChangeAtOnce(t *testing.T) {
	f := open(t, nil)
	f.write("now\n")
	if changed, err := f.file.Refresh(); !changed || err != nil {
		t.Fatalf("refresh: changed %v, error %v", changed, err)
	}
	f.want("now")
	if changed, err := f.file.Refresh(); changed || err != nil {
		t.Fatalf("refresh of the same content: changed %v, error %v", changed, err)
	}
}

// TestTheLastToldIsTheCurrent: who takes a content into use slowly, while a newer one
// comes, must not take the older one into use last.
func TestTheLastToldIsTheCurrent(t *testing.T) {
	f := open(t, nil)
	slow, second := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	f.file.o.Swapped = func(s string) {
		if s == "older" {
			close(slow)
			select {
			case <-second: // nobody waited for this call
			case <-time.After(200 * time.Millisecond):
			}
		}
		mu.Lock()
		f.swapped = append(f.swapped, s)
		mu.Unlock()
	}
	var wg sync.WaitGroup
	f.write("older\n")
	wg.Go(func() { _, _ = f.file.Refresh() })
	<-slow
	f.write("newer\n")
	if changed, err := f.file.Refresh(); !changed || err != nil {
		t.Fatalf("refresh: changed %v, error %v", changed, err)
	}
	close(second)
	wg.Wait()
	if last := f.swapped[len(f.swapped)-1]; last != f.file.Current() {
		t.Errorf("%q is current, and %q was taken into use last", f.file.Current(), last)
	}
}

func TestSameTimeAndSizeIsSeen(t *testing.T) {
	f := open(t, nil)
	at := f.clock.Now()
	if err := os.WriteFile(f.path, []byte("aaaa\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.touch(at)
	f.file.look() // sees the change
	f.file.look() // takes it in the second it was written
	f.want("aaaa")
	if err := os.WriteFile(f.path, []byte("bbbb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.touch(at)
	f.looks(1)
	f.want("bbbb")
}

func TestATouchedFileIsNotSwapped(t *testing.T) {
	f := open(t, nil)
	f.touch(f.clock.Now())
	f.looks(3)
	if len(f.swapped) != 0 {
		t.Fatalf("the same content was swapped in again: %v", f.swapped)
	}
	if age := f.file.Status().Age; age != 6*time.Second {
		t.Fatalf("the age of the data is %v, want 6s", age)
	}
}

func TestAcceptMayRefuse(t *testing.T) {
	f := open(t, func(old, new string) error {
		if len(new) < len(old) {
			return errors.New("it shrank")
		}
		return nil
	})
	f.write("go\n")
	f.looks(2)
	f.want("good")
	f.write("longer\n")
	f.looks(2)
	f.want("longer")
}

func TestRunLooksUntilToldToStop(t *testing.T) {
	f := open(t, nil)
	ticks := make(chan time.Time)
	f.file.o.Ticks = ticks
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { f.file.Run(ctx) })
	f.write("next\n")
	for range 3 { // the third is received only after the second look ended
		ticks <- f.clock.Now()
	}
	f.want("next")
	cancel()
	wg.Wait()
}

func TestRunUsesItsOwnTicker(t *testing.T) {
	f := open(t, nil)
	f.write("next\n")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go f.file.Run(ctx)
		time.Sleep(2*DefaultEvery + time.Millisecond)
		synctest.Wait()
		f.want("next")
		cancel()
		synctest.Wait()
	})
}

func TestReadersNeverSeeAHalfSwap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	put := func(b byte) {
		if err := os.WriteFile(path, bytes.Repeat([]byte{b}, 64), 0o600); err != nil {
			t.Error(err)
		}
	}
	put('a')
	f, err := Open(path, func(b []byte) ([]byte, error) { return b, nil }, Options[[]byte]{})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if b := f.Current(); b[0] != b[63] {
						t.Error("a reader saw a mixture of two contents")
						return
					}
				}
			}
		})
	}
	for i := range 50 {
		put("ab"[i%2])
		if _, err := f.Refresh(); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	wg.Wait()
}
