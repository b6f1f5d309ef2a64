// authorization-server.mjs: a real, certified authorization server (panva oidc-provider) + a protected MCP-like resource, for tests.
// Loopback only. Prints one line "READY {json}" when listening. Every knob is an env variable:
//   AS_PATH=/tenant1   issuer with a path          AS_TTL=60        access-token lifetime (s)
//   AS_DCR=0           no registration_endpoint    AS_DCR_TOKEN=x   initial access token required
//   AS_CONSENT=0       never finish interactions   AS_ROTATE=1|0    refresh rotation
//   AS_TLS_CERT/AS_TLS_KEY/AS_TLS_CA              adds an https listener with mTLS on the token endpoint
//   AS_CIMD=url=file,...                          client_id documents served in-process instead of over the network
//   AS_RESOURCE=url,…  further resources that tokens may be asked for (a server that plait is to guard)
//   AS_TRUST=issuer    whose JWTs get a token for the client "actions" (RFC 7523); its keys are at issuer/.well-known/jwks
//   AS_FORMS=1         login and consent as HTML pages with a form and a button, for a real browser
//   AS_HIDE=a,b        metadata fields to delete (quirks: code_challenge_methods_supported, ...)
import http from 'node:http';
import https from 'node:https';
import fs from 'node:fs';
import crypto from 'node:crypto';
import { Provider, errors } from 'oidc-provider';
import * as jose from 'jose';

const E = process.env,
  PATH = E.AS_PATH ?? '',
  TTL = Number(E.AS_TTL ?? 60);
const stats = { authorize: 0, token: 0, register: 0, reuse: 0, grants: {} };
const SCOPES = 'mcp:read mcp:write mcp:admin';

const listen = (srv) =>
  new Promise((r) => srv.listen(Number(E.AS_PORT ?? 0), '127.0.0.1', () => r(srv.address().port)));
let handler = (q, s) => {
  s.statusCode = 503;
  s.end();
};
const server = http.createServer((q, s) => handler(q, s));
const port = await listen(server);
const origin = `http://127.0.0.1:${port}`,
  issuer = origin + PATH;

// ---- resource server on its own port -------------------------------------------------------------
const rsSrv = http.createServer((q, s) => rs(q, s));
const rsPort = await new Promise((r) => rsSrv.listen(0, '127.0.0.1', () => r(rsSrv.address().port)));
const resource = `http://127.0.0.1:${rsPort}/mcp`;

const { privateKey } = await jose.generateKeyPair('RS256', { extractable: true });
const jwk = { ...(await jose.exportJWK(privateKey)), kid: 'k1', use: 'sig', alg: 'RS256' };
const pubJwk = { kty: jwk.kty, n: jwk.n, e: jwk.e, kid: 'k1', use: 'sig', alg: 'RS256' };
const extra = (E.AS_RESOURCE ?? '').split(',').filter(Boolean);
const cimd = Object.fromEntries(
  (E.AS_CIMD ?? '')
    .split(',')
    .filter(Boolean)
    .map((x) => x.split('=')),
);

let tls;
if (E.AS_TLS_CERT) {
  const s = https.createServer(
    {
      cert: fs.readFileSync(E.AS_TLS_CERT),
      key: fs.readFileSync(E.AS_TLS_KEY),
      ca: E.AS_TLS_CA && fs.readFileSync(E.AS_TLS_CA),
      requestCert: true,
      rejectUnauthorized: false,
    },
    (q, r) => handler(q, r),
  );
  tls = await new Promise((r) => s.listen(0, '127.0.0.1', () => r(s.address().port)));
}

const provider = new Provider(issuer, {
  jwks: { keys: [jwk] },
  clients: [
    {
      client_id: 'svc',
      client_secret: 'svc-secret-with-reserved:+/%',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_basic',
      scope: SCOPES,
    },
    {
      client_id: 'svc-post',
      client_secret: 'svc-secret',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_post',
      scope: SCOPES,
    },
    ...(E.AS_CLIENT_JWKS
      ? [
          {
            client_id: 'svc-jwt',
            jwks: JSON.parse(fs.readFileSync(E.AS_CLIENT_JWKS)),
            grant_types: ['client_credentials'],
            redirect_uris: [],
            response_types: [],
            token_endpoint_auth_method: 'private_key_jwt',
            token_endpoint_auth_signing_alg: 'ES256',
            scope: SCOPES,
          },
        ]
      : []),
    ...(tls
      ? [
          {
            client_id: 'svc-mtls',
            tls_client_auth_subject_dn: 'CN=svc-mtls',
            grant_types: ['client_credentials'],
            redirect_uris: [],
            response_types: [],
            token_endpoint_auth_method: 'tls_client_auth',
            tls_client_certificate_bound_access_tokens: true,
            scope: SCOPES,
          },
        ]
      : []),
    ...(E.AS_TRUST
      ? [
          {
            client_id: 'actions',
            token_endpoint_auth_method: 'none',
            grant_types: ['urn:ietf:params:oauth:grant-type:jwt-bearer'],
            redirect_uris: [],
            response_types: [],
            scope: SCOPES,
          },
        ]
      : []),
    {
      client_id: 'cli',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      redirect_uris: ['http://127.0.0.1/callback'],
      response_types: ['code'],
      scope: 'openid offline_access ' + SCOPES,
    },
    {
      client_id: 'idjag',
      client_secret: 'idjag-secret',
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: [
        'authorization_code',
        'refresh_token',
        'urn:ietf:params:oauth:grant-type:token-exchange',
        'urn:ietf:params:oauth:grant-type:jwt-bearer',
      ],
      redirect_uris: ['http://127.0.0.1/callback'],
      application_type: 'native',
      response_types: ['code'],
      scope: 'openid offline_access ' + SCOPES,
    },
  ],
  clientAuthMethods: [
    'none',
    'client_secret_basic',
    'client_secret_post',
    'private_key_jwt',
    ...(tls ? ['tls_client_auth'] : []),
  ],
  scopes: ['openid', 'offline_access', ...SCOPES.split(' ')],
  cookies: { keys: [crypto.randomBytes(16).toString('hex')] },
  ttl: {
    AccessToken: TTL,
    ClientCredentials: TTL,
    RefreshToken: 3600,
    DeviceCode: 120,
    Interaction: 600,
    Session: 3600,
    Grant: 3600,
    IdToken: 600,
    AuthorizationCode: 60,
  },
  rotateRefreshToken: (E.AS_ROTATE ?? '1') === '1',
  issueRefreshToken: async (ctx, client, code) => client.grantTypeAllowed('refresh_token'),
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  interactions: { url: (ctx, i) => `${PATH}/interaction/${i.uid}` },
  conformIdTokenClaims: false,
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    deviceFlow: {
      enabled: true,
      userCodeConfirmSource: (ctx, form) => {
        ctx.body = form;
      },
      userCodeInputSource: (ctx, form) => {
        ctx.body = form;
      },
      successSource: (ctx) => {
        ctx.body = 'device ok';
      },
    },
    introspection: { enabled: true },
    revocation: { enabled: true },
    dPoP: { enabled: true },
    registration: { enabled: (E.AS_DCR ?? '1') === '1', initialAccessToken: E.AS_DCR_TOKEN || false },
    registrationManagement: { enabled: (E.AS_DCR ?? '1') === '1' },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      defaultResource: () => undefined,
      getResourceServerInfo: (ctx, r) => {
        if (r !== resource && !extra.includes(r)) throw new errors.InvalidTarget();
        return {
          scope: SCOPES,
          audience: r,
          accessTokenTTL: TTL,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        };
      },
    },
    ...(tls
      ? {
          mTLS: {
            enabled: true,
            certificateBoundAccessTokens: true,
            tlsClientAuth: true,
            getCertificate: (ctx) => {
              const c = ctx.socket.getPeerX509Certificate?.();
              return c ? c.toString() : undefined;
            },
            certificateAuthorized: (ctx) => ctx.socket.authorized,
            certificateSubjectMatches: (ctx, p, v) => ctx.socket.getPeerX509Certificate().subject === v,
          },
        }
      : {}),
    ...(Object.keys(cimd).length ? { clientIdMetadataDocument: { enabled: true, ack: 'draft-02' } } : {}),
  },
  ...(Object.keys(cimd).length
    ? {
        fetch: async (url, o) =>
          cimd[String(url)]
            ? new Response(fs.readFileSync(cimd[String(url)]), { headers: { 'content-type': 'application/json' } })
            : fetch(url, o),
      }
    : {}),
  ...(tls ? { discovery: { mtls_endpoint_aliases: { token_endpoint: `https://127.0.0.1:${tls}${PATH}/token` } } } : {}),
});
provider.on('server_error', (ctx, e) => console.error('server_error', e));
for (const ev of ['grant.error', 'authorization.error', 'registration_create.error'])
  provider.on(ev, (ctx, e) => {
    if (/already used/.test(e.error_detail ?? '')) stats.reuse++;
    if (E.AS_DEBUG) console.error(ev, e.error, e.error_description, e.error_detail);
  });

// RFC 8693 -> ID-JAG, and RFC 7523 jwt-bearer (Enterprise-Managed Authorization): IdP and MCP AS in one process.
const TE = 'urn:ietf:params:oauth:grant-type:token-exchange',
  JB = 'urn:ietf:params:oauth:grant-type:jwt-bearer',
  JAG = 'urn:ietf:params:oauth:token-type:id-jag';
const pub = await jose.importJWK(pubJwk, 'RS256');
const trusted = E.AS_TRUST && jose.createRemoteJWKSet(new URL(E.AS_TRUST + '/.well-known/jwks'));
provider.registerGrantType(
  TE,
  async (ctx) => {
    const { params, client } = ctx.oidc;
    if (
      params.requested_token_type !== JAG ||
      params.subject_token_type !== 'urn:ietf:params:oauth:token-type:id_token'
    )
      throw new errors.InvalidRequest('unsupported token types');
    let c;
    try {
      c = (await jose.jwtVerify(params.subject_token, pub, { issuer, audience: client.clientId })).payload;
    } catch (e) {
      throw new errors.InvalidGrant('subject_token invalid');
    }
    const jag = await new jose.SignJWT({ client_id: client.clientId, resource: params.resource, scope: params.scope })
      .setProtectedHeader({ alg: 'RS256', kid: 'k1', typ: 'oauth-id-jag+jwt' })
      .setIssuer(issuer)
      .setSubject(c.sub)
      .setAudience(params.audience)
      .setJti(crypto.randomUUID())
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey);
    ctx.body = { issued_token_type: JAG, access_token: jag, token_type: 'N_A', expires_in: 300, scope: params.scope };
  },
  ['requested_token_type', 'audience', 'resource', 'scope', 'subject_token', 'subject_token_type'],
);
provider.registerGrantType(
  JB,
  async (ctx) => {
    const { params, client } = ctx.oidc;
    let v;
    try {
      if (E.AS_TRUST && jose.decodeJwt(params.assertion).iss === E.AS_TRUST) {
        const { payload } = await jose.jwtVerify(params.assertion, trusted, { audience: issuer, issuer: E.AS_TRUST });
        v = {
          payload: { sub: payload.sub, client_id: client.clientId, resource: params.resource, scope: params.scope },
        };
      } else v = await jose.jwtVerify(params.assertion, pub, { audience: issuer, typ: 'oauth-id-jag+jwt' });
    } catch {
      throw new errors.InvalidGrant('assertion invalid');
    }
    if (v.payload.client_id !== client.clientId) throw new errors.InvalidGrant('client mismatch');
    const at = await new jose.SignJWT({ client_id: client.clientId, scope: v.payload.scope })
      .setProtectedHeader({ alg: 'RS256', kid: 'k1', typ: 'at+jwt' })
      .setIssuer(issuer)
      .setSubject(v.payload.sub)
      .setAudience(v.payload.resource)
      .setIssuedAt()
      .setExpirationTime(`${TTL}s`)
      .setJti(crypto.randomUUID())
      .sign(privateKey);
    ctx.body = { access_token: at, token_type: 'Bearer', expires_in: TTL, scope: v.payload.scope };
  },
  ['assertion', 'scope', 'resource'],
);

const cb = provider.callback();
const hide = (E.AS_HIDE ?? '').split(',').filter(Boolean);
handler = async (q, s) => {
  const u = new URL(q.url, origin);
  if (u.pathname === '/__stats') {
    s.setHeader('content-type', 'application/json');
    return s.end(JSON.stringify(stats));
  }
  if (u.pathname === '/__forget') {
    await provider.Client.adapter.destroy(u.searchParams.get('client_id'));
    return s.end('forgot');
  }
  const m = u.pathname.match(/\/interaction\/([^/]+)$/);
  if (m && E.AS_CONSENT === '0') return s.end('waiting for a human');
  if (m) {
    try {
      // auto-login and auto-consent, or a page that a person answers
      const d = await provider.interactionDetails(q, s);
      let r;
      if (E.AS_FORMS && q.method === 'GET') {
        s.setHeader('content-type', 'text/html; charset=utf-8');
        return s.end(
          `<!doctype html><title>${d.prompt.name}</title><h1>${d.prompt.name}</h1><form method="post"><p>client <code>${d.params.client_id.replace(/[<&"]/g, '')}</code></p>${d.prompt.name === 'login' ? '<label>user <input name="user" autofocus></label>' : ''}<button type="submit">${d.prompt.name === 'login' ? 'Sign in' : 'Allow'}</button></form>`,
        );
      }
      if (d.prompt.name === 'login') r = { login: { accountId: 'alice' } };
      else {
        const g = d.grantId
          ? await provider.Grant.find(d.grantId)
          : new provider.Grant({ accountId: d.session.accountId, clientId: d.params.client_id });
        const det = d.prompt.details;
        if (det.missingOIDCScope) g.addOIDCScope(det.missingOIDCScope.join(' '));
        for (const [r2, sc] of Object.entries(det.missingResourceScopes ?? {})) g.addResourceScope(r2, sc.join(' '));
        r = { consent: { grantId: await g.save() } };
      }
      return await provider.interactionFinished(q, s, r, { mergeWithLastSubmission: true });
    } catch (e) {
      s.statusCode = 500;
      return s.end(String(e));
    }
  }
  const wk = u.pathname.match(/^\/\.well-known\/(oauth-authorization-server|openid-configuration)(\/.*)?$/);
  if (PATH) {
    // path-insertion form of RFC 8414 and path-appending form of OIDC; nothing at the root
    if (wk) {
      if (wk[2] !== PATH) {
        s.statusCode = 404;
        return s.end();
      }
      q.url = `/.well-known/${wk[1]}`;
    } else if (u.pathname.startsWith(PATH + '/')) q.url = q.url.slice(PATH.length);
    else {
      s.statusCode = 404;
      return s.end();
    }
    q.originalUrl = PATH + q.url;
    q.baseUrl = PATH;
  }
  if (hide.length && /\.well-known/.test(q.url)) {
    const end = s.end.bind(s);
    s.end = (b, ...a) => {
      try {
        const j = JSON.parse(b);
        hide.forEach((k) => delete j[k]);
        b = JSON.stringify(j);
        s.setHeader('content-length', Buffer.byteLength(b));
      } catch {}
      return end(b, ...a);
    };
  }
  if (/\/auth$/.test(u.pathname)) stats.authorize++;
  if (/\/token$/.test(u.pathname)) stats.token++;
  if (/\/reg$/.test(u.pathname)) stats.register++;
  cb(q, s);
};
const jwks = jose.createLocalJWKSet({ keys: [pubJwk] });
async function rs(q, s) {
  const u = new URL(q.url, resource);
  const json = (c, o, h = {}) => {
    s.writeHead(c, { 'content-type': 'application/json', ...h });
    s.end(JSON.stringify(o));
  };
  const prm = `http://127.0.0.1:${rsPort}/.well-known/oauth-protected-resource/mcp`;
  if (u.pathname === '/.well-known/oauth-protected-resource/mcp')
    return json(200, {
      resource,
      authorization_servers: [issuer],
      scopes_supported: ['mcp:read'],
      bearer_methods_supported: ['header'],
    });
  if (!u.pathname.startsWith('/mcp')) return json(404, {});
  const t = /^(Bearer|DPoP) (.+)$/.exec(q.headers.authorization ?? '');
  try {
    if (!t) throw new Error('no token');
    const { payload } = await jose.jwtVerify(t[2], jwks, { issuer, audience: resource });
    const need = u.searchParams.get('need');
    if (need && !payload.scope?.split(' ').includes(need))
      return json(
        403,
        { error: 'insufficient_scope' },
        {
          'www-authenticate': `Bearer error="insufficient_scope", scope="${need}", resource_metadata="${prm}", error_description="need, a \\"quoted\\" comma"`,
        },
      );
    return json(200, {
      ok: true,
      sub: payload.sub,
      scope: payload.scope,
      aud: payload.aud,
      client_id: payload.client_id,
      cnf: payload.cnf,
    });
  } catch (e) {
    return json(
      401,
      { error: String(e.code ?? e) },
      {
        'www-authenticate': `Bearer resource_metadata="${prm}", scope="mcp:read"${t ? ', error="invalid_token"' : ''}`,
      },
    );
  }
}
console.log('READY ' + JSON.stringify({ issuer, resource, mtls: tls && `https://127.0.0.1:${tls}`, pid: process.pid }));
process.on('SIGTERM', () => process.exit(0));
process.stdin.on('end', () => process.exit(0));
if (E.AS_EXIT_ON_STDIN_EOF) process.stdin.resume();
