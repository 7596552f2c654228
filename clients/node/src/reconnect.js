/** One connection after the other. It knows nothing of what is said on them. */

import { LoopkeyError } from "./errors.js";

/** Milliseconds: the agent is on this computer, so that asking is cheap. */
const PAUSES = { base: 250, cap: 10_000 };
const MIN_PAUSE = 10;

/**
 * Full jitter: anywhere between the minimum and the doubled base, so that clients which lost the
 * agent together do not come back together.
 * @param {number} random in [0, 1) @param {number} attempt from 0 @param {{base: number, cap: number}} limits ms
 */
export function fullJitter(random, attempt, { base, cap } = PAUSES) {
  return Math.max(MIN_PAUSE, Math.round(random * Math.min(cap, base * 2 ** attempt)));
}

/** @typedef {{ended: Promise<unknown>}} Link */

export class Reconnect {
  #environment;
  #open;
  #closing = new AbortController();
  /** The attempt under way, or the one that gave the link that is up. */
  #attempt = null;
  /** Whether to try again by itself. */
  #lasting = false;
  #timer = undefined;
  #failures = 0;

  /** @param {(signal: AbortSignal) => Promise<Link>} open one attempt; `signal` ends it, and the link */
  constructor(environment, open) {
    this.#environment = environment;
    this.#open = open;
  }

  /** Tries until there is a link, and again when it is lost. */
  start() {
    this.#lasting = true;
    this.#quietly();
  }

  /** The link that is up, or what comes of one attempt. From the first success on it is as after `start`. @returns {Promise<Link>} */
  now() {
    if (this.#closing.signal.aborted) return Promise.reject(closed());
    this.#environment.clearTimeout(this.#timer);
    return (this.#attempt ??= this.#once());
  }

  close() {
    this.#environment.clearTimeout(this.#timer);
    this.#closing.abort(closed());
  }

  async #once() {
    try {
      const link = await this.#open(this.#closing.signal);
      this.#lasting = true;
      const since = this.#environment.now();
      link.ended.then(() => {
        // An agent that hangs up at once is not asked as often as one that stayed.
        if (this.#environment.now() - since >= PAUSES.cap) this.#failures = 0;
        this.#again();
      });
      return link;
    } catch (error) {
      if (this.#lasting) this.#again();
      else this.#attempt = null;
      throw error;
    }
  }

  #again() {
    this.#attempt = null;
    if (this.#closing.signal.aborted) return;
    const pause = fullJitter(this.#environment.random(), this.#failures);
    this.#failures += 1;
    this.#timer = this.#environment.setTimeout(() => this.#quietly(), pause);
  }

  /** Whoever opens links has told of a failure already. */
  #quietly() {
    this.now().catch(() => {});
  }
}

/** What everything ends with after `close()`. */
export function closed() {
  return new LoopkeyError("closed", "close() was called");
}
