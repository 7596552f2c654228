/** An agent made of a real socket in a folder of the test's own, and time that stands still until it is told to go on. */

import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test as nodeTest } from "node:test";
import { LoopkeyClient } from "../src/client.js";
import { dial } from "../src/environment.js";

/** Far longer than anything takes: what is waited for and never comes fails. */
const SOON = { timeout: 20_000 };

/** A test with its own folder, agent and clock; whatever it opened is closed behind it. */
export function test(name, run) {
  nodeTest(name, SOON, async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "loopkey-"));
    const stage = new Stage(join(folder, "control.sock"));
    context.after(async () => {
      await stage.leave();
      rmSync(folder, { recursive: true });
    });
    await run(stage);
  });
}

class Stage {
  clock = new FakeClock();
  #clients = [];

  constructor(path) {
    this.agent = new FakeAgent(path);
  }

  /** A client that knows where the agent is, and what it told of. */
  client(options = {}) {
    const { clock, agent: { path } } = this;
    const environment = { dial, setTimeout: clock.setTimeout, clearTimeout: clock.clearTimeout, now: () => clock.time, random: () => 0.5 };
    const client = new LoopkeyClient({ name: "Test", version: "1", path, ...options }, environment);
    client.heard = new Queue();
    for (const event of ["connected", "disconnected", "sockets", "accountRevoked", "accountSignedOut", "fault"]) {
      client.on(event, (...values) => client.heard.push([event, ...values]));
    }
    this.#clients.push(client);
    return client;
  }

  /** An agent that listens, a client that is connected to it, and the agent's end of the connection. */
  async connected(options) {
    await this.agent.listen();
    const client = this.client(options);
    const [connection] = await Promise.all([this.agent.connections.next(), client.connect()]);
    await heard(client, "connected");
    await connection.called("client.hello");
    return { client, connection };
  }

  async leave() {
    for (const client of this.#clients) client.close();
    await this.agent.stop();
  }
}

/** The values of the client's next event of a name, whatever else is told before. */
export async function heard(client, name) {
  for (;;) {
    const [event, ...values] = await client.heard.next();
    if (event === name) return values;
  }
}

/** What comes in is waited for, in order. */
export class Queue {
  #items = [];
  #waiting = [];

  push(item) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting(item);
    else this.#items.push(item);
  }

  next() {
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  get length() {
    return this.#items.length;
  }
}

/** Timers that go off when the test says so. */
class FakeClock {
  time = 0;
  #timers = new Map();
  #last = 0;
  /** The pauses that were asked for, in milliseconds: the library's own time-outs are longer. */
  pauses = new Queue();

  setTimeout = (run, ms) => {
    this.#timers.set(++this.#last, { at: this.time + ms, run });
    if (ms <= 10_000) this.pauses.push(ms);
    return this.#last;
  };

  clearTimeout = (timer) => this.#timers.delete(timer);

  get pending() {
    return this.#timers.size;
  }

  /** Runs what is due within `ms` milliseconds. */
  advance(ms) {
    this.time += ms;
    for (const [id, { at, run }] of [...this.#timers]) {
      if (at <= this.time && this.#timers.delete(id)) run();
    }
  }
}

/** An agent that says hello, and whatever else a test tells it to. */
export class FakeAgent {
  connections = new Queue();
  /** What it answers to a call: a result, or what it throws. `undefined`: nothing at all. */
  answer = (method) => (method === "client.hello" ? { agent: "0.1.0", protocol: "loopkey.1" } : {});
  #server = null;
  #open = new Set();

  constructor(path) {
    this.path = path;
  }

  async listen() {
    this.#server = createServer((socket) => {
      this.#open.add(socket);
      socket.on("close", () => this.#open.delete(socket));
      socket.on("error", () => {});
      this.connections.push(new Connection(socket, (...call) => this.answer(...call)));
    });
    this.#server.listen(this.path);
    await once(this.#server, "listening");
  }

  async stop() {
    if (!this.#server) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
    this.#server = null;
    await closed;
  }
}

/** The agent's end of one connection. */
class Connection {
  #socket;
  #calls = new Queue();
  /** What the client answered to the agent's calls. */
  answers = new Queue();
  ended;

  constructor(socket, answer) {
    this.#socket = socket;
    this.ended = new Promise((resolve) => socket.on("close", resolve));
    const lines = createInterface({ input: socket });
    lines.on("line", (line) => this.#hear(JSON.parse(line), answer));
    lines.on("error", () => {});
  }

  #hear({ id, method, params, ...rest }, answer) {
    if (method === undefined) return this.answers.push({ id, ...rest });
    this.#calls.push({ method, params });
    let outcome;
    try {
      outcome = { result: answer(method, params) };
    } catch (error) {
      outcome = { error };
    }
    if (outcome.error || outcome.result !== undefined) this.say({ id, ...outcome });
  }

  /** The parameters of the client's next call, which is to this method. */
  async called(method) {
    const call = await this.#calls.next();
    if (call.method !== method) throw new Error(`waited for ${method}, and the client called ${call.method}`);
    return call.params;
  }

  /** Whether the client has called nothing that was not waited for. */
  get isQuiet() {
    return this.#calls.length === 0;
  }

  say(message) {
    this.raw(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
  }

  raw(bytes) {
    this.#socket.write(bytes);
  }

  /** Reads nothing any more. */
  deaf() {
    this.#socket.pause();
  }

  drop() {
    this.#socket.destroy();
  }
}

/** An error as the agent answers it. */
export function failed(code) {
  return { code: -32000, message: `the agent says ${code}`, data: { code } };
}

/** A consent request; `change` replaces members. */
export function consentRequest(id, change = {}) {
  const params = { origin: "https://app.example.com", account: "u7", name: "Ada", code: "47", peer: { browser: null }, can_remember: false, ...change };
  return { id, method: "consent.request", params };
}
