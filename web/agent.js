/**
 * The agent as this page sees it: finds it, keeps one connection, and finds it again. It tells its
 * owner what happened through `on`; it knows nothing of persons and sessions.
 *
 * One loop runs at a time. A click, a change of the permission or the page's return aborts it and
 * starts a new one, so that no two of them ever race for the state.
 */

import { RoundBudget, fullJitter } from "./backoff.js";
import { ABSENT, explain } from "./blocked.js";
import { Candidates } from "./candidates.js";
import { Connection, isObject } from "./connection.js";
import { connectAtOnce, connectInTurn } from "./discovery.js";
import { isLocalPage, loopbackPermission } from "./permission.js";
import { sleep, untilAborted, whenVisible } from "./environment.js";
import { keptOut } from "./delegation.js";
import { Handshake } from "./handshake.js";
import { Sharing } from "./shared.js";
import { VERSION } from "./socket.js";
import { verdict } from "./verdict.js";
import { WAKE_LINK, WAKE_SCHEME } from "./wake-link.js";

/** While the page is on screen and asking costs nothing, the agent is looked for this often, so that it is found within 2 s. */
const REDISCOVERY = 1_600;
/** A slow login server does not keep the page from saying that nobody answered (milliseconds). */
const PORTS_TIMEOUT = 1_000;
/** Until the other ports are looked at again, while nothing shows that the right program is on this one. */
const SEEK_AGAIN = 20_000;

/**
 * @typedef {object} AgentEvents
 * @property {(name: string, reason: string) => void} state
 * @property {(connection: import("./connection.js").Connection, ready: import("./connection.js").Ready, challenge: string | null) => void} ready
 * @property {(state: import("./connection.js").AgentState) => void} presence
 * @property {() => void} lost
 */

export class Agent {
  #environment;
  #issuer;
  #on;
  #local;
  #candidates;
  #ipv6;
  #handshake;
  #sharing;
  #permission = null;
  #budget = new RoundBudget();
  #loop = new AbortController();
  /** A fetch probe has answered once, so its silence means that no agent is there. */
  #probeWorks = false;
  /** A socket opened although the permission says "prompt": this browser does not gate WebSockets. */
  #ungated = false;
  #connection = null;
  /** An open socket to another port, to go on with when the present one has ended. */
  #next = null;
  #closed = false;

  /** @param {{ports?: number[], local?: boolean, ipv6?: boolean, shared?: boolean}} options @param {AgentEvents} on */
  constructor(environment, issuer, options, on) {
    this.#environment = environment;
    this.#issuer = issuer;
    this.#on = on;
    this.#local = options.local ?? isLocalPage(environment.hostname);
    this.#candidates = new Candidates(options.ports);
    this.#ipv6 = options.ipv6 ?? true;
    this.#sharing = new Sharing(environment, options.shared ?? true);
    this.#handshake = new Handshake(environment, issuer, (named) => {
      if (!options.ports) this.#candidates.replace(named);
    });
  }

  /** Looks for the agent if that cannot raise the browser's prompt; otherwise waits for a click. */
  async start(reason = "page_load") {
    await this.#watchPermission();
    if (this.#closed) return;
    if (this.#access === "ask") this.#idle("unknown", "needs_click");
    else this.#restart(reason);
  }

  /** From a click: here the browser may ask the person. */
  async connect() {
    await this.#watchPermission();
    if (!this.#connection) this.#restart("click");
  }

  /** From a click: launches the agent, unless the click has opened something itself, and looks until it answers. */
  async wake(launched) {
    if (this.#connection || this.#closed) return;
    if (!launched) this.#environment.launch(WAKE_LINK);
    const since = this.#environment.now();
    const load = import("./waking.js").then(({ Waking }) => new Waking(this.#environment.now, since), () => null);
    const [waking] = await Promise.all([load, this.#watchPermission()]);
    if (!this.#connection) this.#restart("click", waking);
  }

  /** From a click: a window of the agent's carries the connection that the browser refuses for the reason `why`. */
  bridge(why) {
    if (this.#connection || this.#closed) return;
    const { ports } = this.#candidates;
    // In the click itself; what speaks with the window is loaded while that loads.
    this.#restart("click", null, { window: this.#environment.openWindow(`http://127.0.0.1:${ports[0]}/bridge`), ports, why });
  }

  /** The page leaves the screen for the back/forward cache, or for good. */
  pause() {
    this.#idle("unknown", "paused");
  }

  /** The page is back; a frozen page's socket is dead without having said so. */
  async shown() {
    if (this.#connection) return;
    await this.start("page_shown");
  }

  /** The login server vouches for what is on the other end. */
  trust(connection) {
    connection.trusted = true;
    this.#candidates.trust(connection.port);
  }

  /**
   * Nothing shows that this is the person's agent and not somebody's program on its port: another
   * port may have the agent. The page goes there as soon as something there speaks the protocol, and
   * comes back the same way where that cannot prove itself either.
   */
  doubt(connection) {
    if (connection.doubted || connection.bridge) return;
    connection.doubted = true;
    const { signal } = this.#loop;
    this.#seek(connection, signal).catch((error) => {
      if (!signal.aborted) throw error;
    });
  }

  async #seek(connection, signal) {
    const isDoubted = () => connection === this.#connection && !connection.trusted;
    for (let daring = true; isDoubted(); daring = false) {
      const other = await this.#another(connection, signal, daring);
      if (other && isDoubted()) {
        this.#next = other;
        return connection.close();
      }
      other?.close();
      await sleep(this.#environment, SEEK_AGAIN * (0.9 + 0.2 * this.#environment.random()), signal);
      await whenVisible(this.#environment, signal);
      this.#candidates.forgive(connection.port);
    }
  }

  /**
   * A socket to a fresh port. Sockets that fail are slowed down, so that the probe has to answer first;
   * `daring` does without, where the probe tells nothing.
   * @returns {Promise<import("./connection.js").Connection | null>}
   */
  async #another(connection, signal, daring = false) {
    this.#candidates.doubt(connection.port);
    const asking = this.#access === "probe" && this.#probeWorks;
    const own = asking || daring ? await this.#candidates.dialFresh(this.#environment, signal, asking, this.#ipv6) : null;
    return own && this.#sharing.instead(own, signal);
  }

  close() {
    this.#closed = true;
    this.#permission?.unwatch();
    this.#idle("unknown", "closed");
  }

  async #watchPermission() {
    if (this.#permission) return;
    const permission = await loopbackPermission(this.#environment);
    if (this.#permission || this.#closed) return;
    this.#permission = permission;
    this.#permission.watch(() => {
      if (this.#connection) return; // taking the permission away does not close a socket
      if (this.#permission.state === "granted") this.#restart("permission_granted");
      else if (this.#permission.state === "denied" && !this.#local) {
        const { name, reason } = this.#explain();
        this.#idle(name, reason);
      }
    });
  }

  /**
   * What looking for the agent costs here.
   * - `probe`: nothing is gated; fetch is the cheapest question.
   * - `socket`: fetch would raise a prompt but a WebSocket is known not to (Firefox before 154).
   * - `ask`: the browser may ask the person; only after a click, and only by WebSocket, because
   *   where both are gated one prompt covers both, and where one is gated it is the fetch.
   * - `denied`: one attempt is cheap and some embedded browsers say so although loopback works. What keeps
   *   a frame from it says the same.
   */
  get #access() {
    const state = this.#permission.state;
    if (!this.#local && this.#environment.delegated() === false) return "denied";
    if (this.#local || state === "granted" || state === "unsupported") return "probe";
    if (this.#ungated) return "socket";
    return state === "denied" ? "denied" : "ask";
  }

  #idle(name, reason) {
    this.#stop();
    this.#drop();
    this.#on.state(name, reason);
  }

  #stop() {
    this.#loop.abort(STOPPED);
    this.#next?.close();
    this.#next = null;
  }

  #drop() {
    const connection = this.#connection;
    this.#connection = null;
    connection?.close();
    if (connection) this.#on.lost();
  }

  #restart(reason, waking = null, bridge = null) {
    if (this.#closed) return;
    this.#stop();
    this.#loop = new AbortController();
    const { signal } = this.#loop;
    (bridge ? this.#keepBridge(signal, bridge) : this.#keep(signal, reason, waking)).catch((error) => {
      if (!signal.aborted) throw error;
    });
  }

  async #keepBridge(signal, opened) {
    try {
      const { BridgeWindow } = await import("./bridge.js");
      if (signal.aborted) throw signal.reason;
      const window = new BridgeWindow(this.#environment, opened, TOOLS);
      await window.run(signal, this.#handshake, this.#on, (connection) => this.#converse(connection, signal));
    } catch (error) {
      opened.window?.close();
      throw error;
    }
  }

  async #keep(signal, reason, waking) {
    if (!this.#environment.WebSocket) return this.#on.state("incompatible", "unsupported_browser");
    if (this.#environment.opaque) return this.#on.state("blocked", keptOut(this.#environment));

    let attempt = 0;
    let eager = !waking; // what was launched a moment ago takes no socket yet
    let ports = null;
    if (waking) this.#on.state("waking", waking.reason);
    else this.#on.state("probing", reason);
    for (;;) {
      const tried = this.#candidates.ports;
      const { connection, name, reason } = this.#takeNext() ?? await this.#look(signal, ports, eager);
      ports = null;
      if (!connection) {
        // The challenge was fetched meanwhile, and the issuer may have named other ports with it.
        const told = Promise.all([this.#handshake.prepare(), this.#issuer.learn()]);
        await Promise.race([told, sleep(this.#environment, PORTS_TIMEOUT, signal)]);
        this.#candidates.replaceSecure(this.#issuer.wssPorts);
        if (this.#candidates.ports !== tried) continue;
        attempt += 1;
        const absent = name === "absent";
        const next = absent ? waking?.next(this.#access === "probe") : null;
        if (next) {
          this.#on.state("waking", waking.reason);
          eager = next.dial;
          await sleep(this.#environment, next.wait, signal);
          continue;
        }
        eager = false;
        const gaveUp = Boolean(waking);
        waking = null;
        const explain = () => this.#on.state(name, absent ? this.#whyAbsent(gaveUp) : reason);
        explain();
        let stays = true;
        told.then(() => stays && !signal.aborted && explain()); // a slow login server says late whether waking helps
        ports = await this.#untilWorthLooking(signal);
        stays = false;
        continue;
      }
      waking = null;
      eager = true; // where one socket opened, another one may
      const ending = await this.#converse(connection, signal);
      // What an impostor says by hanging up is no verdict while another port answers.
      if (!connection.trusted) this.#next ??= await this.#another(connection, signal);
      if (this.#next) continue;
      const end = verdict(ending, this.#handshake);
      if (end.name) this.#on.state(end.name, end.reason);
      if (end.wait === Infinity) await untilAborted(signal);
      attempt = await this.#untilReturn(end, this.#handshake.steady ? 0 : attempt, signal);
      if (signal.aborted) throw signal.reason;
    }
  }

  #whyAbsent(gaveUp) {
    if (gaveUp) return "not_woken";
    return this.#issuer.scheme === WAKE_SCHEME ? "asleep" : "not_running";
  }

  #takeNext() {
    const connection = this.#next;
    if (!connection) return null;
    this.#next = null;
    this.#handshake.forget();
    return { connection };
  }

  /** Waits as the verdict says. @param {{reason?: string, wait: any}} end @returns {Promise<number>} the attempts after that */
  async #untilReturn({ reason, wait }, attempt, signal) {
    const environment = this.#environment;
    const busy = reason === "issuer_busy";
    const offline = busy || reason === "issuer_unreachable";
    // A challenge that came too late for the lost socket is in time for the next one.
    if (offline && await this.#handshake.late()) return attempt;
    do {
      if (busy) await this.#issuer.rest(signal);
      await sleep(environment, wait && fullJitter(environment.random(), attempt, wait), signal);
      attempt += 1;
      // A socket without a challenge would only be closed again: the login server has to answer first.
    } while (offline && !await this.#handshake.armed());
    return attempt;
  }

  /** One round: a connection, or the state that says why there is none. */
  async #look(signal, known, eager) {
    const environment = this.#environment;
    const access = this.#access;
    this.#handshake.prepare();
    let ports = known ?? this.#candidates.ports;
    let answered = null;
    if (access === "probe" && !known) {
      answered = await this.#candidates.probe(environment, signal);
      this.#probeWorks ||= answered !== null;
      if (answered !== null) ports = [answered];
      // A content security policy may forbid the probe's http address and allow the socket's: the
      // first round does not rely on it. Later rounds do, since failing sockets are slowed down.
      else if (this.#probeWorks || !eager) return ABSENT;
    }
    let asked = false;
    try {
      const own = () => (access === "ask"
        ? connectInTurn(environment, ports, signal, () => {
          if (this.#permission.state !== "prompt") return;
          asked = true;
          this.#on.state("asking", "permission_prompt");
        }, this.#candidates.secure)
        : connectAtOnce(environment, ports, signal, this.#ipv6 && answered === null && !known, this.#candidates.secure));
      // The worker speaks plain sockets alone.
      const connection = await (this.#candidates.secure ? own() : this.#sharing.dial(answered ?? known?.[0] ?? null, own, signal));
      if (this.#permission.state === "prompt") this.#ungated = true;
      return { connection };
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      this.#budget.failed(environment.now());
      // The browser refuses plain sockets, and there are ports with TLS.
      if (this.#candidates.refused(error)) return this.#look(signal, null, eager);
      // It answers the probe and gives no socket: somebody's web server, perhaps. Now the others.
      if (answered !== null && this.#candidates.doubt(answered)) return this.#look(signal, null, eager);
      return this.#explain(error, asked);
    }
  }

  #explain(error, asked) {
    return explain(error, { environment: this.#environment, local: this.#local, permission: this.#permission.state, asked });
  }

  /** @returns {Promise<number[] | null>} the ports known to answer, if any */
  async #untilWorthLooking(signal) {
    const environment = this.#environment;
    switch (this.#access) {
      case "probe":
        for (;;) {
          await sleep(environment, REDISCOVERY * (0.9 + 0.2 * environment.random()), signal);
          await whenVisible(environment, signal);
          const port = await this.#candidates.probe(environment, signal);
          if (port === null) continue;
          this.#probeWorks = true;
          // Sockets that failed are held against one that answers without giving a socket, and against nobody who has just come.
          if (this.#candidates.isDoubted(port)) await sleep(environment, this.#budget.wait(environment.now()), signal);
          return [port];
        }
      case "socket":
        await sleep(environment, this.#budget.wait(environment.now()) || REDISCOVERY, signal);
        await whenVisible(environment, signal);
        return null;
      default:
        // Each further attempt could raise the prompt, and three dismissed ones deny it for good.
        return untilAborted(signal);
    }
  }

  /** Stays until the socket is gone. @returns {Promise<import("./verdict.js").Ending>} */
  async #converse(connection, signal) {
    const hangUp = () => connection.close();
    signal.addEventListener("abort", hangUp, { once: true });
    this.#on.state("found", "handshake");
    try {
      const { ready, challenge } = await this.#handshake.complete(connection);
      if (signal.aborted) throw signal.reason;
      this.#connection = connection;
      this.#budget.succeeded();
      connection.onState = (state, seq) => {
        this.#handshake.seen(seq);
        this.#on.presence(state);
      };
      this.#on.state("live", ready.resumed ? "resumed" : "ready");
      this.#on.ready(connection, ready, challenge);
      return { code: await connection.closed };
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      connection.close();
      return { code: error.closeCode ?? 1006, error };
    } finally {
      signal.removeEventListener("abort", hangUp);
      if (this.#connection === connection) this.#drop();
      if (signal.aborted) throw signal.reason;
    }
  }
}

const TOOLS = { Connection, isObject, untilAborted, verdict, version: VERSION };
const STOPPED = new DOMException("another run took over", "AbortError");
