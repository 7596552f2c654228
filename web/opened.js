/**
 * A page that the person opened from the desktop client is signed in without a click. Its address carries a mark,
 * the SHA-256 of what the agent shows on the socket: so whoever answers on this computer is who opened the page, and no
 * other program can make the page sign in as somebody else.
 */

const MARK = /(^|&)loopkey=([\w-]{43})$/;

/** Takes the mark out of the page's address. @returns {string | null} */
export function takeMark(environment) {
  const found = MARK.exec(environment.fragment());
  if (!found) return null;
  environment.setFragment(environment.fragment().slice(0, found.index));
  return found[2];
}

/** Whether the agent showed what the mark is the hash of. @param {string | null} shown @returns {Promise<boolean>} */
export async function isOpener(environment, mark, shown) {
  if (!mark || !shown) return false;
  const digest = await environment.digest(new TextEncoder().encode(shown));
  const base64 = btoa(String.fromCharCode(...new Uint8Array(digest)));
  return base64.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "") === mark;
}
