/**
 * Why there is no connection, and what else can carry one: where the browser keeps the page from the agent, a window of the
 * agent's own (`bridge.js`). Blocked and "nobody listens" look almost the same to script.
 */

import { keptOut } from "./delegation.js";

export const ABSENT = Object.freeze({ name: "absent", reason: "not_running" });

/** Here no attempt of the page itself can succeed before somebody changes the browser's settings. */
const HOPELESS = ["denied", "forbidden", "popup_blocked", "window_closed"];

/**
 * @param {AggregateError | any} error of a round in which nobody was reached; nothing where none was made
 * @param {{environment: import("./environment.js").Environment, local: boolean, permission: string, asked?: boolean}} page
 *   `asked`: the browser asked the person
 * @returns {{name: string, reason: string}}
 */
export function explain(error, { environment, local, permission, asked }) {
  const errors = error?.errors ?? [];
  if (errors.some((each) => each.incompatible)) return { name: "incompatible", reason: "version" };
  // WebKit on https pages, which allows no such socket and asks nobody; or the page's own content security policy.
  if (errors.length && errors.every((each) => each.forbidden)) return { name: "blocked", reason: "forbidden" };
  const kept = keptOut(environment, local, permission);
  if (kept) return { name: "blocked", reason: kept };
  if (local) return ABSENT;
  return asked && permission === "prompt" ? { name: "blocked", reason: "dismissed" } : ABSENT;
}

/** A window helps: the browser stands between, and not the agent. @param {{name: string, reason: string}} state */
export function windowHelps({ name, reason }) {
  return name === "blocked" && (reason === "dismissed" || HOPELESS.includes(reason));
}

/** Nothing but a window helps, so that a click which asks to connect gets one. @param {{name: string, reason: string}} state */
export function onlyWindowHelps(state) {
  return windowHelps(state) && HOPELESS.includes(state.reason);
}
