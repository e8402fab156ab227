// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"encoding/json"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("crmgate", parseGlobal)
}

// parseGlobal reads the global option. A second block is an error: Caddy would
// silently let the last one win.
func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		d.Next() // so that the error names the line
		return nil, d.Err("crmgate is already configured; one block guards one account")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "crmgate", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile sets up the app from Caddyfile tokens. Syntax:
//
//	crmgate {
//	    account  <name>
//	    data     <folder>
//	    node     <name>
//	    key      <32 bytes as {env.NAME} or {file./path}>
//	    state    <store> [<url>] { ... }
//	    records  <store> [<dsn>] { ... }
//	    map      <name>|<file>
//	    policy   <file>
//	    title    <text>
//	    origin   <https://host>
//	    identity <provider> { ... }
//	    mail {
//	        host     <name>
//	        port     <number>
//	        tls      starttls|implicit|none
//	        ca       <file>
//	        user     <name>
//	        password <as {env.NAME} or {file./path}>
//	        from     <address>
//	        timeout  <duration>
//	    }
//	    sms {
//	        url      <https://...>
//	        secret   <as {env.NAME} or {file./path}>
//	        networks <ranges...>
//	        ca       <file>
//	        timeout  <duration>
//	    }
//	    session {
//	        idle        <duration>
//	        absolute    <duration>
//	        unavailable strict|best_effort
//	    }
//	    network {
//	        anonymous_ip <file>
//	        tor_exits    <file>
//	        interval     <duration>
//	    }
//	    audit {
//	        strict
//	        spool <size in bytes>
//	    }
//	    quota {
//	        calls <number> <duration>
//	        bulk  <number> <duration>
//	    }
//	    bridge jwt {
//	        header   <name>
//	        audience <text>
//	        lifetime <duration>
//	    }
//	    bridge headers {
//	        user|email|name|role <header>
//	    }
//	    bridge keys
//	    bridge adopt
//	    bridge credentials {
//	        sign_in  <url>
//	        sign_out <url>
//	        body     form|json
//	        field    <name> <text with {user} and {password}>
//	        success  <statuses...>
//	        cookies  <names...>
//	        token    <json pointer> <header> [<word before it>]
//	        lifetime <duration>
//	        expired  <statuses...>
//	        ca       <file>
//	    }
//	}
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // consume option name
	if d.NextArg() {
		return d.ArgErr()
	}
	seen := map[string]bool{}
	for d.NextBlock(0) {
		name := d.Val()
		if seen[name] && name != "identity" && name != "bridge" {
			return d.Errf("%s is given twice", name)
		}
		seen[name] = true
		if err := a.unmarshalOption(d, name); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) unmarshalOption(d *caddyfile.Dispenser, name string) error {
	switch name {
	case "account":
		return oneArg(d, &a.Account)
	case "data":
		return oneArg(d, &a.Data)
	case "node":
		return oneArg(d, &a.Node)
	case "key":
		return oneArg(d, &a.Key)
	case "map":
		return oneArg(d, &a.Map)
	case "policy":
		return oneArg(d, &a.Policy)
	case "title":
		return oneArg(d, &a.Title)
	case "origin":
		return oneArg(d, &a.Origin)
	case "mail":
		return a.unmarshalMail(d)
	case "sms":
		return a.unmarshalSMS(d)
	case "state":
		return guest(d, "crmgate.state", "store", &a.StateRaw)
	case "records":
		return guest(d, "crmgate.records", "store", &a.RecordsRaw)
	case "identity":
		var raw json.RawMessage
		if err := guest(d, "crmgate.identity", "provider", &raw); err != nil {
			return err
		}
		a.IdentityRaw = append(a.IdentityRaw, raw)
		return nil
	case "session":
		return a.unmarshalSession(d)
	case "network":
		return a.unmarshalNetwork(d)
	case "audit":
		return a.unmarshalAudit(d)
	case "bridge":
		return a.unmarshalBridge(d)
	case "quota":
		return a.unmarshalQuota(d)
	}
	return d.Errf("unrecognized crmgate option %q", name)
}

// oneArg reads exactly one argument into dst.
func oneArg(d *caddyfile.Dispenser, dst *string) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	*dst = d.Val()
	if d.NextArg() {
		return d.ArgErr()
	}
	return nil
}

// durationArg reads exactly one positive duration into dst.
func durationArg(d *caddyfile.Dispenser, dst *caddy.Duration) error {
	var s string
	if err := oneArg(d, &s); err != nil {
		return err
	}
	v, err := caddy.ParseDuration(s)
	if err != nil || v <= 0 {
		return d.Errf("%q is not a duration above zero, such as 30m or 12h", s)
	}
	*dst = caddy.Duration(v)
	return nil
}

// guest reads `<option> <module> ...` by handing the segment to the module.
func guest(d *caddyfile.Dispenser, namespace, key string, dst *json.RawMessage) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	name := d.Val()
	mod, err := caddyfile.UnmarshalModule(d, namespace+"."+name)
	if err != nil {
		return err
	}
	*dst = caddyconfig.JSONModuleObject(mod, key, name, nil)
	return nil
}

func (a *App) unmarshalSession(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	a.Session = new(SessionConfig)
	for d.NextBlock(1) {
		var err error
		switch d.Val() {
		case "idle":
			err = durationArg(d, &a.Session.Idle)
		case "absolute":
			err = durationArg(d, &a.Session.Absolute)
		case "unavailable":
			if err = oneArg(d, &a.Session.Unavailable); err == nil && a.Session.Unavailable != "strict" && a.Session.Unavailable != "best_effort" {
				err = d.Errf("unavailable is strict or best_effort, not %q", a.Session.Unavailable)
			}
		default:
			err = d.Errf("unrecognized session option %q", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *App) unmarshalNetwork(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	a.Network = new(NetworkConfig)
	for d.NextBlock(1) {
		var err error
		switch d.Val() {
		case "anonymous_ip":
			err = oneArg(d, &a.Network.AnonymousIP)
		case "tor_exits":
			err = oneArg(d, &a.Network.TorExits)
		case "interval":
			err = durationArg(d, &a.Network.Interval)
		default:
			err = d.Errf("unrecognized network option %q", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *App) unmarshalAudit(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	a.Config.Audit = new(AuditConfig)
	for d.NextBlock(1) {
		switch d.Val() {
		case "strict":
			if d.NextArg() {
				return d.ArgErr()
			}
			a.Config.Audit.Strict = true
		case "spool":
			var s string
			if err := oneArg(d, &s); err != nil {
				return err
			}
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil || n <= 0 {
				return d.Errf("spool is a size in bytes above zero, not %q", s)
			}
			a.Config.Audit.Spool = n
		default:
			return d.Errf("unrecognized audit option %q", d.Val())
		}
	}
	return nil
}

func (a *App) unmarshalQuota(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	a.Quota = new(QuotaConfig)
	for d.NextBlock(1) {
		name, args := d.Val(), d.RemainingArgs()
		if name != "calls" && name != "bulk" {
			return d.Errf("unrecognized quota option %q", name)
		}
		if len(args) != 2 {
			return d.ArgErr()
		}
		n, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil || n < 1 {
			return d.Errf("%q is not a number of calls above zero", args[0])
		}
		per, err := caddy.ParseDuration(args[1])
		if err != nil || per <= 0 {
			return d.Errf("%q is not a duration above zero, such as 5s or 1d", args[1])
		}
		rule := QuotaRule{Calls: n, Per: caddy.Duration(per)}
		if name == "calls" {
			a.Quota.Calls = append(a.Quota.Calls, rule)
		} else {
			a.Quota.Bulk = append(a.Quota.Bulk, rule)
		}
	}
	return nil
}

func (a *App) unmarshalBridge(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.ArgErr()
	}
	if a.Config.Bridge == nil {
		a.Config.Bridge = new(BridgeConfig)
	}
	kind, b := d.Val(), a.Config.Bridge
	if d.NextArg() {
		return d.ArgErr()
	}
	if kind == "jwt" && b.JWT != nil || kind == "headers" && b.Headers != nil || kind == "keys" && b.Keys || kind == "adopt" && b.Adopt ||
		kind == "credentials" && b.Credentials != nil {
		return d.Errf("bridge %s is given twice", kind)
	}
	switch kind {
	case "jwt":
		b.JWT = new(JWTBridge)
		return unmarshalJWTBridge(d, b.JWT)
	case "headers":
		b.Headers = new(HeaderBridge)
		return unmarshalHeaderBridge(d, b.Headers)
	case "keys":
		b.Keys = true
		return nil
	case "adopt":
		b.Adopt = true
		return nil
	case "credentials":
		b.Credentials = new(CredentialsBridge)
		return unmarshalCredentialsBridge(d, b.Credentials)
	}
	return d.Errf("unrecognized bridge %q: jwt, headers, keys, adopt or credentials", kind)
}

func unmarshalJWTBridge(d *caddyfile.Dispenser, b *JWTBridge) error {
	for d.NextBlock(1) {
		var err error
		switch d.Val() {
		case "header":
			err = oneArg(d, &b.Header)
		case "audience":
			err = oneArg(d, &b.Audience)
		case "lifetime":
			err = durationArg(d, &b.Lifetime)
		default:
			err = d.Errf("unrecognized bridge option %q", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func unmarshalHeaderBridge(d *caddyfile.Dispenser, b *HeaderBridge) error {
	for d.NextBlock(1) {
		var err error
		switch d.Val() {
		case "user":
			err = oneArg(d, &b.User)
		case "email":
			err = oneArg(d, &b.Email)
		case "name":
			err = oneArg(d, &b.Name)
		case "role":
			err = oneArg(d, &b.Role)
		default:
			err = d.Errf("unrecognized bridge option %q", d.Val())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Interface guards
var _ caddyfile.Unmarshaler = (*App)(nil)
