/**
 * Opens a connection: by ticket after a lost socket, otherwise with a fresh challenge. Remembers
 * what the next one needs. A challenge is used once, so each leaves here when it is sent and never comes back.
 */

import { LoopkeyError } from "./codes.js";

/** The agent takes challenges of up to 120 s and tickets of up to 10 minutes; these leave a margin. */
const CHALLENGE_FRESH = 60_000;
const TICKET_FRESH = 9 * 60_000;
/** The agent closes a socket that has not been opened after 5 s. */
const DEADLINE_PASSED = 4408;
/** A connection that lasted this long was no flapping agent. */
const STEADY = 10_000;

export class Handshake {
  #environment;
  #issuer;
  #onPorts;
  #prepared = null;
  #ticket = null;
  #openedAt = Infinity;
  /** Challenges refused in a row. */
  refusals = 0;

  constructor(environment, issuer, onPorts) {
    this.#environment = environment;
    this.#issuer = issuer;
    this.#onPorts = onPorts;
  }

  /**
   * Fetches the challenge while the socket is still being dialled, so that hello is answered at once.
   * @returns {Promise<void>} settled either way
   */
  prepare() {
    const { now } = this.#environment;
    if (this.#usableTicket()) return Promise.resolve();
    if (!this.#prepared || now() - this.#prepared.at >= CHALLENGE_FRESH) {
      const prepared = (this.#prepared = { at: now(), challenge: null, error: null, settled: null });
      prepared.settled = this.#issuer.challenge().then(
        ({ challenge, ports }) => {
          prepared.challenge = challenge;
          this.#onPorts(ports);
        },
        (error) => {
          prepared.error = error;
          // A failure is not kept: the next attempt asks the login server again.
          if (this.#prepared === prepared) this.#prepared = null;
        },
      );
    }
    return this.#prepared.settled;
  }

  /** Prepares, and tells whether hello could be answered now. @returns {Promise<boolean>} */
  async armed() {
    await this.prepare();
    return Boolean(this.#usableTicket() || this.#prepared?.challenge);
  }

  /** Waits for a challenge that is under way, but asks for none. @returns {Promise<boolean>} whether it came */
  async late() {
    const prepared = this.#prepared;
    if (!prepared || prepared.challenge) return false;
    await prepared.settled;
    return Boolean(prepared.challenge);
  }

  /** @returns {Promise<{ready: import("./connection.js").Ready, challenge: string | null}>} */
  async complete(connection) {
    const ticket = this.#usableTicket();
    this.#ticket = null; // single use, whatever comes of it
    this.#openedAt = Infinity; // one that never opens was not steady, whatever the one before it was
    let challenge = null;
    let opening;
    if (ticket) opening = connection.resume(ticket.value, ticket.seq);
    else {
      challenge = await this.#takeChallenge(connection);
      opening = connection.open(challenge);
    }
    const ready = await opening.catch(async (error) => {
      error.closeCode = await connection.closed;
      if (error.closeCode === 4401) this.refusals += ticket ? 0 : 1;
      throw error;
    });
    this.refusals = 0;
    this.#openedAt = this.#environment.now();
    if (ready.ticket) this.#ticket = { value: ready.ticket, seq: ready.seq, at: this.#openedAt };
    return { ready, challenge };
  }

  /** The ticket was another program's than the one that is spoken to next. */
  forget() {
    this.#ticket = null;
  }

  /** The newest sequence number, for the next resume. */
  seen(seq) {
    if (this.#ticket && Number.isSafeInteger(seq)) this.#ticket.seq = seq;
  }

  get steady() {
    return this.#environment.now() - this.#openedAt >= STEADY;
  }

  #usableTicket() {
    const fresh = this.#ticket && this.#environment.now() - this.#ticket.at < TICKET_FRESH;
    return fresh ? this.#ticket : null;
  }

  /** A challenge that comes too late for this socket stays for the next one. */
  async #takeChallenge(connection) {
    this.prepare();
    const prepared = this.#prepared;
    const closeCode = await Promise.race([connection.closed, prepared.settled]);
    if (closeCode !== undefined) {
      const code = closeCode === DEADLINE_PASSED ? "issuer_unreachable" : "disconnected";
      throw Object.assign(new LoopkeyError(code), { closeCode });
    }
    if (prepared.error) throw prepared.error;
    this.#prepared = null;
    return prepared.challenge;
  }
}
