/** A person's picture, or their initials. The picture's address comes from a server and is not trusted. */

/** The login server takes 64 KiB, which is a third more as text. */
const LONGEST = 96 * 1024;

/**
 * @param {string | null | undefined} address @param {string} base the page's address
 * @returns {string | null} an address that may be shown: https, the page's own origin, or an inline bitmap (no SVG)
 */
export function safeAvatar(address, base) {
  if (!address || typeof address !== "string" || address.length > LONGEST) return null;
  if (/^data:image\/(png|jpeg|webp)[;,]/i.test(address)) return address;
  try {
    const url = new URL(address, base);
    const own = new URL(base);
    const allowed = url.protocol === "https:" || (url.protocol === own.protocol && url.host === own.host);
    return allowed && !url.username && !url.password ? url.href : null;
  } catch {
    return null;
  }
}

/** One or two characters to stand for a name: 林小雨 → 小雨, Ada Lovelace → AL. @param {string} name */
export function initials(name) {
  const trimmed = name.trim();
  if (/^\p{Script=Han}+$/u.test(trimmed)) return [...trimmed].slice(-2).join("");
  const words = trimmed.split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0].toUpperCase()).join("") || "?";
}
