// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package htmlmask

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// page is a plan in which #phone and td.phone hold a phone, .pan a hidden field,
// [data-name] a shown one, input[name=phone] one in its value, and script#state
// JSON.
func page() *plan.Plan {
	phone, err := mask.Compile(mask.Spec{Fn: "phone"}, nil)
	if err != nil {
		panic(err)
	}
	p := &plan.Treatment{Field: "phone", Effect: plan.Mask, Mask: phone}
	e := &plan.Entity{Fields: map[string]*plan.Treatment{"phone": p, "pan": {Field: "pan", Effect: plan.Hide}}, Unknown: &plan.Treatment{Effect: plan.Detect}}
	return &plan.Plan{Format: plan.HTML, Fallback: e, Elements: []*plan.Element{
		{ID: "phone", Treat: p, Entity: e},
		{Tag: "td", Classes: []string{"phone"}, Treat: p, Entity: e},
		{Classes: []string{"pan"}, Treat: e.Fields["pan"], Entity: e},
		{Attrs: map[string]string{"data-name": ""}, Treat: &plan.Treatment{Field: "name"}, Entity: e},
		{Tag: "input", Attrs: map[string]string{"name": "phone"}, In: "value", Treat: p, Entity: e},
		{Tag: "script", ID: "state", JSON: true, Entity: e},
	}}
}

func run(body string, wrap func(io.Reader) io.Reader) (string, jsonmask.Stats, error) {
	m := New(page(), nil, jsonmask.Limits{})
	var src io.Reader = strings.NewReader(body)
	if wrap != nil {
		src = wrap(src)
	}
	out, err := io.ReadAll(m.Reader(src))
	return string(out), m.Stats(), err
}

// TestDeclaredCharset: a page may declare the charset it came in, and no other; a
// masker that is used again knows nothing of the last page's.
func TestDeclaredCharset(t *testing.T) {
	m := New(page(), nil, jsonmask.Limits{})
	for _, c := range []struct {
		kind, page string
		ok         bool
	}{
		{"text/html; charset=iso-8859-1", `<meta charset="Windows-1252">é`, true},
		{"text/html; charset=iso-8859-1", `<meta http-equiv=Content-Type content="text/html; charset = iso-8859-1 ">`, true},
		{"text/html; charset=iso-8859-1", `<meta charset="utf-8">`, false},
		{"text/html", `<meta charset="iso-8859-1">`, false},
		{"text/html; charset=utf-8", `<meta http-equiv=Content-Type content="text/html;charset=latin1">`, false},
		{"", `<meta charset="utf-8">`, true},
	} {
		m.Reset(page(), nil, jsonmask.Limits{})
		if c.kind != "" {
			if err := m.Header(c.kind); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := io.ReadAll(m.Reader(strings.NewReader(c.page))); (err == nil) != c.ok || c.ok && string(got) != c.page {
			t.Errorf("%s that came as %q: %q, %v", c.page, c.kind, got, err)
		}
	}
	long := `<meta content="` + strings.Repeat("charset ", 100_000) + `">`
	m.Reset(page(), nil, jsonmask.Limits{})
	if got, err := io.ReadAll(m.Reader(strings.NewReader(long))); err != nil || string(got) != long { // in no more than a moment
		t.Errorf("a page of one word: %d bytes, %v", len(got), err)
	}
	if err := m.Header("text/html; charset=utf-7"); err == nil {
		t.Error("a page in UTF-7 is read")
	}
}

func TestPages(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{ // want "" for a refusal
		{"a page with nothing in it", "<!DOCTYPE html>\n<HTML><p class=x>Hi &amp; bye<BR/></P >\n</HTML>", "<!DOCTYPE html>\n<HTML><p class=x>Hi &amp; bye<BR/></P >\n</HTML>"},
		{"the text of an element", `<b id="phone">+91-9812345670</b>`, `<b id="phone">+91XXXXXX5670</b>`},
		{"tags within it", `<td class="a phone"><i>+91</i>-<b title=x>98123<td>45</td></b>45670</td><td>x</td>`, `<td class="a phone">+91XXXXXX5670</td><td>x</td>`},
		{"an element that is not closed", `<table><td class=phone>9812345670<tr><td>x</td></tr>y`, `<table><td class=phone>XXXXXXXX`},
		{"a hidden element", `<p class=pan>BQKPN4821L</p>z`, `<p class=pan></p>z`},
		{"other attributes of a masked element", `<b id=phone data-v="12" title="98" onclick="f(1)" style="x">1</b>`, `<b id="phone" style="x">XXXXXXXX</b>`},
		{"an attribute that is a field", `<input name=phone value="+91-9812345670"><input name=city value=Pune>`, `<input name="phone" value="+91XXXXXX5670"><input name=city value=Pune>`},
		{"a doubled attribute", `<input name=phone value="" value="9812345670">`, `<input name="phone" value="">`},
		{"personal data in text", "<p>call 98123-45670 now</p>", "<p>call XXXXXXXX now</p>"},
		{"as references", "<p>&#57;&#x38;12345670 meera&commat;canary.example</p>", "<p>XXXXXXXX XXXXXXXX</p>"},
		{"torn by elements nobody knows", "<p>a <x-y>98123</x-y>45670 b</p><x-n>98123</x-n><x-n>45670</x-n> <x-n>77</x-n>", "<p>a <x-y>XXXXXXXX</x-y>XXXXXXXX</p><x-n>XXXXXXXX</x-n><x-n>XXXXXXXX</x-n> <x-n>77</x-n>"},
		{"torn by what is not shown", "<p>98123<script>f()</script>45670</p>98123<style>a{}</style><img>45670", "<p>XXXXXXXX<script>f()</script>XXXXXXXX</p>XXXXXXXX<style>a{}</style><img>XXXXXXXX"},
		{"torn by what nobody sees", "<p>981&shy;23<x-y>\u034f45670</x-y></p>", "<p>XXXXXXXX<x-y>XXXXXXXX</x-y></p>"},
		{"numbers in boxes", "<button>98123</button><button>45670</button><svg><text>98123</text><text>45670</text></svg>", "<button>98123</button><button>45670</button><svg><text>98123</text><text>45670</text></svg>"},
		{"torn by marks", "<p>a <em>98123</em>45670 b</p>", "<p>XXXXXXXX<em>XXXXXXXX</em>XXXXXXXX</p>"},
		{"numbers of pages", "<p><a>12</a> <a>13</a> <a>14</a> <a>15</a> <a>16</a></p>", "<p><a>12</a> <a>13</a> <a>14</a> <a>15</a> <a>16</a></p>"},
		{"in attributes", `<a href="tel:+919812345670" title='x'>y</a><a href="mailto:meera%40canary.example">z</a><a href="?p=%39%38%31%32%33%34%35%36%37%30">w</a>`, `<a href="tel:XXXXXXXX" title="x">y</a><a href="mailto:XXXXXXXX">z</a><a href="XXXXXXXX">w</a>`},
		{"as the name of an attribute", `<a p9812345670=1 x=2>`, `<a x="2">`},
		{"a page within an attribute", `<iframe srcdoc="<p id=phone>secret</p>"></iframe>`, `<iframe></iframe>`},
		{"data within a URL", `<a href="data:text/html;base64,OTgxMjM0NTY3MA==">x</a><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">`, `<a>x</a><img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">`},
		{"comments", "a<!-- 9812345670 --><!--[if IE]>9812345670<![endif]-->b", "a<!----><!---->b"},
		{"a comment that makes a tag", "<<!-- -->p id=phone>x &<!-- -->#57;", "<<!---->p id=phone>x &<!---->#57;"},
		{"a comment that tears", "<p>98123<!-- -->45670</p>", "<p>XXXXXXXX<!---->XXXXXXXX</p>"},
		{"a script", `<script>var p = "9812345670";</script><script>var q = "\x39\u0038\u{31}2345670"</script><script>go(1)</script>`, `<script></script><script></script><script>go(1)</script>`},
		{"a style", `<style>a:after{content:"9812345670"}</style><style>b{c:d}</style>`, `<style></style><style>b{c:d}</style>`},
		{"a script that is JSON", `<script id=state type=application/json> {"Phone":"+91-9812345670","PAN":"x","n":1} </script>`, `<script id=state type=application/json> {"Phone":"+91XXXXXX5670","n":1} </script>`},
		{"a script that assigns JSON", `<script id=state>window.__STATE__ = {"a":"<\/script>9812345670"};</script>`, `<script id=state>window.__STATE__ = {"a":"\u003c/script>XXXXXXXX"};</script>`},
		{"a text area and a title", `<title>9812345670</title><textarea id=phone><b>1</textarea><textarea>call 9812345670</textarea>`, `<title>XXXXXXXX</title><textarea id=phone>XXXXXXXX</textarea><textarea>call XXXXXXXX</textarea>`},
		{"a shown field is searched", `<p data-name>Asha 9812345670</p>`, `<p data-name>Asha XXXXXXXX</p>`},
		{"an icon", `<svg viewBox="0 0 1 1"><title>Icon</title><path d="M1 2"/></svg>`, `<svg viewBox="0 0 1 1"><title>Icon</title><path d="M1 2"/></svg>`},
		{"an end tag with more in it", "<p>x</p 9812345670>", "<p>x</p>"},
		{"a tag that breaks off", "x<a href='9812345670", "x"},
		{"what is there where no scripts run", `<noscript><p id=phone>secret</p></noscript><noscript>Switch it on</noscript>`, `<noscript></noscript><noscript>Switch it on</noscript>`},
		{"encodings", `<meta charset="UTF-8"><meta http-equiv=Content-Type content="text/html; charset=utf-8">`, `<meta charset="UTF-8"><meta http-equiv=Content-Type content="text/html; charset=utf-8">`},

		{"a word about encodings", `<meta name=description content="How to choose a charset">`, `<meta name=description content="How to choose a charset">`},

		{"another encoding", `<meta charset="utf-7">`, ""},
		{"another encoding and then this one", `<meta http-equiv=Content-Type content="text/html; charset=shift_jis; charset=utf-8">`, ""},
		{"another encoding behind a word", `<meta http-equiv=Content-Type content="charset, charset = 'shift_jis'">`, ""},
		{"an encoding that does not end", `<meta http-equiv=Content-Type content='text/html; charset="utf-8'>`, ""},
		{"no encoding", `<meta charset="">`, ""},
		{"an encoding that browsers take for another", `<meta charset="us-ascii">`, ""},
		{"the encoding of the West in a page that came in UTF-8", `<meta charset="windows-1252">`, ""},
		{"another encoding in the old way", `<meta http-equiv=Content-Type content="text/html; charset=ISO-2022-JP">`, ""},
		{"bytes that are not UTF-8", "<p>\xff</p>", ""},
		{"an escape sequence", "<p>\x1b$B9812345670</p>", ""},
		{"NUL", "<p>98\x00123</p>", ""},
		{"a script that is not the JSON declared", `<script id=state>var x = f({"a":1})</script>`, ""},
		{"a script with a doubled name", `<script id=state>{"Phone":"1","Phone":"9812345670"}</script>`, ""},
		{"raw text within a drawing", `<svg><title><p id=phone>secret</p></title></svg>`, ""},
		{"a style within a drawing", `<svg><style><p id=phone>secret</p></style></svg>`, ""},
		{"a script that is closed within a drawing", `<svg><script/><p id=phone>secret</p></svg>`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := run(c.in, nil)
			if c.want == "" && err == nil {
				t.Fatalf("a page that browsers read in another way goes through:\n%s", got)
			}
			if c.want != "" && (err != nil || got != c.want) {
				t.Fatalf("%v\ngot  %s\nwant %s", err, got, c.want)
			}
			if err != nil && got != "" {
				t.Fatalf("a part of it goes out: %s", got)
			}
			slow, _, slowErr := run(c.in, iotest.OneByteReader)
			if slow != got || (slowErr == nil) != (err == nil) {
				t.Fatalf("byte by byte another answer comes out:\n%s, %v\n%s, %v", got, err, slow, slowErr)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	var le *jsonmask.LimitError
	for _, in := range []string{"<p>" + strings.Repeat("x", 2<<20), "<p a='" + strings.Repeat("x", 2<<20), "<script>" + strings.Repeat("x", 2<<20)} {
		if _, _, err := run(in, nil); !errors.As(err, &le) {
			t.Errorf("%v: one text may fill the memory", err)
		}
	}
	if got, _, err := run("<p id=phone>"+strings.Repeat("<i>9812345670</i>", 100_000)+"</p>x", nil); err != nil || len(got) > 100 {
		t.Errorf("a long masked element: %.200s, %v", got, err)
	}
}

// A page of end tags that end nothing takes no longer than any other, and what nobody can
// tell any more stays masked.
func TestEndTagsWithoutEnd(t *testing.T) {
	for _, in := range []string{
		strings.Repeat("<b class=pan>"+strings.Repeat("<b>", 900)+strings.Repeat("</i>", 900)+strings.Repeat("</b>", 901), 20) + "<b class=pan>secret</b>",
		"<b class=pan>" + strings.Repeat("<b>", 900) + strings.Repeat("</i>", 40_000) + strings.Repeat("</b>", 901) + "<b class=pan>secret",
		"<svg>" + strings.Repeat("<g>", 900) + strings.Repeat("</i>", 40_000) + strings.Repeat("</g>", 900) + "</svg><b class=pan>secret</b>",
	} {
		m := New(page(), nil, jsonmask.Limits{})
		out, err := io.ReadAll(m.Reader(strings.NewReader(in)))
		if err != nil || strings.Contains(string(out), "secret") {
			t.Errorf("%.60s: %v, %d bytes come out", in, err, len(out))
		}
		for _, s := range []*span{&m.claimed, &m.drawing} {
			if most := anyPage + patience*(s.tags+maxNested); s.steps > most {
				t.Errorf("%.60s: %d open elements are looked at for %d tags", in, s.steps, s.tags)
			}
		}
	}
}

func TestStatsAndReset(t *testing.T) {
	m := New(page(), nil, jsonmask.Limits{})
	for range 2 {
		m.Reset(page(), nil, jsonmask.Limits{})
		if _, err := io.ReadAll(m.Reader(strings.NewReader("<p id=phone>1<p class=pan>"))); err != nil {
			t.Fatal(err)
		}
		m.Reset(page(), nil, jsonmask.Limits{})
		out, err := io.ReadAll(m.Reader(strings.NewReader("<b id=phone>1</b><b class=pan>2</b>")))
		if s := m.Stats(); err != nil || string(out) != "<b id=phone>XXXXXXXX</b><b class=pan></b>" || s.Masked["phone"] != 1 || s.Hidden["pan"] != 1 {
			t.Errorf("%s, %+v, %v", out, s, err)
		}
	}
}
