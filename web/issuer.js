/**
 * The login server's calls that a page makes (protocol section 6). Every path is appended to the
 * issuer, so no metadata is fetched first. What is answered may grow: unknown members are ignored.
 */

import { LoopkeyError } from "./codes.js";
import { sleep } from "./environment.js";
import { shownName } from "./name.js";

/** A login server that is silent for longer counts as out of reach. */
const CALL_TIMEOUT = 10_000;
/** How long a page waits after "too many requests" that names no time, and how long it waits at most (seconds). */
const PAUSE = { usual: 5, longest: 60 };

export class Issuer {
  #environment;
  #redeemAt;
  /** No call that is counted goes out before this. */
  #pausedUntil = 0;
  #learning = null;
  /** @type {string | undefined} how its clients' agents are started, where it has said so */
  scheme;
  /** @type {unknown} where its clients' agents speak TLS, where it has said so */
  wssPorts;

  /**
   * @param {import("./environment.js").Environment} environment
   * @param {string} url without a trailing slash
   * @param {string} [redeemAt] where login tokens are posted, if not to the login server
   */
  constructor(environment, url, redeemAt) {
    this.#environment = environment;
    this.url = url.replace(/\/+$/, "");
    this.#redeemAt = redeemAt ?? `${this.url}/v1/login`;
  }

  get eventsUrl() {
    return `${this.url}/v1/session/events`;
  }

  /** Asks once what the login server says of itself, and keeps of it the scheme and the ports with TLS. Settles either way. */
  learn() {
    return (this.#learning ??= this.#call("GET", `${this.url}/.well-known/loopkey.json`).then(({ status, body }) => {
      if (status === 200) [this.scheme, this.wssPorts] = [body?.scheme, body?.wss_ports];
      else this.#learning = null;
    }).catch(() => {
      this.#learning = null; // the next one who wants to know asks again
    }));
  }

  /** A fresh challenge, for one page load or one click. @returns {Promise<{challenge: string, ports: number[]}>} */
  async challenge() {
    const { status, body } = await this.#counted(`${this.url}/v1/challenge`, {});
    if (status === 200 && typeof body?.challenge === "string") return body;
    throw refusal(status, body);
  }

  /** The person behind a presence proof. @returns {Promise<{subject: string, name: string, avatar: string | null}>} */
  async identify(challenge, proof) {
    const { status, body } = await this.#counted(`${this.url}/v1/presence`, { challenge, proof });
    const account = body?.account;
    if (status === 200 && typeof account?.subject === "string") {
      return { subject: account.subject, name: shownName(account.name), avatar: account.avatar ?? null };
    }
    throw refusal(status, body);
  }

  /** Redeems a login token. `subject` is the one on the card that was clicked. A backend of the site may say who it is. */
  async redeem(challenge, token, subject) {
    const { status, body } = await this.#counted(this.#redeemAt, { challenge, token, subject });
    // Whether that token was redeemed is unknown: a code of its own, because it must not be posted again.
    if (status === 503) throw new LoopkeyError("unavailable");
    if (status !== 204 && status !== 200) throw refusal(status, body);
  }

  /** The page's session, or null where there is none. */
  async session() {
    const { status, body } = await this.#call("GET", `${this.url}/v1/session`);
    if (status === 200 && body) {
      const device = body.device_name ?? null;
      const [name, method] = [body.name, body.method].map(shownName);
      return { ...body, name, method, device_name: device && shownName(device) };
    }
    if (status === 401) return null;
    throw refusal(status, body);
  }

  async logout(everywhere) {
    const { status, body } = await this.#call("POST", `${this.url}/v1/logout`, { everywhere });
    // 401: the session ended before we asked. That is what was wanted.
    if (status !== 204 && status !== 401) throw refusal(status, body);
  }

  /** Waits until the login server may be asked again. @param {AbortSignal} [signal] */
  rest(signal) {
    return sleep(this.#environment, this.#pause(), signal);
  }

  /** How long the pause still lasts (ms). A clock that was set back meanwhile does not lengthen it. */
  #pause() {
    return Math.min(Math.max(0, this.#pausedUntil - this.#environment.now()), 2_000 * PAUSE.longest);
  }

  /**
   * A call that the login server counts. One too many pauses all of them for as long as it asks and up to as long
   * again, so that the tabs of a computer do not come back together. What was refused so was not looked at.
   */
  async #counted(address, body) {
    const { now, random } = this.#environment;
    if (this.#pause() > 0) throw new LoopkeyError("too_many_requests");
    const answer = await this.#call("POST", address, body);
    if (answer.status !== 429) return answer;
    const seconds = Math.min(Number(answer.retryAfter) || PAUSE.usual, PAUSE.longest);
    this.#pausedUntil = now() + seconds * 1_000 * (1 + random());
    throw new LoopkeyError("too_many_requests");
  }

  async #call(method, address, body) {
    const { fetch, setTimeout, clearTimeout } = this.#environment;
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), CALL_TIMEOUT);
    try {
      const response = await fetch(address, {
        method,
        credentials: "include",
        cache: "no-store",
        redirect: "error",
        signal: abort.signal,
        ...(body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, body: parsed(text), retryAfter: response.headers?.get("Retry-After") };
    } catch (cause) {
      throw new LoopkeyError("issuer_unreachable", cause);
    } finally {
      clearTimeout(timer);
    }
  }
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const KNOWN = ["invalid_token", "invalid_proof", "stale_challenge"];

function refusal(status, body) {
  if (KNOWN.includes(body?.error)) return new LoopkeyError(body.error);
  return new LoopkeyError(status >= 500 ? "issuer_unreachable" : "issuer_refused");
}
