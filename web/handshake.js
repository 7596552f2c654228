/**
 * Opens a connection: by ticket after a lost socket, otherwise with a fresh challenge. Remembers
 * what the next one needs. A challenge is used once, so each is taken from here and never put back.
 */

/** The agent takes challenges of up to 120 s and tickets of up to 10 minutes; these leave a margin. */
const CHALLENGE_FRESH = 60_000;
const TICKET_FRESH = 9 * 60_000;
/** A connection that lasted this long was no flapping agent. */
const STEADY = 10_000;

export class Handshake {
  #environment;
  #issuer;
  #onPorts;
  #prepared = null;
  #ticket = null;
  #openedAt = -Infinity;
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
      const prepared = (this.#prepared = { at: now(), fetched: this.#issuer.challenge() });
      prepared.settled = prepared.fetched.then(
        ({ ports }) => this.#onPorts(ports),
        // A failure is not kept: the next attempt asks the login server again.
        () => void (this.#prepared === prepared && (this.#prepared = null)),
      );
    }
    return this.#prepared.settled;
  }

  /** @returns {Promise<{ready: import("./connection.js").Ready, challenge: string | null}>} */
  async complete(connection) {
    const ticket = this.#usableTicket();
    this.#ticket = null; // single use, whatever comes of it
    let challenge = null;
    let opening;
    if (ticket) opening = connection.resume(ticket.value, ticket.seq);
    else {
      challenge = await this.#takeChallenge();
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

  async #takeChallenge() {
    this.prepare();
    const { fetched } = this.#prepared;
    this.#prepared = null;
    return (await fetched).challenge;
  }
}
