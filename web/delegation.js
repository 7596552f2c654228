/**
 * Whether the pages around this one, and its own headers, let it reach loopback, and what their authors have to write where
 * they do not. It is no verdict on the person: nobody was asked.
 */

/** The policy's names, like the permission's: the first that the browser knows decides. */
const NAMES = ["loopback-network", "local-network-access"];

/**
 * @param {any} policy the document's, which Chromium alone has
 * @returns {boolean | null} null: this browser does not say. A policy that does not know a feature says false to its name, which
 *   means nothing
 */
export function isDelegated(policy) {
  const name = NAMES.find((each) => policy?.features?.().includes(each));
  return name ? policy.allowsFeature(name) : null;
}

/**
 * Why a page is kept from an agent that may well be there, and says to whoever builds it what would help.
 * @param {import("./environment.js").Environment} environment
 * @param {boolean} [local] browsers gate nothing for this page
 * @param {string} [permission] what the browser says of it
 * @returns {"insecure_page" | "not_delegated" | "denied" | null} null: it is not kept out
 */
export function keptOut(environment, local, permission) {
  const framed = environment.framed();
  if (environment.opaque) return told(environment, "opaque");
  if (local) return null;
  const delegated = environment.delegated();
  if (delegated === false) return told(environment, framed ? "framed" : "header");
  if (permission !== "denied") return null;
  if (!environment.secure) return "insecure_page";
  // Firefox says "denied" of a frame that was not let, and does not say which of the two it is.
  return framed && delegated === null ? told(environment, "framed") : "denied";
}

/** @param {import("./environment.js").Environment} environment @param {keyof typeof import("./advice.js").ADVICE} which @returns {"not_delegated"} */
function told(environment, which) {
  import("./advice.js").then(({ ADVICE }) => environment.advise(ADVICE[which]), () => {});
  return "not_delegated";
}
