// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package htmlmask

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"

	"github.com/crmgate/crmgate/policy/plan"
	"github.com/crmgate/crmgate/policy/resource"
)

// The oracle reads a page as a browser does, into a tree, and says by the tree
// what nobody may see. The masker never builds one.

var planted = regexp.MustCompile(`secret|canary[a-p]{3}y`)

// plant gives every secret of a page a name of its own, which survives what
// readers do to letters.
func plant(page string) string {
	n := -1
	return planted.ReplaceAllStringFunc(page, func(string) string {
		n++
		return fmt.Sprintf("canary%c%c%cy", 'a'+n>>8&15, 'a'+n>>4&15, 'a'+n&15)
	})
}

// secrets returns the canaries that stand where the plan masks or hides.
func secrets(page string, p *plan.Plan) []string {
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return nil
	}
	return hidden(doc, p, false)
}

// doubled returns the canaries of attributes that nobody reads: those of a name
// that the tag has already.
func doubled(page string) []string {
	var out []string
	for z := html.NewTokenizer(strings.NewReader(page)); z.Next() != html.ErrorToken; {
		raw := string(z.Raw())
		if t := z.Token(); t.Type == html.StartTagToken || t.Type == html.SelfClosingTagToken {
			for _, c := range canaries(raw) {
				if !slices.ContainsFunc(t.Attr, func(a html.Attribute) bool { return strings.Contains(a.Key+a.Val, c) }) && !strings.Contains(t.Data, c) {
					out = append(out, c)
				}
			}
		}
	}
	return out
}

func canaries(s string) []string { return planted.FindAllString(s, -1) }

// copied are the elements that a tree may hold copies of in other places.
var copied = set("a b big code em font i nobr s small strike strong tt u")

// hidden walks a tree; within says that a claimed element is open.
func hidden(n *html.Node, p *plan.Plan, within bool) []string {
	var out []string
	switch n.Type {
	case html.CommentNode:
		out = canaries(n.Data)
	case html.TextNode:
		tags := n.Parent.Data == "noscript" && strings.Contains(n.Data, "<") // where no scripts run
		if within || tags {
			out = canaries(n.Data)
		}
	case html.ElementNode:
		for _, a := range n.Attr {
			if within && !copied[n.Data] || a.Key == "srcdoc" {
				out = append(out, canaries(a.Val)...)
			}
		}
		if n.Data == "html" || n.Data == "body" {
			break // a second tag may have given it what it is claimed by
		}
		for _, e := range p.Elements {
			if !claimed(e, n) {
				continue
			}
			switch {
			case e.JSON:
				out = append(out, inJSON(n.FirstChild, e.Entity)...)
			case e.Treat.Effect < plan.Mask:
			case e.In == "":
				within = true
			default:
				out = append(out, canaries(value(n, e.In))...)
			}
		}
	}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		out = append(out, hidden(c, p, within)...)
	}
	return out
}

func value(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return "\x00"
}

// claimed says by the words of plan.Element whether a node is one.
func claimed(e *plan.Element, n *html.Node) bool {
	ok := (e.Tag == "" || e.Tag == n.Data) && (e.ID == "" || value(n, "id") == e.ID)
	for _, c := range e.Classes {
		ok = ok && slices.Contains(strings.Fields(value(n, "class")), c)
	}
	for name, want := range e.Attrs {
		has := value(n, name)
		ok = ok && has != "\x00" && (want == "" || has == want)
	}
	return ok
}

// inJSON returns the canaries below masked and hidden names of a script.
func inJSON(text *html.Node, e *plan.Entity) []string {
	if text == nil || text.Type != html.TextNode {
		return nil
	}
	from, to := strings.IndexAny(text.Data, "{["), strings.LastIndexAny(text.Data, "}]")+1
	var doc any
	if from < 0 || to <= from || json.Unmarshal([]byte(text.Data[from:to]), &doc) != nil {
		return nil
	}
	return inValue(doc, e, false)
}

func inValue(v any, e *plan.Entity, within bool) (out []string) {
	switch v := v.(type) {
	case string:
		if within {
			out = canaries(v)
		}
	case []any:
		for _, x := range v {
			out = append(out, inValue(x, e, within)...)
		}
	case map[string]any:
		for name, x := range v {
			t := e.Fields[resource.Fold(name)]
			out = append(out, inValue(x, e, within || t != nil && t.Effect >= plan.Mask)...)
		}
	}
	return out
}

var plainTag = regexp.MustCompile(`^<[a-zA-Z][a-zA-Z0-9]*(\s+[a-zA-Z]+=("[^"=\\:]*"|'[^'=\\:]*'|[a-z]+))*\s*/?>$`)

// plainPage says whether there is nothing on a page that the masker has anything
// to do with: such a page goes through byte for byte.
func plainPage(page string, p *plan.Plan) bool {
	z := html.NewTokenizer(strings.NewReader(page))
	digits := 0
	for _, c := range []byte(page) {
		if c >= '0' && c <= '9' || c >= 0x80 {
			digits++
		}
	}
	if digits > 3 || strings.ContainsAny(page, "@%&") { // there may be personal data
		return false
	}
	for {
		switch z.Next() {
		case html.ErrorToken:
			return len(z.Raw()) == 0
		case html.CommentToken:
			return false
		case html.TextToken:
			raw := string(z.Raw())
			if strings.ContainsAny(raw, `\<`) {
				return false
			}
		case html.EndTagToken:
			raw := string(z.Raw())
			name, _ := z.TagName()
			if strings.Trim(raw[2+len(name):], " \t\r\n>") != "" {
				return false
			}
		case html.StartTagToken, html.SelfClosingTagToken:
			raw := string(z.Raw())
			t := z.Token()
			if !plainTag.MatchString(raw) || strings.Count(raw, "=") != len(t.Attr) {
				return false
			}
			n := &html.Node{Data: t.Data, Attr: t.Attr}
			if value(n, "srcdoc") != "\x00" {
				return false
			}
			if slices.ContainsFunc(p.Elements, func(e *plan.Element) bool { return claimed(e, n) }) {
				return false
			}
		}
	}
}
