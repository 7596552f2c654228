/**
 * The page's side of one socket for all tabs of its origin. The worker that holds it (`shared-worker.js`) is spoken to as a
 * WebSocket is, so that nothing else has to know.
 *
 * It is asked only for an agent that has just answered this page itself: the probe, which is free only where the browser lets
 * the page reach it, or with a hello on a socket of the page's own. A worker can ask nobody for a permission, and must not be a
 * way around one.
 */

import { dial } from "./socket.js";
import { WORKER_GONE } from "./verdict.js";

/** From nothing to the agent's hello: the worker's script may have to be fetched first. */
const STARTS_WITHIN = 2_000;
/** A page that had no luck with the worker goes on with sockets of its own for so long. */
const REST = 60_000;

export class Sharing {
  #environment;
  #restsUntil = -Infinity;
  #diedAt = -Infinity;

  /** @param {import("./environment.js").Environment} environment @param {boolean} wanted */
  constructor(environment, wanted) {
    // Without locks nobody would notice that the worker has died.
    if (!wanted || !environment.sharedWorker || !environment.locks) this.#restsUntil = Infinity;
    const onDeath = () => this.#onDeath();
    this.#environment = {
      ...environment,
      WebSocket: /** @type {any} */ (class extends SharedSocket {
        constructor(url) {
          super(environment, url, onDeath);
        }
      }),
    };
  }

  /**
   * A connection through the worker, or else one of the page's own.
   * @param {number | null} port that has answered this page's probe
   * @param {() => Promise<import("./connection.js").Connection>} own
   * @returns {Promise<import("./connection.js").Connection>}
   */
  async dial(port, own, signal) {
    const shared = port === null ? null : await this.#shared(port, signal);
    if (shared) return shared;
    const before = this.#rests;
    const connection = await own();
    if (port === null) return this.instead(connection, signal);
    if (!before) this.#rest(); // the agent is there: it was the worker
    return connection;
  }

  /** Goes on through the worker, in place of a socket on which nothing but a hello was said yet. */
  async instead(connection, signal) {
    if (this.#rests) return connection;
    try {
      const shared = await this.#shared(connection.port, signal);
      if (shared) connection.close();
      else this.#rest();
      return shared ?? connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  get #rests() {
    return this.#environment.now() < this.#restsUntil;
  }

  #rest() {
    this.#restsUntil = this.#environment.now() + REST;
  }

  /** A second worker is tried at once, a third one not. */
  #onDeath() {
    const now = this.#environment.now();
    if (now - this.#diedAt < REST) this.#rest();
    this.#diedAt = now;
  }

  async #shared(port, signal) {
    if (this.#rests) return null;
    try {
      return await dial(this.#environment, `ws://127.0.0.1:${port}/v1`, { within: STARTS_WITHIN, signal });
    } catch {
      if (signal.aborted) throw signal.reason;
      return null;
    }
  }
}

/** As much of a WebSocket as `socket.js` and `connection.js` use. */
class SharedSocket {
  #locks;
  #port;
  /** The locks of this tab's logins begin so: by them the worker sees that the tab has died in one. */
  #login = null;
  /** What gives the lock of a login back. @type {Map<number, () => void>} */
  #held = new Map();
  #ended = new AbortController();

  readyState = 0;
  onmessage = null;
  onerror = null;
  onclose = null;

  /** @param {() => void} onDeath the worker is gone */
  constructor(environment, url, onDeath) {
    this.#locks = environment.locks;
    const worker = environment.sharedWorker();
    worker.onerror = () => this.#end(1006);
    this.#port = worker.port;
    this.#port.onmessage = ({ data }) => this.#receive(data, onDeath);
    this.#port.postMessage({ dial: url });
  }

  send(text) {
    this.#port.postMessage(text);
    const { type, id } = JSON.parse(text);
    if (type === "login") this.#hold(id);
  }

  close() {
    if (this.readyState === 3) return;
    this.#port.postMessage({ leave: true });
    this.#letGo();
  }

  #receive(data, onDeath) {
    if (typeof data === "string") {
      this.readyState = 1;
      this.onmessage?.({ data });
    } else if (data.alive) {
      this.#login = data.login;
      this.#locks.request(data.alive, { signal: this.#ended.signal }, () => {
        onDeath();
        this.#end(WORKER_GONE);
      }).catch(() => {}); // left before that
    } else if (data.answered) this.#held.get(data.answered)?.();
    else if (data.closed) this.#end(data.closed);
  }

  /** A browser does not freeze a page that holds a lock, so that it is held no longer than a login takes. */
  #hold(id) {
    const answered = new Promise((resolve) => this.#held.set(id, () => resolve(undefined)));
    this.#locks.request(`${this.#login} ${id}`, { signal: this.#ended.signal }, () => {
      this.#port.postMessage({ held: id });
      return answered;
    }).catch(() => {}); // left before that
  }

  #end(code) {
    if (this.readyState === 3) return;
    this.#letGo();
    this.onclose?.({ code });
  }

  #letGo() {
    this.readyState = 3;
    this.#ended.abort();
    for (const giveBack of this.#held.values()) giveBack();
    this.#port.onmessage = null;
    this.#port.close();
  }
}
