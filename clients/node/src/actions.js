/** What pages may start or steer in the application (docs/control.md, 3.10). The agent decides who may. */

import { LoopkeyError } from "./errors.js";
import { Refusal } from "./peer.js";

export class Actions {
  #known = new Map();
  /** What was published last of each, as a call for it. */
  #news = new Map();

  /** @param {string} name @param {object} schema @param {Function} handler */
  set(name, schema, handler) {
    this.#known.set(name, { schema, handler });
  }

  /** Whether there was one. @param {string} name */
  delete(name) {
    this.#news.delete(name);
    return this.#known.delete(name);
  }

  /**
   * Keeps how things stand with an action, as they are now: the newest only.
   * @param {string} name @param {unknown} value
   * @returns {{name: string, value: unknown}} what the agent is told
   */
  publish(name, value) {
    if (!this.#known.has(name)) {
      throw new LoopkeyError("not_registered", `offer the action ${JSON.stringify(name)} before you publish anything of it`);
    }
    const news = { name, value: copyOf(value) };
    this.#news.set(name, news);
    return news;
  }

  /** What was published last of each action. @returns {{name: string, value: unknown}[]} */
  news() {
    return [...this.#news.values()];
  }

  /** Says one of {@link news} no more, unless something newer was published. */
  retract(news) {
    if (this.#news.get(news.name) === news) this.#news.delete(news.name);
  }

  /** It was about somebody who is gone. */
  forgetNews() {
    this.#news.clear();
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

/** What JSON makes of it, so that what changes afterwards is not said later. */
function copyOf(value) {
  try {
    return JSON.parse(JSON.stringify(value ?? null));
  } catch (cause) {
    throw new LoopkeyError("invalid_params", "this cannot be written as JSON", cause);
  }
}
