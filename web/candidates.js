/**
 * The ports to look at, and which of them are in doubt: any program may listen on one, answer like
 * an agent and be none of this person's (protocol section 2). Where several answer, those that have
 * not failed yet come first, and no port is left out for good.
 *
 * Where the browser refuses plain sockets as such (WebKit, on an https page) and the issuer names ports where
 * agents speak TLS, those are the candidates from then on.
 */

import { candidatePorts, connectAtOnce, probe, securePorts } from "./discovery.js";

export class Candidates {
  #doubted = new Set();
  #ports;
  /** @type {readonly number[]} */
  #securePorts = [];
  #refused = false;

  /** @param {unknown} ports @see candidatePorts */
  constructor(ports) {
    this.#ports = candidatePorts(ports);
  }

  get ports() {
    return this.secure ? this.#securePorts : this.#ports;
  }

  /** TLS is spoken on the candidates. */
  get secure() {
    return this.#refused && this.#securePorts.length > 0;
  }

  /** The issuer named the ports where agents speak TLS. */
  replaceSecure(named) {
    const ports = securePorts(named);
    if (String(ports) !== String(this.#securePorts)) this.#securePorts = ports;
  }

  /**
   * A round of dials failed.
   * @param {AggregateError} error @returns {boolean} whether there are other candidates because of it
   */
  refused(error) {
    if (this.#refused || !error.errors?.length || !error.errors.every(({ forbidden }) => forbidden)) return false;
    this.#refused = true;
    return this.secure;
  }

  /** The issuer named its ports. The list stays the same object while nothing changes. */
  replace(named) {
    const ports = candidatePorts(named);
    if (String(ports) !== String(this.#ports)) this.#ports = ports;
  }

  /** @returns {boolean} whether this is news */
  doubt(port) {
    const news = !this.#doubted.has(port);
    this.#doubted.add(port);
    return news;
  }

  /** @returns {boolean} */
  isDoubted(port) {
    return this.#doubted.has(port);
  }

  trust(port) {
    this.#doubted.delete(port);
  }

  /** Every port but this one gets another chance. */
  forgive(port) {
    this.#doubted = new Set([port]);
  }

  /** Nothing speaks against these. */
  get fresh() {
    return this.ports.filter((port) => !this.#doubted.has(port));
  }

  /** One that answers as an agent, of the fresh ones if there is any. @returns {Promise<number | null>} */
  async probe(environment, signal) {
    const { fresh, secure } = this;
    const port = fresh.length ? await probe(environment, fresh, signal, secure) : null;
    if (port !== null || fresh.length === this.ports.length) return port;
    return probe(environment, this.ports.filter((each) => !fresh.includes(each)), signal, secure);
  }

  /**
   * @param {boolean} asking by the probe first, which costs nothing
   * @param {boolean} both address families, where the probe has not found one
   * @returns {Promise<import("./connection.js").Connection | null>} a socket to one of the fresh ports
   */
  async dialFresh(environment, signal, asking, both) {
    while (this.fresh.length) {
      const answered = asking ? await probe(environment, this.fresh, signal, this.secure) : null;
      if (asking && answered === null) break;
      const ports = asking ? [answered] : this.fresh;
      try {
        return await connectAtOnce(environment, ports, signal, both && !asking, this.secure);
      } catch {
        if (signal.aborted) throw signal.reason;
        for (const port of ports) this.doubt(port);
      }
    }
    return null;
  }
}
