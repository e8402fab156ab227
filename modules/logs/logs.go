// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// Package logs is the form in which Caddy writes its own lines before a CRM: who
// somebody looked for is not in them.
package logs

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/logging"
	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
)

func init() {
	caddy.RegisterModule(Encoder{})
}

// Encoder writes what the encoder it wraps writes, with two differences.
//
// Addresses are written up to their query, which becomes `?...`: the `uri` of a
// request, and every header whose value is an address or has one (`Referer`,
// `Location`, `Content-Location`, `Link`, `Refresh`, `Origin`). A query such as
// `?phone=...` is somebody's data, and `?code=...` signs somebody in. This holds for
// the access log and for every other line: Caddy writes the request with each error.
// What Caddy blanks by itself (`Cookie`, `Set-Cookie`, `Authorization`,
// `Proxy-Authorization`) stays blank.
//
// What all lines of one logger have is encoded when a line is written, and not before:
// the proxy prepares a line for each request, with the request in it, and writes it when
// debugging only. That is up to a twentieth of what a small request costs.
//
// It wraps others and is wrapped by none: `filter` and its like write what they are given
// to the encoder beneath while a line is encoded, which this one would keep for later
// lines. Such a configuration is refused; write `crmgate { wrap filter { ... } }`.
//
// Without `wrap`, lines are JSON, or for people where they go to a terminal.
type Encoder struct {
	// WrappedRaw is the encoder that writes. Default: `json`, or `console` on a terminal.
	WrappedRaw json.RawMessage `json:"wrap,omitempty" caddy:"namespace=caddy.logging.encoders inline_key=format"`

	zapcore.Encoder `json:"-"` // the wrapped one; to it goes no field before a line is written

	ctx  caddy.Context
	kept []zapcore.Field // of every line, not encoded yet
}

// CaddyModule returns the Caddy module information.
func (Encoder) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.logging.encoders.crmgate",
		New: func() caddy.Module { return new(Encoder) },
	}
}

// Provision loads the wrapped encoder.
func (e *Encoder) Provision(ctx caddy.Context) error {
	e.ctx = ctx
	for _, m := range ctx.Modules() {
		if _, ok := m.(zapcore.Encoder); ok && m != caddy.Module(e) {
			return fmt.Errorf("the log format crmgate stands within %s: write it the other way round, `format crmgate { wrap ... }`", m.CaddyModule().ID)
		}
	}
	if e.WrappedRaw == nil {
		return e.wrap(new(logging.JSONEncoder))
	}
	mod, err := ctx.LoadModule(e, "WrappedRaw")
	if err != nil {
		return fmt.Errorf("loading the wrapped encoder: %w", err)
	}
	e.Encoder = mod.(zapcore.Encoder) //nolint:forcetypeassert // the namespace holds nothing else
	return nil
}

// wrap provisions an encoder and wraps it.
func (e *Encoder) wrap(enc interface {
	zapcore.Encoder
	caddy.Provisioner
},
) error {
	if err := enc.Provision(e.ctx); err != nil {
		return fmt.Errorf("provisioning the wrapped encoder: %w", err)
	}
	e.Encoder = enc
	return nil
}

// ConfigureDefaultFormat makes lines for people where w is a terminal.
func (e *Encoder) ConfigureDefaultFormat(w caddy.WriterOpener) error {
	if e.WrappedRaw == nil && caddy.IsWriterStandardStream(w) && term.IsTerminal(int(os.Stderr.Fd())) {
		return e.wrap(new(logging.ConsoleEncoder))
	}
	if inner, ok := e.Encoder.(caddy.ConfiguresFormatterDefault); ok {
		return inner.ConfigureDefaultFormat(w) //nolint:wrapcheck // of the module this stands for
	}
	return nil
}

// UnmarshalCaddyfile sets up the encoder from Caddyfile tokens. Syntax:
//
//	crmgate {
//	    wrap <another encoder>
//	}
func (e *Encoder) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume encoder name
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		if d.Val() != "wrap" {
			return d.Errf("unrecognized option %q: the log format crmgate has one, wrap", d.Val())
		}
		if e.WrappedRaw != nil {
			return d.Err("wrap stands here twice")
		}
		if !d.NextArg() {
			return d.ArgErr()
		}
		name := d.Val()
		id := "caddy.logging.encoders." + name
		mod, err := caddyfile.UnmarshalModule(d, id)
		if err != nil {
			return err //nolint:wrapcheck // has file and line
		}
		enc, ok := mod.(zapcore.Encoder)
		if !ok {
			return d.Errf("module %s (%T) is not an encoder", id, mod)
		}
		e.WrappedRaw = caddyconfig.JSONModuleObject(enc, "format", name, nil)
	}
	return nil
}

// Clone copies the encoder with what was added to it. The wrapped one is never added
// to, so that all copies share it.
func (e *Encoder) Clone() zapcore.Encoder {
	kept := make([]zapcore.Field, len(e.kept), len(e.kept)+4)
	copy(kept, e.kept)
	return &Encoder{Encoder: e.Encoder, kept: kept}
}

// EncodeEntry writes a line.
func (e *Encoder) EncodeEntry(entry zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	enc := e.Encoder.Clone()
	for i := range e.kept {
		e.kept[i].AddTo(discreet{enc})
	}
	for i := range fields {
		fields[i].AddTo(discreet{enc})
	}
	return enc.EncodeEntry(entry, nil) //nolint:wrapcheck // the wrapped one's answer
}

// Interface guards
var (
	_ zapcore.Encoder                  = (*Encoder)(nil)
	_ caddy.Provisioner                = (*Encoder)(nil)
	_ caddy.ConfiguresFormatterDefault = (*Encoder)(nil)
	_ caddyfile.Unmarshaler            = (*Encoder)(nil)
)
