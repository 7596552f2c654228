/**
 * What the card shows, as a pure function of what is known: one view, its words and its actions.
 * No element is made here, so that every state can be tested by reading.
 */

import { onlyWindowHelps, windowHelps } from "./blocked.js";
import { fill, wordsFor } from "./words.js";

/**
 * @typedef {object} Situation
 * @property {{name: string, reason: string}} state
 * @property {{presence: string} | null} presence
 * @property {{name: string, avatar: string | null} | null} person
 * @property {{name: string} | null} session
 * @property {boolean} busy          a login is under way
 * @property {boolean} redeeming     it can no longer be cancelled
 * @property {boolean} bridged       a small window carries the connection
 * @property {string | null} code    the two digits, while the client asks
 * @property {string | null} error   why the last login failed
 *
 * @typedef {object} View
 * @property {string} view
 * @property {string} icon           name of an icon, or "" where person or digits stand instead
 * @property {boolean} [working]     something goes on that needs nobody
 * @property {{name: string, avatar: string | null} | null} [person]
 * @property {string} [digits] @property {string} [digitsLabel]
 * @property {string} title @property {string} text @property {string} [notice]
 * @property {{picture: string, steps: string[]}} [guide]   where to click in the browser's own windows, in place of the icon
 * @property {{id: string, label: string, href?: string}[]} actions   the first is the main one
 */

/**
 * @param {Situation} situation
 * @param {{lang?: string, app?: string, href?: string, browser?: string}} speech  `href`: where the app opens; `browser`: @see browserOf
 * @returns {View}
 */
export function cardView(situation, { lang, app, href, browser }) {
  const words = wordsFor(lang);
  const values = { app: app || words.app, name: situation.person?.name ?? "", code: situation.code ?? "" };
  const say = (sentence) => fill(sentence, values);
  const { view, from, icon, actions = [], ...more } = describe({ ...situation, href, browser }, words);
  return {
    view,
    icon: icon ?? "",
    title: say(from.title ?? ""),
    text: say(from.text ?? ""),
    ...more,
    ...(more.digitsLabel && { digitsLabel: say(more.digitsLabel) }),
    ...(more.guide && { guide: { ...more.guide, steps: more.guide.steps.map(say) } }),
    actions: actions.map((action) => ({ ...action, label: say(action.label) })),
  };
}

/** @param {Situation & {href?: string, browser?: string}} situation @returns {any} */
function describe({ href, browser, state, presence, person, session, busy, redeeming, bridged, code, error }, words) {
  const retry = { id: "retry", label: words.retry };
  const cancel = { id: "cancel", label: words.cancel };
  // A button that opens nothing is worse than none: the site says where the app opens.
  const open = (label) => (href ? [{ id: "open", label, href }] : []);
  const { name, reason } = state;

  // Whoever is around this page must neither see a name nor lead a click to a button.
  if (name === "blocked" && reason === "framed") return { view: "framed", icon: "blocked", from: words.blocked.framed };
  if (session) {
    return { view: "done", icon: "check", from: { ...words.done, text: session.name } };
  }
  if (reason === "issuer_unreachable") {
    return { view: "offline", icon: "cloud", from: words.offline, actions: [retry] };
  }
  if (reason === "issuer_busy") return { view: "waiting", icon: "pause", working: true, from: words.waiting };
  switch (name) {
    case "live":
      break;
    case "unknown":
      if (reason !== "needs_click") return { view: "looking", icon: "device", working: true, from: words.looking };
      return { view: "invite", icon: "device", from: words.invite, actions: [{ id: "connect", label: words.invite.action }] };
    case "waking":
      return { view: "waking", icon: "power", working: true, from: words.waking[reason] };
    case "asking":
      return { view: "asking", icon: "browser", from: words.asking, ...guide(browser, "ask", words) };
    case "absent":
      return absent(reason, words, open(words.absent.action), person, retry);
    case "blocked":
      return { view: "blocked", icon: "blocked", actions: unblocking(state, retry, words), ...blocked(reason, browser, words) };
    case "incompatible":
      return { view: "incompatible", icon: "alert", from: words[reason] ?? words.incompatible, actions: [retry] };
    default: // probing, found
      return { view: "looking", icon: "device", working: true, from: words.looking };
  }

  if (presence?.presence === "signed_out") {
    return { view: "signed-out", icon: "person", from: words.signed_out, actions: open(words.signed_out.action) };
  }
  if (!person) {
    return reason === "unverified"
      ? { view: "unverified", icon: "alert", from: words.unverified, actions: [retry] }
      : { view: "looking", icon: "device", working: true, from: words.verifying };
  }
  if (presence?.presence === "locked") {
    return { view: "locked", person, badge: "lock", from: words.locked };
  }
  if (code) {
    return { view: "consent", digits: code, digitsLabel: words.consent.label, from: bridged ? words.consent.bridged : words.consent, actions: [cancel] };
  }
  const here = bridged ? words.person.bridged : words.person.text;
  const named = { title: "{name}", text: presence?.presence === "away" ? words.person.away : here };
  const badge = presence?.presence === "away" ? "away" : "here";
  if (busy) {
    return { view: "signing", person, badge, working: true, from: { ...named, text: words.signing.text }, actions: redeeming ? [] : [cancel] };
  }
  const login = { id: "login", label: words.person.action };
  if (error) {
    return { view: "refused", person, badge, notice: words.errors[error] ?? words.errors.unavailable, from: named, actions: [{ ...login, label: error === "switched" ? login.label : words.retry }] };
  }
  return { view: "person", person, badge, from: named, actions: [login] };
}

/** What a person can do about it in the browser's own windows. */
const GUIDES = { denied: "again", dismissed: "ask" };

function blocked(reason, browser, words) {
  const from = words.blocked[reason] ?? words.blocked.denied;
  const steps = guide(browser, GUIDES[reason], words);
  // The sentence without steps says in short what the steps say.
  return { from: steps.guide && from.guided ? { ...from, text: from.guided } : from, ...steps };
}

/** The steps, with a picture of where to click, where this browser's windows are known. */
function guide(browser, what, words) {
  const steps = words.allow[browser]?.[what];
  return steps ? { guide: { picture: `${browser}-${what}`, steps } } : {};
}

/** The browser stands between. Where the person can still allow it there, that comes first: it needs no window. */
function unblocking(state, retry, words) {
  const bridge = { id: "bridge", label: state.reason === "window_closed" ? words.bridge.again : words.bridge.action };
  if (onlyWindowHelps(state)) return [bridge];
  return windowHelps(state) ? [retry, bridge] : [retry];
}

/** Nobody answers. Where the login server names a scheme, a click can start the client; a site's own way comes first. */
function absent(reason, words, open, person, retry) {
  if (reason === "busy") return { view: "absent", icon: "pause", from: words.absent_busy, actions: [retry] };
  const wakes = reason === "asleep" || reason === "not_woken";
  const wake = person ? { id: "login", label: words.person.action } : { id: "wake", label: words.absent.action };
  if (wakes && !open.length) return { view: "absent", icon: "power", from: words[reason], actions: [wake, retry] };
  return { view: "absent", icon: "power", from: reason === "not_woken" ? words.not_woken : words.absent, actions: [...open, retry] };
}
