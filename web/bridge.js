/**
 * The popup bridge, from the page's side: a window of the agent's own, opened in a click, which carries the messages that
 * the browser refuses the page a socket for (protocol section 8). It needs no permission and no certificate. Both sides
 * address each other exactly: what comes from another window, or from another origin in this one, is nobody's.
 *
 * Loaded when it is needed. What it shares with the rest is handed to it: an import would have bundlers cut the rest in two.
 *
 * @typedef {import("./connection.js").Connection} Connection
 * @typedef {object} Tools
 * @property {typeof import("./connection.js").Connection} Connection
 * @property {typeof import("./connection.js").isObject} isObject
 * @property {typeof import("./environment.js").untilAborted} untilAborted
 * @property {typeof import("./verdict.js").verdict} verdict
 * @property {number} version of the protocol
 */

/** From the opening of the window, or its going to the next port, to the agent's greeting (ms). */
const GREETING_TIMEOUT = 5_000;
/** How often the window is told who waits for it, until it answers. */
const KNOCK = 100;
/** How often it is looked whether the window is still there: nothing else tells. */
const LOOK = 500;

const at = (port) => `http://127.0.0.1:${port}`;

export class BridgeWindow {
  #environment;
  #tools;
  #ports;
  #window;
  #why;
  #connection = null;
  #finished = false;

  /**
   * @param {import("./environment.js").Environment} environment
   * @param {{window: Window | null, ports: readonly number[], why: string}} opened the window, at the first of these ports, if the
   *   browser let it open; `why`: the reason for which the page cannot connect by itself
   * @param {Tools} tools
   */
  constructor(environment, { window, ports, why }, tools) {
    this.#environment = environment;
    this.#tools = tools;
    this.#window = window;
    this.#ports = ports;
    this.#why = why;
  }

  /**
   * One connection, for as long as the window is open.
   * @param {AbortSignal} signal @param {import("./handshake.js").Handshake} handshake
   * @param {import("./agent.js").AgentEvents} on
   * @param {(connection: Connection) => Promise<import("./verdict.js").Ending>} converse stays until it has ended
   */
  async run(signal, handshake, on, converse) {
    on.state("probing", "click");
    handshake.forget(); // a spent ticket would cost the window
    handshake.prepare();
    const { connection, name, reason } = await this.#dial(signal);
    const end = connection ? this.#after(await converse(connection), handshake) : { name, reason };
    on.state(end.name, end.reason);
  }

  /** The person is signed in, and the window has done what it was opened for. */
  finish() {
    this.#finished = true;
    this.#connection?.close();
  }

  /** @returns {Promise<{connection?: Connection, name?: string, reason?: string}>} */
  async #dial(signal) {
    if (!this.#window) return { name: "blocked", reason: "popup_blocked" };
    try {
      for (const port of this.#ports) {
        if (this.#window.closed) return { name: "blocked", reason: "window_closed" };
        // The window is this page's to send on, wherever it is by now.
        if (port !== this.#ports[0]) this.#window.location.replace(`${at(port)}/bridge`);
        const connection = await this.#greeting(port, signal);
        if (connection) return { connection };
      }
      if (this.#window.closed) return { name: "blocked", reason: "window_closed" };
    } catch (error) {
      this.#window.close();
      throw error;
    }
    this.#window.close();
    return { name: "absent", reason: "not_running" };
  }

  /** What to say when the connection has ended. */
  #after(ending, handshake) {
    const { name, reason } = this.#tools.verdict(ending, handshake);
    if (name && reason !== "agent_lost") return { name, reason };
    return { name: "blocked", reason: this.#finished ? this.#why : "window_closed" };
  }

  /** @returns {Promise<Connection | null>} */
  async #greeting(port, signal) {
    const socket = new BridgeSocket(this.#environment, this.#window, at(port), this.#tools.isObject);
    const greeted = new Promise((resolve) => {
      const timer = this.#environment.setTimeout(() => resolve(null), GREETING_TIMEOUT);
      socket.onclose = () => resolve(null);
      socket.onmessage = ({ data }) => {
        const hello = JSON.parse(data);
        this.#environment.clearTimeout(timer);
        if (hello.type !== "hello" || hello.v !== this.#tools.version || typeof hello.nonce !== "string") return resolve(null);
        // Made here, in the same task, so that no message or close is missed.
        this.#connection = new this.#tools.Connection(this.#environment, socket, hello.nonce, port);
        this.#connection.bridge = this;
        resolve(this.#connection);
      };
    });
    let connection = null;
    try {
      return (connection = await Promise.race([greeted, this.#tools.untilAborted(signal)]));
    } finally {
      if (!connection) socket.drop();
    }
  }
}

/** What a {@link Connection} needs of a WebSocket, over messages between two windows. */
class BridgeSocket {
  #environment;
  #window;
  #origin;
  #isObject;
  #timer;

  readyState = 0;
  onmessage = null;
  onerror = null;
  onclose = null;

  constructor(environment, window, origin, isObject) {
    this.#isObject = isObject;
    this.#environment = environment;
    this.#window = window;
    this.#origin = origin;
    environment.window.addEventListener("message", this.#receive);
    this.#look();
  }

  send(text) {
    this.#post({ type: "relay", data: JSON.parse(text) });
  }

  close() {
    if (this.readyState === 1) this.#post({ type: "close" });
    this.drop();
  }

  /** Listens no more. */
  drop() {
    this.readyState = 3;
    this.#environment.clearTimeout(this.#timer);
    this.#environment.window.removeEventListener("message", this.#receive);
  }

  #receive = ({ source, origin, data }) => {
    if (source !== this.#window || origin !== this.#origin) return;
    if (data?.type === "closed") return this.#end(data.code);
    if (data?.type !== "relay" || !this.#isObject(data.data)) return;
    this.readyState = 1;
    // The prompt is open, and perhaps in the window behind this page.
    if (data.data.type === "consent") this.#window.focus();
    this.onmessage?.({ data: JSON.stringify(data.data) });
  };

  #look() {
    if (this.#window.closed) return this.#end(1001);
    if (this.readyState === 0 && isElsewhere(this.#window)) this.#post({ type: "connect" });
    this.#timer = this.#environment.setTimeout(() => this.#look(), this.readyState ? LOOK : KNOCK);
  }

  #post(message) {
    this.#window.postMessage(message, this.#origin);
  }

  #end(code) {
    this.drop();
    this.onclose?.({ code });
  }
}

/** Until it has left the empty page with which every window begins, nobody is there to talk to. */
function isElsewhere(window) {
  try {
    return !window.location.href;
  } catch {
    return true;
  }
}
