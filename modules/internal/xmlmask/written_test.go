// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package xmlmask

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// script writes a well-formed document by the choices that bytes make, of the
// names that the plans know.
type script struct {
	choices []byte
	out     strings.Builder
}

func document(choices []byte) string {
	s := &script{choices: choices}
	s.out.WriteString(s.pick("", "", "<?xml version='1.0'?>\n", "<!-- canary -->"))
	s.element(s.pick("Leads", "Leads", "a", "l", "x:Leads", "Other"), 0)
	return s.out.String()
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

var (
	elements = strings.Fields("Lead Lead Lead Count count Phone PAN p:pan Secret Notes Props Props P P Name Value Owner Contacts Contact Fields Id body r r All n Part fields head deep Stage Stage n9812345670 SECRET")
	textPool = []string{
		"canary", "x", " ", "u1", "u2", "U-1", "7", "12", "call 9812345670 now", "98123", "45670", "<![CDATA[a<b]]>", "<![CDATA[ ]]>", "&amp;&#57;", "Phone", "pan", "Secret", "Stage", "Open", "Lost",
		"<!-- canary -->", "<?pi canary?>", "\r\n", "meera@canary.example", "]] >", "\t",
		"Acme Kettles", "of ACME kettles.", "Acme ", "Kettles", "734-5129",
	}
	attributes = strings.Fields("Owner id Phone PAN Secret name key value Note count n stage xml:lang xmlns:y other p9812345670")
)

func (s *script) element(name string, depth int) {
	s.out.WriteString("<" + name)
	from := s.next(len(attributes))
	for i := range s.next(4) {
		at := attributes[(from+i)%len(attributes)]
		quote := s.pick("'", `"`)
		s.out.WriteString(s.pick(" ", "\n ") + at + s.pick("=", " = ") + quote + s.pick("canary", "u1", "3", "Phone", "stage", "Lost", "pan", "call 9812345670", "&lt;&#x41;", "", "nobody", "Acme Kettles", "7345129") + quote)
	}
	if strings.Contains(name, ":") {
		prefix, _, _ := strings.Cut(name, ":")
		s.out.WriteString(" xmlns:" + prefix + "='urn:" + prefix + "'")
	}
	if s.next(8) == 7 || len(s.choices) == 0 {
		s.out.WriteString(s.pick("/>", " />"))
		return
	}
	s.out.WriteString(s.pick(">", " >"))
	for range s.next(6) {
		if s.next(3) > 0 && depth < 8 {
			s.element(s.pick(elements...), depth+1)
		} else {
			s.out.WriteString(s.pick(textPool...))
		}
	}
	s.out.WriteString("</" + name + s.pick(">", "\n>"))
}

// TestWrittenDocuments holds many documents to the oracle, most of which are
// accepted.
func TestWrittenDocuments(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	for i, p := range plans() {
		accepted := 0
		for range 400 {
			choices := make([]byte, 4+r.IntN(120))
			for i := range choices {
				choices[i] = byte(r.UintN(256))
			}
			doc := document(choices)
			check(t, p, doc, 1+r.IntN(9), false)
			if _, _, err := run(p, doc, nil); err == nil {
				accepted++
			}
		}
		if accepted < 20 {
			t.Errorf("plan %d: %d documents are accepted: the oracle has little to look at", i, accepted)
		}
	}
}
