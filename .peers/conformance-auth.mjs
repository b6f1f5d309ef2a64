// The scenarios of the official conformance suite about authorization, for conformance-client.mjs.
//
// Nobody is there to sign in, and nobody is needed: the suite's authorization servers consent to everything. What a
// person would do is to open the link that plait gives, which plait_auth and calls that need a sign-in return. Here it
// is opened with plain GETs.
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';

const tool = 'test-tool';
const patience = 50_000; // for what hangs: less than the suite has
const tooMany = 20; // sign-ins

// visit does what a browser does with a link of plait and the button on that page.
async function visit(link) {
  const page = await fetch(link);
  await page.text();
  const landed = await fetch(`${link}/go`);
  await landed.text();
  if (!page.ok || !landed.ok) throw new Error(`the link gave ${page.status}, and then ${landed.status}`);
}

// awaitTool lists the tools until one of some names is among them.
async function awaitTool(client, changes, bound, names) {
  const end = Date.now() + bound;
  for (;;) {
    const changed = changes.next();
    const { tools } = await client.listTools();
    const found = names.find((name) => tools.some((t) => t.name === name));
    if (found) return found;
    if (Date.now() > end) throw new Error(`none of the tools ${names.join(', ')}`);
    await Promise.race([changed, new Promise((r) => setTimeout(r, 1000).unref())]);
  }
}

// listen tells of changes of the list of tools.
function listen(client) {
  let wake = () => {};
  client.setNotificationHandler(ToolListChangedNotificationSchema, () => wake());
  return { next: () => new Promise((r) => (wake = r)) };
}

// call calls the tool of the suite and follows the links that it takes, as long as plait gives any.
async function call(client, bound = patience) {
  const changes = listen(client);
  for (let i = 0; i < tooMany; i++) {
    const found = await awaitTool(client, changes, bound, [tool, 'plait_auth']);
    const result = await client.callTool(
      found === tool ? { name: tool, arguments: {} } : { name: found, arguments: { server: 'suite' } },
    );
    const link = result.structuredContent?.url;
    if (link) await visit(link);
    else if (found !== tool && !result.isError) continue; // somebody has signed in meanwhile
    else if (result.isError) throw new Error(`no link: ${JSON.stringify(result)}`);
    else return;
  }
  throw new Error(`${tooMany} links, and still no result`);
}

const signIn = { run: call };

// as makes a scenario of an identity; it gets what the suite knows of the client.
const as = (identity) => ({ run: call, identity: (context) => identity(context) });

export const scenarios = {
  'auth/metadata-default': signIn,
  'auth/metadata-var1': signIn,
  'auth/metadata-var2': signIn,
  'auth/metadata-var3': signIn,
  'auth/basic-cimd': as(() => ({ clientMetadataUrl: 'https://conformance-test.local/client-metadata.json' })),
  'auth/scope-from-www-authenticate': signIn,
  'auth/scope-from-scopes-supported': signIn,
  'auth/scope-omitted-when-undefined': signIn,
  'auth/scope-step-up': signIn,
  // The server never shows its tools, whoever signs in: plait has to stop asking, and then offers no more links.
  'auth/scope-retry-limit': {
    async run(client) {
      const problem = await call(client, 5000).catch((err) => err);
      if (!/^(none of the tools|no link)/.test(problem?.message)) throw problem ?? new Error('the call went through');
    },
  },
  'auth/token-endpoint-auth-basic': signIn,
  'auth/token-endpoint-auth-post': signIn,
  'auth/token-endpoint-auth-none': signIn,
  'auth/pre-registration': as((c) => ({ clientId: c.client_id, clientSecret: c.client_secret, issuer: c.issuer })),
  'auth/2025-03-26-oauth-metadata-backcompat': signIn,
  'auth/2025-03-26-oauth-endpoint-fallback': signIn,
  'auth/client-credentials-basic': as((c) => ({
    grant: 'client_credentials',
    clientId: c.client_id,
    clientSecret: c.client_secret,
  })),
  'auth/client-credentials-jwt': as((c) => ({
    grant: 'client_credentials',
    clientId: c.client_id,
    auth: { method: 'private_key_jwt', key: c.private_key_pem, alg: c.signing_algorithm },
  })),
  'auth/wif-jwt-bearer': {
    run: call,
    env: (c) => ({ CONFORMANCE_ASSERTION: c.valid_jwt }),
    identity: (c) => ({
      grant: 'jwt_bearer',
      issuer: JSON.parse(atob(c.valid_jwt.split('.')[1])).aud, // whom the platform made it for
      clientId: c.client_id,
      assertion: { from: 'env', env: 'CONFORMANCE_ASSERTION' },
    }),
  },
  'auth/enterprise-managed-authorization': {
    run: call,
    env: (c) => ({ CONFORMANCE_ID_TOKEN: c.idp_id_token }),
    identity: (c) => ({
      grant: 'enterprise',
      clientId: c.client_id,
      clientSecret: c.client_secret,
      idp: {
        issuer: c.idp_issuer,
        clientId: c.idp_client_id,
        idToken: { from: 'env', env: 'CONFORMANCE_ID_TOKEN' },
      },
    }),
  },
};
