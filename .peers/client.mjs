// A scripted client on the official SDK: it uses everything that server-everything offers and prints what it saw.
//
//   node client.mjs [flags] -- COMMAND ARG…     a stdio server
//   node client.mjs [flags] --http URL          a Streamable HTTP server
//   node client.mjs [flags] --sse URL           an HTTP+SSE server
//
//   --profile full|basic|none   what the client declares: everything (19 tools), all but tasks (17), nothing (13)
//   --prefix evr_               what the names of tools and prompts begin with
//   --alias evr+                what the URIs of resources begin with if another server lists them and got them first
//   --only REGEXP               only these steps (and initialize)
//   --out FILE                  where the JSON goes, else to stdout
//
// The output is {profile, ended, steps: [{name, sent: [raw…], seen: [{kind, method?, raw}…], failure}]}: the raw text of
// each message, in order, where an answer stands in the step that asked; ended says what it took until the server left:
// "stdin", "SIGTERM" or "SIGKILL" (stdio only). Exit code 1 says that a step did not end as it should have; stderr says
// which.
import { writeFile } from 'node:fs/promises';
import process from 'node:process';
import { setTimeout as after } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { InMemoryTaskStore } from '@modelcontextprotocol/sdk/experimental/tasks';
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  ResultSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { Recorder, StdioTransport } from './record.mjs';

const basic = {
  sampling: { context: {}, tools: {} },
  elicitation: { form: {}, url: {} },
  roots: { listChanged: true },
  experimental: { 'acme/peer': { level: 3 } },
};
const tasks = { list: {}, cancel: {}, requests: { sampling: { createMessage: {} }, elicitation: { create: {} } } };
const profiles = { full: { ...basic, tasks }, basic, none: {} };

const { values: flags, positionals: command } = parseArgs({
  allowPositionals: true,
  options: {
    profile: { type: 'string', default: 'full' },
    prefix: { type: 'string', default: '' },
    alias: { type: 'string', default: '' },
    only: { type: 'string', default: '' },
    out: { type: 'string' },
    http: { type: 'string' },
    sse: { type: 'string' },
  },
});
const capabilities = profiles[flags.profile];
if (!capabilities) throw new Error(`unknown profile ${flags.profile}; known are ${Object.keys(profiles).join(', ')}`);

const recorder = new Recorder();
const client = new Client(
  { name: 'plait-peer', title: 'Peer of plait', version: '1.0.0' },
  { capabilities, taskStore: capabilities.tasks && new CountingTaskStore() },
);
client.onerror = (error) => process.stderr.write(`client: ${error.message}\n`);

// What the client answers to the server.

function CountingTaskStore() {
  let count = 0;
  return Object.assign(new InMemoryTaskStore(), { generateTaskId: () => `peer-task-${++count}` });
}

async function asAsked(request, extra, result) {
  const wanted = request.params.task;
  if (!wanted) return result;
  const task = await extra.taskStore.createTask({ ttl: wanted.ttl });
  await extra.taskStore.storeTaskResult(task.taskId, 'completed', result);
  return { task };
}

let roots = [{ uri: 'file:///peer/one', name: 'one' }, { uri: 'file:///peer/two%20words' }];
if (capabilities.roots) client.setRequestHandler(ListRootsRequestSchema, () => ({ roots }));

if (capabilities.sampling) {
  client.setRequestHandler(CreateMessageRequestSchema, (request, extra) => {
    const { content } = request.params.messages.at(-1);
    const text = `heard: ${content.text}`;
    const result = { model: 'peer-model', stopReason: 'endTurn', role: 'assistant', content: { type: 'text', text } };
    return asAsked(request, extra, result);
  });
}

const accepted = {
  name: 'Ada',
  check: true,
  email: 'ada@example.com',
  homepage: 'https://example.com/~ada',
  birthdate: '1815-12-10',
  integer: 7,
  number: 2.5,
  untitledMultipleSelectEnum: ['Piano', 'Bass'],
  favoriteColor: 'Green',
  agreeToTerms: false,
  interpretation: 'historical',
};
let action = 'accept'; // of the next elicitation
if (capabilities.elicitation) {
  client.setRequestHandler(ElicitRequestSchema, (request, extra) => {
    const fields = Object.keys(request.params.requestedSchema?.properties ?? {});
    const content = Object.fromEntries(Object.entries(accepted).filter(([field]) => fields.includes(field)));
    return asAsked(request, extra, action === 'accept' && fields.length > 0 ? { action, content } : { action });
  });
}

// What the client does, step by step. Those in `failing` have to end with an error, others must not.

const tool = (name, args, more, options) =>
  client.callTool({ name: flags.prefix + name, arguments: args, ...more }, undefined, options);
const prompt = (name, args) => client.getPrompt({ name: flags.prefix + name, arguments: args });
const promptRef = (name) => ({ type: 'ref/prompt', name: flags.prefix + name });
const ask = (method, params) => client.request({ method, params }, ResultSchema);
const startTask = async (args) => {
  const created = await ask('tools/call', {
    name: `${flags.prefix}simulate-research-query`,
    arguments: args,
    task: { ttl: 60_000 },
  });
  return created.task.taskId;
};

let document = 'demo://resource/static/document/architecture.md';
const textTemplate = { type: 'ref/resource', uri: 'demo://resource/dynamic/text/{resourceId}' };

const all = {
  ping: () => client.ping(),
  'list tools': () => client.listTools(),
  'list prompts': () => client.listPrompts(),
  'list resources': async () => {
    const { resources } = await client.listResources();
    const alias = flags.alias + document;
    if (resources.some(({ uri }) => uri === alias)) document = alias;
  },
  'list templates': () => client.listResourceTemplates(),

  echo: () => tool('echo', { message: 'hello' }),
  'echo, all kinds of text': () => tool('echo', { message: 'é ☃ 𝄞 \u2028 "q" \\ / \t \u0001 </script> 9007199254740993' }),
  'echo with _meta': () => tool('echo', { message: 'meta' }, { _meta: { 'acme.example/trace': { n: [1, 2.0, null] } } }),
  'echo without its argument': () => tool('echo', {}),
  'echo, 20 at once': () => Promise.all(Array.from({ length: 20 }, (_, i) => tool('echo', { message: `${i}` }))),
  sum: () => tool('get-sum', { a: 2, b: 3.5 }),
  'sum of words': () => tool('get-sum', { a: 'two', b: 3 }),
  'annotated error with image': () => tool('get-annotated-message', { messageType: 'error', includeImage: true }),
  'annotated success': () => tool('get-annotated-message', { messageType: 'success' }),
  'annotated debug': () => tool('get-annotated-message', { messageType: 'debug' }),
  image: () => tool('get-tiny-image', {}),
  links: () => tool('get-resource-links', { count: 4 }),
  'text reference': () => tool('get-resource-reference', { resourceType: 'Text', resourceId: 1 }),
  'blob reference': () => tool('get-resource-reference', { resourceType: 'Blob', resourceId: 2 }),
  'bad reference': () => tool('get-resource-reference', { resourceType: 'Text', resourceId: -1 }),
  structured: () => tool('get-structured-content', { location: 'Chicago' }),
  environment: () => tool('get-env', {}),
  'unknown tool': () => tool('no-such-tool', {}),

  // The SDK itself may drop progress that arrives together with the answer; what arrived is in the record.
  progress: () => tool('trigger-long-running-operation', { duration: 0.5, steps: 5 }, {}, { onprogress: () => {} }),
  'progress with a token of its own': () =>
    tool('trigger-long-running-operation', { duration: 0.3, steps: 3 }, { _meta: { progressToken: 'tök-1' } }),
  'no progress wanted': () => tool('trigger-long-running-operation', { duration: 0.1, steps: 2 }),
  cancel: () => {
    const abort = new AbortController();
    const options = { signal: abort.signal, onprogress: () => abort.abort('seen enough') };
    return tool('trigger-long-running-operation', { duration: 1, steps: 2 }, {}, options);
  },
  'after cancel': async () => {
    await after(1000); // late progress of the call belongs here
    await client.ping();
  },

  'read a document': () => client.readResource({ uri: document }),
  'read text': () => client.readResource({ uri: 'demo://resource/dynamic/text/1' }),
  'read blob': () => client.readResource({ uri: 'demo://resource/dynamic/blob/2' }),
  'read nothing': () => client.readResource({ uri: 'demo://resource/nowhere' }),
  'gzip as resource': () => tool('gzip-file-as-resource', { name: 'a.gz', data: 'data:text/plain,abc', outputType: 'resource' }),
  'gzip as link': () => tool('gzip-file-as-resource', { name: 'b.gz', data: 'data:text/plain,abcd', outputType: 'resourceLink' }),
  'read gzip': () => client.readResource({ uri: 'demo://resource/session/b.gz' }),
  'gzip of nothing': () => tool('gzip-file-as-resource', { name: 'c.gz', data: 'file:///etc/hostname' }),

  'simple prompt': () => prompt('simple-prompt'),
  'prompt with one argument': () => prompt('args-prompt', { city: 'Bern' }),
  'prompt with arguments': () => prompt('args-prompt', { city: 'Bern', state: 'BE' }),
  'prompt to complete': () => prompt('completable-prompt', { department: 'Sales', name: 'Eve' }),
  'prompt with a resource': () => prompt('resource-prompt', { resourceType: 'Text', resourceId: '1' }),
  'prompt without its argument': () => prompt('args-prompt', {}),
  'unknown prompt': () => prompt('no-such-prompt', {}),

  'complete an argument': () =>
    client.complete({ ref: promptRef('completable-prompt'), argument: { name: 'department', value: 'S' } }),
  'complete with context': () =>
    client.complete({
      ref: promptRef('completable-prompt'),
      argument: { name: 'name', value: '' },
      context: { arguments: { department: 'Engineering' } },
    }),
  'complete a template': () => client.complete({ ref: textTemplate, argument: { name: 'resourceId', value: '12' } }),
  'complete an unknown prompt': () =>
    client.complete({ ref: promptRef('no-such-prompt'), argument: { name: 'x', value: '' } }),

  'log everything': () => client.setLoggingLevel('debug'),
  'start logging': async () => {
    await tool('toggle-simulated-logging', {});
    await recorder.seen('notifications/message');
  },
  'stop logging': () => tool('toggle-simulated-logging', {}),
  subscribe: async () => {
    await client.subscribeResource({ uri: document });
    await recorder.seen('notifications/message');
  },
  'start updates': async () => {
    await tool('toggle-subscriber-updates', {});
    await recorder.seen('notifications/resources/updated');
  },
  'stop updates': () => tool('toggle-subscriber-updates', {}),
  unsubscribe: async () => {
    await client.unsubscribeResource({ uri: document });
    await recorder.seen('notifications/message');
  },
  'log emergencies': () => client.setLoggingLevel('emergency'),
  'subscribe without a log': async () => {
    await client.subscribeResource({ uri: document });
    await client.unsubscribeResource({ uri: document });
  },
  'log a level that is none': () => ask('logging/setLevel', { level: 'loud' }),
  'log everything again': () => client.setLoggingLevel('debug'),

  'unknown method': () => ask('acme/unknown', { x: 1 }),
  'call without a name': () => ask('tools/call', { arguments: {} }),

  ...(capabilities.roots && {
    roots: () => tool('get-roots-list', {}),
    'roots changed': async () => {
      roots = [{ uri: 'file:///peer/three', name: 'three' }];
      await client.sendRootsListChanged();
      await recorder.seen('roots/list');
      await recorder.seen('notifications/message');
    },
    'changed roots': () => tool('get-roots-list', {}),
  }),

  ...(capabilities.sampling && {
    sampling: () => tool('trigger-sampling-request', { prompt: 'Say "é"', maxTokens: 50 }),
  }),
  ...(capabilities.sampling && capabilities.tasks && {
    'sampling as a task': () => tool('trigger-sampling-request-async', { prompt: 'later', maxTokens: 10 }),
  }),

  ...(capabilities.elicitation && {
    'elicitation accepted': () => tool('trigger-elicitation-request', {}),
    'elicitation declined': () => elicited('decline', 'trigger-elicitation-request', {}),
    'elicitation cancelled': () => elicited('cancel', 'trigger-elicitation-request', {}),
    'link accepted': () => tool('trigger-url-elicitation', { url: 'https://example.com/a?b=c&d=é', elicitationId: 'link-1' }),
    'link declined': () =>
      elicited('decline', 'trigger-url-elicitation', { url: 'https://example.com/', message: 'Please', elicitationId: 'link-2' }),
    'link required': () => tool('trigger-url-elicitation', { url: 'https://example.com/', elicitationId: 'link-3', errorPath: true }),
    'link required no more': () =>
      tool('trigger-url-elicitation', { url: 'https://example.com/', elicitationId: 'link-3', errorPath: true }),
  }),
  ...(capabilities.elicitation && capabilities.tasks && {
    'elicitation as a task': () => tool('trigger-elicitation-request-async', {}),
  }),

  task: async () => {
    const taskId = await startTask({ topic: 'braids' });
    await ask('tasks/get', { taskId });
    await ask('tasks/list', {});
    await ask('tasks/result', { taskId });
    await ask('tasks/get', { taskId });
  },
  'task that asks': async () => {
    const taskId = await startTask({ topic: 'python', ambiguous: true });
    await ask('tasks/result', { taskId });
  },
  'task cancelled': async () => {
    const taskId = await startTask({ topic: 'nothing' });
    await ask('tasks/cancel', { taskId });
    await ask('tasks/cancel', { taskId });
  },
  'unknown task': () => ask('tasks/get', { taskId: 'no-such-task' }),
  'task tool called without a task': () => ask('tools/call', { name: `${flags.prefix}simulate-research-query`, arguments: { topic: 'x' } }),

  'list tools again': () => client.listTools(),
  'list resources again': () => client.listResources(),
};

const either = new Set(['unknown tool']); // a result that is an error, or an error: both are allowed
const failing = new Set([
  'cancel',
  'read nothing',
  'prompt without its argument',
  'unknown prompt',
  'complete an unknown prompt',
  'log a level that is none',
  'unknown method',
  'call without a name',
  'link required',
  'task cancelled',
  'unknown task',
]);

async function elicited(answer, name, args) {
  action = answer;
  try {
    return await tool(name, args);
  } finally {
    action = 'accept';
  }
}

// step reports whether it ended as it should have.
async function step(name, act) {
  const record = recorder.begin(name);
  try {
    await act();
  } catch (error) {
    const { code, message, data } = error;
    record.failure = { code, message, data };
  }
  if (either.has(name) || Boolean(record.failure) === failing.has(name)) return true;
  const ending = record.failure ? JSON.stringify(record.failure) : 'ended without an error';
  process.stderr.write(`client: step "${name}": ${ending}\n`);
  process.exitCode = 1;
  return false;
}

function connection() {
  // The SDK takes an answer that is an error for a broken stream and resumes it, where server-everything replays the
  // answers of all other streams: without reconnection each answer is seen once.
  const reconnectionOptions = {
    initialReconnectionDelay: 1000,
    maxReconnectionDelay: 1000,
    reconnectionDelayGrowFactor: 1,
    maxRetries: 0,
  };
  const options = { fetch: recorder.fetch, reconnectionOptions };
  if (flags.http) return new StreamableHTTPClientTransport(new URL(flags.http), options);
  if (flags.sse) return new SSEClientTransport(new URL(flags.sse), options);
  return new StdioTransport(recorder, command);
}

const transport = recorder.watch(connection());
const connected = await step('initialize', async () => {
  await client.connect(transport);
  // server-everything asks for the roots a moment later, and logs that it has them.
  if (capabilities.roots) {
    await recorder.seen('roots/list');
    await recorder.seen('notifications/message');
  }
});
if (connected) {
  const only = new RegExp(flags.only);
  for (const [name, act] of Object.entries(all)) if (only.test(name)) await step(name, act);
}
await step('close', async () => {
  await transport.terminateSession?.();
  await client.close();
});

const output = `${JSON.stringify({ profile: flags.profile, ended: transport.ended, steps: recorder.steps }, null, 1)}\n`;
if (flags.out) await writeFile(flags.out, output);
else process.stdout.write(output);
process.exit(); // an event stream that stays open keeps no one waiting
