/**
 * The closed sets that a site may switch on: states, their reasons, and error codes.
 * A new entry is a change of the public interface; `loopkey.d.ts` lists the same words.
 */

/** Where the page stands with the agent. */
export const STATES = Object.freeze([
  "unknown", "probing", "waking", "asking", "found", "absent", "blocked", "incompatible", "live",
]);

/** Why: the reasons that each state can carry. */
export const REASONS = Object.freeze({
  unknown: Object.freeze(["not_started", "needs_click", "paused", "closed"]),
  probing: Object.freeze(["page_load", "click", "permission_granted", "page_shown", "agent_lost"]),
  waking: Object.freeze(["launched", "slow"]),
  asking: Object.freeze(["permission_prompt"]),
  found: Object.freeze(["handshake"]),
  absent: Object.freeze(["not_running", "asleep", "not_woken", "busy"]),
  blocked: Object.freeze([
    "denied", "dismissed", "insecure_page", "not_delegated", "framed",
    "forbidden", "popup_blocked", "window_closed", "withdrawn", "challenge_refused", "issuer_unreachable", "issuer_busy",
  ]),
  incompatible: Object.freeze(["version", "protocol", "unsupported_browser"]),
  live: Object.freeze(["ready", "resumed", "unverified", "issuer_unreachable", "issuer_busy"]),
});

/** What the agent may answer to `login` (protocol section 4.3). */
export const REFUSALS = Object.freeze([
  "denied", "timeout", "signed_out", "locked", "switched", "busy", "unavailable", "cancelled", "not_granted",
]);

/** What the agent may answer to `action` (protocol section 4.4). */
export const ACTION_REFUSALS = Object.freeze(["unknown_action", "not_granted", "denied", "failed", "timeout"]);

/** Every other `code` of a {@link LoopkeyError}. */
export const ERRORS = Object.freeze([
  ...REFUSALS,
  "invalid_token", "invalid_proof", "stale_challenge", "issuer_unreachable", "issuer_refused",
  "too_many_requests",
  "not_connected", "not_woken", "no_person", "disconnected", "closed",
]);

/** Why `session` changed. */
export const SESSION_REASONS = Object.freeze([
  "checked", "logged_in", "logged_out", "logged_out_everywhere", "signed_out", "switched", "revoked", "expired",
  "ended",
]);

/** Presence values that may travel (protocol section 4.1). */
export const PRESENCES = Object.freeze(["signed_in", "away", "locked", "signed_out"]);

/** An error with a code of {@link ERRORS}; the message is for developers, the card has the words for people. */
export class LoopkeyError extends Error {
  /** @param {string} code @param {unknown} [cause] */
  constructor(code, cause) {
    super(`loopkey: ${code}`, cause === undefined ? undefined : { cause });
    this.name = "LoopkeyError";
    this.code = code;
  }
}
