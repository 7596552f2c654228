/** The login server's calls that the page makes, with the visitor's own session. */

import { listed } from "../ways.js";

/** Nobody is signed in, or no longer. */
export class NoSession extends Error {}

/** A call that did not succeed. `code` is a name of `failed` in the words. */
export class Failed extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

export class Api {
  #fetch;
  #base;

  /** @param {typeof fetch} fetch @param {string} base the issuer's address with a slash at its end */
  constructor(fetch, base) {
    this.#fetch = fetch;
    this.#base = base;
  }

  /** Where the session's events come from. */
  get events() {
    return this.#url("v1/session/events");
  }

  /** Who is signed in, where, and with what. */
  async load() {
    const [[person, { sessions }, { devices }], identities] = await Promise.all([
      Promise.all(["v1/session", "v1/sessions", "v1/devices"].map((path) => this.#ask("GET", path))),
      this.#identities(),
    ]);
    return { person, sessions, devices, ...identities };
  }

  /** Accounts elsewhere: those that are linked, and what can be linked. Some login servers have no such thing. */
  async #identities() {
    const ways = await listed(this.#base.slice(0, -1), this.#fetch);
    const { identities } = ways.length ? await this.#ask("GET", "v1/identities") : { identities: [] };
    return { identities, ways };
  }

  /** The origins of the site's pages. */
  async origins() {
    return (await this.#ask("GET", ".well-known/loopkey.json")).origins;
  }

  end(session) {
    return this.#ask("DELETE", `v1/sessions/${encodeURIComponent(session)}`);
  }

  revoke(device) {
    return this.#ask("DELETE", `v1/devices/${encodeURIComponent(device)}`);
  }

  unlink(identity) {
    return this.#ask("DELETE", `v1/identities/${encodeURIComponent(identity)}`);
  }

  /** Where the browser goes to link an account elsewhere. @returns {Promise<string>} */
  async link(way, back) {
    return (await this.#ask("POST", `v1/connect/${encodeURIComponent(way)}/link`, { return_to: back })).location;
  }

  signOutEverywhere() {
    return this.#ask("POST", "v1/logout", { everywhere: true });
  }

  #url(path) {
    return new URL(path, this.#base).href;
  }

  async #ask(method, path, body) {
    const options = { method, credentials: "same-origin", cache: "no-store", redirect: "error" };
    if (body) Object.assign(options, { body: JSON.stringify(body), headers: { "content-type": "application/json" } });
    const answer = await this.#fetch(this.#url(path), options).catch(() => {
      throw new Failed("offline");
    });
    if (answer.status === 401) throw new NoSession();
    // What is to go is gone: somebody else was quicker.
    if (answer.status === 204 || (method === "DELETE" && answer.status === 404)) return null;
    if (answer.ok) return answer.json();
    const { error } = await answer.json().catch(() => ({}));
    if (error === "provider_unavailable") throw new Failed("provider");
    throw new Failed(answer.status === 429 || answer.status === 503 ? "busy" : "other");
  }
}

/**
 * Where the link back leads: the page that the visitor came from, if it is one of the site's, or the site.
 *
 * @param {string[]} origins @param {string} referrer @param {string} own this page's address
 */
export function siteOf(origins, referrer, own) {
  const { origin } = new URL(own);
  const from = URL.canParse(referrer) ? new URL(referrer) : null;
  if (from && origins.includes(from.origin) && referrer !== own) return from.href;
  return `${origins.includes(origin) ? origin : (origins[0] ?? origin)}/`;
}
