/** What the page knows and does; how it looks is in `view.js`. */

import { Failed, NoSession } from "./api.js";

/**
 * @typedef {object} State
 * @property {"loading" | "ready" | "none" | "failed"} phase
 * @property {{person: object, sessions: object[], devices: object[], identities: object[], ways: object[]} | null} account
 * @property {string | null} reason  why there is no session any more
 * @property {string | null} trouble what went wrong last: a name of `failed` in the words
 * @property {{what: "device" | "identity" | "everywhere", id?: string} | null} asking what the person is asked about
 * @property {string | null} linking what went wrong while an account elsewhere was linked: a code of the login server's
 * @property {boolean} busy          something is under way: nothing else can be begun
 */

export class AccountPage {
  /** @type {State} */
  #state = { phase: "loading", account: null, reason: null, trouble: null, linking: null, asking: null, busy: false };
  #api;
  #on;

  /** @param {object} api @param {{draw: (state: State) => void, done: (what: string, name?: string) => void, go: (address: string) => void, address: () => string}} on */
  constructor(api, on) {
    this.#api = api;
    this.#on = on;
  }

  get state() {
    return this.#state;
  }

  /** Asks for everything, from nothing or anew. */
  async load() {
    this.#set({ phase: this.#state.account ? "ready" : "loading", trouble: null });
    await this.#look();
  }

  /** Something may have changed: asks again without a word, and keeps what it has where that fails. */
  async refresh() {
    if (this.#state.phase === "ready" && !this.#state.busy) await this.#look({ quietly: true });
  }

  /** The session of this browser ended, here or elsewhere. */
  signedOut(reason) {
    if (this.#state.phase === "none" && this.#state.reason) return;
    this.#set({ phase: "none", account: null, asking: null, trouble: null, reason: reason ?? "ended" });
  }

  ask(what, id) {
    this.#set({ asking: { what, id }, trouble: null });
  }

  cancel() {
    this.#set({ asking: null });
  }

  end(id) {
    const own = this.#state.account.sessions.find((session) => session.id === id)?.current;
    return this.#change(() => this.#api.end(id), own ? "logged_out" : null, "ended");
  }

  revoke(id) {
    const device = this.#state.account.devices.find((device) => device.device === id);
    return this.#change(() => this.#api.revoke(id), device?.current ? "revoked" : null, "removed", device?.name);
  }

  unlink(id) {
    const { name, label, connector } = this.#state.account.identities.find((identity) => identity.id === id) ?? {};
    return this.#change(() => this.#api.unlink(id), null, "unlinked", name ?? label ?? connector);
  }

  /** The browser leaves for the provider, and comes back here. */
  async link(way) {
    if (this.#state.busy) return;
    this.#set({ busy: true, trouble: null, linking: null });
    try {
      this.#on.go(await this.#api.link(way, this.#on.address()));
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#set({ busy: false });
    }
  }

  /** The browser is back, and nothing was linked. */
  notLinked(code) {
    this.#set({ linking: code });
  }

  signOutEverywhere() {
    return this.#change(() => this.#api.signOutEverywhere(), "logged_out_everywhere");
  }

  /** One change at a time. `ends` is the reason if it ends this session too. */
  async #change(call, ends, done, name) {
    if (this.#state.busy) return;
    this.#set({ busy: true, trouble: null });
    try {
      await call();
      if (ends) return this.signedOut(ends);
      this.#set({ asking: null });
      this.#on.done(done, name);
      await this.#look({ quietly: true });
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#set({ busy: false });
    }
  }

  async #look({ quietly = false } = {}) {
    try {
      const account = await this.#api.load();
      if (this.#state.phase !== "none") this.#set({ phase: "ready", account });
    } catch (error) {
      if (error instanceof NoSession || !quietly) this.#fail(error);
    }
  }

  #fail(error) {
    if (error instanceof NoSession) {
      // Nobody was known yet: then there is nothing to explain.
      if (this.#state.account) this.signedOut("ended");
      else this.#set({ phase: "none" });
      return;
    }
    const trouble = error instanceof Failed ? error.code : "other";
    this.#set({ phase: this.#state.account ? "ready" : "failed", trouble });
  }

  #set(change) {
    this.#state = { ...this.#state, ...change };
    this.#on.draw(this.#state);
  }
}
