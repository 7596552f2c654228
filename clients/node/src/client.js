/** The application's object: one connection to the agent, kept up, and everything that is said on it. */

import { EventEmitter } from "node:events";
import { Actions } from "./actions.js";
import { askPerson } from "./consent.js";
import { system } from "./environment.js";
import { LoopkeyError } from "./errors.js";
import { controlPath } from "./path.js";
import { Peer, Refusal } from "./peer.js";
import { Reconnect, closed } from "./reconnect.js";
import { Standing, callOf, isSignOut } from "./standing.js";

const PROTOCOL = "loopkey.1";
/** How long the agent may take for an answer: it may have to ask a login server first (milliseconds). */
const TIMEOUT = 30_000;

/** What `setPresence` takes. `signed_out` is reached with `signOut`. */
export const PRESENCES = Object.freeze(["signed_in", "away", "locked"]);

export class LoopkeyClient extends EventEmitter {
  #environment;
  #options;
  #actions = new Actions();
  #standing = new Standing(() => this.#actions.forgetNews());
  #reconnect;
  /** The connection on which hello was said and answered. @type {Peer | null} */
  #peer = null;

  /**
   * @param {import("../index.d.ts").LoopkeyClientOptions} options
   * @param {import("./environment.js").Environment} [environment] for tests
   */
  constructor({ name, version, onConsent, path, timeout = TIMEOUT }, environment = system) {
    super();
    if (typeof name !== "string" || typeof version !== "string") {
      throw new TypeError("LoopkeyClient needs the application's name and version");
    }
    this.#environment = environment;
    this.#options = { name, version, onConsent, path, timeout };
    this.#reconnect = new Reconnect(environment, (signal) => this.#open(signal));
  }

  /** Whether an agent is there. */
  get connected() {
    return this.#peer !== null;
  }

  /** Connects as soon as there is an agent, and again whenever the connection is lost. Never throws. */
  start() {
    this.#reconnect.start();
  }

  /** Connects now or rejects; once connected it is as after `start()`. Resolves with what the agent says of itself. */
  async connect() {
    const { hello } = await this.#reconnect.now();
    return hello;
  }

  /** Lets go of the connection; the object is of no use afterwards. */
  close() {
    this.#reconnect.close();
  }

  /** Enrols this computer for the account that the ticket is for, and signs the account in. */
  async enrol({ issuer, ticket }) {
    const enrolled = await this.#call("account.enrol", { issuer, ticket });
    if (typeof enrolled?.account !== "string") throw outOfForm("account.enrol");
    this.#standing.enrolled(enrolled.account);
    return enrolled;
  }

  /** The enrolled accounts. */
  async accounts() {
    const answer = await this.#call("account.list", {});
    if (!Array.isArray(answer?.accounts)) throw outOfForm("account.list");
    return answer.accounts;
  }

  /** Signs an account out and forgets it, with its key and what the person allowed it. */
  async removeAccount(account = this.#standing.newest?.account) {
    await this.#call("account.remove", { account });
    this.#standing.forget(account);
  }

  /** Says how the person stands. Without an agent it is kept for the next one, and the answer is `null`. */
  async setPresence(presence, { account } = {}) {
    if (!PRESENCES.includes(presence)) {
      throw new LoopkeyError("not_a_presence", `presence is one of ${PRESENCES.join(", ")}; to sign out there is signOut()`);
    }
    const before = this.#standing.newest;
    return this.#say(this.#standing.presence(presence, account), before);
  }

  /** Changes the name or the picture in prompts. Kept as with `setPresence`, and until the presence is known. */
  async setProfile(profile) {
    const before = this.#standing.newest;
    return this.#say(this.#standing.profile(profile), before);
  }

  /** Signs the account out, on every page. Without an agent it is kept for the next one, and the answer is `null`. */
  async signOut({ account } = {}) {
    return this.#say(this.#standing.signOut(account), null);
  }

  /** Offers an action to pages, now and on each connection to come. A second one of a name replaces the first. */
  action(name, schema, handler) {
    if (typeof name !== "string" || typeof handler !== "function") {
      throw new TypeError("action(name, schema, handler) needs a name and a function");
    }
    this.#actions.set(name, schema, handler);
    if (this.#peer) this.#register(this.#peer, { name, schema });
  }

  /**
   * Tells pages that may invoke an action how things stand with it: a player's state, say. Only the newest counts. It
   * is said again to each agent that comes, and forgotten with the person whom it is about.
   */
  publish(name, value) {
    const news = this.#actions.publish(name, value);
    if (this.#peer) this.#tellNews(this.#peer, news);
  }

  /** Offers it no more. */
  removeAction(name) {
    if (this.#actions.delete(name) && this.#peer) {
      this.#report(this.#peer, "register", this.#peer.call("actions.unregister", { name }, this.#options.timeout));
    }
  }

  /** What the person allowed, and how each configured origin stands. */
  async grants() {
    const answer = await this.#call("grants.list", {});
    if (!Array.isArray(answer?.grants)) throw outOfForm("grants.list");
    return answer;
  }

  /** The person's own choice for an origin: `always`, `prompt`, `blocked`, or `default` for none. */
  async setGrant(origin, consent) {
    await this.#call("grants.set", { origin, consent });
  }

  /** Takes back what the person allowed an origin, and closes its sockets; `true` where there was something. */
  async revoke(origin) {
    const answer = await this.#call("grants.revoke", { origin });
    return answer?.revoked === true;
  }

  /** Opens a page in the default browser, signed in without a further question, once, within a minute. */
  async open(url) {
    await this.#call("pages.open", { url: String(url) });
  }

  /** How the agent stands. */
  async status() {
    return this.#call("status", {});
  }

  /** What the agent finds wrong with itself and its surroundings. */
  async doctor() {
    const answer = await this.#call("doctor", {});
    if (!Array.isArray(answer?.findings)) throw outOfForm("doctor");
    return answer.findings;
  }

  /** One attempt: connected, and hello said and answered. */
  async #open(signal) {
    try {
      const peer = await this.#dial(signal);
      const { name, version, onConsent, timeout } = this.#options;
      // Without a callback the agent must look for somebody else to ask.
      const said = { name, version, consent: onConsent !== undefined };
      const hello = await peer.call("client.hello", said, timeout).catch((error) => {
        peer.end(error);
        throw error;
      });
      if (hello?.protocol !== PROTOCOL) {
        const error = new LoopkeyError("protocol", `the agent does not speak ${PROTOCOL}; update it or this application`);
        peer.end(error);
        throw error;
      }
      this.#peer = peer;
      peer.ended.then((error) => {
        this.#peer = null;
        this.#tell("disconnected", error);
      });
      this.#tell("connected", hello);
      this.#catchUp(peer);
      return { hello, peer, ended: peer.ended };
    } catch (error) {
      // That no agent is there is nothing out of the ordinary.
      if (!["no_agent", "closed", "disconnected"].includes(error.code)) this.#tell("fault", error, "connect");
      throw error;
    }
  }

  async #dial(signal) {
    const stream = await this.#environment.dial(this.#options.path ?? controlPath());
    const peer = new Peer(stream, this.#environment, {
      call: (method, params, withdrawn) => this.#asked(method, params, withdrawn),
      notice: (method, params) => this.#told(peer, method, params),
      fault: (error) => this.#tell("fault", error, "action"),
    });
    const close = () => peer.end(closed());
    if (signal.aborted) close();
    signal.addEventListener("abort", close);
    peer.ended.then(() => signal.removeEventListener("abort", close));
    return peer;
  }

  /** A new agent knows nothing of this client yet. */
  #catchUp(peer) {
    for (const registration of this.#actions.registrations()) this.#register(peer, registration);
    for (const said of this.#standing.unsaid) this.#report(peer, "presence", this.#say(said, said));
    // After the presence: where that is news to the agent, it forgets what was said of the person before.
    for (const news of this.#actions.news()) this.#tellNews(peer, news);
  }

  #register(peer, registration) {
    this.#report(peer, "register", peer.call("actions.register", registration, this.#options.timeout));
  }

  #tellNews(peer, news) {
    const told = peer.call("actions.publish", news, this.#options.timeout).catch((error) => {
      // What the agent refuses is not said again.
      if (!peer.isOver && error.code !== "timeout") this.#actions.retract(news);
      throw error;
    });
    this.#report(peer, "publish", told);
  }

  /** Says how the person stands, if somebody listens; what the agent refuses is not said again, but `before` is. */
  async #say(said, before) {
    const call = callOf(said);
    const peer = this.#peer;
    if (!peer || !call) return null;
    try {
      const answer = await peer.call(...call, this.#options.timeout);
      if (isSignOut(said)) this.#standing.heard(said);
      return answer;
    } catch (error) {
      if (peer.isOver) return null;
      if (error.code !== "timeout") {
        if (isSignOut(said)) this.#standing.heard(said);
        else this.#standing.replace(said, before);
      }
      throw error;
    }
  }

  /** Whoever needs an answer may be the first to find out that there is an agent again. */
  async #call(method, params) {
    const { peer } = await this.#reconnect.now();
    return peer.call(method, params, this.#options.timeout);
  }

  async #asked(method, params, signal) {
    const { onConsent } = this.#options;
    if (method === "consent.request" && onConsent) {
      return askPerson(onConsent, params, signal, (error) => this.#tell("fault", error, "consent"));
    }
    if (method === "action.invoke") {
      return this.#actions.invoke(params, signal);
    }
    throw Refusal.methodNotFound(method);
  }

  /** A notification; one that this library does not know is for a later one. */
  #told(peer, method, params) {
    if (method === "consent.withdrawn" || method === "action.withdrawn") {
      peer.withdraw(params?.id);
    } else if (method === "sockets.changed" && areSockets(params?.origins)) {
      this.#tell("sockets", params.origins);
    } else if (method === "account.revoked" && typeof params?.account === "string" && typeof params.issuer === "string") {
      this.#standing.forget(params.account);
      this.#tell("accountRevoked", { account: params.account, issuer: params.issuer });
    } else if (method === "account.signed_out" && typeof params?.account === "string" && typeof params.issuer === "string") {
      // What was said of the person before is not said again to the next agent.
      this.#standing.forget(params.account);
      this.#tell("accountSignedOut", { account: params.account, issuer: params.issuer });
    }
  }

  /** What nobody awaits. That the connection was lost has an event of its own. */
  #report(peer, during, promise) {
    promise.catch((error) => {
      if (!peer.isOver) this.#tell("fault", error, during);
    });
  }

  /** In a turn of its own: what a listener throws is the application's, and must not end what goes on here. */
  #tell(event, ...values) {
    process.nextTick(() => this.emit(event, ...values));
  }
}

function areSockets(origins) {
  const isOne = (each) => typeof each?.origin === "string" && Number.isSafeInteger(each.sockets);
  return Array.isArray(origins) && origins.every(isOne);
}

function outOfForm(method) {
  return new LoopkeyError("protocol", `the agent's answer to ${method} is out of form`);
}
