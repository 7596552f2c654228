/**
 * The login server's events, received once for all tabs of the browser: HTTP/1.1 allows six
 * connections to a host, so a stream in each tab would stop the seventh tab from loading. The tab
 * that holds the lock listens and tells the others; when it goes, the next one takes over.
 */

import { readObject } from "./connection.js";
import { PRESENCES } from "./codes.js";

/** `EventSource.CLOSED`: the browser will not try again by itself. */
const CLOSED = 2;
const RETRY = 5_000;

export class SessionEvents {
  #environment;
  #url;
  #on;
  #channel = null;
  #listening = null;

  /**
   * @param {{signedOut: (reason: string) => void, presence: (presence: string | null) => void, changed: () => void}} on
   *   `changed`: something may have happened; the session should be asked for
   */
  constructor(environment, url, on) {
    this.#environment = environment;
    this.#url = url;
    this.#on = on;
    this.join();
  }

  /** Hears what other tabs did, also while there is no session here. */
  join() {
    const { BroadcastChannel } = this.#environment;
    if (this.#channel || !BroadcastChannel) return;
    this.#channel = new BroadcastChannel(`loopkey ${this.#url}`);
    this.#channel.onmessage = (event) => this.#deliver(event.data);
  }

  /** Receives events until `stop`. Calling it again changes nothing. */
  listen() {
    if (this.#listening || !this.#environment.EventSource) return;
    const { signal } = (this.#listening = new AbortController());
    const hold = () => this.#stream(signal);
    const { locks } = this.#environment;
    if (!locks || !this.#channel) return void hold();
    locks.request(`loopkey ${this.#url}`, { signal }, hold).catch(() => {
      // stopped while waiting for its turn
    });
  }

  stop() {
    this.#listening?.abort();
    this.#listening = null;
  }

  /** Tells the other tabs what this one did. @param {{type: "changed"} | {type: "signed_out", reason: string}} event */
  announce(event) {
    this.#channel?.postMessage(event);
  }

  /** Lets go of everything: an open stream or channel keeps a page out of the back/forward cache. */
  leave() {
    this.stop();
    this.#channel?.close();
    this.#channel = null;
  }

  /** Resolves, and so passes the lock on, when this tab no longer listens. */
  #stream(signal) {
    const { EventSource, setTimeout, clearTimeout } = this.#environment;
    const share = (event) => {
      this.announce(event);
      this.#deliver(event);
    };
    return new Promise((resolve) => {
      let source;
      let retry;
      let opened = false;
      const open = () => {
        source = new EventSource(this.#url, { withCredentials: true });
        source.addEventListener("signed_out", ({ data }) => share({ type: "signed_out", reason: readObject(data)?.reason }));
        source.addEventListener("presence", ({ data }) => share({ type: "presence", presence: readObject(data)?.presence }));
        source.onopen = () => {
          if (opened) share({ type: "changed" }); // events may have passed while the stream was down
          opened = true;
        };
        source.onerror = () => {
          if (source.readyState !== CLOSED) return; // it reconnects by itself
          retry = setTimeout(open, RETRY);
          share({ type: "changed" }); // refused: most likely the session is over
        };
      };
      signal.addEventListener("abort", () => {
        clearTimeout(retry);
        source.close();
        resolve();
      }, { once: true });
      open();
    });
  }

  #deliver(event) {
    if (event?.type === "signed_out") this.#on.signedOut(event.reason);
    else if (event?.type === "presence" && PRESENCES.includes(event.presence)) this.#on.presence(event.presence);
    else if (event?.type === "presence" && event.presence === "unknown") this.#on.presence(null);
    else if (event?.type === "changed") this.#on.changed();
  }
}
