/**
 * One round of looking for the agent (protocol section 2): which ports, which address family, in
 * which order, for how long. Knows nothing of what happens before or after the round.
 */

import { DialError, dial } from "./socket.js";
import { sleep, untilAborted } from "./environment.js";

export const DEFAULT_PORTS = Object.freeze([28970, 28971]);
const MAX_PORTS = 3;

const SECOND_FAMILY_AFTER = 400;
const ADDRESS_TIMEOUT = 1_000;
/** Windows retries a refused loopback connect for about two seconds. */
const ADDRESS_TIMEOUT_SLOW = 3_000;
/** A closed port answers in milliseconds; still connecting after this means that the browser asks. */
const PROMPT_SHOWS_AFTER = 300;
const PROMPT_TIMEOUT = 60_000;

/**
 * Ports outside 10240-32767 meet other services or browsers' lists of unsafe ports, and browsers
 * punish long lists, so anything else in the issuer's answer is left out.
 * @param {unknown} ports @returns {readonly number[]}
 */
export function candidatePorts(ports) {
  if (!Array.isArray(ports)) return DEFAULT_PORTS;
  const usable = ports.filter((port) => Number.isInteger(port) && port >= 10240 && port <= 32767);
  return usable.length ? [...new Set(usable)].slice(0, MAX_PORTS) : DEFAULT_PORTS;
}

/**
 * The ports where agents speak TLS; none unless the issuer names some.
 * @param {unknown} ports @returns {readonly number[]}
 */
export function securePorts(ports) {
  return Array.isArray(ports) && ports.length ? candidatePorts(ports).filter((port) => ports.includes(port)) : [];
}

/**
 * Asks the ports by fetch; the first that answers as an agent wins. Browsers do not slow this down
 * however often it fails, as they do WebSockets, but where the loopback permission is not granted
 * it raises the browser's prompt (Firefox: even where a WebSocket would not). The caller decides.
 * @returns {Promise<number | null>} the port
 */
export async function probe(environment, ports, signal, secure = false) {
  const round = new AbortController();
  const end = () => round.abort();
  const timer = environment.setTimeout(end, addressTimeout(environment));
  signal.addEventListener("abort", end, { once: true });
  try {
    return await Promise.any(ports.map(async (port) => {
      const response = await environment.fetch(`${secure ? "https" : "http"}://127.0.0.1:${port}/v1/probe`, {
        mode: "cors", cache: "no-store", credentials: "omit", redirect: "error", signal: round.signal,
      });
      if (response.status !== 204) throw new DialError(`port ${port} is not an agent`);
      return port;
    }));
  } catch {
    if (signal.aborted) throw signal.reason;
    return null;
  } finally {
    environment.clearTimeout(timer);
    signal.removeEventListener("abort", end);
    round.abort();
  }
}

/**
 * All ports at once: for a page that needs no answer from the person.
 * @param {boolean} [both] address families; one is enough where 127.0.0.1 is known to answer
 * @param {boolean} [secure] these are ports where TLS is spoken
 * @returns {Promise<import("./connection.js").Connection>}
 */
export function connectAtOnce(environment, ports, signal, both = true, secure = false) {
  const within = addressTimeout(environment);
  return first(signal, ports.map((port) => (won) => (both
    ? dialBothFamilies(environment, port, won, secure)
    : dial(environment, address("127.0.0.1", port, secure), { within, signal: won }))));
}

/**
 * One port after the other, for a page whose browser may ask: any listener on a probed port raises
 * the prompt, and nobody should be asked on behalf of a stranger's service if the agent comes first.
 * `onAsking` is called when the browser seems to be asking.
 * @returns {Promise<import("./connection.js").Connection>}
 */
export async function connectInTurn(environment, ports, signal, onAsking, secure = false) {
  const errors = [];
  for (const port of ports) {
    try {
      return await dial(environment, address("127.0.0.1", port, secure), {
        within: PROMPT_TIMEOUT,
        signal,
        watch: (isConnecting) => environment.setTimeout(() => isConnecting() && !signal.aborted && onAsking(), PROMPT_SHOWS_AFTER),
      });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      errors.push(error);
    }
  }
  throw new AggregateError(errors);
}

/**
 * `localhost` is never used: which family it means differs by browser, and a squatter on the other
 * one would receive the page. No content security policy can name [::1], so with one the second
 * family fails quietly; the agent listens on both.
 */
function dialBothFamilies(environment, port, signal, secure) {
  const within = addressTimeout(environment);
  let four;
  return first(signal, [
    (won) => (four = dial(environment, address("127.0.0.1", port, secure), { within, signal: won })),
    async (won) => {
      // Only silence brings in the second family: a refusal is an answer, and ends this attempt with it.
      await Promise.race([sleep(environment, SECOND_FAMILY_AFTER, won), four.then(() => untilAborted(won))]);
      return dial(environment, address("[::1]", port, secure), { within, signal: won });
    },
  ]);
}

/** The first success; the losers are closed. Rejects with an AggregateError of DialErrors. */
async function first(signal, attempts) {
  const race = new AbortController();
  const end = () => race.abort(signal.reason);
  signal.addEventListener("abort", end, { once: true });
  try {
    return await Promise.any(attempts.map((attempt) => attempt(race.signal)));
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw new AggregateError(error.errors.flatMap((each) => each.errors ?? each));
  } finally {
    signal.removeEventListener("abort", end);
    race.abort(new DialError("another address was faster"));
  }
}

const address = (host, port, secure) => `${secure ? "wss" : "ws"}://${host}:${port}/v1`;
const addressTimeout = (environment) => (environment.slowRefusal ? ADDRESS_TIMEOUT_SLOW : ADDRESS_TIMEOUT);
