// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"errors"
	"math"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

var key = []byte("0123456789abcdef")

func compile(t testing.TB, s Spec) *Func {
	t.Helper()
	f, err := Compile(s, key)
	if err != nil {
		t.Fatalf("Compile(%+v): %v", s, err)
	}
	return f
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		spec     Spec
		in, want string
	}{
		{Spec{Fn: "full"}, "anything", "XXXXXXXX"},
		{Spec{Fn: "full", Text: "(masked)"}, "anything", "(masked)"},
		{Spec{Fn: "null"}, "anything", ""},
		{Spec{Fn: "keep_last"}, "123456789012", "XXXXXX9012"},
		{Spec{Fn: "keep_last", KeepLast: 2}, "123456789012", "XXXXXX12"},
		{Spec{Fn: "keep_last"}, "12345", "XXXXXX5"},
		{Spec{Fn: "keep_last"}, "1234", "XXXXXXXX"},
		{Spec{Fn: "keep_last"}, "ääääääää€", "XXXXXXää€"},
		{Spec{Fn: "keep_first"}, "Asha Rao", "AXXXXXX"},
		{Spec{Fn: "keep_first", KeepFirst: 4}, "Asha Rao", "AsXXXXXX"},
		{Spec{Fn: "keep_first"}, "Jo", "XXXXXXXX"},
		{Spec{Fn: "keep_first", KeepFirst: 4}, "Asha        ", "XXXXXXXX"},
		{Spec{Fn: "keep_last"}, "        4711", "XXXXXXXX"},
		{Spec{Fn: "keep_last"}, "Jo        Li", "XXXXXXXX"},
		{Spec{Fn: "keep_last"}, "e\u0301e\u0301e\u0301e\u0301e\u0301e\u0301", "XXXXXXe\u0301e\u0301"},
		{Spec{Fn: "keep_last", KeepLast: 2}, "सीताराम", "XXXXXXXX"},
		{Spec{Fn: "keep_first", KeepFirst: 4}, "\u200b\u200b\u200b\u200b\u200b\u200b\u200b\u200bAsha", "XXXXXXXX"},
		{Spec{Fn: "keep_first", KeepFirst: 4}, "Asha\u3164\u3164\u3164\u3164\u3164\u3164\u3164\u3164", "XXXXXXXX"},
		{Spec{Fn: "keep_last"}, "\u2800\u2800\u2800\u2800\u115f\u1160\uffa0\u28004711", "XXXXXXXX"},
		{Spec{Fn: "phone"}, "+91-98765 43210", "+91XXXXXX3210"},
		{Spec{Fn: "phone"}, "+919876543210", "+91XXXXXX3210"},
		{Spec{Fn: "phone"}, "9876543210", "XXXXXX3210"},
		{Spec{Fn: "phone"}, "+1 (415) 555-2671", "+1XXXXXX2671"},
		{Spec{Fn: "phone"}, "+353 20 912 3456", "+353XXXXXX456"},
		{Spec{Fn: "phone", KeepLast: 2}, "+919876543210", "+91XXXXXX10"},
		{Spec{Fn: "phone"}, "12345678", "XXXXXX78"},
		{Spec{Fn: "phone"}, "12345", "XXXXXXXX"},
		{Spec{Fn: "phone"}, "9876543210, 9876543211", "XXXXXXXX"},
		{Spec{Fn: "phone"}, "call me", "XXXXXXXX"},
		{Spec{Fn: "email"}, "asha@example.in", "XXXXXX@example.in"},
		{Spec{Fn: "email", Keep: "none"}, "asha@example.in", "XXXXXX@XXXXXX"},
		{Spec{Fn: "email"}, "a@b@example.in", "XXXXXXXX"},
		{Spec{Fn: "email"}, "Asha <asha@example.in>", "XXXXXXXX"},
		{Spec{Fn: "email"}, "@example.in", "XXXXXXXX"},
		{Spec{Fn: "email"}, "asha@example.com-9876543210", "XXXXXXXX"},
		{Spec{Fn: "email"}, "asha@example.com9876543210", "XXXXXXXX"},
		{Spec{Fn: "email"}, "asha@example.in-", "XXXXXXXX"},
		{Spec{Fn: "email"}, "asha@xn--e1afmkfd.XN--P1AI", "XXXXXX@xn--e1afmkfd.XN--P1AI"},
		{Spec{Fn: "email"}, "asha@example.xn--p1ai-9876543", "XXXXXXXX"},
		{Spec{Fn: "card"}, "4111 1111 1111 1111", "XXXXXXXXXXXX1111"},
		{Spec{Fn: "card"}, "4111", "XXXXXXXX"},
		{Spec{Fn: "pan"}, "ABCPE1234F", "XXXXXXX34F"},
		{Spec{Fn: "pan"}, "ABCPE12345", "XXXXXXXX"},
		{Spec{Fn: "aadhaar"}, "2345 6789 0123", "XXXX-XXXX-0123"},
		{Spec{Fn: "aadhaar"}, "2345 6789", "XXXXXXXX"},
		{Spec{Fn: "date"}, "2024-05-17", "2024-01-01"},
		{Spec{Fn: "date"}, "2024-05-17 10:11:12.000", "2024-01-01 00:00:00.000"},
		{Spec{Fn: "date", Keep: "month"}, "2024-05-17T10:11:12+05:30", "2024-05-01T00:00:00+00:00"},
		{Spec{Fn: "date"}, "17/05/2024", "01/01/2024"},
		{Spec{Fn: "date", Keep: "month"}, "05/17/2024 10:11 PM", "01/01/2024 12:00 PM"},
		{Spec{Fn: "date"}, "2024-15-17", "XXXXXXXX"},
		{Spec{Fn: "date"}, "2024-05-17 and 98765", "XXXXXXXX"},
		{Spec{Fn: "round", Step: 1000}, "45678.90", "46000"},
		{Spec{Fn: "round", Step: 1000}, "about 45678", "XXXXXXXX"},
		{Spec{Fn: "round", Step: 0.1}, "12.9715", "13"},
		{Spec{Fn: "bucket", Step: 10000}, "45678", "40000-50000"},
		{Spec{Fn: "bucket", Step: 10}, "-5", "-10-0"},
		{Spec{Fn: "bucket", Step: 10}, "1e5", "XXXXXXXX"},
	} {
		if got := string(compile(t, c.spec).AppendString(nil, c.in)); got != c.want {
			t.Errorf("%+v of %q = %q, want %q: a person sees another mask than the policy promises", c.spec, c.in, got, c.want)
		}
	}
}

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		spec     Spec
		in, want string
	}{
		{Spec{Fn: "full"}, "9876543210", "null"},
		{Spec{Fn: "phone"}, "9876543210", "null"},
		{Spec{Fn: "token"}, "9876543210", "null"},
		{Spec{Fn: "round", Step: 1000}, "45678.9", "46000"},
		{Spec{Fn: "round", Step: 1000}, "-1", "0"},
		{Spec{Fn: "bucket", Step: 1000}, "4.56789e4", "45000"},
		{Spec{Fn: "round", Step: 1}, "1e999", "null"},
		{Spec{Fn: "round", Step: 1}, "1e30", "null"},
	} {
		if got := string(compile(t, c.spec).Number([]byte(c.in))); got != c.want {
			t.Errorf("%+v of %s = %s, want %s: a masked number shows or breaks", c.spec, c.in, got, c.want)
		}
	}
}

func TestZeroFuncMasksFully(t *testing.T) {
	for name, f := range map[string]*Func{"zero": {}, "nil": nil} {
		if got := string(f.AppendString(nil, "secret")); got != FullText {
			t.Errorf("%s Func shows %q", name, got)
		}
		if got := string(f.Number([]byte("12"))); got != "null" {
			t.Errorf("%s Func shows the number %s", name, got)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		spec   Spec
		key    []byte
		member string
	}{
		"unknown function":  {Spec{Fn: "Phone"}, key, "fn"},
		"no function":       {Spec{}, key, "fn"},
		"too many shown":    {Spec{Fn: "keep_last", KeepLast: 5}, key, "keep_last"},
		"negative":          {Spec{Fn: "keep_first", KeepFirst: -1}, key, "keep_first"},
		"unused member":     {Spec{Fn: "phone", KeepFirst: 2}, key, "keep_first"},
		"unused text":       {Spec{Fn: "phone", Text: "x"}, key, "text"},
		"looks real":        {Spec{Fn: "full", Text: "9999999999"}, key, "text"},
		"control character": {Spec{Fn: "full", Text: "a\n"}, key, "text"},
		"no step":           {Spec{Fn: "round"}, key, "step"},
		"infinite step":     {Spec{Fn: "bucket", Step: math.Inf(1)}, key, "step"},
		"NaN step":          {Spec{Fn: "bucket", Step: math.NaN()}, key, "step"},
		"odd keep":          {Spec{Fn: "date", Keep: "day"}, key, "keep"},
		"odd mail keep":     {Spec{Fn: "email", Keep: "first"}, key, "keep"},
		"short key":         {Spec{Fn: "token"}, key[:15], "fn"},
	} {
		f, err := Compile(c.spec, c.key)
		var se *SpecError
		if !errors.As(err, &se) || f != nil || se.Member != c.member {
			t.Errorf("%s: Compile = %v, %v; want a *SpecError about %s: a policy promises what does not happen", name, f, err, c.member)
		}
	}
}

func TestToken(t *testing.T) {
	a := compile(t, Spec{Fn: "token", Domain: "lead.phone"})
	b := compile(t, Spec{Fn: "token", Domain: "lead.email"})
	one, two := string(a.AppendString(nil, "Asha@x.in")), string(a.AppendString(nil, " asha@X.in"))
	if one != two || len(one) != 16 {
		t.Errorf("tokens %q and %q of one value differ: joins break", one, two)
	}
	if other := string(b.AppendString(nil, "asha@x.in")); other == one {
		t.Error("tokens of two fields are equal: values can be joined across fields")
	}
	c, err := Compile(Spec{Fn: "token", Domain: "lead.phone"}, []byte("another key of 16+"))
	if err != nil || string(c.AppendString(nil, "asha@x.in")) == one {
		t.Errorf("the key does not matter (%v): tokens can be guessed", err)
	}
}

func TestRulesOfEveryFunction(t *testing.T) {
	specs := []Spec{}
	for _, n := range Names() {
		s := Spec{Fn: n}
		if n == "round" || n == "bucket" {
			s.Step = 1000
		}
		specs = append(specs, s)
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`\+?[0-9 -]{0,20}`), rapid.StringMatching(`[a-z.]{1,12}@[a-z]{1,8}\.[a-z]{2,3}`)).Draw(t, "value")
		for _, spec := range specs {
			f, err := Compile(spec, key)
			if err != nil {
				t.Fatal(err)
			}
			got := string(f.AppendString([]byte("pre"), s))
			if !strings.HasPrefix(got, "pre") || got != "pre"+string(f.AppendString(nil, s)) {
				t.Fatalf("%s is not pure or does not append", spec.Fn)
			}
			got = got[3:]
			if s == "" && got != "" {
				t.Fatalf("%s of an empty value is %q: nobody sees that it may be filled in", spec.Fn, got)
			}
			if !utf8.ValidString(got) && utf8.ValidString(s) {
				t.Fatalf("%s cuts a character", spec.Fn)
			}
			if got == s && len(s) > 10 && spec.Fn != "round" && spec.Fn != "date" && !strings.Contains(s, "XXXX") {
				t.Fatalf("%s shows %q as it is", spec.Fn, s)
			}
		}
	})
}

// TestPlainStaysPlain holds what lets a masked value be quoted as it is.
func TestPlainStaysPlain(t *testing.T) {
	funcs := []*Func{nil, {}, compile(t, Spec{Fn: "full", Text: "hidden"})}
	for _, n := range Names() {
		s := Spec{Fn: n}
		if n == "round" || n == "bucket" {
			s.Step = 1000
		}
		funcs = append(funcs, compile(t, s))
	}
	for _, text := range []string{`a"b`, `a\b`, "gehe\u00efm"} {
		if compile(t, Spec{Fn: "full", Text: text}).Plain() {
			t.Errorf("%q counts as plain: answers with it are broken", text)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.StringMatching(`[ -!#-\[\]-~]{0,40}`), rapid.StringMatching(`\+?[0-9 ./()-]{0,20}`), rapid.StringMatching(`[!#-\[\]-~]{1,12}@[a-z]{1,8}\.[a-z]{2,3}`)).Draw(t, "value")
		for _, f := range funcs {
			if got := string(f.AppendBytes(nil, []byte(s))); !f.Plain() || !isPlain(got) {
				t.Fatalf("%v of %q is %q: an answer with it is broken", f, s, got)
			}
		}
	})
}

func TestLevelsAreNested(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`.{1,40}`).Draw(t, "value")
		for _, fn := range []string{"keep_last", "phone", "card", "aadhaar", "pan"} {
			for k := 1; k < 4; k++ {
				less, _ := Compile(Spec{Fn: fn, KeepLast: k}, nil)
				more, _ := Compile(Spec{Fn: fn, KeepLast: k + 1}, nil)
				l, m := string(less.AppendString(nil, s)), string(more.AppendString(nil, s))
				if l == FullText {
					continue
				}
				tail := l[strings.LastIndexByte(l, 'X')+1:]
				if !strings.HasSuffix(m, tail) {
					t.Fatalf("%s: level %d shows %q which level %d does not: two roles can put a value together", fn, k, tail, k+1)
				}
			}
		}
	})
}

func TestShownNeverTooMuch(t *testing.T) {
	for n := range 40 {
		for want := range 6 {
			if k := shown(n, want); k > 0 && (k*3 > n || n-k < 4) {
				t.Errorf("%d of %d characters are shown", k, n)
			}
		}
	}
}
