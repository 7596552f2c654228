/**
 * JSON-RPC 2.0 over a stream, one object a line, both sides calling (docs/control.md).
 *
 * The other side is not trusted to behave: what it says out of form ends the connection, and neither its
 * calls nor an ear that does not listen take memory without a limit.
 */

import { LoopkeyError } from "./errors.js";
import { LINE_MAX_LENGTH, Lines } from "./lines.js";

/** Calls of the other side that may be under way at a time. */
const CALLS_MAX = 32;
/** Longest id of a call in characters: it goes back with the answer. */
const ID_MAX_LENGTH = 128;
/** Bytes that may wait for the other side to read them: sixteen of the longest lines. */
const BACKLOG_MAX = 16 * LINE_MAX_LENGTH;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** What a call of the other side is refused with. The message goes over the wire: no secrets, nothing of the application. */
export class Refusal extends Error {
  /** @param {number} number of JSON-RPC @param {string} message @param {string} [code] */
  constructor(number, message, code) {
    super(message);
    this.number = number;
    this.code = code;
  }

  static failed(code, message) {
    return new Refusal(-32000, message, code);
  }

  static methodNotFound(method) {
    return new Refusal(-32601, `there is no method ${JSON.stringify(method.slice(0, 64))}`);
  }

  static invalidParams(reason) {
    return new Refusal(-32602, `invalid params: ${reason}`);
  }
}

/**
 * @typedef {object} PeerEvents
 * @property {(method: string, params: unknown, signal: AbortSignal) => Promise<unknown>} call
 *   answers a call of the other side; a {@link Refusal} that it throws is the answer, anything else is a fault
 * @property {(method: string, params: unknown) => void} notice
 * @property {(error: Error) => void} fault why an answer could not be given: for the application, and not for the wire
 */

export class Peer {
  #stream;
  #environment;
  #on;
  #lines = new Lines();
  #next = 1;
  /** Our calls by number. */
  #waiting = new Map();
  /** Their calls by id, until they are settled, be they withdrawn or not. */
  #answering = new Map();
  #error = null;
  #over;

  /** Resolves with the reason when the connection is over. @type {Promise<LoopkeyError>} */
  ended = new Promise((resolve) => {
    this.#over = resolve;
  });

  /** @param {import("node:stream").Duplex} stream connected @param {PeerEvents} on */
  constructor(stream, environment, on) {
    this.#stream = stream;
    this.#environment = environment;
    this.#on = on;
    stream.on("data", (chunk) => this.#receive(chunk));
    stream.on("error", (cause) => this.end(new LoopkeyError("disconnected", "the connection to the agent broke", cause)));
    stream.on("close", () => this.end(new LoopkeyError("disconnected", "the agent has closed the connection")));
  }

  get isOver() {
    return this.#error !== null;
  }

  /**
   * @param {string} method @param {object} params @param {number} within milliseconds
   * @returns {Promise<unknown>} rejects with a {@link LoopkeyError}
   */
  call(method, params, within) {
    return new Promise((resolve, reject) => {
      if (this.#error) throw this.#error;
      const id = this.#next;
      const line = encode({ jsonrpc: "2.0", id, method, params });
      this.#next += 1;
      const late = () => {
        this.#waiting.delete(id);
        reject(new LoopkeyError("timeout", `the agent did not answer ${method} within ${within} ms`));
      };
      this.#waiting.set(id, { resolve, reject, timer: this.#environment.setTimeout(late, within) });
      this.#write(line);
    });
  }

  /** The other side waits for this answer no more: whoever works at it is told, and what comes of it is dropped. */
  withdraw(id) {
    this.#answering.get(id)?.abort(new LoopkeyError("withdrawn", "the agent has taken the request back"));
  }

  /** Ends the connection; everybody who waits for something of it learns why. */
  end(error) {
    if (this.#error) return;
    this.#error = error;
    this.#stream.destroy();
    for (const { reject, timer } of this.#waiting.values()) {
      this.#environment.clearTimeout(timer);
      reject(error);
    }
    this.#waiting.clear();
    for (const withdrawn of this.#answering.values()) withdrawn.abort(error);
    this.#over(error);
  }

  #receive(chunk) {
    try {
      for (const line of this.#lines.read(chunk)) {
        if (this.#error) return;
        this.#hear(line);
      }
    } catch (error) {
      this.end(error);
    }
  }

  #hear(line) {
    const message = parse(line);
    if (typeof message.method === "string") {
      if (message.id === undefined) this.#on.notice(message.method, message.params);
      else this.#answer(message);
      return;
    }
    const { result, error } = message;
    const isError = typeof error?.code === "number" && typeof error.message === "string";
    if ((result === undefined) === (error === undefined) || (error !== undefined && !isError)) {
      throw new LoopkeyError("protocol", "the agent sent a line that is neither a call nor an answer");
    }
    // Nobody waits for an answer that is late.
    const call = this.#waiting.get(message.id);
    if (!call) return;
    this.#waiting.delete(message.id);
    this.#environment.clearTimeout(call.timer);
    if (isError) call.reject(LoopkeyError.answered(error));
    else call.resolve(result);
  }

  async #answer({ id, method, params }) {
    const isSound = Number.isSafeInteger(id) || (typeof id === "string" && id.length <= ID_MAX_LENGTH);
    if (!isSound || this.#answering.has(id)) {
      this.end(new LoopkeyError("protocol", "the agent sent a call whose id is none, or taken"));
      return;
    }
    if (this.#answering.size >= CALLS_MAX) {
      this.#write(encode(refused(id, Refusal.failed("busy", `${CALLS_MAX} calls are under way`))));
      return;
    }
    const withdrawn = new AbortController();
    this.#answering.set(id, withdrawn);
    let line;
    try {
      const result = (await this.#on.call(method, params, withdrawn.signal)) ?? null;
      line = encode({ jsonrpc: "2.0", id, result });
    } catch (error) {
      const isRefusal = error instanceof Refusal;
      // Whoever stops because nobody waits any more may well say so by throwing.
      if (!isRefusal && !withdrawn.signal.aborted) this.#on.fault(error);
      line = encode(refused(id, isRefusal ? error : Refusal.failed("failed", "it failed")));
    }
    this.#answering.delete(id);
    if (!withdrawn.signal.aborted) this.#write(line);
  }

  #write(line) {
    this.#stream.write(line);
    if (this.#stream.writableLength > BACKLOG_MAX) {
      this.end(new LoopkeyError("protocol", "the agent does not read what it is sent"));
    }
  }
}

function refused(id, { number, message, code }) {
  return { jsonrpc: "2.0", id, error: { code: number, message, data: code === undefined ? undefined : { code } } };
}

/** @throws {LoopkeyError} `invalid_params` where the message has no JSON, or too much */
function encode(message) {
  let line;
  try {
    line = Buffer.from(`${JSON.stringify(message)}\n`);
  } catch (cause) {
    throw new LoopkeyError("invalid_params", "this cannot be written as JSON", cause);
  }
  if (line.length > LINE_MAX_LENGTH) {
    throw new LoopkeyError("invalid_params", `this is longer than ${LINE_MAX_LENGTH} bytes, which no line may be`);
  }
  return line;
}

/** @throws {LoopkeyError} `protocol` */
function parse(line) {
  let message;
  try {
    message = JSON.parse(UTF8.decode(line));
  } catch (cause) {
    throw new LoopkeyError("protocol", "the agent sent a line that is not JSON", cause);
  }
  if (message?.jsonrpc !== "2.0") throw new LoopkeyError("protocol", "the agent sent a line that is not JSON-RPC 2.0");
  return message;
}
