// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package htmlmask

import (
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/net/html"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/plan"
)

// A value that is masked or hidden does not come through in a text that nobody claims.
func TestValuesThatComeAgain(t *testing.T) {
	const x = "XXXXXXXX"
	const pan, gone = "<p class=pan>Acme Kettles</p>", "<p class=pan></p>"
	for _, c := range []struct{ name, in, want string }{
		{"behind the value", pan + "<h1>of ACME kettles, Pune</h1>", gone + "<h1>of " + x + ", Pune</h1>"},
		{"in front of the value", "<title>Acme Kettles</title>" + pan, "<title>" + x + "</title>" + gone},
		{"as what the value becomes", "<h1>+91 98123 45670</h1><b id=phone>+91-9812345670</b>", "<h1>+91XXXXXX5670</h1><b id=phone>+91XXXXXX5670</b>"},
		{"of an attribute", "<h1>AK-77 b</h1><input name=phone value='AK-77 b'>", "<h1>" + x + "</h1><input name=\"phone\" value=\"" + x + "\">"},
		{"of a value within a hidden element", "<h1>AK-77 b</h1><p class=pan><input value='AK-77 b'></p>", "<h1>" + x + "</h1>" + gone},
		{"of pieces", "<h1>Acme Kettles, Blue Teapots</h1><div class=pan><p>Acme Kettles</p>\n<p>Blue Teapots</p></div>", "<h1>" + x + ", " + x + "</h1><div class=pan></div>"},
		{"of a value that tags tear", "<h1>Acme Kettles</h1><div class=pan>Acme <b>Kettles</b></div>", "<h1>" + x + "</h1><div class=pan></div>"},
		{"of an element that is not closed", "<h1>Acme Kettles</h1><p class=pan>Acme Kettles", "<h1>" + x + "</h1><p class=pan>"},
		{"of a script of JSON", `<h1>Acme Kettles</h1><script id=state>{"PAN":"Acme Kettles"}</script>`, "<h1>" + x + `</h1><script id=state>{}</script>`},
		{"in a script of JSON", `<script id=state>{"Note":"of Acme Kettles"}</script>` + pan, `<script id=state>{"Note":"of ` + x + `"}</script>` + gone},
		{"torn by marks", "<h1>of Acme <i>Kettles</i></h1><h2>a <i>b</i></h2>" + pan, "<h1>" + x + "<i>" + x + "</i></h1><h2>a <i>b</i></h2>" + gone},
		{"torn by elements nobody knows, beside others", "<x-y>of <b>teapots</b>;</x-y><x-y>Acme </x-y><x-y>Kettles</x-y>,<x-y>12</x-y>" + pan, "<x-y>of <b>teapots</b>;</x-y><x-y>" + x + "</x-y><x-y>" + x + "</x-y>,<x-y>12</x-y>" + gone},
		{"torn by elements nobody knows", "<h1>of Acme <x-y a>Kettles</x-y></h1>" + pan, "<h1>" + x + "<x-y a>" + x + "</x-y></h1>" + gone},
		{"torn by what is not shown", "<h1>Acme<script>f()</script> Kettles<template></template></h1><h2>Acme<img src=a> Kettles</h2>" + pan, "<h1>" + x + "<script>f()</script>" + x + "<template></template></h1><h2>" + x + "<img src=a>" + x + "</h2>" + gone},
		{"with other blanks", "<h1>of Acme\n\t Kettles</h1><h2>Acme&nbsp; <b> Kettles</b></h2>" + pan, "<h1>" + x + "</h1><h2>" + x + "<b>" + x + "</b></h2>" + gone},
		{"with what nobody sees", "<h1>Ac&shy;me Kett\u200bles</h1><h2>Ac\u2060<b>me Kettles</b></h2>" + pan, "<h1>" + x + "</h1><h2>" + x + "<b>" + x + "</b></h2>" + gone},
		{"of a value with other blanks", "<h1>Acme Kettles</h1><p class=pan>\n Acme\n&nbsp;Kettles\n</p>", "<h1>" + x + "</h1><p class=pan></p>"},
		{"of two blocks", "<h1>Acme</h1><div>Kettles</div><button>Acme</button> <button>Kettles</button>" + pan, "<h1>Acme</h1><div>Kettles</div><button>Acme</button> <button>Kettles</button>" + gone},
		{"as references", "<h1>Acme&#32;Kettles</h1>" + pan, "<h1>" + x + "</h1>" + gone},
		{"in attributes", "<a title='of Acme Kettles' href='/?q=Acme%20Kettles'>a</a>" + pan, `<a title="of ` + x + `" href="` + x + `">a</a>` + gone},
		{"in a script and a style", "<script>f('Acme Kettles')</script><style>a{content:'Acme\\20 Kettles'}</style><script>f('Acme')</script>" + pan, "<script></script><style></style><script>f('Acme')</script>" + gone},
		{"in a document type", "<!DOCTYPE Acme Kettles>" + pan, gone},
		{"a part of it", "<h1>Acme</h1><h2>Acme Kettlesmith</h2>" + pan, "<h1>Acme</h1><h2>Acme Kettlesmith</h2>" + gone},
		{"a shown field", "<p data-name='Acme Kettles'>Acme Kettles</p>" + pan, `<p data-name="` + x + `">` + x + "</p>" + gone},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, wrap := range []func(io.Reader) io.Reader{nil, iotest.OneByteReader} {
				if got, _, err := run(c.in, wrap); err != nil || got != c.want {
					t.Fatalf("%v: a value comes a second time, or what is none is lost\ngot  %s\nwant %s", err, got, c.want)
				}
			}
		})
	}
}

// Of a page that flows, what stands in front of a value has gone out.
func TestValuesOfLongPages(t *testing.T) {
	filler := strings.Repeat("<p>page</p>", chunk/8)
	got, s, err := run("<h1>Acme Kettles</h1>"+filler+"<p class=pan>Acme Kettles</p>"+filler+"<h2>Acme Kettles</h2>", nil)
	if want := "<h1>Acme Kettles</h1>" + filler + "<p class=pan></p>" + filler + "<h2>XXXXXXXX</h2>"; got != want || err != nil {
		t.Errorf("%v: %.60s ... %s", err, got, got[max(0, len(got)-60):])
	}
	if s.Hidden["pan"] != 1 {
		t.Errorf("the audit reads %+v", s)
	}
}

// A page that is gone through twice is counted once, and leaves nothing to the next.
func TestPagesThatAreGoneThroughTwice(t *testing.T) {
	p := page()
	m := New(p, nil, jsonmask.Limits{})
	if _, err := io.ReadAll(m.Reader(strings.NewReader("<b id=phone>Acme Kettles</b>"))); err != nil || m.Stats().Masked["phone"] != 1 {
		t.Errorf("the audit reads %+v, %v", m.Stats(), err)
	}
	m.Reset(p, nil, jsonmask.Limits{})
	if got, err := io.ReadAll(m.Reader(strings.NewReader("<h1>Acme Kettles</h1>"))); string(got) != "<h1>Acme Kettles</h1>" || err != nil {
		t.Errorf("a value of another page is masked: %s, %v", got, err)
	}
	m.Reset(p, nil, jsonmask.Limits{})
	failing := io.MultiReader(strings.NewReader("<h1>x"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if got, err := io.ReadAll(m.Reader(failing)); len(got) > 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("of a source that fails comes %q, %v", got, err)
	}
}

const repeated = "Acme Kettles"

var (
	whole    = regexp.MustCompile(`(?i)(^|[^\pL\pN\pM])` + repeated + `($|[^\pL\pN\pM])`)
	anywhere = regexp.MustCompile(`(?i)` + repeated)
	partly   = regexp.MustCompile(`(?i)acme|kettles`)
)

// repeats says that a value which must not come a second time is one of a page: the tree
// has it, alone in its text, within what is masked or hidden. Pages that spell it in
// another way, or as a name in JSON, say nothing.
func repeats(n *html.Node, p *plan.Plan, source string) bool {
	return !partly.MatchString(anywhere.ReplaceAllString(source, "")) && !strings.Contains(strings.ToLower(source), strings.ToLower(repeated)+`"`) && holds(n, p, false)
}

func holds(n *html.Node, p *plan.Plan, within bool) bool {
	if n.Type == html.TextNode && within && n.Parent.Data != "noscript" && strings.TrimSpace(n.Data) == repeated {
		return true
	}
	if n.Type == html.ElementNode && n.Data != "html" && n.Data != "body" { // a second tag may have given them what they are claimed by
		for _, e := range p.Elements {
			within = within || !e.JSON && e.In == "" && e.Treat.Effect >= plan.Mask && claimed(e, n)
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if holds(c, p, within) {
			return true
		}
	}
	return false
}
