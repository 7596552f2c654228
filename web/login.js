/**
 * One sign-in, from the click to the session (protocol sections 4.3 and 6.4). Nothing here signs in
 * by itself: the caller passes the person and the epoch that the clicked card was drawn from.
 */

import { untilAborted } from "./environment.js";

/**
 * What the login server may answer once without ending the attempt. Each needs a new challenge and a
 * new token: a token whose fate is unknown is never posted again.
 */
const RETRIED_ONCE = ["stale_challenge", "unavailable"];

/**
 * @param {object} attempt
 * @param {import("./issuer.js").Issuer} attempt.issuer
 * @param {import("./connection.js").Connection} attempt.connection
 * @param {number} attempt.epoch
 * @param {string} attempt.subject
 * @param {string | null} [attempt.mark] of a page that the person opened from the client
 * @param {AbortSignal} attempt.signal its reason is what the caller's promise rejects with
 * @param {(code: string | null) => void} attempt.onConsent the two digits, and null when the prompt is gone
 * @param {(redeeming: boolean) => void} attempt.onRedeeming true while the login server has the token: what it
 *   does with it cannot be taken back, so that an abort then ends nothing but a further try
 */
export async function login({ issuer, connection, epoch, subject, mark, signal, onConsent, onRedeeming }) {
  const retried = new Set();
  for (;;) {
    const { challenge } = await Promise.race([patiently(issuer, () => issuer.challenge()), untilAborted(signal)]);
    const token = await askAgent(connection, epoch, challenge, mark, signal, onConsent);
    signal.throwIfAborted();
    onRedeeming(true);
    try {
      return await patiently(issuer, () => issuer.redeem(challenge, token, subject));
    } catch (error) {
      if (!RETRIED_ONCE.includes(error.code) || retried.has(error.code)) throw error;
      retried.add(error.code);
      onRedeeming(false);
    }
  }
}

/** One call too many was not looked at, so the same may be said again after a rest. */
async function patiently(issuer, call) {
  try {
    return await call();
  } catch (error) {
    if (error.code !== "too_many_requests") throw error;
    await issuer.rest();
    return call();
  }
}

async function askAgent(connection, epoch, challenge, mark, signal, onConsent) {
  let prompted = false;
  const show = (code) => {
    prompted = true;
    onConsent(code);
  };
  try {
    return await connection.login(epoch, challenge, { signal, onConsent: show, mark });
  } finally {
    if (prompted) onConsent(null);
  }
}
