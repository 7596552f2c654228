/**
 * Wake and wait: after `loopkey:wake` was launched nothing tells the page whether anything starts.
 * No event of any browser does; the only proof is that the agent answers. So the page looks for it
 * at these times, and then gives up. Loaded with the first launch: most pages never need it.
 */

/** When to look (ms after the launch). By fetch, which costs nothing however often it fails … */
const FETCHES = [250, 500, ...Array.from({ length: 20 }, (_, second) => (second + 1) * 1_000)];
/** … with a socket now and then, in case a policy forbids the fetch. */
const SOCKETS_BESIDE = [2_000, 8_000];
/** By sockets alone: browsers slow down a page whose sockets fail. */
const SOCKETS = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000];
/** Until a started client has said that its person is there (ms). */
const BACK_WITHIN = 30_000;
/** From here on the browser is probably asking the person, and has not been answered. */
const SLOW = 3_000;

export class Waking {
  #now;
  #since;

  /** @param {() => number} now ms @param {number} since when it was launched */
  constructor(now, since) {
    this.#now = now;
    this.#since = since;
  }

  get reason() {
    return this.#passed < SLOW ? "launched" : "slow";
  }

  get #passed() {
    return this.#now() - this.#since;
  }

  /**
   * @param {boolean} isFree a look by fetch is possible
   * @returns {{wait: number, dial: boolean} | null} null: it is time to give up
   */
  next(isFree) {
    const passed = this.#passed;
    const at = (isFree ? FETCHES : SOCKETS).find((time) => time > passed);
    return at === undefined ? null : { wait: at - passed, dial: !isFree || SOCKETS_BESIDE.includes(at) };
  }
}

/** @type {(keyof import("./loopkey.js").LoopkeyEventMap)[]} */
const EVENTS = ["state", "person", "presence"];
const PRESENT = ["signed_in", "away"];

/**
 * Waits for the person whose name was clicked, while the client starts and tells its agent that she is there.
 * @param {import("./environment.js").Environment} environment
 * @param {import("./loopkey.js").Loopkey} loopkey @param {string} subject @param {AbortSignal} signal
 * @returns {Promise<string | null>} null: she is back; otherwise the error's code. Rejects with the signal's reason
 */
export function untilBack(environment, loopkey, subject, signal) {
  return new Promise((resolve, reject) => {
    const end = (settle, value) => {
      environment.clearTimeout(timer);
      for (const type of EVENTS) loopkey.removeEventListener(type, look);
      signal.removeEventListener("abort", stop);
      settle(value);
    };
    const fail = (code) => end(resolve, code);
    const stop = () => end(reject, signal.reason);
    const look = () => {
      const { state: { name, reason }, person, presence } = loopkey;
      if (reason === "not_woken") fail("not_woken");
      else if (["blocked", "incompatible", "unknown"].includes(name)) fail("not_connected");
      else if (name !== "live") return;
      else if (presence?.presence === "signed_out") fail("signed_out");
      else if (reason === "unverified") fail("no_person");
      else if (person && person.subject !== subject) fail("switched");
      else if (person && PRESENT.includes(presence?.presence)) end(resolve, null);
    };
    const late = () => fail(loopkey.presence?.presence === "locked" ? "locked" : "not_woken");
    const timer = environment.setTimeout(late, BACK_WITHIN);
    for (const type of EVENTS) loopkey.addEventListener(type, look);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
  });
}
