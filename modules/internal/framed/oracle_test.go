// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package framed

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/crmgate/crmgate/modules/internal/jsonmask"
	"github.com/crmgate/crmgate/policy/echo"
	"github.com/crmgate/crmgate/policy/mask"
	"github.com/crmgate/crmgate/policy/plan"
)

// The oracle takes a body apart whole, in the plainest way, has jsonmask rewrite
// each document by itself, and puts it together again.
type oracle struct {
	p    *plan.Plan
	kept int
	out  strings.Builder

	known echo.Set // values of the documents so far
}

// document returns the rewritten form of a document, and whether it stays.
func (o *oracle) document(doc string) (out string, keep bool, err error) {
	if o.p.MaxRows > 0 && o.kept >= o.p.MaxRows {
		return "", false, nil
	}
	m := jsonmask.New(o.p, viewer, jsonmask.Limits{Echo: &o.known})
	b, err := m.Append(nil, []byte(doc))
	if errors.Is(err, jsonmask.ErrNotVisible) {
		return "", false, nil
	}
	o.kept += m.Stats().Kept
	return string(b), err == nil, err
}

// runOracle returns what must come out of lines, of a sequence or of events, to the
// byte and in front of an error too.
func runOracle(p *plan.Plan, body string) (string, error) {
	o := &oracle{p: p}
	body = strings.TrimPrefix(body, "\xEF\xBB\xBF")
	var err error
	switch p.Format {
	case plan.NDJSON:
		err = o.lines(body)
	case plan.JSONSeq:
		err = o.sequence(body)
	case plan.SSE:
		err = o.events(body)
	}
	return o.out.String(), err
}

func nothing(s string) bool { return strings.Trim(s, " \t\r\n") == "" }

func (o *oracle) lines(body string) error {
	for _, line := range strings.SplitAfter(body, "\n") {
		if nothing(line) {
			o.out.WriteString(line)
			continue
		}
		out, _, err := o.document(line)
		if err != nil {
			return err
		}
		o.out.WriteString(out)
	}
	return nil
}

func (o *oracle) sequence(body string) error {
	texts := strings.Split(body, "\x1e")
	if texts[0] != "" {
		return errors.New("bytes in front of the first separator")
	}
	for _, text := range texts[1:] {
		out, keep := text, true
		if !nothing(text) {
			var err error
			if out, keep, err = o.document(text); err != nil {
				return err
			}
		}
		if keep {
			o.out.WriteString("\x1e" + out)
		}
	}
	return nil
}

var eventLine = regexp.MustCompile(`[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+$`)

// events parts a body at its empty lines.
func (o *oracle) events(body string) error {
	var event []string
	for _, line := range append(eventLine.FindAllString(body, -1), "") {
		if line != "" {
			event = append(event, line)
		}
		if strings.Trim(line, "\r\n") == "" {
			if err := o.event(event); err != nil {
				return err
			}
			event = nil
		}
	}
	return nil
}

func (o *oracle) event(lines []string) error {
	var data []string
	field := func(line string) (text, name, value string) {
		text = strings.TrimRight(line, "\r\n")
		name, value, _ = strings.Cut(text, ":")
		return text, name, strings.TrimPrefix(value, " ")
	}
	for _, line := range lines {
		if _, name, value := field(line); name == "data" {
			data = append(data, value)
		}
		if !utf8.ValidString(line) {
			return errors.New("an event that is not UTF-8")
		}
	}
	was := strings.Join(data, "\n")
	now := was
	if !nothing(was) {
		out, keep, err := o.document(was)
		if err != nil || !keep {
			return err
		}
		now = out
	}
	first := true
	for _, line := range lines {
		text, name, value := field(line)
		end := line[len(text):]
		switch {
		case name == "data" && now == was, text == "", name == "retry" && regexp.MustCompile(`^[0-9]{1,7}$`).MatchString(value):
			o.out.WriteString(line)
		case name == "data" && first:
			first = false
			lead := strings.TrimSuffix(text, value)
			if !strings.Contains(lead, ":") {
				lead = "data:"
			}
			between := end
			if between == "" {
				between = "\n"
			}
			o.out.WriteString(lead + strings.ReplaceAll(now, "\n", between+lead) + end)
		case name == "" || name == "id" || name == "event":
			b, _ := mask.Detect(nil, []byte(text))
			if name != "event" {
				b, _ = o.known.Search(nil, []byte(text))
			}
			o.out.WriteString(string(b) + end)
		}
	}
	return nil
}

var planted = regexp.MustCompile(`canary[a-p]{3}y`)

// plant gives every secret of a body a name of its own, of ten letters.
func plant(body string) string {
	n := -1
	return regexp.MustCompile(`secret|canary[a-p]{3}y`).ReplaceAllStringFunc(body, func(string) string {
		n++
		return fmt.Sprintf("canary%c%c%cy", 'a'+n>>8&15, 'a'+n>>4&15, 'a'+n&15)
	})
}

// restricted finds values of fields that are masked or hidden, as they are mostly
// written.
var restricted = regexp.MustCompile(`(?i)"(?:phone|pan)" ?: ?"[^"\\]*"`)

// secrets returns the canaries in such values, but for those in header fields that
// stay.
func secrets(body string) []string {
	var out []string
	for line := range strings.SplitSeq(body, "\n") {
		if !strings.HasPrefix(strings.ToLower(line), "content-") {
			for _, v := range restricted.FindAllString(line, -1) {
				out = append(out, planted.FindAllString(v, -1)...)
			}
		}
	}
	return out
}

// compareParts reads both bodies with mime/multipart.
func compareParts(t *testing.T, p *plan.Plan, body, got string) {
	var want []string
	o := &oracle{p: p}
	in, readable := readParts(t, strings.TrimPrefix(body, "\xEF\xBB\xBF")) // which goes before anything is read
	if !readable {
		return
	}
	for _, d := range in {
		if blank([]byte(d)) {
			want = append(want, d)
			continue
		}
		out, keep, err := o.document(d)
		if err != nil {
			t.Fatalf("a part is let through that cannot be read: %v\n%q", err, d)
		}
		if keep {
			want = append(want, out)
		}
	}
	if has, _ := readParts(t, got); strings.Join(has, "\x00") != strings.Join(want, "\x00") {
		t.Fatalf("%q\ngot  %q\nwant %q", body, has, want)
	}
}

// readParts returns false for header fields that mime/multipart is stricter about
// and that do not go out.
func readParts(t *testing.T, body string) ([]string, bool) {
	var out []string
	r := multipart.NewReader(strings.NewReader(body), "b")
	for {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) && (len(out) == 0 || err.Error() == io.EOF.Error()) { // the last delimiter may be the only one
			return out, true
		}
		if err != nil {
			if strings.Contains(err.Error(), "header") {
				return nil, false
			}
			t.Fatalf("mime/multipart cannot read what was accepted: %v\n%q", err, body)
		}
		b, err := io.ReadAll(part)
		if err != nil {
			t.Fatalf("mime/multipart cannot read what was accepted: %v\n%q", err, body)
		}
		out = append(out, string(b))
	}
}
