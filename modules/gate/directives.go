// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// Every directive and its order is registered here and nowhere else: Caddy keeps
// no order between directives of different files.
func init() {
	httpcaddyfile.RegisterHandlerDirective("crmgate", parseGate)
	httpcaddyfile.RegisterDirective("crmgate_proxy", parseProxy)
	httpcaddyfile.RegisterDirectiveOrder("crmgate", httpcaddyfile.Before, "basic_auth")
	httpcaddyfile.RegisterDirectiveOrder("crmgate_proxy", httpcaddyfile.After, "reverse_proxy")
}

func parseGate(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	g := new(Handler)
	return g, g.UnmarshalCaddyfile(h.Dispenser)
}

// parseProxy parses the crmgate_proxy directive, which has the syntax of
// reverse_proxy and expands to the gate in front of it. Syntax:
//
//	crmgate_proxy [<matcher>] <upstreams...> {
//	    <options of reverse_proxy...>
//	}
//
// is the same as
//
//	route [<matcher>] {
//	    crmgate
//	    reverse_proxy <upstreams...> {
//	        transport crmgate
//	        <options of reverse_proxy...>
//	    }
//	}
//
// but for the copying of answers, see [Handler.Adjacent]. A transport other than crmgate
// is an error.
func parseProxy(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	if !h.Next() {
		return nil, h.ArgErr()
	}
	matchers, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	d := h.NewFromNextSegment()
	d.Next() // consume directive name
	rp := new(reverseproxy.Handler)
	if err := rp.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	if err := rp.FinalizeUnmarshalCaddyfile(h); err != nil {
		return nil, err
	}
	if rp.TransportRaw, err = ownTransport(h, rp.TransportRaw); err != nil {
		return nil, err
	}
	route := caddyhttp.Route{HandlersRaw: []json.RawMessage{
		caddyconfig.JSONModuleObject(&Handler{Adjacent: len(rp.HandleResponse) == 0}, "handler", "crmgate", nil),
		caddyconfig.JSONModuleObject(rp, "handler", "reverse_proxy", nil),
	}}
	if matchers != nil {
		route.MatcherSetsRaw = []caddy.ModuleMap{matchers}
	}
	return []httpcaddyfile.ConfigValue{{Class: "route", Value: route}}, nil
}

// ownTransport makes the transport the gate's. TLS options that reverse_proxy
// derived from an https:// upstream are kept: both transports have the same ones.
func ownTransport(h httpcaddyfile.Helper, raw json.RawMessage) (json.RawMessage, error) {
	var t map[string]json.RawMessage
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &t); err != nil {
			return nil, h.Errf("reading the transport: %v", err)
		}
	}
	if t == nil {
		t = map[string]json.RawMessage{}
	}
	if p, ok := t["protocol"]; ok && string(p) != `"http"` && string(p) != `"crmgate"` {
		return nil, h.Errf("crmgate_proxy cannot use transport %s: only its own transport holds the interlock", p)
	}
	t["protocol"] = json.RawMessage(`"crmgate"`)
	return caddyconfig.JSON(t, nil), nil
}
