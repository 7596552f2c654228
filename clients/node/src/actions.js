/** What pages may start or steer in the application (docs/protocol.md, section 4). The agent decides who may. */

import { Refusal } from "./peer.js";

export class Actions {
  #known = new Map();

  /** @param {string} name @param {object} schema @param {Function} handler */
  set(name, schema, handler) {
    this.#known.set(name, { schema, handler });
  }

  /** Whether there was one. @param {string} name */
  delete(name) {
    return this.#known.delete(name);
  }

  /** What the agent is told of each. @returns {{name: string, schema: object}[]} */
  registrations() {
    return [...this.#known].map(([name, { schema }]) => ({ name, schema }));
  }

  /**
   * @param {unknown} params of `action.invoke` @param {AbortSignal} signal
   * @returns {Promise<unknown>} what the page gets; rejects with a {@link Refusal}, or with what the application threw
   */
  async invoke(params, signal) {
    const { name, origin, account, params: given } = params ?? {};
    if (![name, origin, account].every((text) => typeof text === "string")) {
      throw Refusal.invalidParams("name, origin and account are text");
    }
    const action = this.#known.get(name);
    if (!action) throw Refusal.failed("unknown_action", "this application has no such action");
    return action.handler(given, { origin, account, signal });
  }
}
