// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/crmgate/crmgate/policy/mask"
)

// Replace replaces in an answer's text what a regular expression for each function,
// and one for what is hidden, matches: `"Phone": "..."`, as a configuration of a
// general rewriter of bodies would.
type Replace struct {
	Fields

	edits []edit
}

// edit is one expression; its first group stays, and its second is masked.
type edit struct {
	find *regexp.Regexp
	mask *mask.Func // nil: what matched is taken out
}

// CaddyModule returns the Caddy module information.
func (Replace) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.replace_by_regexp", New: func() caddy.Module { return new(Replace) }}
}

// Provision compiles the expressions.
func (r *Replace) Provision(caddy.Context) error {
	masks, err := r.compile()
	if err != nil {
		return err
	}
	names, funcs := map[string][]string{}, map[string]*mask.Func{}
	for name, fn := range r.Mask {
		names[fn], funcs[fn] = append(names[fn], regexp.QuoteMeta(name)), masks[name]
	}
	const value = `("(?:[^"\\]|\\.)*"|[-+.0-9eE]+)`
	for fn, list := range names {
		find, err := regexp.Compile(`("(?:` + strings.Join(list, "|") + `)"\s*(?::|,\s*"Value"\s*:)\s*)` + value)
		if err != nil {
			return err //nolint:wrapcheck // the name is in it
		}
		r.edits = append(r.edits, edit{find, funcs[fn]})
	}
	hide := make([]string, len(r.Hide))
	for i, name := range r.Hide {
		hide[i] = regexp.QuoteMeta(name)
	}
	if len(hide) > 0 {
		r.edits = append(r.edits, edit{regexp.MustCompile(`,?"(?:` + strings.Join(hide, "|") + `)"\s*:\s*` + value), nil})
	}
	return nil
}

// ServeHTTP rewrites the answer.
func (r *Replace) ServeHTTP(w http.ResponseWriter, req *http.Request, next caddyhttp.Handler) error {
	return rewrite(w, req, next, func(body []byte) ([]byte, error) {
		for i := range r.edits {
			body = r.edits[i].replace(body)
		}
		return body, nil
	})
}

func (e *edit) replace(body []byte) []byte {
	var out []byte
	last := 0
	for _, at := range e.find.FindAllSubmatchIndex(body, -1) {
		if e.mask == nil {
			out = append(out, body[last:at[0]]...)
		} else {
			out = append(append(out, body[last:at[3]]...), '"')
			text := strings.Trim(string(body[at[4]:at[5]]), `"`)
			out = append(e.mask.AppendString(out, text), '"')
		}
		last = at[1]
	}
	if last == 0 {
		return body
	}
	return append(out, body[last:]...)
}

// Interface guards
var (
	_ caddy.Provisioner           = (*Replace)(nil)
	_ caddyhttp.MiddlewareHandler = (*Replace)(nil)
)
