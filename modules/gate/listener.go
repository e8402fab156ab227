// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/crmgate/crmgate/modules/internal/cork"
)

func init() {
	caddy.RegisterModule(Listener{})
}

// Listener lets the gate send the header of an answer and what it has of its body
// in one system call over HTTP/1, where Go's server needs two and TLS one for each of
// its records. Nothing is kept longer than the gate takes to write what it has in its
// hands, and nothing depends on it: without it answers cost more, and are the same.
//
// Name it before `tls` in the server's listener wrappers:
//
//	servers {
//		listener_wrappers {
//			crmgate
//			tls
//		}
//	}
//
// It takes no options. Behind a load balancer with the PROXY protocol name it first:
// `crmgate`, `proxy_protocol`, `tls`. Left as they are: connections over TLS where it is
// named after `tls` or alone, and those behind `proxy_protocol` where it is named after
// that; HTTP/2 and HTTP/3; and plain ones of a server with `protocols h1`, which Caddy wraps.
type Listener struct{}

// CaddyModule returns the Caddy module information.
func (Listener) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.listeners.crmgate",
		New: func() caddy.Module { return new(Listener) },
	}
}

// Provision makes the server tell the gate which connection a request came over.
func (*Listener) Provision(ctx caddy.Context) error {
	if srv, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		srv.RegisterConnContext(cork.With)
	}
	return nil
}

// WrapListener wraps l.
func (*Listener) WrapListener(l net.Listener) net.Listener { return cork.Listener{Listener: l} }

// UnmarshalCaddyfile sets up the wrapper from Caddyfile tokens. Syntax:
//
//	crmgate
func (*Listener) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume wrapper name
	if d.NextArg() {
		return d.ArgErr()
	}
	if d.NextBlock(0) {
		return d.Err("the listener wrapper crmgate takes no options")
	}
	return nil
}

// connectionOf is the connection that the answer to r can be corked on, nil for none:
// under HTTP/2 it is other requests' as well.
func connectionOf(r *http.Request) *cork.Conn {
	if r.ProtoMajor != 1 {
		return nil
	}
	return cork.Of(r.Context())
}

// Interface guards
var (
	_ caddy.Provisioner     = (*Listener)(nil)
	_ caddy.ListenerWrapper = (*Listener)(nil)
	_ caddyfile.Unmarshaler = (*Listener)(nil)
)
