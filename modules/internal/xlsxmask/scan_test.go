// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xlsxmask

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
)

// spell reads all of a part and spells what it is made of: names by their
// namespaces, attributes, text in one piece.
func spell(r io.Reader, most int) (string, error) {
	s := newScanner(r, most)
	var out strings.Builder
	var text []byte
	ends := []string{}
	for {
		t, err := s.next()
		if err == nil && t == charData {
			text = append(text, s.text...)
			continue
		}
		if len(text) > 0 {
			fmt.Fprintf(&out, "%q", text)
			text = text[:0]
		}
		switch {
		case errors.Is(err, io.EOF):
			return out.String(), nil
		case err != nil:
			return "", err
		case t == endTag:
			out.WriteString(ends[len(ends)-1])
			ends = ends[:len(ends)-1]
		default:
			name := fmt.Sprintf("%d:%s", s.space, s.local)
			ends = append(ends, "</"+name+">")
			out.WriteString("<" + name)
			for _, a := range s.attrs {
				if string(a.prefix) == "xmlns" || a.prefix == nil && string(a.local) == "xmlns" {
					fmt.Fprintf(&out, " %s|%s=%q", a.prefix, a.local, a.value)
					continue
				}
				fmt.Fprintf(&out, " %s|%s=%q", a.uri, a.local, a.value)
			}
			out.WriteString(">")
		}
	}
}

// judged does the same with the XML decoder of Go's library.
func judged(part string) (string, error) {
	d := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(part, "\uFEFF")))
	var out strings.Builder
	text, depth := "", 0
	for {
		tok, err := d.Token()
		if c, is := tok.(xml.CharData); is && err == nil {
			if depth > 0 {
				text += string(c)
			}
			continue
		}
		if _, is := tok.(xml.Comment); is && err == nil {
			continue
		}
		if len(text) > 0 {
			fmt.Fprintf(&out, "%q", text)
		}
		text = ""
		if errors.Is(err, io.EOF) {
			return out.String(), nil
		}
		if err != nil {
			return "", err
		}
		switch tok := tok.(type) {
		case xml.EndElement:
			depth--
			fmt.Fprintf(&out, "</%d:%s>", spaceOf(tok.Name.Space), tok.Name.Local)
		case xml.StartElement:
			depth++
			fmt.Fprintf(&out, "<%d:%s", spaceOf(tok.Name.Space), tok.Name.Local)
			for _, a := range tok.Attr {
				fmt.Fprintf(&out, " %s|%s=%q", a.Name.Space, a.Name.Local, a.Value)
			}
			out.WriteString(">")
		}
	}
}

func TestScan(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for _, c := range []struct{ part, want string }{
		{`<a/>`, `<0:a></0:a>`},
		{"\uFEFF<?xml version='1.0' encoding=\"utf-8\" standalone='yes' ?>\r\n<!-- x - y --><a>\r\n</a>\n<!---->", `<0:a>"\n"</0:a>`},
		{`<a b = "1"	c='"'/>`, `<0:a |b="1" |c="\""></0:a>`},
		{`<a xmlns="` + mainSpace + `" xmlns:r="` + relStrict + `" r:id="x" id="y"><r:b><c xmlns=""/></r:b><d/></a>`, `<2:a |xmlns="` + mainSpace + `" xmlns|r="` + relStrict + `" ` + relStrict + `|id="x" |id="y"><3:b><0:c |xmlns=""></0:c></3:b><2:d></2:d></2:a>`},
		{`<a xmlns:x="urn:1"><b xmlns:x="urn:2" x:c="1"/><x:b x:c="1"/></a>`, `<0:a xmlns|x="urn:1"><0:b xmlns|x="urn:2" urn:2|c="1"></0:b><1:b urn:1|c="1"></1:b></0:a>`},
		{`<a xml:space="preserve"> &lt;&gt;&amp;&quot;&apos;&#65;&#x1F600;]] > </a>`, `<0:a ` + xmlSpace + `|space="preserve">" <>&\"'A😀]] > "</0:a>`},
		{"<a b='x&#10;y\r\nz'>1<![CDATA[<&lt;]]]>2<!-- 3 -->4</a  >", `<0:a |b="x\ny\nz">"1<&lt;]24"</0:a>`},
		{"<a>नमस्ते " + long + "</a>", `<0:a>"नमस्ते ` + long + `"</0:a>`},
		{"<A.b-c_9/>", "<0:A.b-c_9></0:A.b-c_9>"},
	} {
		for _, r := range []io.Reader{strings.NewReader(c.part), iotest.OneByteReader(strings.NewReader(c.part))} {
			if got, err := spell(r, 1<<20); err != nil || got != c.want {
				t.Errorf("%.200s:\ngot  %.300s, %v\nwant %.300s", c.part, got, err, c.want)
			}
		}
		if got, err := judged(c.part); err != nil || got != c.want {
			t.Errorf("%.200s: another reader reads\n%.300s, %v", c.part, got, err)
		}
	}
}

// Where programs might read a part in two ways, it is read in none.
func TestNotScanned(t *testing.T) {
	for _, part := range []string{
		"", " ", "x", "<", "<a", "<a>", "<a/", "<a></a", "<a></b>", "<a></ab>", "</a>", "<a/></a>", "<a/>x", "x<a/>", "<a/><b/>", "< a/>", "<a / >", "<a></ a>", "<a><b></a></b>",
		"<1/>", "<-a/>", "<é/>", "<a é='1'/>", "<a:b/>", "<:a/>", "<a:/>", "<x:a:b xmlns:x='urn:x'/>", "<a x:b='1'/>", "<x:a><b xmlns:x='urn:x'/></x:a>", "<a><b xmlns:x='urn:x'/><x:c/></a>",
		"<a b/>", "<a b=/>", "<a b=1/>", "<a b='1/>", "<a b='<'/>", "<a b='1'c='2'/>", "<a b='1' b='2'/>", "<a x:b='1' y:b='2' xmlns:x='urn:x' xmlns:y='urn:x'/>", "<a xmlns='u' xmlns='v'/>",
		"<a xmlns:x=''/>", "<a xmlns:xml='urn:x'/>", "<a xmlns:xmlns='urn:x'/>", "<xmlns:a/>",
		"<a>&</a>", "<a>&x;</a>", "<a>&lt</a>", "<a>&nbsp;</a>", "<a>&#0;</a>", "<a>&#xD800;</a>", "<a>&#x110000;</a>", "<a>&#xFFFE;</a>", "<a>&#;</a>", "<a>&#x;</a>", "<a>&#+65;</a>", "<a>&#X41;</a>", "<a b='&y;'/>",
		"<a>]]></a>", "<a>\x00</a>", "<a>\x1F</a>", "<a>\xFF</a>", "<a>\xC3</a>", "<a/>\xC3", "<a>\xED\xA0\x80</a>", "<a>\xC0\x80</a>", "<a>\uFFFE</a>", "<a b='\x01'/>", "<!-- \x01 --><a/>",
		"<a><!-- -- --></a>", "<a><!-- ---></a>", "<a><!-- </a>", "<![CDATA[x]]><a/>", "<a/><![CDATA[]]>", "<a><![CDATA[x</a>", "<a><![cdata[x]]></a>",
		"<!DOCTYPE a><a/>", "<a><!ENTITY b 'c'></a>", "<?x?><a/>", "<a><?x y?></a>", "<a/><?x?>", "<?xml-stylesheet href='x'?><a/>",
		"<?xml?><a/>", "<?xml version='1.1'?><a/>", "<?xml encoding='utf-8'?><a/>", "<?xml version='1.0' encoding='utf-16'?><a/>", "<?xml version='1.0' standalone='yes' encoding='utf-8'?><a/>",
		"<?xml version='1.0' x='y'?><a/>", "<?xml version='1.0'><a/>", " <?xml version='1.0'?><a/>", "<a><?xml version='1.0'?></a>", "<?XML version='1.0'?><a/>", "<?xml version='1.0' version='1.0'?><a/>",
		"\uFEFF\uFEFF<a/>", "<a/>\uFEFF", strings.Repeat("<a>", 65) + strings.Repeat("</a>", 65), "\xFE\xFF\x00<\x00a\x00/\x00>",
	} {
		for _, r := range []io.Reader{strings.NewReader(part), iotest.OneByteReader(strings.NewReader(part))} {
			if got, err := spell(r, 1<<20); !errors.Is(err, ErrWorkbook) {
				t.Errorf("%q is read as %s, %v", part, got, err)
			}
		}
	}
	for _, part := range []string{
		"<a>" + strings.Repeat("x", 101) + "</a>", "<a b='" + strings.Repeat("x", 100) + "'/>", "<a><!--" + strings.Repeat("x", 100) + "--></a>", "<a>" + strings.Repeat("x", 1<<20), strings.Repeat(" ", 101) + "<a/>",
		"<a " + func() (s string) {
			for i := range 65 {
				s += fmt.Sprintf("a%d='' ", i)
			}
			return s
		}() + "/>",
	} {
		var l *jsonmask.LimitError
		most := 100
		if strings.Contains(part, "a64") {
			most = 1 << 20
		}
		if _, err := spell(strings.NewReader(part), most); !errors.As(err, &l) {
			t.Errorf("%.200q takes more than it is given: %v", part, err)
		}
	}
}

// FuzzScan has the scanner read no part otherwise than another reader does, and
// however the part is cut.
func FuzzScan(f *testing.F) {
	for _, file := range full()[:7] {
		f.Add(file.text, 7)
	}
	f.Add("<?xml version='1.0'?><a b='&#65;' x:c=\"\r\" xmlns:x='urn:x'>\r\n&lt;<![CDATA[]]]]><!-- --><x:b/></a>", 1)
	f.Add("<a>]]&gt;é\uFEFF</a>", 2)
	f.Fuzz(func(t *testing.T, part string, cut int) {
		got, err := spell(strings.NewReader(part), 1<<20)
		pieces, cutErr := spell(&cutReader{[]byte(part), cut}, 1<<20)
		if pieces != got || fmt.Sprint(err) != fmt.Sprint(cutErr) {
			t.Fatalf("in pieces of %d another part is read:\n%s, %v\n%s, %v", cut, pieces, cutErr, got, err)
		}
		if err != nil {
			return
		}
		if want, err := judged(part); err != nil || want != got {
			t.Fatalf("another reader reads something else:\n%s, %v\n%s", want, err, got)
		}
	})
}

// cutReader hands on its bytes in pieces.
type cutReader struct {
	rest []byte
	cut  int
}

func (r *cutReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 1+(r.cut&0xFFFF))], r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// BenchmarkScan reads a sheet as programs write them, and does nothing with it.
func BenchmarkScan(b *testing.B) {
	var sheet bytes.Buffer
	sheet.WriteString(`<worksheet xmlns="` + mainSpace + `"><sheetData>`)
	for y := range 5000 {
		fmt.Fprintf(&sheet, `<row r="%d" spans="1:20">`, y+1)
		for x := range 20 {
			fmt.Fprintf(&sheet, `<c r="%c%d" s="1" t="s"><v>%d</v></c>`, 'A'+x, y+1, y*20+x)
		}
		sheet.WriteString("</row>")
	}
	sheet.WriteString("</sheetData></worksheet>")
	b.SetBytes(int64(sheet.Len()))
	for b.Loop() {
		s := newScanner(bytes.NewReader(sheet.Bytes()), 1<<20)
		for {
			if _, err := s.next(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
	}
}
