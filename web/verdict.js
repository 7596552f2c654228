/** What the end of a connection means and when to come back (protocol section 4, close codes). */

/** @typedef {{code: number, error?: Error & {code?: string}}} Ending */

const SOON = { base: 100, cap: 60_000 };
const LATER = { base: 10_000, cap: 60_000 };
const SLOWLY = { base: 60_000, cap: 60_000 };

const UNREACHABLE = { name: "blocked", reason: "issuer_unreachable", wait: LATER };
/** On top of the pause that the login server asked for. */
const BUSY = { name: "blocked", reason: "issuer_busy", wait: SOON };

/** Not a close code: the worker that held the socket for all tabs has died. */
export const WORKER_GONE = 0;

/** Refused in a row before the page stops believing in chance (a race, a clock). */
const CHALLENGE_TRIES = 2;

/**
 * @param {Ending} ending
 * @param {{refusals: number}} handshake
 * @returns {{name?: string, reason?: string, wait: 0 | typeof SOON | number}} `wait` 0: at once, Infinity: not without a click
 */
export function verdict({ code, error }, handshake) {
  if (error?.code === "issuer_unreachable" || error?.code === "issuer_refused") {
    return UNREACHABLE;
  }
  if (error?.code === "too_many_requests") return BUSY;
  switch (code) {
    case 4401:
      if (handshake.refusals < CHALLENGE_TRIES) return { wait: 0 }; // a spent ticket, or a challenge that came too late
      return { name: "blocked", reason: "challenge_refused", wait: SLOWLY };
    case 4403:
      return { name: "blocked", reason: "withdrawn", wait: Infinity };
    case 1013: // the agent itself cannot reach the login server, so that it cannot judge a challenge
      return UNREACHABLE;
    case 4429:
      return { name: "absent", reason: "busy", wait: LATER };
    case 4400:
    case 1002:
    case 1003:
    case 1007:
    case 1009:
      return { name: "incompatible", reason: "protocol", wait: SLOWLY };
    case WORKER_GONE: // nothing was wrong with the agent
      return { name: "probing", reason: "agent_lost", wait: 0 };
    default: // 1001, 1006, 4408: it stopped, it vanished, or the page slept
      return { name: "probing", reason: "agent_lost", wait: SOON };
  }
}
