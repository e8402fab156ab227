// SPDX-FileCopyrightText: The crmgate authors
// SPDX-License-Identifier: Apache-2.0

// A real OpenID provider for tests, as two companies see it: one with Google's
// claims and paths, one with those of ADFS. It reads what it is to be from a line
// of JSON on standard input, prints one line of JSON when it listens, and ends when
// its standard input does.
//
// Whoever comes is who he says, with the password "pw-" and the part of the login
// before the @. Some logins differ: see people.
import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import http from 'node:http';
import readline from 'node:readline';
import { Provider } from 'oidc-provider';

const hosted = 'example.test';

/** people says what is told about a login, by persona. */
const people = {
  google(login) {
    const claims = { sub: numeric(login), email: address(login), email_verified: true, hd: hosted, name: login };
    if (login.startsWith('unverified')) claims.email_verified = false;
    if (login.startsWith('private')) delete claims.hd;
    if (login.startsWith('guest')) claims.hd = 'other.test';
    return claims;
  },
  adfs(login) {
    return {
      sub: createHash('sha256').update(`adfs ${login}`).digest('base64'),
      upn: address(login), unique_name: `EXAMPLE\\${login}`, email: address(login),
    };
  },
};

const address = (login) => (login.includes('@') ? login : `${login}@${hosted}`);
const numeric = (login) => BigInt(`0x${createHash('sha256').update(login).digest('hex').slice(0, 16)}`).toString();

const paths = {
  google: { authorization: '/o/oauth2/v2/auth', token: '/token', jwks: '/oauth2/v3/certs', end_session: '/logout' },
  adfs: { authorization: '/oauth2/authorize', token: '/oauth2/token', jwks: '/discovery/keys', end_session: '/oauth2/logout' },
};

const extraClaims = { google: ['hd'], adfs: ['upn', 'unique_name'] };

function newKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg: 'RS256', use: 'sig' };
}

/** Memory outlives a rotation of keys: the provider is made anew, its data stays. */
function memory() {
  const all = new Map();
  return class {
    constructor(model) { this.model = model; }
    key(id) { return `${this.model} ${id}`; }
    async upsert(id, payload, expiresIn) {
      all.set(this.key(id), { payload, until: expiresIn ? Date.now() + expiresIn * 1000 : Infinity });
    }
    async find(id) {
      const hit = all.get(this.key(id));
      return hit && hit.until > Date.now() ? hit.payload : undefined;
    }
    async findByUid(uid) {
      for (const [key, hit] of all) {
        if (key.startsWith(`${this.model} `) && hit.payload.uid === uid && hit.until > Date.now()) return hit.payload;
      }
      return undefined;
    }
    async findByUserCode() { return undefined; }
    async consume(id) { const hit = all.get(this.key(id)); if (hit) hit.payload.consumed = Math.floor(Date.now() / 1000); }
    async destroy(id) { all.delete(this.key(id)); }
    async revokeByGrantId(grantId) {
      for (const [key, hit] of all) if (hit.payload.grantId === grantId) all.delete(key);
    }
  };
}

class Persona {
  constructor(name, client) {
    this.name = name;
    this.client = client;
    this.keys = [newKey()];
    this.Adapter = memory();
    this.logins = new Map(); // sub to login
    this.changed = new Map(); // login to claims that replace his
    this.log = [];
    this.base = name === 'adfs' ? '/adfs' : '';
  }

  async listen(port) {
    this.server = http.createServer((req, res) => this.serve(req, res));
    await new Promise((done) => { this.server.listen(port, '127.0.0.1', done); });
    this.origin = `http://127.0.0.1:${this.server.address().port}`;
    this.issuer = this.origin + this.base;
    this.build();
  }

  claims(sub) {
    const login = this.logins.get(sub);
    return login === undefined ? { sub } : { ...people[this.name](login), sub, ...this.changed.get(login) };
  }

  build() {
    const { name } = this;
    const provider = new Provider(this.issuer, {
      adapter: this.Adapter,
      jwks: { keys: this.keys },
      clients: [{
        client_id: this.client.id, client_secret: this.client.secret,
        redirect_uris: this.client.redirects, post_logout_redirect_uris: this.client.post_logout,
        grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'],
        token_endpoint_auth_method: name === 'adfs' ? 'client_secret_post' : 'client_secret_basic',
        ...(this.client.backchannel && { backchannel_logout_uri: this.client.backchannel, backchannel_logout_session_required: true }),
      }],
      claims: { openid: ['sub', 'sid', ...extraClaims[name]], email: ['email', 'email_verified'], profile: ['name'] },
      conformIdTokenClaims: false, // these two put the claims into the ID token
      scopes: ['openid', 'email', 'profile', 'offline_access'],
      extraParams: ['hd', 'access_type', 'resource'],
      pkce: { required: () => true },
      rotateRefreshToken: true,
      issueRefreshToken: async () => true,
      ttl: { AccessToken: 3600, AuthorizationCode: 60, Grant: 86400, IdToken: 3600, Interaction: 600, RefreshToken: 86400, Session: 86400 },
      discovery: name === 'adfs' ? { access_token_issuer: `${this.origin}/adfs/services/trust` } : {},
      features: {
        devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: true }, backchannelLogout: { enabled: true },
        userinfo: { enabled: true }, revocation: { enabled: true },
      },
      cookies: { keys: ['a key of the test'] },
      routes: paths[name],
      fetch: (url, options) => globalThis.fetch(url, { ...options, dispatcher: undefined }), // the gateway under test is on this machine
      findAccount: async (ctx, sub) => ({ accountId: sub, claims: async () => this.claims(sub) }),
      interactions: { url: (ctx, i) => `${this.base}/interaction/${i.uid}` },
    });
    for (const event of ['backchannel.success', 'backchannel.error', 'end_session.success', 'server_error', 'authorization.error', 'grant.error', 'grant.success', 'grant.revoked']) {
      provider.on(event, (...args) => {
        const detail = args.map((a) => (a instanceof Error ? `${a.message} ${a.error_description ?? ''} ${a.error_detail ?? ''}` : '')).join('');
        this.log.push({ event, detail: detail.trim() });
      });
    }
    this.provider = provider;
    this.handle = provider.callback();
  }

  serve(req, res) {
    const path = req.url.split('?')[0];
    if (path.startsWith(`${this.base}/interaction/`)) {
      this.interact(req, res).catch((err) => {
        this.log.push({ event: 'interaction', detail: String(err) });
        res.writeHead(500).end(String(err));
      });
      return;
    }
    if (!path.startsWith(this.base)) {
      res.writeHead(404).end();
      return;
    }
    req.originalUrl = req.url;
    req.url = req.url.slice(this.base.length) || '/';
    this.handle(req, res);
  }

  async grant(details, sub) {
    const grant = new this.provider.Grant({ accountId: sub, clientId: details.params.client_id });
    grant.addOIDCScope(details.params.scope);
    return grant.save();
  }

  async interact(req, res) {
    const details = await this.provider.interactionDetails(req, res);
    if (details.prompt.name === 'consent') {
      const consent = { grantId: await this.grant(details, details.session.accountId) };
      await this.provider.interactionFinished(req, res, { consent }, { mergeWithLastSubmission: true });
      return;
    }
    if (req.method !== 'POST') {
      page(res, 200, this.name);
      return;
    }
    let body = '';
    for await (const part of req) body += part;
    const form = new URLSearchParams(body);
    if (form.has('cancel')) {
      await this.provider.interactionFinished(req, res, { error: 'access_denied', error_description: 'the person pressed Cancel' });
      return;
    }
    const login = form.get('login') ?? '';
    if (!login || form.get('password') !== `pw-${login.split('@')[0]}`) {
      page(res, 401, this.name);
      return;
    }
    const { sub } = people[this.name](login);
    this.logins.set(sub, login);
    const result = { login: { accountId: sub, amr: ['pwd'] }, consent: { grantId: await this.grant(details, sub) } };
    await this.provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });
  }
}

function page(res, status, name) {
  res.writeHead(status, { 'content-type': 'text/html; charset=utf-8' });
  res.end(`<!DOCTYPE html><title>${name}</title><h1>Sign in to ${name}</h1><form method="post">
<input id="login" name="login" autocomplete="off"><input id="password" name="password" type="password">
<button id="go">Sign in</button><button id="cancel" name="cancel" value="1">Cancel</button></form>`);
}

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const config = JSON.parse((await lines.next()).value);
const personas = {};
for (const name of ['google', 'adfs']) {
  personas[name] = new Persona(name, config.client);
  await personas[name].listen(config.ports?.[name] ?? 0);
}

/** What tests ask for, one JSON line each, answered by one. */
const acts = {
  rotate({ persona, keep }) { // keep: the old keys stay published
    const p = personas[persona];
    p.keys = keep ? [newKey(), ...p.keys] : [newKey()];
    p.build();
  },
  claims({ persona, login, claims }) { personas[persona].changed.set(login, claims); },
  log({ persona }) { return personas[persona].log; },
};

const say = (x) => process.stdout.write(`${JSON.stringify(x)}\n`);
say({ google: personas.google.issuer, adfs: personas.adfs.issuer });
for await (const line of lines) {
  const { act, ...args } = JSON.parse(line);
  say({ answer: acts[act](args) ?? null });
}
process.exit(0);
