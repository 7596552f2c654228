/** The login server's two calls that the page makes, with the visitor's own session. */

export class Api {
  #fetch;
  #base;

  /** @param {typeof fetch} fetch @param {string} base the issuer's address with a slash at its end */
  constructor(fetch, base) {
    this.#fetch = fetch;
    this.#base = base;
  }

  /** Takes the order of a code on. */
  scan(code) {
    return this.#post("v1/approvals/scan", { code });
  }

  /** Says what the person decided. */
  decide(order, decision, code) {
    return this.#post("v1/approvals/decide", { order, decision, code });
  }

  /** @returns {Promise<{error: string} | any>} `error` is a phase of the page */
  async #post(path, body) {
    const answer = await this.#fetch(new URL(path, this.#base).href, {
      method: "POST", credentials: "same-origin", cache: "no-store", redirect: "error",
      headers: { "content-type": "application/json" }, body: JSON.stringify(body),
    }).catch(() => null);
    if (!answer) return { error: "offline" };
    if (answer.ok) return answer.json().catch(() => ({ error: "failed" }));
    const { error } = await answer.json().catch(() => ({}));
    if (error === "no_session") return { error: "stranger" };
    if (error === "superseded") return { error: "superseded" };
    if (error === "stronger_way_needed") return { error: "weak" };
    if (answer.status === 429) return { error: "busy" };
    return { error: answer.status === 503 ? "offline" : "unknown" };
  }
}
