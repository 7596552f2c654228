/**
 * Carries messages between the page that opened this window and the agent (protocol section 8). The page is whoever the
 * browser says it is: the window's opener, with the origin of its first message, and nobody else ever after. What it says
 * goes to the agent inside `relay`, so that it can never answer for the person; and it is told nothing before the agent
 * has admitted its origin.
 */

/**
 * @typedef {object} RelayEvents
 * @property {(state: "connecting" | "connected" | "signing" | "refused" | "gone" | "closed", origin: string | null) => void} state
 * @property {(request: any) => void} ask
 * @property {(id: number) => void} unask
 */

/** How the agent closes a bridge whose page it does not allow. */
const REFUSED = 4400;

export class Relay {
  #opener;
  #key;
  #connect;
  #on;
  /** The page's origin: settled with its first message. @type {string | null} */
  #origin = null;
  #socket = null;
  /** The agent has said something for the page, so it knows the page's origin and allows it. */
  #admitted = false;
  #over = false;

  /** @param {Window | null} opener @param {string} key @param {() => WebSocket} connect @param {RelayEvents} on */
  constructor(opener, key, connect, on) {
    this.#opener = opener;
    this.#key = key;
    this.#connect = connect;
    this.#on = on;
  }

  /** A `message` event of this window. @param {{source: any, origin: string, data: any}} event */
  receive({ source, origin, data }) {
    if (this.#over || !this.#opener || source !== this.#opener) return;
    if (this.#origin === null) {
      if (data?.type === "connect") this.#open(origin);
      return;
    }
    if (origin !== this.#origin) return;
    if (data?.type === "close") this.#end("closed");
    if (data?.type === "relay" && this.#admitted && isObject(data.data)) this.#say({ type: "relay", data: data.data });
  }

  /** The person's answer. */
  answer(id, allow, remember) {
    this.#say({ type: "consent_answer", id, allow, remember });
  }

  /** The window closes, or the page is gone. */
  leave() {
    this.#tell({ type: "closed", code: 1001 });
    this.#end("closed");
  }

  #open(origin) {
    this.#origin = origin;
    this.#on.state("connecting", null);
    const socket = (this.#socket = this.#connect());
    socket.onopen = () => this.#say({ type: "bridge", key: this.#key, origin });
    socket.onmessage = ({ data }) => this.#hear(readFrame(data));
    socket.onclose = ({ code }) => {
      this.#tell({ type: "closed", code });
      this.#end(code === REFUSED && !this.#admitted ? "refused" : "gone");
    };
  }

  #hear(frame) {
    switch (frame?.type) {
      case "relay":
        this.#admitted = true;
        this.#tell(frame);
        if (frame.data?.type === "ready") this.#on.state("connected", this.#origin);
        if (frame.data?.type === "token") this.#on.state("signing", this.#origin);
        return;
      case "consent_request":
        return this.#on.ask(frame);
      case "consent_end":
        return this.#on.unask(frame.id);
    }
  }

  #say(message) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(message));
  }

  /** To the page and its origin alone; to a page that the agent does not allow, nothing. */
  #tell(message) {
    if (this.#admitted && !this.#over) this.#opener.postMessage(message, this.#origin);
  }

  #end(state) {
    if (this.#over) return;
    this.#over = true;
    if (this.#socket) {
      this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
      this.#socket.close();
    }
    this.#on.state(state, this.#admitted ? this.#origin : null);
  }
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

function readFrame(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
