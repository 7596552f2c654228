/** What the library takes from the system. Tests bring their own. */

import { lstatSync } from "node:fs";
import { connect } from "node:net";
import { LoopkeyError } from "./errors.js";

/**
 * @typedef {object} Environment
 * @property {(path: string) => Promise<import("node:stream").Duplex>} dial
 * @property {(run: () => void, ms: number) => unknown} setTimeout
 * @property {(timer: unknown) => void} clearTimeout
 * @property {() => number} now milliseconds since any moment, never back
 * @property {() => number} random in [0, 1)
 */

/** @type {Environment} */
export const system = Object.freeze({
  dial,
  setTimeout: (run, ms) => setTimeout(run, ms),
  clearTimeout: (timer) => clearTimeout(timer),
  now: () => performance.now(),
  random: () => Math.random(),
});

/**
 * Connects to the control socket.
 * @param {string} path
 * @returns {Promise<import("node:net").Socket>} rejects with a {@link LoopkeyError}, code `no_agent` or `unusable`
 */
export function dial(path) {
  return new Promise((resolve, reject) => {
    requireOwn(path);
    const socket = connect({ path });
    const failed = (cause) => reject(noConnection(path, cause));
    socket.once("error", failed);
    socket.once("connect", () => {
      socket.removeListener("error", failed);
      resolve(socket);
    });
  });
}

/** In a folder like `/tmp` somebody else may have put a socket where this user's agent is not running. */
function requireOwn(path) {
  // There are no owners to ask for on Windows.
  if (!process.geteuid) return;
  let owner;
  try {
    owner = lstatSync(path).uid;
  } catch (cause) {
    throw noConnection(path, cause);
  }
  if (owner !== process.geteuid()) {
    throw new LoopkeyError("unusable", `the control socket ${path} belongs to user ${owner}; name another one`);
  }
}

function noConnection(path, cause) {
  if (cause.code !== "ENOENT" && cause.code !== "ECONNREFUSED") {
    return new LoopkeyError("unusable", `the control socket ${path} cannot be used: ${cause.message}`, cause);
  }
  const cure = "start one with `loopkey agent`, or name its socket with the option path or LOOPKEY_CONTROL";
  return new LoopkeyError("no_agent", `no agent is running (nobody answers at ${path}); ${cure}`, cause);
}
