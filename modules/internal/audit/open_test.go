// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package audit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestOpenRefuses(t *testing.T) {
	m := newMemory()
	path := filepath.Join(t.TempDir(), "audit.spool")
	w := open(t, Options{Store: m, Spool: path, Retry: time.Hour})
	m.set(func(m *memory) { m.refuses = true })
	put(t, w, 0, 3)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(good), "\n")
	for _, c := range []struct{ name, content, want string }{
		{"changed", strings.Replace(string(good), `"request_id":"1"`, `"request_id":"9"`, 1), "audit.spool:2: record 2 is not what was written"},
		{"taken out", lines[0] + lines[2], "audit.spool:2: record 3 does not follow record 1"},
		{"swapped", lines[1] + lines[0], "audit.spool:2: record 1 does not follow record 2"},
		{"garbage", lines[0] + "what\n" + lines[1], "audit.spool:2: the line is no audit record"},
		{"binary", "\x00\x01\n", "audit.spool:1: the line is no audit record"},
		{"empty line", lines[0] + "\n", "audit.spool:2: the line is no audit record"},
	} {
		if err := os.WriteFile(path, []byte(c.content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), Options{Chain: "gw", Store: m, Spool: path})
		var bad *SpoolError
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q", c.name, err, c.want)
		}
		if after, _ := os.ReadFile(path); string(after) != c.content {
			t.Errorf("%s: the file was changed", c.name)
		}
	}
	// A line that a crash cut short was never acknowledged.
	if err := os.WriteFile(path, []byte(lines[0]+lines[1]+lines[2][:40]), 0o600); err != nil {
		t.Fatal(err)
	}
	m.set(func(m *memory) { m.refuses = false })
	w = open(t, Options{Store: m, Spool: path})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	stored(t, m, 2)

	m.set(func(m *memory) { m.away = true })
	for name, opt := range map[string]Options{
		"store away":         {Chain: "gw", Store: m},
		"no chain":           {Store: m},
		"no store":           {Chain: "gw"},
		"spool in no folder": {Chain: "gw", Store: newMemory(), Spool: filepath.Join(path, "x", "y")},
		"spool is a folder":  {Chain: "gw", Store: newMemory(), Spool: t.TempDir()},
	} {
		if _, err := Open(t.Context(), opt); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
}

func FuzzSpool(f *testing.F) {
	rs := []Record{{Kind: "request"}, {Kind: "sign_in", Records: []string{"a"}}}
	Seal(Head{Chain: "c"}, rs)
	path := filepath.Join(f.TempDir(), "seed")
	s, err := openSpool(path, 1<<20)
	if err != nil {
		f.Fatal(err)
	}
	if err := errors.Join(s.append(rs), s.close()); err != nil {
		f.Fatal(err)
	}
	seed, _ := os.ReadFile(path)
	f.Add(seed)
	f.Add(seed[:len(seed)-3])
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(t.TempDir(), "spool")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := openSpool(path, 1<<20)
		if err != nil {
			return
		}
		defer s.close()
		rs, _, err := s.next(1 << 20)
		if err != nil || int64(len(rs)) != s.count {
			t.Fatalf("a spool that was accepted holds %d records and gives %d, %v", s.count, len(rs), err)
		}
		for i := range rs {
			if HashOf(&rs[i]) != rs[i].Hash {
				t.Fatal("a changed record was accepted")
			}
		}
	})
}
