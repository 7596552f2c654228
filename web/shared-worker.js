/**
 * One socket to the agent for all tabs of an origin: this runs in a `SharedWorker`, and each tab speaks to it through a port as
 * it would through a socket of its own (`shared.js`). It knows the messages' types and ids, and no more of the protocol: whom to
 * ask, what to show and whom to believe is each page's own matter.
 *
 * What the agent asks of a socket, this asks of each tab: a tab that does not answer a ping gets no proof and no token, and is
 * closed when it goes on. It imports nothing, so that it is one request, and the same file with and without a bundler.
 *
 * tab → worker: `{dial: address}`, then text frames; `{held: id}` once it holds the lock of its login; `{leave: true}`.
 * worker → tab: `{alive: lock, login: lock}`, text frames, `{answered: id}` after a login, `{closed: code}`.
 */

const SUBPROTOCOL = "loopkey.1";
/** Nothing but an agent is ever dialled. */
const ADDRESS = /^wss?:\/\/(127\.0\.0\.1|\[::1\]|localhost):\d{1,5}\/v1$/;
/** As at the agent: from the second unanswered ping on the tab may be frozen. */
const UNANSWERED = 2;
/** The agent signs four proofs at a time for a socket … */
const PROOFS_AT_ONCE = 4;
/** … and takes 30 messages a second, 60 at once. Tabs that come together leave room for what people do. */
const BURST = 40;
const PROOFS_A_SECOND = 20;

/**
 * @typedef {object} Surroundings what the worker takes from its browser
 * @property {typeof WebSocket} WebSocket
 * @property {LockManager} locks
 * @property {(run: () => void, ms: number) => any} setTimeout
 * @property {() => number} now
 * @property {() => string} name a new one each time
 */

/** All tabs, and the socket that each of them is on. */
export class Exchange {
  #around;
  #alive;
  /** @type {Map<string, Line>} by address */
  #lines = new Map();
  #tabs = 0;

  /** @param {Surroundings} around */
  constructor(around) {
    this.#around = around;
    // Held as long as the worker lives: whoever gets it after a tab has asked for it knows that the worker is gone.
    const lock = `loopkey worker ${around.name()}`;
    this.#alive = new Promise((resolve) => {
      around.locks.request(lock, () => {
        resolve(lock);
        return new Promise(() => {});
      });
    });
  }

  /** @param {MessagePort} port of a tab that has just come */
  join(port) {
    const tab = new Tab(port);
    const lock = `loopkey login ${this.#around.name()}`;
    port.onmessage = ({ data }) => {
      if (typeof data === "string") tab.line?.take(tab, data);
      else if (data?.leave) this.#leave(tab);
      else if (data?.held) this.#watch(tab, data.held, lock);
      else if (ADDRESS.test(data?.dial)) this.#dial(tab, data.dial);
    };
    this.#alive.then((alive) => port.postMessage({ alive, login: lock }));
  }

  #dial(tab, address) {
    if (tab.line) return;
    if (!this.#lines.has(address)) {
      const line = new Line(this.#around, address, () => this.#lines.get(address) === line && this.#lines.delete(address));
      this.#lines.set(address, line);
    }
    this.#lines.get(address).add(tab);
  }

  #leave(tab) {
    tab.line?.remove(tab);
    tab.port.close();
  }

  /** The tab holds the lock until its login is answered. Where it is free before that, the tab has died. */
  #watch(tab, id, lock) {
    this.#around.locks.request(`${lock} ${id}`, () => {
      if (tab.line?.isLoggingIn(tab, id)) this.#leave(tab);
    });
  }
}

class Tab {
  /** @type {Line | null} */
  line = null;
  /** It was told `ready`. */
  open = false;
  /** Pings since its last answer. */
  unanswered = 0;

  constructor(port) {
    this.port = port;
  }

  get missed() {
    return this.unanswered >= UNANSWERED;
  }

  /** @param {object | string} what a text frame, or a note of the worker's own */
  post(what) {
    this.port.postMessage(what);
  }
}

/** One socket, and the tabs on it. */
class Line {
  #around;
  #socket;
  #onEnd;
  /** @type {Set<Tab>} */
  #tabs = new Set();
  #hello = null;
  /** Whose `open` is at the agent, and the ticket in it. @type {{tab: Tab, ticket: string | undefined} | null} */
  #opening = null;
  /** Tabs that want to open, with what they said. */
  #waiting = [];
  /** The agent's `ready`, with the newest state. */
  #ready = null;
  /** Tickets of this conversation, for as long as the epoch is theirs. Whoever shows one has been on it. */
  #tickets = new Set();
  /** The newest news of each action. */
  #news = new Map();
  #lastId = 0;
  /** What the agent was asked, by the id that it knows. @type {Map<number, {tab: Tab | null, id: number, type: string, opens: boolean}>} */
  #calls = new Map();
  /** Proofs that wait for their turn. */
  #proofs = [];
  #credit = BURST;
  #creditAt;
  #later = null;
  /** The agent's ping has not been answered yet. */
  #owesPong = false;

  constructor(around, address, onEnd) {
    this.#around = around;
    this.#onEnd = onEnd;
    this.#creditAt = around.now();
    try {
      this.#socket = new around.WebSocket(address, SUBPROTOCOL);
    } catch {
      around.setTimeout(() => this.#end(1006), 0);
      return;
    }
    this.#socket.onmessage = ({ data }) => this.#receive(data);
    this.#socket.onerror = () => this.#end(1006);
    this.#socket.onclose = (event) => this.#end(event?.code ?? 1006);
  }

  add(tab) {
    tab.line = this;
    this.#tabs.add(tab);
    if (this.#hello) tab.post(this.#hello);
  }

  /** The tab is gone: what it had asked for is taken back, and with the last one the socket. */
  remove(tab) {
    tab.line = null;
    this.#tabs.delete(tab);
    this.#waiting = this.#waiting.filter((each) => each.tab !== tab);
    this.#proofs = this.#proofs.filter((each) => each.tab !== tab);
    for (const [id, call] of this.#calls) {
      if (call.tab !== tab) continue;
      call.tab = null;
      if (call.type === "login") this.#send({ type: "cancel", id });
    }
    if (this.#tabs.size) return;
    this.#socket?.close(1000);
    this.#end(1000);
  }

  isLoggingIn(tab, id) {
    return [...this.#calls.values()].some((call) => call.tab === tab && call.id === id && call.type === "login");
  }

  /** A text frame of a tab. */
  take(tab, text) {
    const message = parsed(text);
    switch (message?.type) {
      case "open":
        return this.#open(tab, message);
      case "pong":
        return this.#pong(tab);
      case "cancel":
        for (const [id, call] of this.#calls) if (call.tab === tab && call.id === message.id) this.#send({ type: "cancel", id });
        return;
      case "prove":
      case "login":
        // The agent would ask whether somebody is there; it cannot see that it is not this tab that answers it.
        if (tab.missed) return tab.post(JSON.stringify({ type: "refused", id: message.id, code: "unavailable" }));
        if (message.type === "login") return this.#call(tab, message);
        this.#proofs.push({ tab, message });
        return this.#prove();
      case "action":
        return this.#call(tab, message);
    }
  }

  /** The first tab opens the socket; whoever comes later is let in on what the agent has said. */
  #open(tab, message) {
    if (this.#ready) return this.#admit(tab, message);
    if (this.#opening) return void this.#waiting.push({ tab, message });
    this.#opening = { tab, ticket: message.resume };
    this.#send(message);
  }

  /** Each tab gets a proof for its own challenge; one that was here before needs none. */
  #admit(tab, { challenge, resume }) {
    if (this.#tickets.has(resume)) return this.#welcome(tab, { resumed: true });
    if (!challenge) return this.#welcome(tab, {});
    this.#proofs.push({ tab, message: { type: "prove", challenge }, opens: true });
    this.#prove();
  }

  #welcome(tab, more) {
    tab.open = true;
    tab.post(JSON.stringify({ ...this.#ready, resumed: false, ...more }));
    for (const news of this.#news.values()) tab.post(news);
  }

  #prove() {
    while (this.#proofs.length && this.#provingNow < PROOFS_AT_ONCE && this.#mayProve()) {
      const { tab, message, opens } = this.#proofs.shift();
      this.#call(tab, message, opens);
    }
  }

  get #provingNow() {
    return [...this.#calls.values()].filter((call) => call.type === "prove").length;
  }

  #mayProve() {
    const now = this.#around.now();
    this.#credit = Math.min(BURST, this.#credit + Math.max(0, now - this.#creditAt) * PROOFS_A_SECOND / 1_000);
    this.#creditAt = now;
    if (this.#credit >= 1) {
      this.#credit -= 1;
      return true;
    }
    this.#later ??= this.#around.setTimeout(() => {
      this.#later = null;
      this.#prove();
    }, 1_000 / PROOFS_A_SECOND);
    return false;
  }

  #call(tab, message, opens = false) {
    const id = (this.#lastId += 1);
    this.#calls.set(id, { tab, id: message.id, type: message.type, opens });
    this.#send({ ...message, id });
  }

  /** A text frame of the agent. */
  #receive(text) {
    const message = parsed(text);
    switch (message?.type) {
      case undefined:
        return;
      case "hello":
        this.#hello = text;
        for (const tab of this.#tabs) tab.post(text);
        return;
      case "ready":
        return this.#onReady(message, text);
      case "state":
        return this.#onState(message, text);
      case "ping":
        return this.#onPing(text);
      case "news":
        this.#news.set(message.name, text);
    }
    if (message.id === undefined) return this.#toAll(text);
    this.#onAnswer(message);
  }

  #onReady({ proof, opened, ...ready }, text) {
    this.#ready = ready;
    const { tab: first, ticket } = this.#opening;
    // The tabs of a lost socket come back with one and the same ticket, which the agent takes once.
    this.#tickets = new Set(ready.resumed ? [ready.resume, ticket] : [ready.resume]);
    if (first.line === this) {
      first.open = true;
      first.post(text);
    }
    for (const { tab, message } of this.#waiting.splice(0)) this.#admit(tab, message);
  }

  #onState({ seq, state }, text) {
    if (state?.epoch !== this.#ready?.state?.epoch) {
      this.#tickets.clear();
      this.#news.clear();
    }
    Object.assign(this.#ready ?? {}, { seq, state });
    this.#toAll(text);
  }

  #onAnswer({ id, ...message }) {
    const call = this.#calls.get(id);
    if (!call) return;
    const { tab } = call;
    if (message.type === "consent") return tab?.post(JSON.stringify({ ...message, id: call.id }));
    this.#calls.delete(id);
    if (call.type === "prove") this.#prove();
    if (!tab) return;
    if (call.opens) return this.#welcome(tab, message.type === "proof" ? { proof: message.proof } : {});
    const withheld = tab.missed && (message.type === "proof" || message.type === "token");
    tab.post(JSON.stringify({ ...(withheld ? { type: "refused", code: "unavailable" } : message), id: call.id }));
    if (call.type === "login") tab.post({ answered: call.id });
  }

  /** Asked of every tab. The agent is answered when the first of them has answered. */
  #onPing(text) {
    this.#owesPong = true;
    for (const tab of [...this.#tabs]) {
      if (!tab.open) continue;
      if (tab.missed) {
        this.remove(tab);
        tab.post({ closed: 4408 });
      } else {
        tab.unanswered += 1;
        tab.post(text);
      }
    }
  }

  #pong(tab) {
    tab.unanswered = 0;
    if (this.#owesPong) this.#send({ type: "pong" });
    this.#owesPong = false;
  }

  #toAll(text) {
    for (const tab of this.#tabs) if (tab.open) tab.post(text);
  }

  #send(message) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message));
  }

  #end(code) {
    if (this.#socket) this.#socket.onmessage = this.#socket.onerror = this.#socket.onclose = null;
    this.#onEnd();
    for (const tab of this.#tabs) {
      tab.line = null;
      tab.post({ closed: code });
    }
    this.#tabs.clear();
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** @param {any} scope the worker's own */
function run(scope) {
  const exchange = new Exchange({
    WebSocket: scope.WebSocket,
    locks: scope.navigator.locks,
    setTimeout: (run, ms) => scope.setTimeout(run, ms),
    now: () => scope.performance.now(),
    name: () => scope.crypto.randomUUID(),
  });
  scope.onconnect = ({ ports: [port] }) => exchange.join(port);
}

if ("SharedWorkerGlobalScope" in globalThis) run(globalThis);
