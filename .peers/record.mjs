// Keeps the text of every message that a client receives and sends, byte for byte and step by step.
import { spawn } from 'node:child_process';
import process from 'node:process';
import { JSONRPCMessageSchema } from '@modelcontextprotocol/sdk/types.js';

const patience = 60_000; // milliseconds until something awaited is given up
const grace = 5_000; // milliseconds for a server to leave

export class Recorder {
  steps = [];
  #current;
  #asked = new Map(); // id of a request → the step that sent it
  #waiting = new Set();

  begin(name) {
    this.#current = { name, sent: [], seen: [], failure: null };
    this.steps.push(this.#current);
    return this.#current;
  }

  // An answer belongs to the step that asked, all else to the step that is under way.
  received(raw) {
    const message = JSON.parse(raw);
    if (message.method === undefined) {
      const step = this.#asked.get(message.id) ?? this.#current;
      step.seen.push({ kind: 'answer', raw });
    } else {
      const kind = message.id === undefined ? 'notification' : 'request';
      this.#current.seen.push({ kind, method: message.method, raw });
    }
    for (const check of this.#waiting) check();
  }

  sent(message) {
    if (message.method !== undefined && message.id !== undefined) this.#asked.set(message.id, this.#current);
    this.#current.sent.push(JSON.stringify(message));
  }

  // seen resolves once the step under way has seen count messages of the method.
  seen(method, count = 1) {
    const step = this.#current;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(check);
        reject(new Error(`saw ${step.seen.filter((m) => m.method === method).length} ${method}, want ${count}`));
      }, patience);
      const check = () => {
        if (step.seen.filter((m) => m.method === method).length < count) return;
        clearTimeout(timer);
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      check();
    });
  }

  // watch records what transport sends.
  watch(transport) {
    const send = transport.send.bind(transport);
    transport.send = (message, options) => {
      this.sent(message);
      return send(message, options);
    };
    return transport;
  }

  // fetch is the global one, with every message in an answer recorded on its way to the client.
  fetch = async (url, init) => {
    const response = await fetch(url, init);
    if (!response.body) return response;
    const type = response.headers.get('content-type') ?? '';
    let read;
    if (type.startsWith('text/event-stream')) read = events((data) => this.received(data));
    else if (type.startsWith('application/json') && response.ok) read = whole((text) => this.received(text));
    else return response;
    const { status, statusText, headers } = response;
    return new Response(response.body.pipeThrough(read), { status, statusText, headers });
  };
}

// events passes bytes on and reports the data of each message event.
function events(report) {
  const decoder = new TextDecoder();
  let rest = '';
  return new TransformStream({
    transform(chunk, controller) {
      rest += decoder.decode(chunk, { stream: true });
      const blocks = rest.split(/\r?\n\r?\n/);
      rest = blocks.pop();
      for (const block of blocks) {
        const lines = block.split(/\r?\n/);
        const field = (name) => lines.filter((l) => l.startsWith(`${name}:`)).map((l) => l.slice(name.length + 1).replace(/^ /, ''));
        const data = field('data').join('\n');
        if (data !== '' && (field('event')[0] ?? 'message') === 'message') report(data);
      }
      controller.enqueue(chunk);
    },
  });
}

// whole passes bytes on and reports the text they make up.
function whole(report) {
  const decoder = new TextDecoder();
  let text = '';
  return new TransformStream({
    transform(chunk, controller) {
      text += decoder.decode(chunk, { stream: true });
      controller.enqueue(chunk);
    },
    flush: () => report(text),
  });
}

// StdioTransport talks to a child process, like the SDK's, and records its lines before they are parsed.
export class StdioTransport {
  #recorder;
  #command;
  #child;

  constructor(recorder, command) {
    this.#recorder = recorder;
    this.#command = command;
  }

  async start() {
    const [program, ...args] = this.#command;
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.on('error', (error) => this.onerror?.(error));
    this.#child.on('close', () => this.onclose?.());
    this.#child.stdin.on('error', (error) => this.onerror?.(error));
    let rest = Buffer.alloc(0);
    this.#child.stdout.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk]);
      for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
        const line = rest.toString('utf8', 0, end);
        rest = rest.subarray(end + 1);
        try {
          this.#recorder.received(line);
          this.onmessage?.(JSONRPCMessageSchema.parse(JSON.parse(line)));
        } catch (error) {
          this.onerror?.(error);
        }
      }
    });
  }

  send(message) {
    return new Promise((resolve, reject) => {
      this.#child.stdin.write(`${JSON.stringify(message)}\n`, (error) => (error ? reject(error) : resolve()));
    });
  }

  // close ends stdin and waits; a server that stays is told to go, and then killed. ended says what it took.
  async close() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const left = new Promise((resolve) => this.#child.once('close', resolve));
    this.ended = 'stdin';
    this.#child.stdin.end();
    const timers = ['SIGTERM', 'SIGKILL'].map((signal, i) =>
      setTimeout(() => {
        this.ended = signal;
        this.#child.kill(signal);
      }, grace * (i + 1)),
    );
    await left;
    timers.forEach(clearTimeout);
  }
}
