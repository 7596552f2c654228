/**
 * The page's web session: what the login server says about the cookie, and when it ends. The
 * cookie itself is out of script's reach; this only asks.
 */

import { SESSION_REASONS } from "./codes.js";
import { sleep } from "./environment.js";
import { SessionEvents } from "./session-events.js";

/** The agent tells its pages before the issuer knows, so a session may outlive the news for a moment. */
const RECHECKS = [0, 150, 400, 1_000, 3_000];

export class Session {
  #environment;
  #issuer;
  #events;
  #onChange;
  #onPresence;
  #recheck = null;
  /** What the agent said about the end that is coming; it knows better than the cookie's absence. */
  #suspicion = null;
  /** Questions are numbered, and this is the newest: answers may overtake each other. */
  #asked = 0;
  /** Answers to questions up to this one are outdated: something newer is known. */
  #outdated = 0;
  #reported = false;
  /** @type {object | null} */
  current = null;

  /**
   * @param {(session: object | null, reason: string) => void} onChange
   * @param {(presence: string | null) => void} onPresence as the login server knows it
   */
  constructor(environment, issuer, onChange, onPresence) {
    this.#environment = environment;
    this.#issuer = issuer;
    this.#onChange = onChange;
    this.#onPresence = onPresence;
    this.#events = new SessionEvents(environment, issuer.eventsUrl, {
      signedOut: (reason) => this.#set(null, SESSION_REASONS.includes(reason) ? reason : "ended"),
      presence: (presence) => this.#onPresence(presence),
      changed: () => this.refresh("checked").catch(() => {}),
    });
  }

  /** Asks the login server. @returns {Promise<object | null>} the session as it is known then */
  async refresh(reason) {
    const asked = (this.#asked += 1);
    const session = await this.#issuer.session();
    if (asked > this.#outdated) {
      this.#set(session, session ? reason : this.#reported ? "expired" : "checked", asked);
    } else if (session && !this.current) {
      // The end that came meanwhile may have been an earlier session's: only a new answer can tell.
      return this.refresh(reason);
    }
    return this.current;
  }

  /** The first look; reported even when there is no session or no answer, so that a page can draw itself. */
  async check() {
    await this.refresh("checked").catch(() => {});
    if (!this.#reported) this.#report(null, "checked");
  }

  /** After news from the agent: asks at once, and again until the session has gone. */
  async doubt(reason) {
    this.#recheck?.abort();
    if (!this.current) return;
    this.#suspicion = reason;
    const { signal } = (this.#recheck = new AbortController());
    for (const wait of RECHECKS) {
      try {
        await sleep(this.#environment, wait, signal);
        if (!this.current || !await this.refresh("checked")) return;
      } catch {
        if (signal.aborted) return;
      }
    }
    this.#suspicion = null; // that session was not this agent's
  }

  async loggedIn() {
    this.#outdated = this.#asked; // what was asked before says nothing about this session
    await this.refresh("logged_in");
    this.#events.announce({ type: "changed" });
  }

  async logout(everywhere) {
    await this.#issuer.logout(everywhere);
    this.#set(null, "logged_out");
    this.#events.announce({ type: "signed_out", reason: "logged_out" });
  }

  /** The page leaves, for the back/forward cache or for good. */
  leave() {
    this.#recheck?.abort();
    this.#events.leave();
  }

  async shown() {
    this.#events.join();
    await this.refresh("checked").catch(() => {});
    if (this.current) this.#events.listen();
  }

  /** @param {number} [asked] the question that this answers; news that nobody asked for is newer than all of them */
  #set(session, reason, asked = this.#asked) {
    const same = this.#reported && sameSession(this.current, session);
    this.#outdated = asked;
    this.current = session;
    if (session) this.#events.listen();
    else this.#events.stop();
    if (!same) this.#report(session, session || reason.startsWith("logged_out") ? reason : this.#suspicion ?? reason);
    if (!session) this.#suspicion = null;
  }

  #report(session, reason) {
    this.#reported = true;
    this.#onChange(session, reason);
  }
}

function sameSession(one, other) {
  if (!one || !other) return one === other;
  return one.subject === other.subject && one.signed_in_at === other.signed_in_at
    && one.name === other.name && one.avatar === other.avatar;
}
