/**
 * A prompt that is open: when it takes an answer, and how long it still does. Whoever clicks or types in the moment in which
 * a prompt comes into view meant something else, so its first half second counts for nothing, and begins anew whenever the
 * window is brought to the front, changes its size or is shown again.
 */

/** The agent counts 500 ms from sending; this begins later and is longer, so that no honest answer is too early there. */
export const DEAD_TIME = 600;

export class Prompt {
  #timers;
  #arming = null;
  #until;
  #onArmed;

  armed = false;

  /**
   * @param {{id: number, expires_in: number}} request
   * @param {{now: () => number, setTimeout: Function, clearTimeout: Function}} timers
   * @param {() => void} onArmed called at each change of `armed`
   */
  constructor(request, timers, onArmed) {
    this.request = request;
    this.#timers = timers;
    this.#until = timers.now() + request.expires_in;
    this.#onArmed = onArmed;
    this.disarm();
  }

  /** The dead time begins anew. */
  disarm() {
    this.#timers.clearTimeout(this.#arming);
    this.armed = false;
    this.#arming = this.#timers.setTimeout(() => {
      this.armed = true;
      this.#onArmed();
    }, DEAD_TIME);
    this.#onArmed();
  }

  /** What is left of its time: a share from 1 to 0, and whole seconds. */
  get left() {
    const left = Math.max(0, this.#until - this.#timers.now());
    return { share: left / this.request.expires_in, seconds: Math.ceil(left / 1000) };
  }

  end() {
    this.#timers.clearTimeout(this.#arming);
    this.armed = false;
  }
}
