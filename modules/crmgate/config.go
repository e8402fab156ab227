// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package crmgate

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2"
)

// SessionConfig bounds sessions. What stands here is pinned: the policy cannot
// change it.
type SessionConfig struct {
	// How long a session may be idle. 0 leaves it to the policy (default 30m).
	Idle caddy.Duration `json:"idle,omitempty"`
	// How long a session lives at most. 0 leaves it to the policy (default 12h).
	Absolute caddy.Duration `json:"absolute,omitempty"`
	// What to do when the state store's fan-out is lost: `strict` (default) reads
	// through and refuses with 503 when it cannot; `best_effort` serves from the
	// last view for at most 30 seconds.
	Unavailable string `json:"unavailable,omitempty"`
}

// NetworkConfig names the files behind the network rules. The rules themselves
// are the policy's.
type NetworkConfig struct {
	// A GeoIP2 or GeoLite-shaped Anonymous-IP database (MMDB).
	AnonymousIP string `json:"anonymous_ip,omitempty"`
	// A list of Tor exits: the bulk list, `exit-addresses`, or a set of CIDRs.
	TorExits string `json:"tor_exits,omitempty"`
	// How often the files are looked at; default 2s, at least 100ms.
	Interval caddy.Duration `json:"interval,omitempty"`
}

// AuditConfig says how sure the audit must be.
type AuditConfig struct {
	// A request is refused unless its record is durable first. Off by default:
	// records are then committed in groups within 50 ms, and spooled to disk while
	// the store is away.
	Strict bool `json:"strict,omitempty"`
	// Size of the spool in bytes; default 64 MiB.
	Spool int64 `json:"spool,omitempty"`
}

// QuotaRule allows so many calls in a window.
type QuotaRule struct {
	Calls int64          `json:"calls"` // 1 or more
	Per   caddy.Duration `json:"per"`   // 1s to 31 days
}

// QuotaConfig bounds what programs may call, per key; people in browsers are not
// counted. Exceeding it is 429 with Retry-After.
type QuotaConfig struct {
	// All of these hold for every call.
	Calls []QuotaRule `json:"calls,omitempty"`
	// These hold for bulk calls in addition, counted apart.
	Bulk []QuotaRule `json:"bulk,omitempty"`
}

// JWTBridge hands the person's identity to the CRM as a signed JWT.
type JWTBridge struct {
	// Header that carries the token; default X-Crmgate-Jwt-Assertion.
	Header string `json:"header,omitempty"`
	// Audience of the token; default the account's name.
	Audience string `json:"audience,omitempty"`
	// Lifetime of a token, 10s to 5m; default 60s.
	Lifetime caddy.Duration `json:"lifetime,omitempty"`
}

// HeaderBridge hands the person's identity to the CRM in plain headers. An empty
// name sends nothing.
type HeaderBridge struct {
	User  string `json:"user,omitempty"`  // the person's id
	Email string `json:"email,omitempty"` //
	Name  string `json:"name,omitempty"`  //
	Role  string `json:"role,omitempty"`  //
}

// BridgeConfig says how the CRM learns who asks. Copies of any of these that a
// client sends are removed first, in every spelling.
type BridgeConfig struct {
	JWT     *JWTBridge    `json:"jwt,omitempty"`
	Headers *HeaderBridge `json:"headers,omitempty"`
	// Inject the person's own CRM key pair where the map says it goes.
	Keys bool `json:"keys,omitempty"`
	// Let the CRM's own sign-in pass and bind the session it hands out to the
	// gateway session that asked for it.
	Adopt bool `json:"adopt,omitempty"`
	// Sign in to the CRM with the person's own stored credentials and keep what it
	// hands out.
	Credentials *CredentialsBridge `json:"credentials,omitempty"`
}

// Config is the `crmgate` app's configuration: one app guards one account.
//
// A missing or unreadable file, an unknown map, a policy with a mistake, or a
// data folder that cannot be written is an error at start; on a reload the
// running configuration stays.
type Config struct {
	// Name of the account; part of every key in the stores. Default "default".
	Account string `json:"account,omitempty"`
	// Folder for everything embedded: databases, the key file, the audit spool.
	Data string `json:"data,omitempty"`
	// Name of this machine in the audit; default the host name.
	Node string `json:"node,omitempty"`
	// 32 bytes, base64 or hex, that seal small secrets in the records store. Give
	// it as {env.NAME} or {file./path}. Default: the file vault.key in the data
	// folder, made at first start.
	Key string `json:"key,omitempty"`
	// Where sessions, counters and locks live; default embedded.
	StateRaw json.RawMessage `json:"state,omitempty" caddy:"namespace=crmgate.state inline_key=store"`
	// Where people, keys, revisions and audit live; default sqlite.
	RecordsRaw json.RawMessage `json:"records,omitempty" caddy:"namespace=crmgate.records inline_key=store"`
	// The resource map: the name of a built-in one (leadsquared, tryton) or a file.
	Map string `json:"map,omitempty"`
	// The policy file. Default: roles with their documented rights, no templates.
	Policy string `json:"policy,omitempty"`
	// Where browsers reach the gate, such as https://crm.example.com. Needed by
	// identity providers that send people away and back, by passkeys and by mail.
	Origin string `json:"origin,omitempty"`
	// How the gate sends mail and text messages; without them it sends none.
	Mail *MailConfig `json:"mail,omitempty"`
	SMS  *SMSConfig  `json:"sms,omitempty"`
	// How people prove who they are; default local passwords.
	IdentityRaw []json.RawMessage `json:"identity,omitempty" caddy:"namespace=crmgate.identity inline_key=provider"`
	Session     *SessionConfig    `json:"session,omitempty"`
	Network     *NetworkConfig    `json:"network,omitempty"`
	Audit       *AuditConfig      `json:"audit,omitempty"`
	Bridge      *BridgeConfig     `json:"bridge,omitempty"`
	Quota       *QuotaConfig      `json:"quota,omitempty"`
	// Title of the gate's own pages; default "CRM".
	Title string `json:"title,omitempty"`
}
