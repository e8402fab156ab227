// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package mask

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

func TestDetectReadsMarkup(t *testing.T) {
	const x = FullText
	for in, want := range map[string]string{
		"<em>98123</em>45670":                                         "<em>" + x + "</em>",
		"<b>meera</b>.nair@canary.example":                            "<b>" + x + "</b>",
		"<p>98123&nbsp;45670</p><p>meera.nair&#64;canary.example</p>": "<p>" + x + "</p><p>" + x + "</p>",
		"meera&commat;canary.example":                                 x,
		"meera&#x40;canary.example":                                   x,
		"meera&#64canary.example":                                     x,
		"meera<wbr>@<!-- no robots -->canary.example":                 x + "<wbr>",
		`98<span class="hit">123</span>45670`:                         x + "</span>",
		"9812&#51;45670":                                              x,
		"&#57;&#56;&#49;&#50;&#51;&#52;&#53;&#54;":                    x,
		"98123<x-y>45670</x-y>":                                       x + "</x-y>",
		"98123<_x>45670, 98123<é>45670":                               x + ", " + x,
		`98123<i title=">">45670</i>`:                                 x + "</i>",
		`98123<i a = '>' b="c>d" e=f>45670</i>`:                       x + "</i>",
		`98123<i ">45670</i>`:                                         x + "</i>",
		`98123<i a=b">45670</i>`:                                      x + "</i>",
		"98123<?x y?>45670":                                           x,
		"98123<!-- --!>45670 -->":                                     x + " -->",
		"98123<!-->45670-->, 98123<!--->45670":                        x + "-->, " + x,
		"98123<![CDATA[45670]]>":                                      x + "]]>",
		"<![CDATA[98123]]>45670":                                      "<![CDATA[" + x,
		"98123<![CDATA[no number]]>45670":                             x,
		"98123&shy;&#8203;45670&zwnj;":                                x + "&zwnj;",
		"98123\u034f\u180e\ufe0f45670":                                x,
		"meera\u00ad.nair@cana\u200bry.exam\u2060ple":                 x,
		"BQKPN\u00ad4821L":                                            x,
		"98123\n<b>45670</b>, a\u00adb":                               "",
		"<td>98123</td><td>45670</td>":                                "",
		"98123<br>45670":                                              "",
		"a < 98123 > 45670":                                           "",
		"AT&T 12345 &copy; &#x; &; <5>":                               "",
		"<98123>45670":                                                "",
	} {
		if want == "" {
			want = in
		}
		if got, _ := Detect(nil, []byte(in)); string(got) != want {
			t.Errorf("%q is shown as %q, not %q", in, got, want)
		}
	}
}

func TestDetectReadsBase64(t *testing.T) {
	const x = FullText
	code := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for in, want := range map[string]string{
		code(`{"Phone":"+91-9812345670"}`):                                                                      x + "=",
		"data:text/plain;base64," + code("9812345670, 9812345671"):                                              "data:text/plain;base64," + x + "==",
		"a " + base64.RawURLEncoding.EncodeToString([]byte("mail ÿÿ?>meera@canary.example")) + " b":             "a " + x + " b",
		"eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(`{"m":"a@canary.example"}`)) + ".": "eyJhbGciOiJub25lIn0." + x + ".",
		code("nothing to be found here 12"):                                                                     "",
		code("\x00\x01\x029812345670981234567"):                                                                 "",
		code("98123 45670")[:15]:                                                                                "",
		"Pneumonoultramicroscopicsilicovolcanoconiosis":                                                         "",
		"01234567abcdefab01234567abcdefab":                                                                      "",
		"5b1fa3c2-4f89-11d3-9a0c-0305e82c0001":                                                                  "",
	} {
		if want == "" {
			want = in
		}
		if got, _ := Detect(nil, []byte(in)); string(got) != want {
			t.Errorf("%q is shown as %q, not %q", in, got, want)
		}
	}
}

func TestAppendDecimal(t *testing.T) {
	for in, want := range map[string]string{
		"1.25": "1.25", "-1.250": "1.25", "12.50e-1": "1.25", "125E-2": "1.25", "0.00125e+3": "1.25", "1e-3": "0.001", "-0.10": "0.1", "100.5e1": "",
		"7": "", "7.0": "", "0": "", "0.000": "", "1e5": "", "1e-99999999999999999999": "", "0.0000000000000000000000000000000000000000000000001": "", "11111111111111111111111111111111111111111.5": "",
	} {
		got, ok := AppendDecimal([]byte("x"), []byte(in))
		if ok != (want != "") || string(got) != "x"+want {
			t.Errorf("%s is %s (%v), want %s: equal numbers are not known for the same", in, got, ok, want)
		}
	}
}

func TestAppendWhole(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "-0": "0", "7": "7", "-70": "70", "98.1e3": "98100", "9812345670.0": "9812345670", "98123456700E-1": "9812345670",
		"9.81234567e9": "9812345670", "9.81234567E+9": "9812345670", "0.001e3": "1", "0e99": "0", "1.5": "!", "1e-1": "!", "1e41": "!",
		"1e999999999999999999999": "!", "1e-999999999999999999999": "!", strings.Repeat("9", 41): "!", strings.Repeat("9", 40): strings.Repeat("9", 40),
	} {
		got, ok := AppendWhole([]byte("x"), []byte(in))
		if want == "!" {
			want, ok = "", !ok
		}
		if string(got) != "x"+want || !ok {
			t.Errorf("%s reads %q (%v), not %q: a number is not recognised", in, got[1:], ok, want)
		}
	}
}

func TestSameNumber(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"+91-9812345670", "98123 45670", true},
		{"+91-9812345670", "0 98123.45670", true},
		{"9812345670", "(981) 234-5670", true},
		{"+91-9812345670", "234-5670", true},
		{"9812345670", "345670", false},
		{"9812345670", "9912345670", false},
		{"9812345670", "98123456", false},
		{"4111111111111111", "1111111111111111", true}, // the last ten digits count
	} {
		a, _ := AppendDigits(nil, []byte(c.a))
		b, _ := AppendDigits(nil, []byte(c.b))
		if SameNumber(a, b) != c.same || SameNumber(b, a) != c.same {
			t.Errorf("%s and %s: same=%v", c.a, c.b, !c.same)
		}
	}
}

func TestIsPersonal(t *testing.T) {
	for in, want := range map[string]bool{
		"981234567": false, "9812345670": true, "919812345670": true, "123456789012345": true, "9007199254740993": false,
		"4111111111111111": true, "41111111111111111111": false,
		"1763785170": false, "1763785170123": false, "17637851701": true, "2763785170": true, // a time in seconds, in milliseconds, and numbers that are none
	} {
		if IsPersonal([]byte(in)) != want {
			t.Errorf("%s: %v", in, !want)
		}
	}
}

// A signed token has times in it, which are nobody's number, and often somebody's name.
func TestTokens(t *testing.T) {
	for in, want := range map[string]string{
		"eyJhbGciOiJIUzI1NiJ9.eyJleHAiOjE3OTUzMDg0NTh9.c2ln":                     "",
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhc2hhQGV4YW1wbGUuaW4ifQ.c2ln":           "eyJhbGciOiJIUzI1NiJ9.XXXXXXXX.c2ln",
		"eyJhbGciOiJIUzI1NiJ9.eyJwIjoiOTgxMjM0NTY3MCIsImV4cCI6MTc5NTMwODQ1OH0.c": "eyJhbGciOiJIUzI1NiJ9.XXXXXXXX.c",
	} {
		got, n := Detect(nil, []byte(in))
		if want == "" {
			want = in
		}
		if string(got) != want || (n > 0) != (want != in) {
			t.Errorf("%s is shown as %s (%d), not %s", in, got, n, want)
		}
	}
	if token := "jwt=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhc2hhQGV4YW1wbGUuaW4ifQ.c2ln"; Stands([]byte(token)) || !Stands([]byte("p=9812345670")) {
		t.Error("what is in base64 stands in a text, or what stands in it does not")
	}
}

// FuzzViews holds the detectors to what every text must keep: nothing is found in a
// text that was searched, what is outside of finds stays, and no view is missed.
func FuzzViews(f *testing.F) {
	for _, s := range []string{"<em>98123</em>45670", "a&#64;b.in &amp;#64;", "OTgxMjM0NTY3MCBub3c= x", "<<b<!-->-->a@b.in<", "&#57&#x39;&nosuch;1234567", "<b>1</b>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, n := Detect([]byte("x"), text)
		if n == 0 && string(got) != "x"+string(text) {
			t.Fatalf("%q was changed to %q, and nothing found", text, got)
		}
		s := &scratch{}
		for start, end := nextRun(text, 0); start < end; start, end = nextRun(text, end) {
			if s.decode(text[start:end]) && n == 0 && slices.ContainsFunc(addFinds(nil, s.coded, nil), func(f Find) bool { return !isStamp(s.coded[f.Start:f.End]) }) {
				t.Fatalf("%q has %q in it, and nothing was found", text, s.coded)
			}
		}
		for _, how := range []reading{asShown, spaced, sections, sections | spaced} {
			if s.strip(text, how); len(s.text) != len(s.at) || len(s.text) != len(s.to) {
				t.Fatal("places and text differ")
			}
			for i := range s.at {
				if s.at[i] >= s.to[i] || i > 0 && s.at[i] < s.at[i-1] || int(s.to[i]) > len(text) {
					t.Fatalf("%q: place %d is from %d to %d", text, i, s.at[i], s.to[i])
				}
			}
		}
		s.read(text, true, func(how reading) {
			if how&spaced == 0 && n == 0 && len(addFinds(nil, s.text, nil)) > 0 {
				t.Fatalf("%q reads %q, and nothing was found", text, s.text)
			}
		})
	})
}
