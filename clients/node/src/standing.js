/**
 * How the person stands, as the application said it last. It is kept while there is no agent, and said anew to
 * each one that comes: an agent that was restarted holds the person for locked until then. A sign-out is kept until it
 * was heard, whatever is said after it: the web sessions from before must end.
 *
 * One account only, the one that was named last: to say of two accounts of one login server that they are signed in
 * would sign one of them out.
 */

/** @typedef {{account?: string, presence?: string, profile?: {name?: string, avatar?: string}}} Said */

const SIGNED_OUT = "signed_out";

export class Standing {
  /** @type {Readonly<Said> | null} */
  #newest = null;
  /** Sign-outs that no agent has heard yet, by account; the earliest first. @type {Map<string | undefined, Readonly<Said>>} */
  #signOuts = new Map();
  #onPersonGone;

  /** @param {() => void} [onPersonGone] called where it may be about another person from here on, or about nobody */
  constructor(onPersonGone = () => {}) {
    this.#onPersonGone = onPersonGone;
  }

  /** What was said last; each time another object, so that whoever holds one can tell. */
  get newest() {
    return this.#newest;
  }

  /** What a new agent is told, in this order. */
  get unsaid() {
    const newest = this.#newest && !isSignOut(this.#newest) ? [this.#newest] : [];
    return [...this.#signOuts.values(), ...newest];
  }

  /** @param {string} presence @param {string} [account] left out: the one that was named last */
  presence(presence, account = this.#newest?.account) {
    if (this.#newest && this.#newest.account !== account) this.#onPersonGone();
    return this.#say({ account, presence, profile: this.#profileOf(account) });
  }

  /** Before anything is said of the presence the profile waits for it: the agent takes both together. */
  profile({ name, avatar }) {
    const { account, presence, profile } = this.#newest ?? {};
    // Somebody who is on the way out is shown in no prompt.
    if (presence === SIGNED_OUT) return this.#newest;
    const given = { ...(name !== undefined && { name }), ...(avatar !== undefined && { avatar }) };
    return this.#say({ account, presence, profile: { ...profile, ...given } });
  }

  signOut(account = this.#newest?.account) {
    this.#onPersonGone();
    const said = this.#say({ account, presence: SIGNED_OUT });
    this.#signOuts.delete(account);
    this.#signOuts.set(account, said);
    return said;
  }

  /** The agent has heard a sign-out: it is over. */
  heard(signOut) {
    if (this.#signOuts.get(signOut.account) === signOut) this.#signOuts.delete(signOut.account);
    this.replace(signOut, null);
  }

  /** The agent has signed the account in by itself, and whoever was there before out. */
  enrolled(account) {
    this.#onPersonGone();
    this.#dropSignOut(account);
    this.#say({ account, presence: "signed_in" });
  }

  /** The account is gone. What was said without naming one may have been of it, and must not fall to another one. */
  forget(account) {
    this.#dropSignOut(account);
    if (this.#newest?.account !== undefined && this.#newest.account !== account) return;
    this.#onPersonGone();
    this.#newest = null;
  }

  /** Takes `said` back, unless something newer was said. */
  replace(said, before) {
    if (this.#newest === said) this.#newest = before;
  }

  #dropSignOut(account) {
    this.#signOuts.delete(account);
    this.#signOuts.delete(undefined);
  }

  #profileOf(account) {
    return this.#newest?.account === account ? this.#newest?.profile : undefined;
  }

  #say(said) {
    this.#newest = Object.freeze(said);
    return this.#newest;
  }
}

/** A sign-out that was delivered is over; what else was said is so until something else is. */
export function isSignOut(said) {
  return said.presence === SIGNED_OUT;
}

/** The call that says it; `null` where there is nothing to say yet. @param {Said} said @returns {[string, object] | null} */
export function callOf({ account, presence, profile }) {
  if (presence === undefined) return null;
  if (presence === SIGNED_OUT) return ["presence.signOut", { account }];
  return ["presence.set", { account, presence, profile }];
}
