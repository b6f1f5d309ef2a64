// The client under test of the official conformance suite, which runs this with the URL of its server as last
// argument and the scenario in MCP_CONFORMANCE_SCENARIO:
//
//   conformance client --command "node conformance-client.mjs" --scenario tools_call
//
// With PLAIT_BIN set, `$PLAIT_BIN serve` stands between the official SDK client (stdio) and the suite's server;
// without it the client connects directly, which shows that a failure is plait's.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { scenarios as authorization } from './conformance-auth.mjs';

const scenarios = {
  ...authorization,
  // The handshake is made by connect.
  initialize: {
    run: (client) => client.listTools(),
  },
  tools_call: {
    async run(client) {
      await expectTool(client, 'add_numbers');
      const result = await client.callTool({ name: 'add_numbers', arguments: { a: 5, b: 3 } });
      expectText(result, 'The sum of 5 and 3 is 8');
    },
  },
  'elicitation-sep1034-client-defaults': {
    capabilities: { elicitation: { form: { applyDefaults: true } } },
    async run(client) {
      client.setRequestHandler(ElicitRequestSchema, () => ({ action: 'accept', content: {} }));
      await expectTool(client, 'test_client_elicitation_defaults');
      await client.callTool({ name: 'test_client_elicitation_defaults', arguments: {} });
    },
  },
  'sse-retry': {
    async run(client) {
      await expectTool(client, 'test_reconnection');
      const result = await client.callTool({ name: 'test_reconnection', arguments: {} });
      expectText(result, 'Reconnection test completed successfully');
    },
  },
  'json-schema-2020-12-preservation': {
    async run(client) {
      const focal = await expectTool(client, 'json_schema_2020_12_tool');
      const result = await client.callTool({ name: 'json_schema_echo', arguments: { schema: focal.inputSchema } });
      expectText(result, 'echoed');
    },
  },
};

async function expectTool(client, name) {
  const { tools } = await client.listTools();
  const tool = tools.find((t) => t.name === name);
  if (!tool) throw new Error(`no tool ${name} among: ${tools.map((t) => t.name).join(', ')}`);
  return tool;
}

function expectText(result, want) {
  const got = result.content?.[0]?.text;
  if (got !== want) throw new Error(`result is ${JSON.stringify(result)}, want the text ${JSON.stringify(want)}`);
}

async function through(plait, url, { identity, env }, context) {
  const folder = await mkdtemp(join(tmpdir(), 'plait-conformance-'));
  const config = join(folder, 'plait.json');
  const server = { url, prefix: '' };
  const settings = {
    mcpServers: { suite: identity ? { ...server, identity: 'me' } : server },
    credentials: { store: 'file', path: join(folder, 'auth') },
    auth: { callback: { port: 0 } },
    ...(identity && { identities: { me: identity(context) } }),
  };
  await writeFile(config, JSON.stringify(settings));
  const transport = new StdioClientTransport({
    command: plait,
    args: ['serve', '--config', config],
    env: { ...process.env, ...env?.(context) },
    stderr: 'inherit',
  });
  return { transport, end: () => rm(folder, { recursive: true, force: true }) };
}

function directly(url) {
  const transport = new StreamableHTTPClientTransport(new URL(url));
  return { transport, end: () => {} };
}

const url = process.argv.at(-1);
const name = process.env.MCP_CONFORMANCE_SCENARIO;
const scenario = scenarios[name];
if (!scenario) throw new Error(`unknown scenario ${name}; known are ${Object.keys(scenarios).join(', ')}`);

const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
const { transport, end } = process.env.PLAIT_BIN
  ? await through(process.env.PLAIT_BIN, url, scenario, context)
  : directly(url);
const client = new Client(
  { name: 'plait-conformance', version: '1.0.0' },
  { capabilities: scenario.capabilities ?? {} },
);
try {
  await client.connect(transport);
  await scenario.run(client);
} finally {
  await client.close();
  await end();
}
