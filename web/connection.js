/**
 * One socket to an agent that has said hello: the handshake, the push of states and the requests
 * of protocol section 4. It never reconnects and never draws; what it cannot read it ignores,
 * because what a page receives may grow.
 */

import { LoopkeyError, PRESENCES } from "./codes.js";

/** The agent ends its prompt after 60 s; this is for an agent that forgets to say so. */
const ANSWER_TIMEOUT = 75_000;
/** Nobody is asked for these. An agent may have to reach its login server first, twice at 4 s. */
const READY_TIMEOUT = 10_000;
const PROOF_TIMEOUT = 10_000;
/** The agent gives the client 30 s. */
const ACTION_TIMEOUT = 35_000;

/**
 * @typedef {{presence: string, since: number, epoch: number}} AgentState
 * @typedef {{seq: number, state: AgentState, proof: string | null, ticket: string | null, resumed: boolean, opened: string | null}} Ready
 */

export class Connection {
  #environment;
  #socket;
  #nonce;
  #lastId = 0;
  /** @type {Map<number, {resolve: Function, reject: Function, onConsent?: Function, timer: any}>} */
  #pending = new Map();
  #ready = deferred();
  #closed = deferred();

  /** The login server accepted a proof that came through here: it is the person's agent and no other program. */
  trusted = false;
  /** The window that carries it, where the browser allows no socket. @type {import("./bridge.js").BridgeWindow | null} */
  bridge = null;
  /** Nothing showed that when it should have; other ports are being looked at. */
  doubted = false;

  /** Called with each pushed state. @type {(state: AgentState, seq: number) => void} */
  onState = () => {};
  /** Called with what the client says of an action. @type {(name: string, value: any) => void} */
  onNews = () => {};

  /** @param {number} [port] the one that was dialled */
  constructor(environment, socket, nonce, port) {
    this.#environment = environment;
    this.#socket = socket;
    this.#nonce = nonce;
    this.port = port;
    this.#ready.promise.catch(() => {});
    socket.onmessage = (event) => this.#receive(event.data);
    // `error` may come without `close`, `close` without `error`: either ends it.
    socket.onerror = () => this.#end(1006);
    socket.onclose = (event) => this.#end(event?.code ?? 1006);
  }

  /** The close code, once there is one. @type {Promise<number>} */
  get closed() {
    return this.#closed.promise;
  }

  /** First contact. @param {string} challenge used up by this @returns {Promise<Ready>} */
  open(challenge) {
    return this.#open({ challenge });
  }

  /** After a lost socket. @returns {Promise<Ready>} */
  resume(ticket, seq) {
    return this.#open({ resume: ticket, seq });
  }

  /** A presence proof for a fresh challenge. @returns {Promise<string>} */
  prove(challenge) {
    return this.#request({ type: "prove", id: this.#nextId(), challenge }, { within: PROOF_TIMEOUT });
  }

  /**
   * A login token for a fresh challenge.
   * @param {number} epoch of the state that the card was drawn from
   * @param {{signal: AbortSignal, onConsent: (code: string) => void, mark?: string | null}} how abort takes the prompt
   *   away; `mark`: of a page that the person opened from the client
   * @returns {Promise<string>}
   */
  async login(epoch, challenge, how) {
    const { signal, onConsent, mark } = how;
    if (signal.aborted) throw signal.reason;
    const id = this.#nextId();
    const cancel = () => {
      this.#settle(id, "reject", signal.reason);
      this.#send({ type: "cancel", id });
    };
    signal.addEventListener("abort", cancel, { once: true });
    try {
      return await this.#request({ type: "login", id, epoch, challenge, ...(mark && { mark }) }, { onConsent });
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }

  /** Has the client perform an action. @returns {Promise<any>} its result */
  action(name, params) {
    return this.#request({ type: "action", id: this.#nextId(), name, params }, { within: ACTION_TIMEOUT });
  }

  close() {
    // Browsers take some time to close; nobody here waits for it.
    try {
      this.#socket.close(1000);
    } catch {
      // already closed, or never opened
    }
    this.#end(1000);
  }

  #nextId() {
    return (this.#lastId += 1);
  }

  /** Whoever says hello and then nothing is given up, so that another port has its turn. */
  #open(how) {
    this.#send({ type: "open", nonce: this.#nonce, ...how });
    const { setTimeout, clearTimeout } = this.#environment;
    const timer = setTimeout(() => this.close(), READY_TIMEOUT);
    const stop = () => clearTimeout(timer);
    this.#ready.promise.then(stop, stop);
    return this.#ready.promise;
  }

  /** @param {any} message @param {{onConsent?: (code: string) => void, within?: number}} options @returns {Promise<any>} */
  #request(message, { onConsent, within = ANSWER_TIMEOUT }) {
    const { id } = message;
    return new Promise((resolve, reject) => {
      const timer = this.#environment.setTimeout(
        () => this.#settle(id, "reject", new LoopkeyError("timeout")), within);
      this.#pending.set(id, { resolve, reject, onConsent, timer });
      if (!this.#send(message)) this.#settle(id, "reject", new LoopkeyError("disconnected"));
    });
  }

  #settle(id, how, value) {
    const request = this.#pending.get(id);
    if (!request) return;
    this.#pending.delete(id);
    this.#environment.clearTimeout(request.timer);
    request[how](value);
  }

  #send(message) {
    try {
      if (this.#socket.readyState !== 1) return false;
      this.#socket.send(JSON.stringify(message));
      return true;
    } catch {
      return false;
    }
  }

  #receive(text) {
    const message = readObject(text);
    switch (message?.type) {
      case "ready": {
        const ready = readReady(message);
        return ready ? this.#ready.resolve(ready) : undefined;
      }
      case "state": {
        const state = readState(message.state);
        return state ? this.onState(state, message.seq) : undefined;
      }
      case "ping":
        return void this.#send({ type: "pong" });
      case "proof":
        return this.#settle(message.id, "resolve", message.proof);
      case "token":
        return this.#settle(message.id, "resolve", message.token);
      case "result":
        return this.#settle(message.id, "resolve", message.value);
      case "news":
        return typeof message.name === "string" ? this.onNews(message.name, message.value) : undefined;
      case "refused":
        return this.#settle(message.id, "reject", new LoopkeyError(String(message.code)));
      case "consent":
        return this.#pending.get(message.id)?.onConsent?.(String(message.code));
    }
  }

  #end(code) {
    this.#socket.onmessage = this.#socket.onerror = this.#socket.onclose = null;
    for (const id of [...this.#pending.keys()]) this.#settle(id, "reject", new LoopkeyError("disconnected"));
    this.#ready.reject(new LoopkeyError("disconnected"));
    this.#closed.resolve(code);
  }
}

/** @returns {any} the JSON object in a text frame, or null */
export function readObject(text) {
  try {
    const value = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

export function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** @returns {AgentState | null} */
function readState(value) {
  if (!PRESENCES.includes(value?.presence) || !Number.isSafeInteger(value.epoch)) return null;
  return { presence: value.presence, since: Number(value.since) || 0, epoch: value.epoch };
}

/** @returns {Ready | null} */
function readReady(message) {
  const state = readState(message.state);
  if (!state) return null;
  return {
    seq: message.seq,
    state,
    proof: typeof message.proof === "string" ? message.proof : null,
    ticket: typeof message.resume === "string" ? message.resume : null,
    resumed: message.resumed === true,
    opened: typeof message.opened === "string" ? message.opened : null,
  };
}

/** @returns {{promise: Promise<any>, resolve: (value: any) => void, reject: (error: any) => void}} */
function deferred() {
  let resolve, reject;
  const promise = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}
