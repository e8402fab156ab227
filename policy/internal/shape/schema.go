// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package shape

import (
	"encoding/json"
	"strconv"
)

// Schema writes the shape as a JSON schema (draft 2020-12), for editors. What a
// schema cannot say (ranges of durations, networks, names that must exist) the
// reader alone checks.
func Schema(id, title string, root *Shape) ([]byte, error) {
	m := root.schema()
	m["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	m["$id"] = id
	m["title"] = title
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}

func (s *Shape) schema() map[string]any {
	if s.Or != nil {
		one := *s
		one.Or = nil
		return map[string]any{"anyOf": []any{one.schema(), s.Or.schema()}}
	}
	switch s.Kind {
	case Object:
		return s.objectSchema()
	case Map:
		m := map[string]any{"type": "object", "additionalProperties": s.Elem.schema()}
		if s.Pattern != nil {
			m["propertyNames"] = map[string]any{"pattern": s.Pattern.String()}
		}
		if s.Max > 0 {
			m["maxProperties"] = s.Max
		}
		return m
	case List:
		m := map[string]any{"type": "array", "items": s.Elem.schema()}
		if s.Min > 0 {
			m["minItems"] = s.Min
		}
		if s.Max > 0 {
			m["maxItems"] = s.Max
		}
		if s.Unique {
			m["uniqueItems"] = true
		}
		return m
	case Any:
		return map[string]any{}
	case Int:
		return map[string]any{"type": "integer", "minimum": s.Min, "maximum": s.Max}
	case Bool:
		return map[string]any{"type": "boolean"}
	case Word:
		return map[string]any{"enum": s.enum()}
	case Duration:
		p := `([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+`
		if s.Off {
			p = "off|" + p
		}
		return map[string]any{"type": "string", "pattern": "^(" + p + ")$"}
	}
	return s.textSchema()
}

// enum returns the words as YAML reads them: digits are a number.
func (s *Shape) enum() []any {
	out := make([]any, len(s.Words))
	for i, w := range s.Words {
		out[i] = w
		if n, err := strconv.Atoi(w); err == nil {
			out[i] = n
		}
	}
	return out
}

func (s *Shape) textSchema() map[string]any {
	if s.Kind == Network {
		return map[string]any{"type": "string", "minLength": 2}
	}
	m := map[string]any{"type": []string{"string", "number"}}
	if s.Min > 0 {
		m["minLength"] = s.Min
	}
	if s.Max > 0 {
		m["maxLength"] = s.Max
	}
	if s.Pattern != nil {
		m["pattern"] = s.Pattern.String()
	}
	return m
}

func (s *Shape) objectSchema() map[string]any {
	props := map[string]any{}
	var required []string
	for _, k := range s.Keys {
		p := k.Shape.schema()
		p["description"] = k.Doc
		props[k.Name] = p
		if k.Required {
			required = append(required, k.Name)
		}
	}
	m := map[string]any{"type": "object", "additionalProperties": false, "properties": props}
	if required != nil {
		m["required"] = required
	}
	return m
}
