// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/crmgate/crmgate/policy/mask"
)

// FuzzDocument holds the rewritten document to what must be true of it: it is
// well-formed, has nothing the original had not, no hidden field, nothing of a
// masked one but its mask, and does not depend on how the body was cut.
func FuzzDocument(f *testing.F) {
	for _, s := range []string{
		"<?xml version='1.0'?><Leads count='2'><Lead owner='u1' Secret='a'><Phone>+91-9812345670</Phone><PAN>x</PAN><Secret>a<!-- b -->c</Secret></Lead><Lead owner='u2'/></Leads>",
		"<Leads><Lead><Owner>u1</Owner><Props><P key='Secret' value='x'/><P><Value>y</Value><Name>pan</Name></P></Props><Fields Secret='q'><Pan/></Fields></Lead></Leads>",
		"<Leads><Lead owner=\"u1\"><Notes>call <b>9812345670</b></Notes><Secret><![CDATA[a]]></Secret><x:SECRET xmlns:x='urn:y'/></Lead></Leads>",
		"<Secret>a<b/>c</Secret>", "<Leads><Count>3</Count>&#57;<Secret/></Leads>",
	} {
		f.Add([]byte(s), uint8(3), true)
		f.Add([]byte(s), uint8(1), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, size uint8, rows bool) {
		p := leads(rows)
		got, _, err := run(p, string(body), nil)
		slow, _, slowErr := run(p, string(body), func(r io.Reader) io.Reader { return &pieces{r, int(size)%5 + 1} })
		if got != slow || (err == nil) != (slowErr == nil) {
			t.Fatalf("in pieces another answer comes out:\n%q, %v\n%q, %v", got, err, slow, slowErr)
		}
		if err != nil {
			return
		}
		in, out := names(t, string(body)), look(t, got)
		for _, name := range out {
			for len(in) > 0 && in[0] != name {
				in = in[1:]
			}
			if len(in) == 0 {
				t.Fatalf("%s is in no such place of the original\n%s\n%s", name, body, got)
			}
			in = in[1:]
		}
		again, _, err := run(p, got, nil)
		if err != nil {
			t.Fatalf("what comes out cannot be read again: %v\n%s", err, got)
		}
		if !rows && again != got && !strings.Contains(again, mask.FullText) {
			t.Fatalf("a second pass changes more\n%s\n%s", got, again)
		}
	})
}

type pieces struct {
	r io.Reader
	n int
}

func (p *pieces) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), p.n)]) }

// names returns the elements of a document in their order.
func names(t *testing.T, body string) []string {
	var out []string
	tokens(t, body, func(tok xml.Token) {
		if s, ok := tok.(xml.StartElement); ok {
			out = append(out, s.Name.Local)
		}
	})
	return out
}

func tokens(t *testing.T, body string, f func(xml.Token)) {
	d := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(body, "\xEF\xBB\xBF")))
	for {
		tok, err := d.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, body)
		}
		f(tok)
	}
}

// look returns the elements of a rewritten document, and fails for what must not
// be in it.
func look(t *testing.T, body string) []string {
	var out []string
	secret, text := 0, ""
	check := func(s string) {
		if s = strings.TrimSpace(s); s != "" && s != mask.FullText {
			t.Fatalf("a secret is %q\n%s", s, body)
		}
	}
	tokens(t, body, func(tok xml.Token) {
		switch tok := tok.(type) {
		case xml.StartElement:
			if secret > 0 {
				t.Fatalf("a secret holds <%s>\n%s", tok.Name.Local, body)
			}
			if fold(tok.Name.Local) == "pan" && len(out) > 0 {
				t.Fatalf("a hidden element\n%s", body)
			}
			if fold(tok.Name.Local) == "secret" {
				secret, text = 1, ""
			}
			for _, a := range tok.Attr {
				switch space := a.Name.Space; {
				case space == "xmlns" || space == xsiSpace || space == xmlSpace || space == "xml":
				case fold(a.Name.Local) == "secret":
					check(a.Value)
				case fold(a.Name.Local) == "pan":
					t.Fatalf("a hidden attribute\n%s", body)
				}
			}
			out = append(out, tok.Name.Local)
		case xml.EndElement:
			if secret > 0 {
				check(text)
			}
			secret = 0
		case xml.CharData:
			text += string(tok)
		case xml.Comment, xml.Directive:
			t.Fatalf("a comment or document type\n%s", body)
		}
	})
	return out
}
