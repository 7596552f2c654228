/**
 * Whether another origin's page is around this one. Such a page can lay anything over the card and
 * lead a click to it, so that the card shows nobody there unless its site wants to be framed.
 */

/**
 * Looks at every page up to the outermost, since one of our own may stand in a foreign one. By
 * trying: `location.ancestorOrigins` is not everywhere, and a referrer policy of the frame blanks it.
 * @param {Window} [page] @returns {boolean}
 */
export function isFramedByStranger(page = globalThis.window) {
  const { origin } = page;
  for (let frame = page; frame !== frame.parent; frame = frame.parent) {
    try {
      // The property of another origin's window throws. "null" is a different nobody each time.
      if (frame.parent.origin !== origin || origin === "null") return true;
    } catch {
      return true;
    }
  }
  return false;
}
