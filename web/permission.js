/**
 * The browser's permission to reach loopback, and whether this page needs it.
 *
 * The permission was split and renamed: `loopback-network` is the current name, older Chromium knows
 * `local-network-access` only, and a browser without the feature throws `TypeError` for both.
 */

const NAMES = ["loopback-network", "local-network-access"];

/**
 * @typedef {"granted" | "denied" | "prompt" | "unsupported"} PermissionName
 * @typedef {object} LoopbackPermission
 * @property {PermissionName} state            read anew at each use
 * @property {(run: () => void) => void} watch calls back at each change
 * @property {() => void} unwatch
 */

/** @param {import("./environment.js").Environment} environment @returns {Promise<LoopbackPermission>} */
export async function loopbackPermission(environment) {
  for (const name of NAMES) {
    try {
      return watched(await environment.permissions.query(/** @type {any} */ ({ name })));
    } catch {
      // TypeError: this browser does not know the name (or has no Permissions at all). Try the next one.
    }
  }
  return { state: "unsupported", watch() {}, unwatch() {} };
}

/** @returns {LoopbackPermission} */
function watched(status) {
  let listener = null;
  return {
    get state() {
      return status.state;
    },
    watch(run) {
      this.unwatch();
      listener = run;
      status.addEventListener("change", listener);
    },
    unwatch() {
      if (listener) status.removeEventListener("change", listener);
      listener = null;
    },
  };
}

/**
 * True for a page that itself comes from loopback or from a private address: browsers let it reach
 * loopback without a permission. A DNS name tells nothing about its address, so it counts as public.
 * @param {string} hostname
 */
export function isLocalPage(hostname) {
  const host = hostname.toLowerCase().replace(/^\[|\]$/g, "");
  if (host === "localhost" || host.endsWith(".localhost") || host === "::1") return true;
  if (host.includes(":")) return /^(f[cd][0-9a-f]{2}|fe[89ab][0-9a-f]):/.test(host);
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(host);
  if (!parts) return false;
  const [first, second] = parts.slice(1).map(Number);
  return first === 127 || first === 10
    || (first === 172 && second >= 16 && second <= 31)
    || (first === 192 && second === 168)
    || (first === 169 && second === 254);
}
