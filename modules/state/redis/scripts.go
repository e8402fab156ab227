// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

package redis

import (
	"net/url"
	"strings"

	goredis "github.com/redis/go-redis/v9"
)

// keys names what one account has in Redis.
type keys struct {
	entries string // + key: an entry's value
	limits  string // + key: a counter of Admit
	seq     string // number of the last change
	index   string // sorted set of all keys, in byte order
	ends    string // sorted set of the keys that expire, by time in ms
	channel string // where changes are published
}

// keysOf puts the account's name, escaped so that nothing in it can end it, into
// the braces that decide about the Cluster's slot. The dot keeps them from being
// empty: Redis would then look at the whole key.
func keysOf(account string) keys {
	tag := "crmgate:{" + strings.ReplaceAll(url.QueryEscape(account), ".", "%2E") + ".}:"
	return keys{
		entries: tag + "entry:", limits: tag + "limit:",
		seq: tag + "seq", index: tag + "index", ends: tag + "ends", channel: tag + "changes",
	}
}

// common begins every script that changes entries. KEYS: seq, index, ends, then
// entries. ARGV: channel, then what each script needs. ttl: ms, 0 for none,
// negative for over.
const common = `
local seq, index, ends = KEYS[1], KEYS[2], KEYS[3]
local channel = ARGV[1]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local function tell(kind, key, ttl, value)
	local n = redis.call('INCR', seq)
	redis.call('PUBLISH', channel, string.format('%.0f', n) .. ' ' .. kind .. ' ' .. ttl .. ' ' .. #key .. ' ' .. key .. value)
end

local function drop(at, key)
	redis.call('DEL', at)
	redis.call('ZREM', index, key)
	redis.call('ZREM', ends, key)
	tell('1', key, '0', '')
end

-- Keys that have expired by themselves leave the index here: each change may add
-- one key and takes out up to eight.
local function tidy()
	local old = redis.call('ZRANGEBYSCORE', ends, '-inf', string.format('(%.0f', now - 1000), 'LIMIT', 0, 8)
	if #old > 0 then
		redis.call('ZREM', index, unpack(old))
		redis.call('ZREM', ends, unpack(old))
	end
end

local function set(at, key, value, ttl)
	if tonumber(ttl) < 0 then
		drop(at, key)
		return
	end
	tidy()
	redis.call('ZADD', index, 0, key)
	if ttl == '0' then
		redis.call('SET', at, value)
		redis.call('ZREM', ends, key)
	else
		redis.call('SET', at, value, 'PX', ttl)
		redis.call('ZADD', ends, string.format('%.0f', now + tonumber(ttl)), key)
	end
	tell('0', key, ttl, value)
end
`

var (
	putScript = goredis.NewScript(common + `
set(KEYS[4], ARGV[2], ARGV[3], ARGV[4])
return 1`)

	putNewScript = goredis.NewScript(common + `
if tonumber(ARGV[4]) < 0 or redis.call('EXISTS', KEYS[4]) == 1 then
	return 0
end
set(KEYS[4], ARGV[2], ARGV[3], ARGV[4])
return 1`)

	// 1: replaced, 0: another value, -1: no entry.
	replaceScript = goredis.NewScript(common + `
local cur = redis.call('GET', KEYS[4])
if not cur then
	return -1
end
if cur ~= ARGV[5] then
	return 0
end
set(KEYS[4], ARGV[2], ARGV[3], ARGV[4])
return 1`)

	takeScript = goredis.NewScript(common + `
local cur = redis.call('GET', KEYS[4])
if not cur then
	return false
end
local left = redis.call('PTTL', KEYS[4])
drop(KEYS[4], ARGV[2])
return {cur, left}`)

	deleteScript = goredis.NewScript(common + `
for i = 4, #KEYS do
	drop(KEYS[i], ARGV[i - 2])
end
return 1`)

	// readScript returns value and remaining ms of each key; no value: false.
	readScript = goredis.NewScript(`
local out = {}
for i, at in ipairs(KEYS) do
	out[2 * i - 1] = redis.call('GET', at)
	out[2 * i] = redis.call('PTTL', at)
end
return out`)

	// beatScript publishes at the server that has the account's entries. ARGV: channel.
	beatScript = goredis.NewScript(`return redis.call('PUBLISH', ARGV[1], '')`)

	// admitScript is GCRA (ITU-T I.371 Annex A) in whole microseconds, by the
	// server's clock. ARGV: step, events, and in tests the time. It returns 1, what
	// remains; or 0, the microseconds to wait.
	admitScript = goredis.NewScript(`
local step, events = tonumber(ARGV[1]), tonumber(ARGV[2])
local now
if ARGV[3] ~= '' then
	now = tonumber(ARGV[3])
else
	local t = redis.call('TIME')
	now = t[1] * 1000000 + t[2]
end
local span = step * events
local used = (tonumber(redis.call('GET', KEYS[1]) or '0')) - now
if used < 0 then used = 0 end
if used > span then used = span end -- the clock was set back, or the limit made smaller
local allowed = used + step <= span
local wait = used + step - span
if allowed then used = used + step end
if used > 0 then
	redis.call('SET', KEYS[1], string.format('%.0f', now + used), 'PX', string.format('%.0f', math.ceil(used / 1000) + 1))
end
if allowed then
	return {1, math.floor((span - used) / step)}
end
return {0, wait}`)
)
