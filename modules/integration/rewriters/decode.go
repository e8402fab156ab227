// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/crmgate/crmgate/policy/mask"
)

// Decode decodes an answer, masks and drops the fields at any depth and in pairs
// of a name and a value, and encodes it again. What cannot be decoded is 502.
type Decode struct {
	Fields

	masks  map[string]*mask.Func
	hidden map[string]bool
}

// CaddyModule returns the Caddy module information.
func (Decode) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.decode_mask_encode", New: func() caddy.Module { return new(Decode) }}
}

// Provision compiles the masks.
func (d *Decode) Provision(caddy.Context) (err error) {
	d.hidden = map[string]bool{}
	for _, name := range d.Hide {
		d.hidden[name] = true
	}
	d.masks, err = d.compile()
	return err
}

// ServeHTTP rewrites the answer.
func (d *Decode) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return rewrite(w, r, next, func(body []byte) ([]byte, error) {
		var v any
		in := json.NewDecoder(bytes.NewReader(body))
		in.UseNumber()
		if err := in.Decode(&v); err != nil {
			return nil, err //nolint:wrapcheck // its user reads it nowhere
		}
		var out bytes.Buffer
		enc := json.NewEncoder(&out)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(d.walk(v)); err != nil {
			return nil, err //nolint:wrapcheck // its user reads it nowhere
		}
		return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
	})
}

// walk masks what is in v.
func (d *Decode) walk(v any) any {
	switch v := v.(type) {
	case []any:
		kept := v[:0]
		for _, x := range v {
			if !d.dropped(x) {
				kept = append(kept, d.walk(x))
			}
		}
		return kept
	case map[string]any:
		name, _ := v["Attribute"].(string)
		for key, x := range v {
			switch m := d.masks[key]; {
			case d.hidden[key]:
				delete(v, key)
			case m != nil:
				v[key] = masked(m, x)
			case key == "Value" && d.masks[name] != nil:
				v[key] = masked(d.masks[name], x)
			default:
				v[key] = d.walk(x)
			}
		}
	}
	return v
}

// dropped says whether v is a pair that nobody is to see.
func (d *Decode) dropped(v any) bool {
	pair, _ := v.(map[string]any)
	name, _ := pair["Attribute"].(string)
	return d.hidden[name]
}

// masked is a value under a function: text and numbers by the function, the rest
// in full.
func masked(m *mask.Func, v any) any {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return string(m.AppendString(nil, v))
	case json.Number:
		return string(m.AppendString(nil, v.String()))
	}
	return mask.FullText
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Decode)(nil)
	_ caddyhttp.MiddlewareHandler = (*Decode)(nil)
)
