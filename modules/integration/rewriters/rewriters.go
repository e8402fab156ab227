// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package main is Caddy with the two ways in which answers are masked where there
// is no gate: decoding, masking and encoding each one, and replacing by regular
// expressions. The corpus of hostile answers and the measurements run against them.
//
// Both are written as somebody would who knows what he does and has an afternoon:
// they ask for answers without a coding, work on the body as a whole, give it its
// new length and take the entity tag away. Neither is to be used for anything.
package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	"github.com/crmgate/crmgate/policy/mask"
)

func main() {
	caddy.RegisterModule(Decode{})
	caddy.RegisterModule(Replace{})
	httpcaddyfile.RegisterHandlerDirective("decode_mask_encode", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		d := new(Decode)
		return d, d.UnmarshalCaddyfile(h.Dispenser)
	})
	httpcaddyfile.RegisterHandlerDirective("replace_by_regexp", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		r := new(Replace)
		return r, r.UnmarshalCaddyfile(h.Dispenser)
	})
	caddycmd.Main()
}

// Fields says what becomes of which field.
type Fields struct {
	Mask map[string]string `json:"mask,omitempty"` // name to function
	Hide []string          `json:"hide,omitempty"`
}

// UnmarshalCaddyfile reads a block of lines, each a function or "hide" and names:
// `mask phone Phone Mobile`, `hide Notes`.
func (f *Fields) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume directive name
	f.Mask = map[string]string{}
	for d.NextBlock(0) {
		switch word, args := d.Val(), d.RemainingArgs(); {
		case word == "mask" && len(args) > 1:
			for _, name := range args[1:] {
				f.Mask[name] = args[0]
			}
		case word == "hide" && len(args) > 0:
			f.Hide = append(f.Hide, args...)
		default:
			return d.ArgErr()
		}
	}
	return nil
}

// compile returns the masking functions by name, the same as the gate's own.
func (f *Fields) compile() (map[string]*mask.Func, error) {
	out := map[string]*mask.Func{}
	for name, fn := range f.Mask {
		m, err := mask.Compile(mask.Spec{Fn: fn}, nil)
		if err != nil {
			return nil, fmt.Errorf("reading the mask of %s: %w", name, err)
		}
		out[name] = m
	}
	return out, nil
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// rewrite sends the request on and hands a JSON answer's body to edit.
func rewrite(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, edit func(body []byte) ([]byte, error)) error {
	r.Header.Set("Accept-Encoding", "identity")
	buf := buffers.Get().(*bytes.Buffer) //nolint:forcetypeassert // the pool holds nothing else
	defer buffers.Put(buf)
	buf.Reset()
	rec := caddyhttp.NewResponseRecorder(w, buf, func(_ int, h http.Header) bool {
		return strings.Contains(strings.ToLower(h.Get("Content-Type")), "json")
	})
	if err := next.ServeHTTP(rec, r); err != nil || !rec.Buffered() {
		return err //nolint:wrapcheck // it is not ours
	}
	if buf.Len() > 0 {
		out, err := edit(buf.Bytes())
		if err != nil {
			return caddyhttp.Error(http.StatusBadGateway, err)
		}
		buf.Reset()
		buf.Write(out)
	}
	rec.Header().Del("Etag")
	rec.Header().Set("Content-Length", strconv.Itoa(buf.Len()))
	return rec.WriteResponse() //nolint:wrapcheck // it is not ours
}
