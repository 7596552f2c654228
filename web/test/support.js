/** A browser, an agent and a login server made of plain objects. No global, no real time, no network. */

import { createHash } from "node:crypto";
import { sleep } from "../environment.js";
import { createLoopkey } from "../loopkey.js";
// What a page loads later is here at once: this clock does not wait for files.
import "../advice.js";
import "../bridge.js";
import "../waking.js";

// Debian's Node.js 18 has everything else that a browser's script needs.
globalThis.CustomEvent ??= class CustomEvent extends Event {
  constructor(type, { detail = null, ...options } = {}) {
    super(type, options);
    this.detail = detail;
  }
};

/** Time that stands still until `advance`. */
export class FakeClock {
  time = 1_000_000;
  #timers = new Map();
  #last = 0;

  setTimeout = (run, ms) => {
    this.#timers.set(++this.#last, { at: this.time + Math.max(0, ms || 0), run });
    return this.#last;
  };
  clearTimeout = (timer) => this.#timers.delete(timer);

  /** Lets promises settle, then runs what is due, in order, for `ms` milliseconds. */
  async advance(ms = 0) {
    const end = this.time + ms;
    for (;;) {
      await settle();
      const [id, next] = [...this.#timers].sort(([, a], [, b]) => a.at - b.at)[0] ?? [];
      if (!next || next.at > end) break;
      this.#timers.delete(id);
      this.time = Math.max(this.time, next.at);
      next.run();
    }
    this.time = end;
    await settle();
  }
}

export async function settle() {
  for (let turn = 0; turn < 4; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** The agent's side of the sockets. `listening` and `gated` decide what a dial meets. */
export class FakeAgent {
  listening = true;
  /** Sockets stay CONNECTING, as while the browser asks. */
  gated = false;
  version = 1;
  state = { presence: "signed_in", since: 5, epoch: 1 };
  seq = 1;
  enrolled = true;
  tickets = new Set();
  sockets = [];
  dialled = [];
  received = [];
  /** What to do with a login; by default a token for whoever is signed in. */
  onLogin = (socket, { id }) => socket.say({ type: "token", id, token: `token-${id}` });
  /** What `ready` shows a page that was opened from the client. */
  opened = null;
  /** What to do with an action. */
  onAction = (socket, { id }) => socket.say({ type: "refused", id, code: "unknown_action" });
  /** A close code for `open` instead of `ready`. */
  refuseOpen = null;
  /** Close codes of sockets that nobody opened in time. */
  expired = [];

  constructor(port = 28970) {
    this.port = port;
  }

  push(change) {
    this.state = { ...this.state, ...change };
    this.seq += 1;
    for (const socket of this.sockets) socket.say({ type: "state", seq: this.seq, state: this.state });
  }

  stop(code = 1001) {
    this.listening = false;
    this.tickets.clear();
    for (const socket of this.sockets.splice(0)) socket.drop(code);
  }

  receive(socket, message) {
    this.received.push(message);
    switch (message.type) {
      case "open": {
        socket.opened = true;
        if (this.refuseOpen) return socket.drop(this.refuseOpen);
        if (message.resume && !this.tickets.delete(message.resume)) return socket.drop(4401);
        const resume = `ticket-${this.received.length}`;
        this.tickets.add(resume);
        this.sockets.push(socket);
        return socket.say({
          type: "ready", seq: this.seq, grants: ["presence", "login"], state: this.state, resume,
          resumed: Boolean(message.resume), ...(this.opened && { opened: this.opened }), ...(message.challenge && this.enrolled && { proof: `proof of ${message.challenge}` }),
        });
      }
      case "prove":
        return socket.say({ type: "proof", id: message.id, proof: `proof of ${message.challenge}` });
      case "login":
        return this.onLogin(socket, message);
      case "action":
        return this.onAction(socket, message);
      case "cancel":
        return socket.say({ type: "refused", id: message.id, code: "cancelled" });
    }
  }
}

/** The login server: counts calls, hands out challenges, keeps one session. */
export class FakeIssuer {
  ports = [28970, 28971];
  calls = [];
  challenges = 0;
  down = false;
  account = { subject: "s-ada", name: "Ada Lovelace", avatar: null };
  session = null;
  /** Named in the metadata; there is none where it is undefined. */
  scheme = undefined;
  /** Where agents speak TLS, in the metadata. */
  wssPorts = undefined;
  /** Status, body and headers for the next answers of a path, used up one by one. */
  scripted = {};
  /** For how long the next answers of a path are under way (ms), used up one by one. */
  slow = {};

  answer(path, body) {
    this.calls.push([path, body]);
    const script = this.scripted[path]?.shift();
    if (script) return script;
    switch (path) {
      case "/.well-known/loopkey.json":
        return this.scheme === undefined ? [404, { error: "not_found" }] : [200, { scheme: this.scheme, ports: this.ports, wss_ports: this.wssPorts }];
      case "/v1/challenge":
        return [200, { challenge: `c${(this.challenges += 1)}`, ports: this.ports }];
      case "/v1/presence":
        return [200, { presence: "signed_in", account: this.account }];
      case "/v1/login":
        this.session = { ...this.account, account: "ada", signed_in_at: this.challenges };
        return [204];
      case "/v1/session":
        return this.session ? [200, this.session] : [401, { error: "no_session" }];
      case "/v1/logout":
        this.session = null;
        return [204];
    }
    return [404, { error: "not_found" }];
  }

  count(path) {
    return this.calls.filter(([each]) => each === path).length;
  }
}

/** @returns an environment with everything that a test may want to reach */
export function world({ permission = "granted", hostname = "app.example.com", agents = [new FakeAgent()], issuer = new FakeIssuer(), ...more } = {}) {
  const clock = new FakeClock();
  const document = new EventTarget();
  const status = Object.assign(new EventTarget(), { state: permission });
  const here = { clock, issuer, agents, agent: agents[0], status, dials: [], open: [], probes: [], streams: [], launched: [], advice: [], visible: true, ...more };

  class FakeWebSocket {
    readyState = 0;
    constructor(url, protocol) {
      here.dials.push(url);
      if (here.forbidden?.(url)) throw new Error("SecurityError");
      this.url = url;
      this.protocol = protocol;
      const port = Number(new URL(url).port);
      this.agent = agents.find((agent) => agent.port === port && agent.listening && !(here.deaf?.(url)));
      clock.setTimeout(() => {
        if (this.readyState === 3 || here.silent?.(url) || this.agent?.gated) return;
        if (!this.agent || here.mixed?.(url)) return this.fail();
        this.readyState = 1;
        here.open.push(this);
        this.say({ type: "hello", v: this.agent.version, nonce: "n".repeat(43), later: true });
        clock.setTimeout(() => this.expire(), 5_000);
      }, 2);
    }
    fail() {
      this.readyState = 3;
      this.onerror?.({});
      if (!here.errorWithoutClose && !here.mixed?.(this.url)) this.onclose?.({ code: 1006 });
    }
    say(message) {
      if (this.readyState === 1) this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) });
    }
    send(text) {
      this.agent.receive(this, JSON.parse(text));
    }
    drop(code) {
      this.readyState = 3;
      this.onclose?.({ code });
    }
    expire() {
      if (this.readyState !== 1 || this.opened) return;
      this.agent.expired.push(4408);
      this.drop(4408);
    }
    close() {
      this.readyState = 3;
      const { sockets } = this.agent ?? { sockets: [] };
      if (sockets.includes(this)) sockets.splice(sockets.indexOf(this), 1);
    }
  }

  class FakeEventSource extends EventTarget {
    readyState = 1;
    constructor(url) {
      super();
      this.url = url;
      here.streams.push(this);
    }
    close() {
      this.readyState = 2;
    }
    tell(type, data) {
      this.dispatchEvent(Object.assign(new Event(type), { data: JSON.stringify(data) }));
    }
  }

  async function fetch(url, init = {}) {
    const { port, pathname } = new URL(url);
    if (pathname === "/v1/probe") {
      here.probes.push(Number(port));
      if (here.mixed?.(url)) throw new TypeError("mixed content");
      if (here.noProbe) throw new TypeError("refused by the content security policy");
      if (agents.some((agent) => agent.port === Number(port) && agent.listening)) return { status: 204 };
      throw new TypeError("Failed to fetch");
    }
    if (issuer.down) throw new TypeError("Failed to fetch");
    const [code, body, headers] = issuer.answer(pathname, init.body && JSON.parse(init.body));
    const delay = issuer.slow[pathname]?.shift();
    if (delay) await sleep({ setTimeout: clock.setTimeout, clearTimeout: clock.clearTimeout }, delay, init.signal);
    return { status: code, headers: new Headers(headers), text: async () => (body ? JSON.stringify(body) : "") };
  }

  here.environment = {
    WebSocket: FakeWebSocket,
    fetch,
    EventSource: FakeEventSource,
    permissions: {
      async query({ name }) {
        if (permission === "unsupported" || (here.oldName && name !== "local-network-access")) throw new TypeError(name);
        return status;
      },
    },
    setTimeout: clock.setTimeout,
    clearTimeout: clock.clearTimeout,
    now: () => clock.time,
    random: () => 0.5,
    hostname,
    secure: true,
    slowRefusal: false,
    opaque: false,
    delegated: () => true,
    framed: () => false,
    advise: (advice) => here.advice.push(advice),
    visible: () => here.visible,
    fragment: () => here.fragment ?? "",
    setFragment: (fragment) => (here.fragment = fragment),
    digest: async (bytes) => Uint8Array.from(createHash("sha256").update(bytes).digest()).buffer,
    launch: (address) => here.launched.push(address),
    window: new EventTarget(),
    document,
    ...more.environment,
  };
  here.permit = (state) => {
    status.state = state;
    status.dispatchEvent(new Event("change"));
  };
  here.show = (visible) => {
    here.visible = visible;
    document.dispatchEvent(new Event("visibilitychange"));
  };
  return here;
}

/** Records an object's events as `[type, detail]`. */
export function record(target, ...types) {
  const seen = [];
  for (const type of types) target.addEventListener(type, (event) => seen.push([type, event.detail]));
  return seen;
}

/** A page that has just been loaded, with what happened to it. */
export async function started(options, more = {}) {
  const here = world(options);
  const loopkey = createLoopkey({ issuer: "https://app.example.com", environment: here.environment, ...more });
  const seen = record(loopkey, "state");
  loopkey.start();
  await here.clock.advance(50);
  const states = () => seen.map(([, { name, reason }]) => `${name}/${reason}`);
  return { ...here, here, loopkey, states };
}
