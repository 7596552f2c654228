/** Dials one address: a WebSocket that counts only once the agent has said hello. */

import { Connection, readObject } from "./connection.js";

export const SUBPROTOCOL = "loopkey.1";
export const VERSION = 1;
/** Browsers that refuse a socket on purpose send `error` and no `close`; the others send both at once (ms). */
const CLOSE_FOLLOWS = 150;

/**
 * An address that gave no usable agent. `incompatible`: something answered, in another version. `forbidden`: the browser
 * made no attempt.
 */
export class DialError extends Error {
  constructor(message, { incompatible = false, forbidden = false } = {}) {
    super(message);
    this.incompatible = incompatible;
    this.forbidden = forbidden;
  }
}

/**
 * @param {import("./environment.js").Environment} environment
 * @param {string} url
 * @param {{within: number, signal: AbortSignal, watch?: (isConnecting: () => boolean) => void}} options
 *   `within` in milliseconds, from now to the hello
 * @returns {Promise<Connection>}
 */
export function dial(environment, url, { within, signal, watch }) {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    let socket;
    try {
      socket = new environment.WebSocket(url, SUBPROTOCOL);
    } catch (cause) {
      // Firefox and WebKit throw where Chromium sends `error` (content security policy, mixed content).
      return reject(new DialError(`no socket to ${url}: ${cause}`, { forbidden: true }));
    }

    // `error` without `close`, `close` without `error`, and silence all mean: not here. The first says why, too.
    const giveUp = (error) => {
      release();
      try {
        socket.close();
      } catch {
        // it was never open
      }
      reject(error);
    };
    const failed = () => giveUp(new DialError(`no agent at ${url}`));
    const aborted = () => giveUp(signal.reason);
    const forbidden = () => giveUp(new DialError(`the browser lets no socket reach ${url}`, { forbidden: true }));
    const timer = environment.setTimeout(failed, within);
    let patience = null;
    const release = () => {
      environment.clearTimeout(timer);
      environment.clearTimeout(patience);
      signal.removeEventListener("abort", aborted);
      socket.onmessage = socket.onerror = socket.onclose = null;
    };

    signal.addEventListener("abort", aborted, { once: true });
    socket.onerror = () => (patience ??= environment.setTimeout(forbidden, CLOSE_FOLLOWS));
    socket.onclose = failed;
    socket.onmessage = (event) => {
      const hello = readObject(event.data);
      if (hello?.type !== "hello" || typeof hello.nonce !== "string") return failed();
      if (hello.v !== VERSION) return giveUp(new DialError(`agent speaks version ${hello.v}`, { incompatible: true }));
      release();
      // Made here, in the same task, so that no message or close is missed while somebody awaits us.
      resolve(new Connection(environment, socket, hello.nonce, Number(new URL(url).port)));
    };
    watch?.(() => socket.readyState === 0);
  });
}
