/** A browser with tabs and a shared worker: ports, locks and deaths made of plain objects. */

import { Exchange } from "../shared-worker.js";
import { createLoopkey } from "../loopkey.js";
import { FakeAgent, record, world } from "./support.js";

/** Two ends; what is posted arrives later, in order and in tasks of their own, unless the other end is gone or frozen. */
function channel(clock) {
  const [one, other] = [new FakePort(clock), new FakePort(clock)];
  [one.other, other.other] = [other, one];
  return [one, other];
}

class FakePort {
  onmessage = null;
  closed = false;
  frozen = false;
  held = [];
  /** Everything that arrived here. */
  got = [];

  constructor(clock) {
    this.clock = clock;
  }

  postMessage(data) {
    const copy = structuredClone(data);
    if (!this.closed) this.clock.setTimeout(() => this.other.deliver(copy), 0);
  }

  deliver(data) {
    if (this.closed) return;
    if (this.frozen) return void this.held.push(data);
    this.got.push(data);
    this.onmessage?.({ data });
  }

  thaw() {
    this.frozen = false;
    for (const data of this.held.splice(0)) this.deliver(data);
  }

  close() {
    this.closed = true;
  }
}

/** The origin's locks. Each page and the worker takes them through a manager of its own, and leaves all of them when it dies. */
export class FakeLocks {
  #queues = new Map();

  manager() {
    const mine = new Set();
    const request = (name, ...rest) => {
      const [{ signal } = {}, run] = rest.length > 1 ? rest : [{}, rest[0]];
      return new Promise((resolve, reject) => {
        const entry = { run, resolve, name, gone: false };
        mine.add(entry);
        signal?.addEventListener("abort", () => {
          if (entry.held) return;
          this.#remove(entry);
          reject(signal.reason);
        });
        if (signal?.aborted) return reject(signal.reason);
        this.#queues.set(name, [...(this.#queues.get(name) ?? []), entry]);
        this.#next(name);
      });
    };
    const die = () => {
      for (const entry of mine) this.#remove(entry);
    };
    return { request, die, get held() {
      return [...mine].filter((entry) => entry.held && !entry.gone).map(({ name }) => name);
    } };
  }

  #next(name) {
    const [first] = this.#queues.get(name) ?? [];
    if (!first || first.held) return;
    first.held = true;
    queueMicrotask(async () => {
      if (first.gone) return;
      const value = await first.run({ name });
      this.#remove(first);
      first.resolve(value);
    });
  }

  #remove(entry) {
    entry.gone = true;
    const rest = (this.#queues.get(entry.name) ?? []).filter((each) => each !== entry);
    this.#queues.set(entry.name, rest);
    this.#next(entry.name);
  }
}

/** @returns a browser; `visit()` loads a page in a new tab */
export function browser({ works = true, ...options } = {}) {
  const here = world({ agents: [new FakeAgent()], ...options });
  const locks = new FakeLocks();
  let worker = null;
  let names = 0;
  const start = () => {
    const manager = locks.manager();
    // Sockets of the worker alone are seen in here.workerDials.
    class WorkerSocket extends here.environment.WebSocket {
      constructor(url, protocol) {
        super(url, protocol);
        here.workerDials.push(url);
        worker.sockets.push(this);
        if (here.workerIsBlocked) queueMicrotask(() => this.fail());
      }
    }
    worker = { manager, sockets: [], ports: [] };
    worker.exchange = new Exchange({
      WebSocket: WorkerSocket, locks: manager, setTimeout: here.clock.setTimeout, now: () => here.clock.time, name: () => String(names += 1),
    });
    here.workers += 1;
    return worker;
  };
  Object.assign(here, { workerDials: [], workers: 0, works, locks });

  /** The worker is gone, and nobody is told. */
  here.killWorker = () => {
    for (const port of worker.ports) port.close();
    for (const socket of worker.sockets) {
      socket.onmessage = socket.onclose = socket.onerror = null;
      socket.close();
    }
    worker.manager.die();
    worker = null;
  };

  here.visit = async (more = {}) => {
    const manager = locks.manager();
    const ports = [];
    const environment = {
      ...here.environment, window: new EventTarget(), document: new EventTarget(), locks: manager,
      sharedWorker: () => {
        if (here.works === "throws") throw new Error("SecurityError");
        const [port, inside] = channel(here.clock);
        const shared = { port, onerror: null };
        ports.push(port);
        if (here.works === "fails") queueMicrotask(() => shared.onerror?.({}));
        else if (here.works) {
          worker ??= start();
          worker.ports.push(inside);
          worker.exchange.join(inside);
        }
        return shared;
      },
      ...more.environment,
    };
    const loopkey = createLoopkey({ issuer: "https://app.example.com", environment, ...more.options });
    const tab = { loopkey, environment, manager, ports, seen: record(loopkey, "state", "presence", "person", "news") };
    tab.freeze = () => ports.forEach((port) => (port.frozen = true));
    tab.thaw = () => ports.forEach((port) => port.thaw());
    /** It crashes: no event, no message; only its locks are given back. */
    tab.die = () => {
      tab.freeze();
      manager.die();
    };
    loopkey.start();
    await here.clock.advance(more.wait ?? 20);
    return tab;
  };
  return here;
}
