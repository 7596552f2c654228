/** Times as people say them: near ones as a distance, far ones as a date. */

const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60]];
/** Farther away than this a date says more. In seconds. */
const NEAR = 7 * 86_400;

/** @param {number} at Unix seconds @param {number} now Unix seconds @param {string} lang @param {string} justNow */
export function said(at, now, lang, justNow) {
  const passed = Math.max(0, now - at); // the other clock may be a little ahead
  if (passed >= NEAR) return new Intl.DateTimeFormat(lang, { dateStyle: "medium" }).format(at * 1000);
  const [unit, length] = UNITS.find(([, seconds]) => passed >= seconds) ?? [];
  if (!unit) return justNow;
  return new Intl.RelativeTimeFormat(lang, { numeric: "auto" }).format(-Math.floor(passed / length), unit);
}

/** The same to the minute, for whoever wants to know it exactly. @param {number} at Unix seconds @param {string} lang */
export function exact(at, lang) {
  return new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "short" }).format(at * 1000);
}
