/**
 * A page that the person opened from the desktop client is signed in without a click. Its address carries a random mark,
 * and the agent shows the mark's SHA-256 on the socket: so whoever answers on this computer knows the mark. The mark itself goes
 * to nobody else.
 */

const MARK = /(^|&)loopkey=([\w-]{43})$/;

/** Takes the mark out of the page's address. @returns {string | null} */
export function takeMark(environment) {
  const found = MARK.exec(environment.fragment());
  if (!found) return null;
  environment.setFragment(environment.fragment().slice(0, found.index));
  return found[2];
}

/** Whether the agent showed the hash of the mark. @param {string | null} shown @returns {Promise<boolean>} */
export async function isOpener(environment, mark, shown) {
  if (!mark || !shown) return false;
  const digest = await environment.digest(new TextEncoder().encode(mark));
  const base64 = btoa(String.fromCharCode(...new Uint8Array(digest)));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "") === shown;
}
