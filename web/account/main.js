/** "Your devices and sessions": puts the page together in a browser. */

import { browserEnvironment } from "../environment.js";
import { SessionEvents } from "../session-events.js";
import { takeError, thisPage } from "../ways.js";
import { Api, siteOf } from "./api.js";
import { replaceWith } from "./draw.js";
import { AccountPage } from "./page.js";
import { view } from "./view.js";
import { fill, wordsFor } from "./words.js";

const environment = browserEnvironment();
const lang = new URLSearchParams(location.search).get("lang") || navigator.language;
const words = wordsFor(lang);
const api = new Api(environment.fetch, new URL("../../", import.meta.url).href);
// The site's own pages share the stream by the name of its address.
const events = new SessionEvents(environment, api.events, {
  signedOut: (reason) => page.signedOut(reason),
  presence: () => {},
  changed: () => page.refresh(),
});

let place = document.createElement("main");
const status = document.createElement("p");
status.className = "unseen";
status.setAttribute("role", "status");
/** Where the link back leads, once it is known. */
let site = null;
let shown = "";

const browser = thisPage();
const page = new AccountPage(api, {
  draw,
  go: browser.go,
  address: browser.address,
  done: (what, name) => {
    status.textContent = {
      removed: fill(words.devices.removed, { device: name }),
      unlinked: fill(words.identities.unlinked, { account: name }),
    }[what] ?? words.sessions.ended;
  },
});

document.documentElement.lang = words === wordsFor("zh") ? "zh-CN" : "en";
document.title = words.title;
document.body.append(place, status);
document.addEventListener("visibilitychange", () => environment.visible() && page.refresh());
addEventListener("pagehide", () => events.leave());
addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  events.join();
  page.load();
});
const error = takeError(browser);
if (error) page.notLinked(error);
page.load();
api.origins().then((origins) => {
  site = siteOf(origins, document.referrer, location.href);
  draw(page.state);
}, () => {}); // the link back is missed, and nothing else

function draw(state) {
  const before = document.body.dataset.phase;
  document.body.dataset.phase = state.phase;
  if (state.phase === "ready") events.listen();
  if (state.phase === "none") events.stop();
  const now = Math.floor(environment.now() / 1000);
  place = replaceWith(place, view({ ...state, lang: document.documentElement.lang, now, site }), act);
  moveFocus(state, before);
}

/** What had the focus is gone where the page became another one, or a question came or went. */
function moveFocus({ phase, asking, reason }, before) {
  const asked = asking ? `${asking.what} ${asking.id}` : "";
  if (asked !== shown) {
    const [what, id] = shown.split(" ");
    const came = asked ? "question-no" : { device: `remove-${id}`, identity: `unlink-${id}` }[what] ?? "everywhere-button";
    document.getElementById(came)?.focus();
  }
  shown = asked;
  const changed = before && before !== "loading" && before !== phase;
  if (changed || (document.activeElement === document.body && before === "ready")) document.getElementById("title")?.focus();
  if (changed && phase === "none") status.textContent = words.reasons[reason] ?? "";
}

function act([name, ...values]) {
  page[name](...values);
}
