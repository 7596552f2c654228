/**
 * A name as it may be shown. The login server cleans names too; a page does not rely on it, since a
 * name stands where people decide whether to click.
 */

/** Controls, what turns text around (Unicode Annex 9), and what has no width. The joiners stay: names are spelled with them. */
const INVISIBLE = /[\p{Cc}\u00AD\u061C\u180E\u200B\u200E\u200F\u2028-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB\u{E0000}-\u{E007F}]/gu;
/** In characters; what the login server lets through is never longer. */
const LONGEST = 128;

/** @param {unknown} name @returns {string} one line with something to see in it */
export function shownName(name) {
  const visible = typeof name === "string" ? name.replace(INVISIBLE, "").trim() : "";
  const letters = [...visible];
  return (letters.length > LONGEST ? `${letters.slice(0, LONGEST).join("")}…` : visible) || "?";
}
