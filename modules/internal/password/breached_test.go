// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package password

import (
	"crypto/sha1"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// breachedLines makes a sorted list of n stolen passwords, "stolen 0" and so on.
func breachedLines(n, width int, behind string) []string {
	lines := make([]string, n)
	for i := range lines {
		sum := fmt.Sprintf("%X", sha1.Sum(fmt.Appendf(nil, "stolen %d", i)))
		lines[i] = sum[:width]
	}
	slices.Sort(lines)
	for i := range lines {
		lines[i] += strings.ReplaceAll(behind, "N", fmt.Sprint(i*i))
	}
	return lines
}

func writeBreached(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stolen.txt")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBreached(t *testing.T) {
	const n = 2000
	for name, content := range map[string]string{
		"as published":    strings.Join(breachedLines(n, 40, ":N"), "\r\n"),
		"newline at end":  strings.Join(breachedLines(n, 40, ":N\n"), ""),
		"without counts":  strings.Join(breachedLines(n, 40, "\n"), ""),
		"lower case":      strings.ToLower(strings.Join(breachedLines(n, 40, "\n"), "")),
		"prefixes":        strings.Join(breachedLines(n, 16, "\n"), ""),
		"prefixes, count": strings.Join(breachedLines(n, 20, ":N\n"), ""),
	} {
		t.Run(name, func(t *testing.T) {
			b, err := OpenBreached(writeBreached(t, content))
			if err != nil {
				t.Fatal(err)
			}
			if err := b.current.Load().sample("x"); err != nil {
				t.Errorf("the check by samples refuses a good list: %v", err)
			}
			for i := range n {
				if found, err := b.Has(fmt.Sprint("stolen ", i)); err != nil || !found {
					t.Fatalf("stolen %d: %v, %v", i, found, err)
				}
				if found, err := b.Has(fmt.Sprint("mine ", i)); err != nil || found {
					t.Fatalf("mine %d: %v, %v", i, found, err)
				}
			}
			p := Policy{MinLength: 4, Breached: b}
			if err := p.Check("stolen 7", Person{}); kindOf(err) != KindBreached {
				t.Errorf("a stolen password was taken: %v", err)
			}
			if err := b.Verify(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBreachedRefusesWhatIsNoList(t *testing.T) {
	lines := breachedLines(5000, 40, ":1\n")
	swapped := slices.Clone(lines)
	swapped[4000], swapped[4001] = swapped[4001], swapped[4000]
	spoilt := slices.Clone(lines)
	spoilt[122] = "5BAA61E4C9B93F3F0682250B6CF8331B7EE68FDG:3\n"
	for name, c := range map[string]struct{ content, want string }{
		"empty":           {"", "it is empty"},
		"a page":          {"<!doctype html>", ":1: this is no line of a list"},
		"too short":       {"5BAA61E4C9\n", ":1: this is no line of a list"},
		"too long":        {strings.Repeat("A", 64) + "\n", ":1: this is no line of a list"},
		"not sorted":      {strings.Join(swapped, ""), ":4002: this hash is not greater"},
		"twice":           {lines[0] + lines[0], ":2: this hash is not greater"},
		"no hash":         {strings.Join(spoilt, ""), ":123: this is no SHA-1 hash"},
		"other length":    {"0000000000000000:1\n00000000000000010:1\n", ":2: this is no SHA-1 hash"},
		"empty line":      {lines[0] + "\n" + lines[1], ":2: this is no SHA-1 hash"},
		"no count":        {lines[0][:40] + ":\n", ":1: this is no line"},
		"sorted by count": {breachedLines(2, 40, ":1\n")[1] + breachedLines(2, 40, ":9\n")[0], ":2: this hash is not greater"},
		"endless line":    {lines[0] + strings.Repeat("A", 1<<20), ":2: this is no SHA-1 hash"},
		"binary":          {"\x00\x01\x02", ":1: this is no line of a list"},
	} {
		path := writeBreached(t, c.content)
		_, err := OpenBreached(path)
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: the operator reads %v, want one line with the file and %q", name, err, c.want)
		}
	}
	if _, err := OpenBreached(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, err := OpenBreached(t.TempDir()); err == nil {
		t.Error("a folder was taken")
	}
	// A greater file is checked by samples: a half that was put in front is found.
	path := writeBreached(t, strings.Join(append(slices.Clone(lines[2500:]), lines[:2500]...), ""))
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, _ := f.Stat()
	if err := (&breachedFile{in: f, size: info.Size(), width: 40}).sample(path); err == nil || !strings.Contains(err.Error(), "not greater") {
		t.Errorf("two halves in the wrong order: %v", err)
	}
}

func TestBreachedReloadsWholeOrNotAtAll(t *testing.T) {
	lines := breachedLines(5000, 40, ":1\n")
	path := writeBreached(t, strings.Join(lines[1:], ""))
	b, err := OpenBreached(path)
	if err != nil {
		t.Fatal(err)
	}
	if changed, err := b.Reload(); changed || err != nil {
		t.Errorf("the same file again: %v, %v", changed, err)
	}
	replace := func(content string) {
		t.Helper()
		next := writeBreached(t, content)
		if err := os.Rename(next, path); err != nil {
			t.Fatal(err)
		}
	}
	replace("half a download")
	if changed, err := b.Reload(); changed || err == nil {
		t.Errorf("a broken file: %v, %v", changed, err)
	}
	if found, err := b.Has("stolen 3"); err != nil || !found {
		t.Errorf("after a broken file the good one is gone: %v, %v", found, err)
	}
	replace("0000000000000000000000000000000000000000:1\n")
	if changed, err := b.Reload(); !changed || err != nil {
		t.Errorf("a good file: %v, %v", changed, err)
	}
	if found, err := b.Has("stolen 3"); err != nil || found {
		t.Errorf("the old list still holds: %v, %v", found, err)
	}
	replace(strings.Join(lines, ""))
	if _, err := b.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1000); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if found, err := b.Has(fmt.Sprint("mine ", i)); !errors.Is(err, ErrBreached) || found {
			t.Fatalf("a list that was cut while open lets passwords through: %v, %v", found, err)
		}
	}
	if err := (Policy{Breached: b}).Check("lamp otter violin", Person{}); !errors.Is(err, ErrBreached) {
		t.Errorf("a password was taken without the list: %v", err)
	}
}

func TestScoreIsBoundedInTime(t *testing.T) {
	for _, p := range []string{
		strings.Repeat("4@8({<3690!|1/7$5+%2", 52)[:1024], strings.Repeat("4@8({[<3690!|1/7$5+%2x", 2)[:32], strings.Repeat("a", 1024),
		strings.Repeat("qwertyuiop", 100), strings.Repeat("1/1/2020", 128), strings.Repeat("\U0001F600", 256), strings.Repeat("p4ssw0rd", 128),
		strings.Repeat("\u0130", 128), strings.Repeat("1!|7", 32), strings.Repeat("1!|", 43), strings.Repeat("1!|74(", 6)[:32],
	} {
		best := time.Hour // of three, since other tests run beside this one
		for range 3 {
			begin := time.Now()
			Score(p, Person{Name: strings.Repeat("long name ", 100), Email: "mona@example.com"})
			best = min(best, time.Since(begin))
		}
		if best > 2*time.Second {
			t.Errorf("%.10q (%d bytes) took %v: typing into a form must not take the machine", p, len(p), best)
		}
	}
	if s := Score("", Person{}); s != 0 {
		t.Errorf("nothing scores %d", s)
	}
}

func TestRulesForAPage(t *testing.T) {
	p := Policy{MinUpper: 2, Special: "!-", ForbidPersonal: true, MinScore: 3, Breached: &Breached{}, History: 5}
	var kinds []Kind
	for _, r := range p.Rules() {
		if r.Met || r.Text == "" {
			t.Errorf("%+v: nothing is met before anything is typed, and every rule has its sentence", r)
		}
		kinds = append(kinds, r.Kind)
	}
	want := []Kind{KindMinLength, KindMaxLength, KindUpper, KindSpecialSet, KindPersonal, KindScore, KindBreached, KindSame, KindHistory}
	if !slices.Equal(kinds, want) {
		t.Errorf("rules %v, want %v", kinds, want)
	}
	got, err := Policy{MinUpper: 2}.Judge("abcdefghijkL", Person{})
	if err != nil || len(got) != 3 || !got[0].Met || !got[1].Met || got[2].Met || got[2].N != 2 {
		t.Errorf("while typing: %+v, %v", got, err)
	}
}

func FuzzBreached(f *testing.F) {
	f.Add([]byte(strings.Join(breachedLines(40, 40, ":N\r\n"), "")), "stolen 3")
	f.Add([]byte(strings.Join(breachedLines(260, 16, "\n"), "")), "stolen 200")
	f.Fuzz(func(t *testing.T, content []byte, password string) {
		l := &breachedFile{in: strings.NewReader(string(content)), size: int64(len(content))}
		if l.check("list") != nil {
			return
		}
		want := fmt.Sprintf("%X", sha1.Sum([]byte(password)))[:l.width]
		there := false
		for line := range strings.Lines(string(content)) {
			there = there || strings.HasPrefix(strings.ToUpper(line), want)
		}
		if found, err := l.find([]byte(want)); err != nil || found != there {
			t.Fatalf("found %v, %v; it is there: %v", found, err, there)
		}
	})
}
