/**
 * Loopkey in the browser: signs a person in with the desktop client that is already signed in on
 * the same computer.
 *
 *     import { createLoopkey } from "https://app.example.com/loopkey/sdk/loopkey.js";
 *     const loopkey = createLoopkey({ issuer: "https://app.example.com/loopkey" });
 *     loopkey.addEventListener("session", ({ detail }) => draw(detail.session, detail.reason));
 *     await loopkey.start();
 *
 * This file only joins the parts: `agent.js` keeps the connection, `identity.js` learns the person,
 * `login.js` signs in, `session.js` knows the result. No token or proof leaves them.
 */

import { Agent } from "./agent.js";
import { onlyWindowHelps } from "./blocked.js";
import { LoopkeyError } from "./codes.js";
import { browserEnvironment, sleep } from "./environment.js";
import { identify } from "./identity.js";
import { Issuer } from "./issuer.js";
import { login } from "./login.js";
import { isOpener, takeMark } from "./opened.js";
import { Session } from "./session.js";

export { ACTION_REFUSALS, ERRORS, LoopkeyError, PRESENCES, REASONS, REFUSALS, SESSION_REASONS, STATES } from "./codes.js";
export { WAKE_LINK } from "./wake-link.js";

/** How long to wait before the login server is asked again who the person is (ms). */
const ISSUER_RETRY = 5_000;
/** Nobody answers, and the login server says that its clients can be started from here. */
const ASLEEP = ["asleep", "not_woken"];
/** Faults that pass: the person is asked for again, and meanwhile the state's reason is this. */
const LATER = { issuer_unreachable: "issuer_unreachable", too_many_requests: "issuer_busy" };

/** @param {import("./loopkey.js").LoopkeyOptions & {environment?: import("./environment.js").Environment}} options */
export function createLoopkey(options) {
  return new Loopkey(options, options.environment ?? browserEnvironment());
}

class Loopkey extends EventTarget {
  #environment;
  #issuer;
  #agent;
  #session;
  #connection = null;
  /** The last epoch that any agent told; it outlives the socket, so that a sign-out slept through shows. */
  #epoch;
  /** Which epoch the person was asked for; an answer for another one is dropped. */
  #identifying = null;
  #attempt = null;
  /** The mark in the address of a page that the person opened from the client. */
  #mark;
  /** The connection to the agent that opened the page, with the mark, until a sign-in has used it up. */
  #opened = null;
  /** Whether there is a session is known. @type {Promise<void>} */
  #checked = Promise.resolve();

  /** @type {import("./loopkey.js").State} */
  state = Object.freeze({ name: "unknown", reason: "not_started" });
  presence = null;
  person = null;
  redeeming = false;

  constructor(options, environment) {
    super();
    this.lang = options.lang;
    this.#environment = environment;
    this.#mark = takeMark(environment);
    this.#issuer = new Issuer(environment, options.issuer, options.redeemAt);
    // A page that was opened from the client is known by the `ready` of a socket of its own.
    const shared = (options.shared ?? true) && !this.#mark;
    this.#agent = new Agent(environment, this.#issuer, { ...options, shared }, {
      state: (name, reason) => this.#setState(name, reason),
      ready: (connection, ready, challenge) => this.#onReady(connection, ready, challenge),
      presence: (state) => this.#onPresence(state),
      lost: () => this.#onLost(),
    });
    this.#session = new Session(environment, this.#issuer,
      (session, reason) => this.#emit("session", { session, reason }),
      (presence) => this.#connection || this.#setPresence(presence && { presence, since: environment.now(), epoch: null }));
  }

  get issuer() {
    return this.#issuer.url;
  }

  get session() {
    return this.#session.current;
  }

  async start() {
    const { window, document } = this.#environment;
    window.addEventListener("pagehide", this.#onPageHide);
    window.addEventListener("pageshow", this.#onPageShow);
    document.addEventListener("resume", this.#onResume);
    const checked = this.#session.check();
    this.#checked = checked.catch(() => {});
    await Promise.all([this.#agent.start(), checked]);
  }

  async connect() {
    if (onlyWindowHelps(this.state)) return this.bridge();
    if (this.#connection && !this.person && this.presence.presence !== "signed_out") this.#again(this.presence.epoch);
    else await this.#agent.connect();
  }

  bridge() {
    this.#agent.bridge(this.state.reason);
  }

  /** The connection is carried by a window, and ends with it. */
  get bridged() {
    return Boolean(this.#connection?.bridge);
  }

  wake({ launched = false } = {}) {
    return this.#agent.wake(launched);
  }

  /** The person whose name is on the card, although nobody answers: a client that is started may bring her back. */
  get canWakeFor() {
    return ASLEEP.includes(this.state.reason) ? this.person : null;
  }

  async login() {
    if (this.redeeming) throw new LoopkeyError("busy");
    this.cancel();
    const asleep = this.canWakeFor;
    if (!this.#connection && !asleep) throw new LoopkeyError("not_connected");
    if (!this.person) throw new LoopkeyError(this.presence?.presence === "signed_out" ? "signed_out" : "no_person");
    const attempt = (this.#attempt = new AbortController());
    let connection = this.#connection;
    let mark = null;
    try {
      if (asleep) {
        this.wake();
        const { untilBack } = await import("./waking.js").catch((cause) => {
          throw new LoopkeyError("issuer_unreachable", cause);
        });
        const failed = await untilBack(this.#environment, this, asleep.subject, attempt.signal);
        if (failed) throw new LoopkeyError(failed);
        connection = this.#connection;
      }
      await login({
        issuer: this.#issuer,
        connection,
        epoch: this.presence.epoch,
        subject: this.person.subject,
        mark: (mark = this.#opened?.connection === connection ? this.#opened.mark : null),
        signal: attempt.signal,
        onConsent: (code) => this.#emit("consent", { code }),
        onRedeeming: (redeeming) => this.#setRedeeming(redeeming),
      });
    } catch (error) {
      // A resumed socket was never asked for a proof.
      if (error.code === "invalid_token") this.#agent.doubt(connection);
      throw error;
    } finally {
      if (this.#attempt === attempt) this.#attempt = null;
      if (mark) this.#opened = null;
      this.#setRedeeming(false);
    }
    connection.bridge?.finish();
    this.#session.loggedIn().catch(() => {}); // signed in all the same; the next check will tell
  }

  /** Has the client perform an action. */
  async action(name, params = {}) {
    if (!this.#connection) throw new LoopkeyError("not_connected");
    return this.#connection.action(name, params);
  }

  cancel() {
    if (this.redeeming) return; // too late: the login server may have signed the person in already
    this.#attempt?.abort(new LoopkeyError("cancelled"));
    this.#attempt = null;
  }

  /** The browser was signed in another way than by this library's login: looks, and tells the other tabs. */
  async signedIn() {
    await this.#session.loggedIn().catch(() => {});
  }

  logout({ everywhere = false } = {}) {
    return this.#session.logout(everywhere);
  }

  close() {
    const { window, document } = this.#environment;
    window.removeEventListener("pagehide", this.#onPageHide);
    window.removeEventListener("pageshow", this.#onPageShow);
    document.removeEventListener("resume", this.#onResume);
    this.#attempt?.abort(new LoopkeyError("closed"));
    this.#attempt = null;
    this.#session.leave();
    this.#agent.close();
  }

  // A socket left open in the back/forward cache looks alive to the agent and is dead to the page.
  #onPageHide = () => {
    this.#agent.pause();
    this.#session.leave();
  };

  #onPageShow = (event) => {
    if (!event.persisted) return;
    this.#agent.shown();
    this.#session.shown();
  };

  #onResume = () => {
    this.#agent.shown();
    this.#session.shown();
  };

  #onReady(connection, ready, challenge) {
    this.#connection = connection;
    connection.onNews = (name, value) => this.#emit("news", Object.freeze({ name, value }));
    isOpener(this.#environment, this.#mark, ready.opened).then((opener) => {
      if (!opener) return;
      this.#opened = { connection, mark: this.#mark, clicked: false };
      this.#mark = null; // once
      this.#loginWhereOpened();
    });
    const sameEpoch = this.#epoch === ready.state.epoch;
    if (!sameEpoch || !ready.resumed) this.#setPerson(null);
    this.#onPresence(ready.state, ready.proof && { challenge, proof: ready.proof });
  }

  #onPresence(state, given = null) {
    const before = this.#epoch;
    const changed = before !== undefined && before !== state.epoch;
    // Whoever was known is gone, even if the same name comes back: a sign-out may lie in between.
    if (changed || state.presence === "signed_out") this.#setPerson(null);
    this.#epoch = state.epoch;
    this.#setPresence(state);
    if (state.presence === "signed_out") {
      this.#session.doubt("signed_out");
      this.#agent.doubt(this.#connection); // nobody is there to prove it
    } else if (changed) this.#session.doubt("switched");
    if (state.presence !== "signed_out" && !this.person) this.#identify(state.epoch, given);
  }

  async #identify(epoch, given = null) {
    const connection = this.#connection;
    if (this.#identifying?.epoch === epoch && this.#identifying.connection === connection) return;
    const mine = (this.#identifying = { epoch, connection });
    const current = () => this.#identifying === mine && this.presence?.epoch === epoch;
    try {
      const person = await identify(this.#issuer, connection, given);
      if (!current()) return;
      this.#agent.trust(connection);
      this.#setPerson(Object.freeze(person));
      this.#loginWhereOpened();
      if (this.state.reason !== "resumed") this.#setState("live", "ready");
    } catch (error) {
      if (!current()) return;
      const reason = LATER[error.code];
      this.#setState("live", reason ?? "unverified");
      if (!reason) return this.#agent.doubt(connection);
      const rest = reason === "issuer_busy" ? this.#issuer.rest() : sleep(this.#environment, ISSUER_RETRY);
      rest.then(() => current() && this.#again(epoch));
      return; // stays "identifying" meanwhile, so that only one retry waits
    }
    this.#identifying = null;
  }

  /** The person has asked for it in the client: no click is needed, and no prompt will come. */
  async #loginWhereOpened() {
    await this.#checked;
    if (!this.#opened || this.#opened.connection !== this.#connection || !this.person || this.#opened.clicked) return;
    this.#opened.clicked = true;
    // Nobody is put in somebody else's place without a click.
    if (this.session) return;
    this.login().catch((error) => this.#emit("error", error)); // the card offers the click instead
  }

  #again(epoch) {
    this.#identifying = null;
    this.#identify(epoch);
  }

  #onLost() {
    this.#connection = null;
    this.#identifying = null;
    this.#setPresence(null);
  }

  #setState(name, reason) {
    if (this.state.name === name && this.state.reason === reason) return;
    this.state = Object.freeze({ name, reason });
    this.#emit("state", this.state);
  }

  #setPresence(presence) {
    this.presence = presence && Object.freeze({ ...presence });
    this.#emit("presence", this.presence);
  }

  #setPerson(person) {
    if (this.person === person) return;
    this.person = person;
    this.#emit("person", person);
  }

  #setRedeeming(redeeming) {
    if (this.redeeming === redeeming) return;
    this.redeeming = redeeming;
    this.#emit("redeeming", redeeming);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
