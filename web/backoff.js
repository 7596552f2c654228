/** How long to wait before trying again. Pure: time and randomness come in. */

/** Never sooner: Chromium holds an endpoint for 10 ms after each WebSocket attempt anyway. */
const MIN_DELAY = 10;

/**
 * Full jitter: anywhere between the minimum and the doubled base, so that tabs which lost the
 * agent together do not come back together.
 * @param {number} random in [0, 1) @param {number} attempt from 0 @param {{base: number, cap: number}} limits ms
 */
export function fullJitter(random, attempt, { base, cap }) {
  return Math.max(MIN_DELAY, Math.round(random * Math.min(cap, base * 2 ** attempt)));
}

const WINDOW = 120_000;
const FREE_ROUNDS = 2;
const WAITS = [5_000, 15_000, 60_000];

/**
 * Failed rounds of WebSockets that a page may make: browsers delay the attempts of a page that
 * keeps failing (Chromium for the whole page, Firefox for the port, up to a minute), which would
 * hurt exactly when the agent returns.
 */
export class RoundBudget {
  #failures = [];
  #excess = 0;

  /** @param {number} now ms */
  failed(now) {
    this.#failures = this.#failures.filter((at) => now - at < WINDOW);
    this.#failures.push(now);
    this.#excess = this.#failures.length > FREE_ROUNDS ? this.#excess + 1 : 0;
  }

  succeeded() {
    this.#failures = [];
    this.#excess = 0;
  }

  /** Milliseconds to wait before the next round. @param {number} now ms */
  wait(now) {
    const recent = this.#failures.filter((at) => now - at < WINDOW);
    if (recent.length < FREE_ROUNDS) return 0;
    const wait = WAITS[Math.min(this.#excess, WAITS.length - 1)];
    return Math.max(0, recent.at(-1) + wait - now);
  }
}
