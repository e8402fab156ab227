// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package portal

import (
	"errors"
	"net/http"
	"reflect"
	"strings"
	"testing"
)

func TestToken(t *testing.T) {
	long := strings.Repeat("a", maxCookieValue+1)
	for _, tc := range []struct {
		name  string
		lines []string
		want  string
		err   error
	}{
		{"none", nil, "", ErrNoCookie},
		{"others only", []string{"a=b; c=d"}, "", ErrNoCookie},
		{"alone", []string{"__Host-crmgate=abc"}, "abc", nil},
		{"among others", []string{"a=b; __Host-crmgate=abc; c=d"}, "abc", nil},
		{"without blanks", []string{"a=b;__Host-crmgate=abc;c=d"}, "abc", nil},
		{"with tabs", []string{"a=b;\t__Host-crmgate=abc\t;"}, "abc", nil},
		{"second header", []string{"a=b", "__Host-crmgate=abc"}, "abc", nil},
		{"empty value", []string{"__Host-crmgate="}, "", ErrNoCookie},
		{"too long", []string{"__Host-crmgate=" + long}, "", ErrNoCookie},
		{"no equals sign", []string{"__Host-crmgate"}, "", ErrNoCookie},
		{"equals in value", []string{"__Host-crmgate=a=b"}, "a=b", nil},
		{"other letter case", []string{"__host-crmgate=abc"}, "", ErrNoCookie},
		{"longer name", []string{"__Host-crmgate-trips=1"}, "", ErrNoCookie},
		{"name in a value", []string{"a=__Host-crmgate=abc"}, "", ErrNoCookie},
		{"twice in one header", []string{"__Host-crmgate=abc; __Host-crmgate=def"}, "", ErrTwoCookies},
		{"twice the same", []string{"__Host-crmgate=abc; __Host-crmgate=abc"}, "", ErrTwoCookies},
		{"twice in two headers", []string{"__Host-crmgate=abc", "__Host-crmgate=def"}, "", ErrTwoCookies},
		{"one empty", []string{"__Host-crmgate=; __Host-crmgate=def"}, "", ErrTwoCookies},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &http.Request{Header: http.Header{}}
			if tc.lines != nil {
				r.Header["Cookie"] = tc.lines
			}
			got, err := Token(r)
			if got != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("Token = %q, %v, want %q, %v: people lose their session or a planted cookie is taken", got, err, tc.want, tc.err)
			}
		})
	}
}

func TestTokenAllocatesNothing(t *testing.T) {
	r := &http.Request{Header: http.Header{"Cookie": {"a=b; theme=dark; __Host-crmgate=" + testToken + "; c=d"}}}
	if n := testing.AllocsPerRun(100, func() { _, _ = Token(r) }); n != 0 {
		t.Errorf("Token allocates %v times: every request pays for it", n)
	}
	clean := http.Header{"Cookie": {"a=b; theme=dark"}}
	if n := testing.AllocsPerRun(100, func() { StripCookie(clean) }); n != 0 {
		t.Errorf("StripCookie allocates %v times where there is nothing to strip", n)
	}
	ours, h := []string{CookieName + "=" + testToken}, http.Header{}
	if n := testing.AllocsPerRun(100, func() { h["Cookie"] = ours; StripCookie(h) }); n != 0 || len(h) != 0 {
		t.Errorf("StripCookie allocates %v times where nothing is left, and leaves %v", n, h)
	}
}

func TestStripCookie(t *testing.T) {
	for _, tc := range []struct {
		name     string
		in, want []string
	}{
		{"none", nil, nil},
		{"others untouched", []string{"a=b;c=d;  e"}, []string{"a=b;c=d;  e"}},
		{"alone", []string{"__Host-crmgate=x"}, nil},
		{"first", []string{"__Host-crmgate=x; a=b"}, []string{"a=b"}},
		{"middle", []string{"a=b; __Host-crmgate=x; c=d"}, []string{"a=b; c=d"}},
		{"last", []string{"a=b; __Host-crmgate=x"}, []string{"a=b"}},
		{"twice", []string{"__Host-crmgate=x; a=b; __Host-crmgate=y"}, []string{"a=b"}},
		{"trips too", []string{"__Host-crmgate-trips=2; a=b"}, []string{"a=b"}},
		{"any letter case", []string{"__HOST-CrmGate=x; a=b"}, []string{"a=b"}},
		{"without value", []string{"__Host-crmgate; a=b"}, []string{"a=b"}},
		{"blanks around", []string{"a=b ;  __Host-crmgate = x ;c=d"}, []string{"a=b; c=d"}},
		{"other header stays", []string{"__Host-crmgate=x", "a=b;c=d"}, []string{"a=b;c=d"}},
		{"quoted neighbour stays", []string{`q="1 2"; __Host-crmgate=x`}, []string{`q="1 2"`}},
		{"longer word stays", []string{"__Host-crmgates=x; a__Host-crmgate=y"}, []string{"__Host-crmgates=x; a__Host-crmgate=y"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := http.Header{"X": {"y"}}
			if tc.in != nil {
				h["Cookie"] = tc.in
			}
			StripCookie(h)
			if got := h["Cookie"]; !reflect.DeepEqual(got, tc.want) {
				t.Errorf("StripCookie leaves %q, want %q: the CRM sees the session or loses its own cookies", got, tc.want)
			}
		})
	}
}

func FuzzCookie(f *testing.F) {
	for _, s := range []string{"", "a=b", "__Host-crmgate=x", "__Host-crmgate=x; __Host-crmgate=y", ";;=;__Host-crmgate", "a=b; __HOST-CRMGATE-trips=2 ; c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r := &http.Request{Header: http.Header{"Cookie": {line, "keep=1"}}}
		_, _ = Token(r)
		StripCookie(r.Header)
		if _, err := Token(r); !errors.Is(err, ErrNoCookie) {
			t.Errorf("after StripCookie of %q a session cookie is left: %q", line, r.Header["Cookie"])
		}
		if strings.Contains(strings.ToLower(strings.Join(r.Header["Cookie"], ";")), "; __host-crmgate=") {
			t.Errorf("the CRM would see our cookie: %q", r.Header["Cookie"])
		}
		lines := r.Header["Cookie"]
		if len(lines) == 0 || lines[len(lines)-1] != "keep=1" {
			t.Errorf("another cookie was lost from %q", line)
		}
	})
}

func TestTrips(t *testing.T) {
	for value, want := range map[string]int{"": 0, "0": 0, "1": 1, "3": 3, "9": 3, "-1": 0, "12": 0, "x": 0, "²": 0} {
		r := &http.Request{Header: http.Header{"Cookie": {tripsCookie + "=" + value}}}
		if got := trips(r); got != want {
			t.Errorf("trips of %q = %d, want %d", value, got, want)
		}
	}
}

func BenchmarkToken(b *testing.B) {
	r := &http.Request{Header: http.Header{"Cookie": {"a=b; theme=dark; __Host-crmgate=" + testToken + "; c=d"}}}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = Token(r)
	}
}

func BenchmarkStripCookie(b *testing.B) {
	for name, line := range map[string]string{"alone": CookieName + "=" + testToken, "others": "a=b; theme=dark; " + CookieName + "=" + testToken + "; c=d"} {
		b.Run(name, func(b *testing.B) {
			lines := []string{line}
			h := http.Header{}
			b.ReportAllocs()
			for b.Loop() {
				h["Cookie"] = lines
				StripCookie(h)
			}
		})
	}
}
