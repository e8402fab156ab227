// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package resource

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// selectorPart is one part of a selector, from its start.
var selectorPart = regexp.MustCompile(`^(?:([A-Za-z][A-Za-z0-9-]*)|#([A-Za-z0-9_:-]+)|\.([A-Za-z0-9_-]+)|\[([A-Za-z][A-Za-z0-9_:.-]*)(?:=("[^"]*"|'[^']*'|[^\]\s"'=]+))?\])`)

// ParseSelector reads a selector: tag, #id, .class, [attr], [attr=value], any of
// them behind each other. Tags and attributes are compared without case, ids,
// classes and values exactly. Combinations of elements and lists are no part of it.
func ParseSelector(s string) (Selector, error) {
	var out Selector
	for rest := s; rest != ""; {
		m := selectorPart.FindStringSubmatch(rest)
		switch {
		case m == nil || m[1] != "" && rest != s:
			return Selector{}, fmt.Errorf("reading selector %q: %q is no tag, #id, .class or [attr=value]", s, shorten(rest))
		case m[1] != "":
			out.Tag = strings.ToLower(m[1])
		case m[2] != "":
			out.ID = m[2]
		case m[3] != "":
			out.Classes = append(out.Classes, m[3])
		default:
			if out.Attrs == nil {
				out.Attrs = map[string]string{}
			}
			out.Attrs[strings.ToLower(m[4])] = strings.Trim(m[5], "\"'")
		}
		rest = rest[len(m[0]):]
	}
	if s == "" {
		return out, fmt.Errorf("reading selector: it is empty")
	}
	return out, nil
}

func (d *decoder) element(n *yaml.Node) *Element {
	e := &Element{}
	at := ""
	d.object(n, "element", keys{
		"at":        d.setName(&at, "at"),
		"field":     d.setName(&e.Field, "field"),
		"attribute": d.setName(&e.Attribute, "attribute"),
		"json":      d.setFlag(&e.JSON, "json"),
	})
	var err error
	if e.At, err = ParseSelector(at); err != nil {
		d.fail(n, "write it like td.phone, #mail or [data-field=pan]", "at is no selector (%v)", err)
	}
	e.Attribute = strings.ToLower(e.Attribute)
	if count(e.Field != "", e.JSON) != 1 || e.JSON && (e.Attribute != "" || e.At.Tag != "script") {
		d.fail(n, "give field, or json: true for a script", "an element holds one field, or is a script with JSON in it")
	}
	return e
}
