/** The closed set of codes that an application may switch on. A new entry is a change of the public interface. */

/** What the agent answers in `data.code` (docs/control.md, section 9; a test compares them with its schema). */
export const AGENT_ERRORS = Object.freeze([
  "unknown_issuer", "unknown_origin", "no_such_account", "ambiguous_account", "not_a_presence", "not_a_picture",
  "signed_out", "policy", "not_a_page", "not_granted", "no_browser", "bad_name", "bad_schema", "taken", "too_many",
  "not_registered", "too_long", "issuer_unreachable", "issuer_misbehaved", "issuer_refused", "storage", "not_saved",
  "key", "stopping", "internal",
]);

/** Every `code` of a {@link LoopkeyError}. */
export const ERRORS = Object.freeze([
  "no_agent", "unusable", "disconnected", "closed", "protocol", "timeout", "withdrawn", "unknown_method",
  "invalid_params",
  ...AGENT_ERRORS,
]);

/** What the numbers of JSON-RPC itself mean to an application. */
const BY_NUMBER = new Map([
  [-32700, "protocol"], [-32600, "protocol"], [-32601, "unknown_method"], [-32602, "invalid_params"],
]);

/** An error with a code of {@link ERRORS}; the message is for developers. */
export class LoopkeyError extends Error {
  /** @param {string} code @param {string} message @param {unknown} [cause] */
  constructor(code, message, cause) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "LoopkeyError";
    this.code = code;
  }

  /**
   * The agent's answer to a call that it refused. A code that only a later agent knows is `internal`.
   * @param {{code: number, message: string, data?: {code?: unknown}}} error
   */
  static answered({ code: number, message, data }) {
    const named = AGENT_ERRORS.includes(data?.code) ? data.code : "internal";
    return new LoopkeyError(BY_NUMBER.get(number) ?? named, message);
  }
}
