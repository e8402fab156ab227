// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package htmlmask

import (
	"fmt"
	"strings"

	"golang.org/x/net/html"

	"github.com/crmgate/crmgate/policy/echo"
)

// script writes a page and what must become of it side by side, by the choices
// that bytes make. All it writes is nested as it should be, in the many ways in
// which pages are spelled.
type script struct {
	choices []byte
	in      strings.Builder
	want    []func(*echo.Set) string // what comes out, part after part
	learned []func(*echo.Set)        // what each part has the masker remember, nil for nothing
	within  int                      // claimed elements that are open
	text    strings.Builder
	texts   int // within claimed elements
}

// written returns a page for the plan page(), and its rewritten form.
func written(choices []byte) (in, want string) {
	s := &script{choices: choices}
	for len(s.choices) > 0 {
		s.node(0)
	}
	return s.in.String(), s.resolve()
}

// resolve writes what comes out. Of a short page all values are known from its start.
func (s *script) resolve() string {
	var known echo.Set
	learn := func(i int) {
		if s.learned[i] != nil {
			s.learned[i](&known)
		}
	}
	short := s.in.Len() < chunk
	for i := range s.want {
		if short {
			learn(i)
		}
	}
	var out strings.Builder
	for i, part := range s.want {
		if !short {
			learn(i)
		}
		out.WriteString(part(&known))
	}
	return out.String()
}

// part adds what comes out of something, and what is remembered of it.
func (s *script) part(want func(*echo.Set) string, learn func(*echo.Set)) {
	s.want, s.learned = append(s.want, want), append(s.learned, learn)
}

// as is for what comes out whatever is known.
func as(text string) func(*echo.Set) string { return func(*echo.Set) string { return text } }

// searched is for a text that is searched, between what stays.
func searched(before, text, after string) func(*echo.Set) string {
	return func(known *echo.Set) string {
		b, _ := known.Search(nil, []byte(text))
		return before + html.EscapeString(string(b)) + after
	}
}

func (s *script) next(n int) int {
	if len(s.choices) == 0 {
		return 0
	}
	c := s.choices[0]
	s.choices = s.choices[1:]
	return int(c) % n
}

func (s *script) pick(of ...string) string { return of[s.next(len(of))] }

// put writes what becomes of in outside of claimed elements; within them nothing
// but their text counts.
func (s *script) put(in, want, text string) {
	s.in.WriteString(in)
	if s.within > 0 {
		s.text.WriteString(text)
		return
	}
	s.part(as(want), nil)
}

// same writes a text that stays. One within a claimed element is like no other, so that
// it is found nowhere.
func (s *script) same(in string) {
	if s.within > 0 {
		s.texts++
		in += fmt.Sprintf("inner%d.", s.texts)
	}
	s.put(in, in, html.UnescapeString(in))
}

func (s *script) node(depth int) {
	kind := s.next(14)
	if depth > 6 && kind >= 6 {
		kind = 0
	}
	switch kind {
	case 0, 1:
		s.same(s.pick("plain ", "a&amp;b", " &lt;p&gt; ", "x > y", "Jürgen", "&nbsp;\n", "\t", "R&D", "&#97;", "'\"", "&nosuch;"))
	case 2:
		s.put(s.pick("<!-- secret -->", "<!-->", "<!---->", "<?secret?>", "<!secret>", "</ secret>"), "<!---->", "")
	case 3:
		if s.within > 0 {
			s.texts++
			text := fmt.Sprintf("call 98765 43210 now, inner%d", s.texts)
			s.put("<i>"+text+"</i>", "", text)
			return
		}
		s.put("<i>call 98765 43210 now</i>", "<i>call XXXXXXXX now</i>", "")
	case 4:
		tag := s.pick("<br>", "<BR/>", "<img alt='x' src=/a.png>", "<hr class = x >", "<input name=city value=Pune>", "<wbr/>")
		s.put(tag, tag, "")
	case 5:
		v := s.pick("secret", "98", "'+91-9812345670'", "'Acme Kettles'")
		phone, value := page().Elements[0].Treat.Mask, strings.Trim(v, "'")
		s.in.WriteString("<input name=phone value=" + v + ">")
		want := as("")
		if s.within == 0 {
			want = as(`<input name="phone" value="` + string(phone.AppendString(nil, value)) + `">`)
		}
		s.part(want, func(known *echo.Set) { known.Add([]byte(value), phone, false) })
	case 6:
		const tel = "tel:+919812345670"
		s.in.WriteString(`<a href="` + tel + `">`)
		if s.within == 0 {
			s.part(searched(`<a href="`, tel, `">`), nil)
		}
		s.inside(depth)
		s.put("</a>", "</a>", "")
	case 7:
		s.claimed(`<b id="phone">`, "</b>", true, depth)
	case 8:
		s.claimed(s.pick(`<P class="a pan">`, "<p class=pan>", "<p\nclass='pan b'>"), "</p>", false, depth)
	case 9:
		if s.within == 0 {
			text := s.pick("of acme KETTLES.", "Acme Kettlesx", "Acme Kettles", "x, ACME KETTLES")
			s.in.WriteString("<div>" + text + "</div>")
			s.part(searched("<div>", text, "</div>"), nil)
		}
	case 10:
		if s.within == 0 {
			s.in.WriteString("<p class=pan> Acme <i>Kettles</i></p>")
			s.part(as("<p class=pan></p>"), func(known *echo.Set) { known.Add([]byte("Acme Kettles"), nil, true) })
		}
	default:
		open := s.pick("<div>", "<DIV class='x y'>", "<div data-q=y title = 'z'>", "<span x>", "<SPAN class=\"a\" >", "<td>", "<em>", "<ul>", "<x-y z='&amp;'>", "<p data-name>")
		tag := strings.ToLower(strings.FieldsFunc(open, func(r rune) bool { return strings.ContainsRune("<> ", r) })[0])
		s.put(open, open, "")
		s.inside(depth)
		end := s.pick("</"+tag+">", "</"+strings.ToUpper(tag)+" >")
		s.put(end, end, "")
	}
}

func (s *script) inside(depth int) {
	for range s.next(4) {
		s.node(depth + 1)
	}
}

// claimed writes an element that holds a field. Its start tag is written anew when
// it says more than what it is and how it looks.
func (s *script) claimed(open, end string, masked bool, depth int) {
	s.put(open, open, "")
	if s.within++; s.within == 1 {
		s.text.Reset()
	}
	s.inside(depth)
	s.in.WriteString(end)
	if s.within--; s.within > 0 {
		return
	}
	if text := strings.TrimSpace(s.text.String()); masked && text != "" {
		s.part(as(html.EscapeString(string(page().Elements[0].Treat.Mask.AppendString(nil, text)))), nil)
	}
	s.part(as(end), nil)
}

// tags are what soups are made of.
var soupTags = strings.Fields(`a b i p p p div div span span span table table tr td td th tbody caption colgroup col ul ol li li dl dt dd h1 h2 form button select select option optgroup
	input textarea title script style svg svg math mi mtext annotation-xml foreignobject desc g path template object marquee applet nobr em font font center
	section article pre br hr img frameset noframes iframe noscript xmp noembed html head body image label fieldset details summary nosuch`)

// soup writes tags in any order, some of them claimed, and secrets between them.
func soup(choices []byte) string {
	s := &script{choices: choices}
	for len(s.choices) > 0 {
		switch c := s.next(16); {
		case c < 5:
			s.in.WriteString("<" + s.pick(soupTags...) + ">")
		case c < 9:
			s.in.WriteString("<" + s.pick(soupTags...) + s.pick(" id=phone", " class=phone", " class=pan", " class='x pan'", " id=state", " name=phone value=secret", " id=pan", " x href=secret") + s.pick(">", ">", ">", "/>"))
		case c < 13:
			s.in.WriteString("</" + s.pick(soupTags...) + ">")
		case c < 15:
			s.in.WriteString(s.pick("secret", "secret", "secret", "Acme Kettles", "<p>of ACME kettles.</p>"))
		default:
			s.in.WriteString(s.pick("<!--", "-->", "<![CDATA[", "]]>", "<font color=red>", "<annotation-xml encoding='text/html'>", "<br/>", "<input type=hidden>", "<"))
		}
	}
	return s.in.String()
}
