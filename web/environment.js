/**
 * Everything that the SDK takes from the browser, in one object, so that tests bring their own
 * and no other module names a global.
 */

import { isDelegated } from "./delegation.js";
import { isFramedByStranger } from "./frame.js";

/**
 * @typedef {object} Environment
 * @property {typeof WebSocket | undefined} WebSocket
 * @property {typeof fetch} fetch
 * @property {typeof EventSource | undefined} EventSource
 * @property {typeof BroadcastChannel | undefined} BroadcastChannel
 * @property {LockManager | undefined} locks
 * @property {(() => SharedWorker) | undefined} [sharedWorker] starts the worker for all tabs, or joins it
 * @property {Permissions | undefined} permissions
 * @property {(run: () => void, ms: number) => any} setTimeout
 * @property {(timer: any) => void} clearTimeout
 * @property {() => number} now         milliseconds; only differences are used
 * @property {() => number} random      [0, 1)
 * @property {string} hostname          of the page, as `location` writes it
 * @property {boolean} secure           the page is a secure context
 * @property {boolean} slowRefusal      a closed loopback port takes seconds to say so (Windows retries it)
 * @property {boolean} opaque          the page has no origin of its own: a sandboxed frame
 * @property {() => boolean | null} delegated  false when a frame or a header keeps loopback from this document; null: unknown
 * @property {() => boolean} framed     another origin's page is around this one
 * @property {(advice: string) => void} advise  tells whoever builds the page
 * @property {() => boolean} visible
 * @property {() => string} fragment    of the page's address, without its `#`
 * @property {(fragment: string) => void} setFragment without a new entry in the history
 * @property {(bytes: Uint8Array<ArrayBuffer>) => Promise<ArrayBuffer>} digest SHA-256
 * @property {(address: string) => void} launch  opens an address of another program; the page stays
 * @property {(address: string) => Window | null} openWindow  a small window; null where the browser does not let one open
 * @property {EventTarget} window       `pagehide`, `pageshow`, `message`
 * @property {EventTarget} document     `visibilitychange`, `resume`
 */

/** @returns {Environment} the page's own browser */
export function browserEnvironment() {
  const { window, location, history } = globalThis;
  // `userAgentData` and `featurePolicy` are Chromium's alone.
  const { navigator, document } = /** @type {any} */ (globalThis);
  return {
    WebSocket: globalThis.WebSocket,
    fetch: (input, init) => globalThis.fetch(input, init),
    EventSource: globalThis.EventSource,
    BroadcastChannel: globalThis.BroadcastChannel,
    locks: navigator.locks,
    sharedWorker: globalThis.SharedWorker && sharedWorker,
    permissions: navigator.permissions,
    setTimeout: (run, ms) => globalThis.setTimeout(run, ms),
    clearTimeout: (timer) => globalThis.clearTimeout(timer),
    now: () => Date.now(),
    random: () => Math.random(),
    hostname: location.hostname,
    secure: globalThis.isSecureContext,
    slowRefusal: /^win/i.test(navigator.userAgentData?.platform ?? navigator.platform ?? ""),
    opaque: globalThis.origin === "null",
    delegated: () => isDelegated(document.featurePolicy),
    framed: () => isFramedByStranger(window),
    advise: (advice) => globalThis.console.warn(advice),
    visible: () => document.visibilityState === "visible",
    fragment: () => location.hash.slice(1),
    setFragment: (fragment) => history.replaceState(
      history.state, "", location.pathname + location.search + (fragment && `#${fragment}`)),
    digest: (bytes) => globalThis.crypto.subtle.digest("SHA-256", bytes),
    // A link, not a hidden frame: a content security policy that names no frames blocks that one.
    launch: (address) => Object.assign(document.createElement("a"), { href: address }).click(),
    // Without a name: a page of a common ancestry could otherwise take the window for its own.
    openWindow: (address) => window.open(address, "_blank", "popup,width=420,height=520"),
    window,
    document,
  };
}

/**
 * The number in the name is that of the messages between pages and worker: after an update, tabs of before and after it do not
 * meet. Throws where the worker's script is of another origin than the page, or a policy forbids it.
 */
function sharedWorker() {
  // Bundlers look for these very words, and build the worker then.
  const SharedWorker = TrustedSharedWorker;
  return new SharedWorker(new URL("./shared-worker.js", import.meta.url), { type: "module", name: "loopkey 1" });
}

/** Where Trusted Types are required, a policy of this name has to be allowed, once. It lets this one address pass. */
let policy = null;
const TrustedSharedWorker = /** @type {any} */ (function (url, options) {
  policy ??= /** @type {any} */ (globalThis).trustedTypes?.createPolicy("loopkey", { createScriptURL: () => url.href });
  return new globalThis.SharedWorker(policy?.createScriptURL("") ?? url, options);
});

/** Rejects with the signal's reason when aborted before `ms` have passed. @returns {Promise<void>} */
export function sleep(environment, ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      environment.clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = environment.setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Resolves when the page is on screen. @returns {Promise<void>} */
export function whenVisible(environment, signal) {
  if (environment.visible()) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const { document } = environment;
    const look = () => {
      if (!environment.visible()) return;
      end();
      resolve();
    };
    const stop = () => {
      end();
      reject(signal.reason);
    };
    const end = () => {
      document.removeEventListener("visibilitychange", look);
      signal.removeEventListener("abort", stop);
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** Waits for nothing but the abort. @returns {Promise<never>} */
export function untilAborted(signal) {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
