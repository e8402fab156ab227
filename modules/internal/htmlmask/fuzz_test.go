// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package htmlmask

import (
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/net/html"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// plans are those that pages are rewritten by: claims by id, class, tag and
// attribute; and claims of everyday elements.
func plans() []*plan.Plan {
	full := &plan.Treatment{Field: "name", Effect: plan.Mask, Mask: &mask.Func{Name: "full"}}
	gone := &plan.Treatment{Field: "pan", Effect: plan.Hide}
	e := &plan.Entity{Fields: map[string]*plan.Treatment{"name": full, "pan": gone}, Unknown: &plan.Treatment{Effect: plan.Detect}}
	var all []*plan.Element
	for _, tag := range []string{"span", "li", "td", "p", "h1", "textarea", "title", "option"} {
		all = append(all, &plan.Element{Tag: tag, Treat: full, Entity: e})
	}
	return []*plan.Plan{page(), {Format: plan.HTML, Fallback: e, Elements: append(all,
		&plan.Element{Tag: "a", Attrs: map[string]string{"x": ""}, In: "href", Treat: gone, Entity: e},
		&plan.Element{Tag: "div", ID: "pan", Treat: gone, Entity: e},
		&plan.Element{Tag: "script", Attrs: map[string]string{"type": "application/json"}, JSON: true, Entity: e},
	)}}
}

func runPlan(p *plan.Plan, body string, wrap func(io.Reader) io.Reader) (string, error) {
	m := New(p, nil, jsonmask.Limits{})
	var src io.Reader = strings.NewReader(body)
	if wrap != nil {
		src = wrap(src)
	}
	out, err := io.ReadAll(m.Reader(src))
	return string(out), err
}

var pageSeeds = []string{
	"<b id=phone>secret<i>x</i></b><p class=pan>secret", "<table><tr><td class=phone>secret<td>x</table>", "<input name=phone value=secret>",
	"<script id=state>{\"Phone\":\"secret\"}</script>", "<svg><title>x</title></svg><title id=phone>a</title>", "<!-- secret --><p>98123<b>45670</b></p>", "<select><option id=phone>secret</select>",
	"<b id=phone><table></b>secret</table></b>", "<span id=phone><div></span>secret</div></span>", "<li><ul></li>secret</ul></li>", "<p><button></p>secret</button></p>",
	"<td><table></td>secret</table></td>", "<select><title></select><p id=phone>secret</p></title>", "<svg></math><title><p id=phone>secret</p></title></svg>",
	"<svg><foreignObject><div></svg></div></foreignObject><title><p id=phone>secret</p></title></svg>", "<div id=pan>secret<div><table></div>x</table></div>secret</div>x",
	"<a x href='secret' title=y>y</a><h1>secret</h2>z</h1>", "<input name=phone value='' value=secret><p class=x class=secret>y", "<script type=application/json>{\"Name\":[\"secret\"],\"PAN\":{\"x\":\"secret\"}}</script>", "<p title='a'>plain <b>text</b></p>",
	"<div><div id=pan>secret<template></div>secret</template></div></div>", "<math><mi id=phone>secret</mi><annotation-xml encoding='text/html'><p id=phone>secret</annotation-xml></math>",
	"<noscript><p id=phone>secret</noscript><iframe srcdoc='secret'></iframe><textarea>secret</textarea>", "<![CDATA[secret]]><?x secret?><svg><![CDATA[</svg><b id=phone>secret]]></svg>",
}

// FuzzPage holds the rewritten page to the tree that browsers build of the
// original: nothing that stands in a claimed place of it comes out, nor in front
// of a refusal; a page with nothing to be done stays byte for byte; the tree of
// what comes out holds masks alone where the plan claims; chunks change nothing;
// and it can be rewritten again.
func FuzzPage(f *testing.F) {
	for _, s := range pageSeeds {
		for _, choice := range []uint8{0x03, 0x12, 0xE5, 0xF1} {
			f.Add([]byte(s), choice)
		}
	}
	all := plans()
	f.Fuzz(func(t *testing.T, body []byte, choice uint8) {
		checkPage(t, all[int(choice>>4)%len(all)], string(body), int(choice&7)+1, choice >= 0xE0)
		checkPage(t, all[int(choice>>4)%len(all)], soup(body), int(choice&7)+1, false)
		in, want := written(body)
		if got, err := runPlan(page(), in, nil); got != want || err != nil {
			t.Fatalf("%v\n%s\ngot  %s\nwant %s", err, in, got, want)
		}
	})
}

// checkPage rewrites a page whole and in pieces; a long one is so long that a
// part of it goes out before its end is seen.
func checkPage(t *testing.T, p *plan.Plan, body string, size int, long bool) {
	t.Helper()
	in, filler := plant(body), ""
	if long {
		filler = strings.Repeat("page ", 2*chunk/5)
		size <<= 12
	}
	got, err := runPlan(p, filler+in, nil)
	slow, slowErr := runPlan(p, filler+in, func(r io.Reader) io.Reader { return &pieces{r, size} })
	if got != slow || (err == nil) != (slowErr == nil) {
		t.Fatalf("in pieces another answer comes out:\n%q, %v\n%q, %v", got, err, slow, slowErr)
	}
	got = strings.TrimPrefix(got, filler)
	for _, s := range append(secrets(in, p), doubled(in)...) {
		if strings.Contains(got, s) {
			t.Fatalf("%s is shown, %v\n%s\n%s", s, err, in, got)
		}
	}
	cut := len(in) * size % (len(in) + 1)
	broken, brokenErr := runPlan(p, in, func(io.Reader) io.Reader {
		return io.MultiReader(strings.NewReader(in[:cut]), iotest.ErrReader(io.ErrUnexpectedEOF))
	})
	if !long && (brokenErr == nil || !strings.HasPrefix(got, broken)) {
		t.Fatalf("of a source that fails after %d bytes comes %q, %v\n%s\n%q", cut, broken, brokenErr, in, got)
	}
	if err != nil {
		return
	}
	if tree, err := html.Parse(strings.NewReader(in)); err == nil && !long && len(in) < chunk && repeats(tree, p, in) && whole.MatchString(got) && !strings.Contains(strings.ToLower(in), "<acme") {
		t.Fatalf("a value that is masked comes a second time\n%s\n%s", in, got)
	}
	if plainPage(in, p) && got != in {
		t.Fatalf("a page with nothing to be masked is changed\n%q\n%q", in, got)
	}
	if doc, err := html.Parse(strings.NewReader(got)); err == nil {
		look(t, doc, p, got)
	}
	if _, err := runPlan(p, got, nil); err != nil {
		t.Fatalf("what comes out cannot be rewritten again: %v\n%s\n%s", err, in, got)
	}
}

// TestPagesOfTheOracle holds every page of the other tests to the oracle.
func TestPagesOfTheOracle(t *testing.T) {
	for _, p := range plans() {
		for _, s := range pageSeeds {
			checkPage(t, p, s, 3, false)
			checkPage(t, p, s, 2, true)
		}
	}
}

// TestSoups holds pages of tags in any order to the oracle.
func TestSoups(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for _, p := range plans() {
		for range 3000 {
			choices := make([]byte, 4+r.IntN(60))
			for i := range choices {
				choices[i] = byte(r.UintN(256))
			}
			checkPage(t, p, soup(choices), 1+r.IntN(9), false)
		}
	}
}

type pieces struct {
	r io.Reader
	n int
}

func (p *pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), p.n)]) }

// look walks the tree of a rewritten page.
func look(t *testing.T, n *html.Node, p *plan.Plan, body string) {
	if n.Type == html.CommentNode && n.Data != "" {
		t.Fatalf("a comment says %q\n%s", n.Data, body)
	}
	if n.Type == html.ElementNode && n.Namespace == "" && n.Data != "html" && n.Data != "body" {
		for _, e := range p.Elements {
			if e.JSON || e.In != "" || e.Treat.Effect < plan.Mask || !claimed(e, n) {
				continue
			}
			if text := strings.TrimSpace(textOf(n)); text != "" && !strings.Contains(text, "XXXXXX") && e.ID != "" {
				t.Fatalf("a masked element holds %q\n%s", text, body)
			}
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		look(t, c, p, body)
	}
}

func textOf(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	out := ""
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		out += textOf(c)
	}
	return out
}
