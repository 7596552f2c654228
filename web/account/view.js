/**
 * What the page shows for a state, as plain data: `[tag, attributes, ...children]`. `act` is what a
 * button does. `draw.js` makes elements of it. Names are other people's text and stay text.
 */

import { shownName } from "../name.js";
import { sentence } from "../ways.js";
import { exact, said } from "./time.js";
import { fill, wordsFor } from "./words.js";

/** @param {import("./page.js").State & {lang: string, now: number, site: string | null}} state */
export function view(state) {
  const words = wordsFor(state.lang);
  const body = { loading, ready, none, failed }[state.phase](state, words);
  return ["main", { "aria-busy": String(state.phase === "loading" || state.busy) }, ...body];
}

function heading(words) {
  return [["h1", { id: "title", tabindex: "-1" }, words.title], ["p", { class: "lead" }, words.lead]];
}

function loading(_, words) {
  const blank = ["li", { class: "row blank" }, ["span", { class: "face" }], ["span", { class: "lines" }, ["span", {}], ["span", {}]]];
  return [
    ["header", { class: "top" }, ...heading(words)],
    ["p", { class: "unseen" }, words.loading],
    ["section", { class: "panel", "aria-hidden": "true" }, ["ul", {}, blank, blank, blank]],
  ];
}

function none({ reason, site, linking, lang }, words) {
  const texts = [...(linking ? [sentence(linking, lang)] : []), ...(reason in words.reasons ? [words.reasons[reason]] : []), words.none.text];
  return [notice("person", reason ? words.out : words.none.title, texts,
    site && ["a", { class: "button main", href: site }, fill(words.none.action, { site: hostOf(site) })])];
}

function failed({ trouble }, words) {
  return [notice("cloud", words.failed.title, [words.failed[trouble] ?? words.failed.other],
    ["button", { class: "button main", type: "button", id: "retry", act: ["load"] }, words.failed.action])];
}

function notice(icon, title, texts, action) {
  return ["section", { class: "notice" }, ["span", { class: "face large", icon }],
    ["h1", { id: "title", tabindex: "-1" }, title], ...texts.map((text) => ["p", {}, text]), ...(action ? [action] : [])];
}

function ready(state, words) {
  const { account, site, trouble } = state;
  const why = trouble && (words.failed[trouble] ?? words.failed.other);
  return [
    ["header", { class: "top" },
      ["div", {}, ...heading(words)],
      ["p", { class: "person" }, ["span", { class: "portrait-place", portrait: account.person }], shownName(account.person.name)]],
    ...(why ? [["p", { class: "trouble", role: "alert" }, fill(words.notDone, { why })]] : []),
    sessions(state, words),
    devices(state, words),
    ...identities(state, words),
    everywhere(state, words),
    ...(site ? [["p", { class: "foot" }, ["a", { href: site }, fill(words.back, { site: hostOf(site) })]]] : []),
  ];
}

function panel(id, { title, text }, ...content) {
  return ["section", { class: "panel", id, "aria-labelledby": `${id}-title` },
    ["div", { class: "panel-head" }, ["h2", { id: `${id}-title` }, title], ["p", {}, text]], ...content];
}

function time(at, { now, lang }, sentence, words) {
  const shown = fill(sentence, { time: said(at, now, lang, words.now) });
  return ["time", { datetime: new Date(at * 1000).toISOString(), title: exact(at, lang) }, shown];
}

/** How the person signed in. Where no device signed for it, another system did, or a browser that was signed in. */
function signedInBy({ device_name, method }, own, ways) {
  if (device_name !== null && device_name !== undefined) return fill(own.by, { device: shownName(device_name) });
  const [, connector] = /^connector:(.+)$/.exec(method) ?? [];
  const label = ways.find(({ name }) => name === connector)?.label ?? connector;
  return connector ? fill(own.elsewhere, { connector: shownName(label) }) : own.approved;
}

function sessions(state, words) {
  const { account, busy, lang } = state;
  const own = words.sessions;
  const items = [...account.sessions].sort((a, b) => Number(b.current) - Number(a.current)).map((session) => {
    const name = browserName(session.browser, own);
    const which = fill(own.endWhich, { browser: name, time: exact(session.signed_in_at, lang) });
    return ["li", { class: session.current ? "row current" : "row", id: `session-${session.id}` },
      ["span", { class: "face", icon: isPhone(session.browser) ? "phone" : "window" }],
      ["div", { class: "what" },
        ["p", { class: "name" }, name, ...(session.current ? [["span", { class: "badge" }, own.current]] : [])],
        ["p", { class: "more" }, session.current ? time(session.signed_in_at, state, own.since, words) : time(session.last_used, state, own.used, words)],
        ["p", { class: "more" }, `${signedInBy(session, own, account.ways)} · ${fill(own.at, { site: hostOf(session.origin) })}`]],
      button(`end-${session.id}`, session.current ? own.endOwn : own.end, which, ["end", session.id], busy)];
  });
  return panel("sessions", own, ["ul", {}, ...items]);
}

function devices(state, words) {
  const { account, asking, busy } = state;
  const own = words.devices;
  const items = account.devices.map((device) => {
    const name = shownName(device.name);
    const asked = asking?.what === "device" && asking.id === device.device;
    return ["li", { class: "row", id: `device-${device.device}` },
      ["span", { class: "face", icon: "device" }],
      ["div", { class: "what" },
        ["p", { class: "name" }, name, ...(device.current ? [["span", { class: "badge" }, own.current]] : [])],
        ["p", { class: "more" }, time(device.enrolled_at, state, own.since, words)]],
      ...(asked
        ? [question(own.ask, [own.ask.text, ...(device.current ? [own.ask.own] : []), own.ask.again], name, ["revoke", device.device], words, busy)]
        : [button(`remove-${device.device}`, own.remove, fill(own.removeWhich, { device: name }), ["ask", "device", device.device], busy)])];
  });
  return panel("devices", own, items.length ? ["ul", {}, ...items] : ["p", { class: "empty" }, own.none]);
}

/** Accounts elsewhere; nothing where the login server has no such thing. */
function identities(state, words) {
  const { account, asking, busy, linking, lang } = state;
  if (!account.ways.length) return [];
  const own = words.identities;
  const items = account.identities.map(({ id, name, label, connector, linked_at: at }) => {
    const where = shownName(label ?? connector);
    const who = name ? fill(own.as, { name: shownName(name) }) : "";
    const asked = asking?.what === "identity" && asking.id === id;
    return ["li", { class: "row", id: `identity-${id}` },
      ["span", { class: "face", icon: "person" }],
      ["div", { class: "what" },
        ["p", { class: "name" }, where],
        ["p", { class: "more" }, ...(who ? [`${who} · `] : []), time(at, state, own.since, words)]],
      ...(asked
        ? [question(own.ask, [own.ask.text], where, ["unlink", id], words, busy)]
        : [button(`unlink-${id}`, own.unlink, fill(own.unlinkWhich, { account: name ? `${where}, ${shownName(name)}` : where }), ["ask", "identity", id], busy)])];
  });
  const links = account.ways.map(({ name, label }) => {
    const words = fill(own.link, { account: shownName(label) });
    return button(`link-${name}`, words, words, ["link", name], busy);
  });
  return [panel("identities", own,
    ...(linking ? [["p", { class: "trouble", role: "alert" }, linking === "access_refused" ? own.refused : sentence(linking, lang)]] : []),
    items.length ? ["ul", {}, ...items] : ["p", { class: "empty" }, own.none],
    ["div", { class: "links" }, ...links])];
}

function everywhere({ asking, busy }, words) {
  const own = words.everywhere;
  const content = asking?.what === "everywhere"
    ? question(own.ask, [own.ask.text], "", ["signOutEverywhere"], words, busy)
    : ["div", { class: "single" }, ["button", { class: "button danger", type: "button", id: "everywhere-button", act: ["ask", "everywhere"], ...disabled(busy) }, own.action]];
  return panel("everywhere", own, content);
}

/** Asked once, where the button was, with the focus on what changes nothing. */
function question({ title, yes }, texts, device, act, words, busy) {
  return ["div", { class: "question", role: "group", "aria-labelledby": "question-title", "aria-describedby": "question-text" },
    ["h3", { id: "question-title" }, fill(title, { device })],
    ["div", { id: "question-text" }, ...texts.map((text) => ["p", {}, text])],
    ["div", { class: "choices" },
      ["button", { class: "button", type: "button", id: "question-no", act: ["cancel"], ...disabled(busy) }, words.cancel],
      ["button", { class: "button danger main", type: "button", id: "question-yes", act, ...disabled(busy) }, yes]]];
}

function button(id, text, label, act, busy) {
  return ["button", { class: "button", type: "button", id, "aria-label": label, act, ...disabled(busy) }, text];
}

/** Not `disabled`, which would drop the focus. */
function disabled(busy) {
  return busy ? { "aria-disabled": "true" } : {};
}

/** The login server says "Firefox on Windows". */
function browserName(label, words) {
  const [whole, browser, system] = /^(.+) on ([^ ]+)$/.exec(label ?? "") ?? [label && shownName(label)];
  return browser ? fill(words.browser, { browser: shownName(browser), system: shownName(system) }) : whole || words.unknown;
}

function isPhone(label) {
  return /(iPhone|Android|HarmonyOS)$/.test(label ?? "");
}

function hostOf(address) {
  return URL.canParse(address) ? new URL(address).host : address;
}
