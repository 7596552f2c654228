/** Dials one address: a WebSocket that counts only once the agent has said hello. */

import { Connection, readObject } from "./connection.js";

export const SUBPROTOCOL = "loopkey.1";
const VERSION = 1;

/**
 * An address that gave no usable agent. `incompatible`: something answered, in another version.
 * `blocked`: the browser did not even try (mixed content, content security policy).
 */
export class DialError extends Error {
  constructor(message, { incompatible = false, blocked = false } = {}) {
    super(message);
    this.incompatible = incompatible;
    this.blocked = blocked;
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
      return reject(new DialError(`no socket to ${url}: ${cause}`, { blocked: true }));
    }

    // `error` without `close`, `close` without `error`, and silence all mean the same: not here.
    const giveUp = (error) => {
      release();
      try {
        socket.close();
      } catch {
        // it was never open
      }
      reject(error);
    };
    const failed = (blocked = false) => giveUp(new DialError(`no agent at ${url}`, { blocked }));
    const aborted = () => giveUp(signal.reason);
    let timer = environment.setTimeout(() => failed(), within);
    const release = () => {
      environment.clearTimeout(timer);
      signal.removeEventListener("abort", aborted);
      socket.onmessage = socket.onerror = socket.onclose = null;
    };

    signal.addEventListener("abort", aborted, { once: true });
    socket.onclose = () => failed();
    // A connection that fails closes in the same task; what was never tried only errs.
    socket.onerror = () => {
      environment.clearTimeout(timer);
      timer = environment.setTimeout(() => failed(true), 0);
    };
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
