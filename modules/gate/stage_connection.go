// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package gate

import (
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/crmgate/crmgate/modules/internal/network"
	"github.com/crmgate/crmgate/policy"
)

// earlyData refuses TLS 1.3 early data: its sender's address is not proven and
// the request can be replayed (RFC 8470). It also refuses what no HTTP/2 client
// may send (RFC 9113 §8.2.2) and header names in hiding.
func earlyData(x *exchange) step {
	if x.r.TLS != nil && !x.r.TLS.HandshakeComplete {
		return x.refuse(policy.EarlyData, "TLS early data")
	}
	if x.r.ProtoMajor >= 2 {
		for _, name := range [...]string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding"} {
			if len(x.r.Header[name]) > 0 {
				return x.refuse(policy.BadRequest, "a connection header in HTTP/2 or later")
			}
		}
		if te := x.r.Header.Get("Te"); te != "" && !strings.EqualFold(te, "trailers") {
			return x.refuse(policy.BadRequest, "a TE header other than trailers")
		}
	}
	return proceed
}

// running takes the snapshot every later stage uses. Until the stores are open
// there is none, and everything is refused.
func running(x *exchange) step {
	if x.snap = x.app.Snapshot(); x.snap == nil {
		return x.refuse(policy.StoreUnavailable, "the gate has not started yet")
	}
	return proceed
}

// client takes the client's address from Caddy and from nowhere else. A request
// that came through a trusted proxy which names no client has no client.
func client(x *exchange) step {
	raw, _ := x.vars[caddyhttp.ClientIPVarKey].(string)
	ip, err := network.ParseClient(raw)
	if err != nil {
		return x.refuse(policy.ClientUnknown, "the client address cannot be told: "+err.Error())
	}
	if trusted, _ := x.vars[caddyhttp.TrustedProxyVarKey].(bool); trusted {
		srv, ok := x.r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
		if !ok || srv.TrustedProxiesStrict == 0 {
			return x.refuse(policy.ClientUnknown, errNotStrict.Error())
		}
		if fromPeer(x.r, ip) || !named(x.r.Header, srv.ClientIPHeaders, raw) {
			return x.refuse(policy.ClientUnknown, "a trusted proxy named no client")
		}
	}
	x.ip, x.ipText = ip, raw
	if !ip.Is4() || strings.Contains(raw, ":") { // only IPv4 has a single spelling
		x.ipText = ip.String()
	}
	return proceed
}

// networkRules applies the account's lists and what is known about the address.
// A request that brings a CRM key pair is judged by the API list in place of the
// account's: a pair that is wrong is refused before it gains anything from that.
// Public keys, health and the style sheet of the refusal page stay reachable.
func networkRules(x *exchange) step {
	if ownAsset(x.req.Path) {
		return proceed
	}
	api := !isOwn(x.req.Path) && x.hasKey
	x.verdict = x.snap.Network(network.Client{IP: x.ip, API: api})
	return x.judgeNetwork()
}

// personalNetwork applies the lists of the person and of his role.
func personalNetwork(x *exchange) step {
	p := x.d.Principal
	if p == nil || p.Kind == policy.Nobody {
		return proceed
	}
	v := x.snap.NetworkPerson(network.Client{IP: x.ip, API: x.apiKey, Role: p.Role, Email: p.Email})
	if !v.Allowed {
		return x.refuse(policy.IPNotAllowed, v.Detail)
	}
	return proceed
}

func (x *exchange) judgeNetwork() step {
	v := x.verdict
	if v.Report {
		x.app.Metrics().Suspect(string(v.Category))
	}
	switch {
	case v.Allowed:
		return proceed
	case v.Level == network.LevelReputation:
		return x.refuse(policy.IPReputation, v.Detail)
	}
	return x.refuse(policy.IPNotAllowed, v.Detail)
}

// throttle bounds how often a program may call; see QuotaConfig.
func throttle(x *exchange) step {
	if !x.apiKey {
		return proceed
	}
	bulk := false
	for i := range x.d.Operations {
		bulk = bulk || x.d.Operations[i].Bulk
	}
	wait, err := x.app.TakeQuota(x.r.Context(), x.d.Principal.ID, bulk)
	switch {
	case err != nil:
		return x.refuse(policy.StoreUnavailable, "the quota cannot be counted")
	case wait > 0:
		x.d.RetryAfter = wait
		return x.refuse(policy.Throttled, "the quota is used up")
	}
	return proceed
}
