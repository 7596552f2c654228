/** The agent's question to the person, put through the application. Whatever goes wrong in there, the answer is no. */

import { Refusal } from "./peer.js";

const NO = Object.freeze({ allow: false, remember: false });

/**
 * @param {(request: object, context: {signal: AbortSignal}) => unknown} onConsent the application's
 * @param {unknown} params of `consent.request` @param {AbortSignal} signal
 * @param {(error: Error) => void} fault
 * @returns {Promise<{allow: boolean, remember: boolean}>}
 */
export async function askPerson(onConsent, params, signal, fault) {
  const { origin, account, name, code, peer, can_remember: canRemember } = params ?? {};
  if (![origin, account, name, code].every((text) => typeof text === "string")) {
    throw Refusal.invalidParams("origin, account, name and code are text");
  }
  const browser = typeof peer?.browser === "string" ? peer.browser : null;
  try {
    const request = { origin, account, name, code, browser, canRemember: canRemember === true };
    const answer = await onConsent(Object.freeze(request), { signal });
    if (typeof answer?.allow !== "boolean") throw new TypeError("onConsent answers { allow: boolean, remember?: boolean }");
    return { allow: answer.allow, remember: answer.remember === true };
  } catch (error) {
    // A dialog that was closed because the question was taken back may well say so by throwing.
    if (!signal.aborted) fault(error);
    return NO;
  }
}
