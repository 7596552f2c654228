/** The page that a scanned code opens: asks what it is about, and says what the person decides. */

import { made } from "../account/draw.js";
import { Api } from "./api.js";
import { view } from "./view.js";
import { wordsFor } from "./words.js";

/** Nothing counts for so long after it is drawn: whoever is tapping just then meant something else. */
const DEAD_TIME = 500;

const lang = new URLSearchParams(location.search).get("lang") || navigator.language;
const words = wordsFor(lang);
const api = new Api((address, options) => fetch(address, options), new URL("../../", import.meta.url).href);

let state = { phase: "loading", shown: null, busy: false, lang };
let place = document.createElement("main");
let countsFrom = 0;

document.documentElement.lang = words === wordsFor("zh") ? "zh-CN" : "en";
document.title = words.title;
document.body.append(place);
addEventListener("hashchange", begin);
begin();

async function begin() {
  const code = location.hash.slice(1);
  set({ phase: "loading", shown: null, busy: false });
  const shown = await api.scan(code);
  if (shown.error) return set({ phase: shown.error });
  countsFrom = performance.now() + DEAD_TIME;
  set({ phase: "ask", shown });
  // An order that nobody decides is over.
  setTimeout(() => state.shown === shown && state.phase === "ask" && !state.busy && set({ phase: "unknown" }), Math.min(shown.seconds, 120) * 1000);
}

async function decide(decision, code) {
  if (state.busy || performance.now() < countsFrom) return;
  const { order } = state.shown;
  state = { ...state, busy: true };
  for (const control of document.querySelectorAll("button, input")) control.setAttribute("disabled", "");
  const answer = await api.decide(order, decision, code);
  set({ phase: answer.error ?? answer.state, busy: false });
}

function set(change) {
  state = { ...state, ...change };
  document.body.dataset.phase = state.phase;
  const node = made(view(state), () => decide("deny", "00"));
  place.replaceWith(node);
  place = /** @type {HTMLElement} */ (node);
  document.getElementById("form")?.addEventListener("submit", (event) => {
    event.preventDefault();
    const field = /** @type {HTMLInputElement} */ (document.getElementById("code"));
    if (/^[0-9]{2}$/.test(field.value)) decide("approve", field.value);
  });
  document.getElementById(state.phase === "ask" ? "code" : "title")?.focus();
}
