// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

// probe is a handler that sees its server the way the gate does.
type probe struct{}

var probed error

func (probe) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.crmgate_probe", New: func() caddy.Module { return new(probe) }}
}

func (*probe) Provision(ctx caddy.Context) error {
	srv, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return errors.New("the server is not in the context")
	}
	probed = checkTrustedProxies(srv)
	return nil
}

func (*probe) ServeHTTP(http.ResponseWriter, *http.Request, caddyhttp.Handler) error { return nil }

// A server that trusts proxies without strict does not start, whatever Caddy
// keeps of its configuration: else clients choose their address.
func TestTrustedProxiesNeedStrict(t *testing.T) {
	caddy.RegisterModule(probe{})
	for _, c := range []struct {
		name, server string
		refused      bool
	}{
		{"none", `{}`, false},
		{"strict", `{"trusted_proxies": {"source": "static", "ranges": ["10.0.0.1/32"]}, "trusted_proxies_strict": 1}`, false},
		{"not strict", `{"trusted_proxies": {"source": "static", "ranges": ["10.0.0.1/32"]}}`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var srv map[string]any
			if err := json.Unmarshal([]byte(c.server), &srv); err != nil {
				t.Fatal(err)
			}
			srv["listen"] = []string{"127.0.0.1:0"}
			srv["routes"] = []any{map[string]any{"handle": []any{map[string]string{"handler": "crmgate_probe"}}}}
			raw, err := json.Marshal(map[string]any{"servers": map[string]any{"s": srv}})
			if err != nil {
				t.Fatal(err)
			}
			probed = nil
			cfg := &caddy.Config{Logging: new(caddy.Logging), AppsRaw: caddy.ModuleMap{"http": raw}, Admin: &caddy.AdminConfig{Disabled: true}}
			if err := caddy.Validate(cfg); err != nil {
				t.Fatalf("validating: %v", err)
			}
			if (probed != nil) != c.refused {
				t.Errorf("the gate says %v", probed)
			}
		})
	}
}
