/** Whose windows the pictures show: what a browser asks, and where it keeps the answer, differs by its engine. */

/** @param {{userAgent?: string}} navigator @returns {"chromium" | "firefox" | "other"} */
export function browserOf({ userAgent = "" }) {
  if (userAgent.includes("Firefox/")) return "firefox";
  return /Chrom(e|ium)\//.test(userAgent) ? "chromium" : "other";
}
