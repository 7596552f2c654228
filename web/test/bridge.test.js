import assert from "node:assert/strict";
import { test } from "node:test";
import { explain, onlyWindowHelps, windowHelps } from "../blocked.js";
import { cardView } from "../card-view.js";
import { createLoopkey } from "../loopkey.js";
import { FakeAgent, record, world } from "./support.js";

/** The agent's window, on the other side of two browsers' worth of rules. */
class FakeWindow {
  closed = false;
  told = [];
  focused = 0;
  #here;
  #loaded = false;

  constructor(here, address) {
    this.#here = here;
    this.#load(address);
    this.location = Object.defineProperty({ replace: (to) => this.#load(to) }, "href", {
      get: () => {
        if (this.#loaded) throw new Error("SecurityError");
        return "about:blank";
      },
    });
  }

  #load(address) {
    this.addresses = [...(this.addresses ?? []), address];
    this.origin = new URL(address).origin;
    this.#here.clock.setTimeout(() => (this.#loaded = true), 30);
  }

  postMessage(message, target) {
    this.told.push([message, target]);
    const agent = this.#here.agents.find((each) => `http://127.0.0.1:${each.port}` === target && each.listening);
    if (target !== this.origin || !agent || this.closed) return;
    const socket = (this.socket ??= { say: (data) => this.hear({ type: "relay", data }), drop: (code) => this.hear({ type: "closed", code }) });
    if (message.type === "connect" && !this.greeted) {
      this.greeted = true;
      this.#here.clock.setTimeout(() => socket.say({ type: "hello", v: agent.version, nonce: "n".repeat(43) }), 2);
    }
    if (message.type === "relay") agent.receive(socket, message.data);
    if (message.type === "close") this.closed = true;
  }

  /** A message event of the page: by default as a browser would vouch for it. */
  hear(data, { source = this, origin = this.origin } = {}) {
    this.#here.environment.window.dispatchEvent(Object.assign(new Event("message"), { source, origin, data }));
  }

  close() {
    this.closed = true;
  }

  focus() {
    this.focused += 1;
  }
}

/** A page that the browser keeps from the agent, up to the click that it waits for. */
async function kept({ permission = "denied", forbidden = () => true, opens = true, ...more } = {}) {
  const here = world({ permission, forbidden, noProbe: true, ...more });
  here.windows = [];
  here.environment.openWindow = (address) => {
    if (!opens) return null;
    here.windows.push(new FakeWindow(here, address));
    return here.windows.at(-1);
  };
  const loopkey = createLoopkey({ issuer: "https://app.example.com", environment: here.environment });
  loopkey.start();
  await here.clock.advance(3_000);
  return { here, loopkey };
}

const settled = ({ here }) => here.clock.advance(1_000);

test("denied, or forbidden by the browser: a click that asks to connect opens the window, in the click itself", async () => {
  for (const [permission, reason] of [["denied", "forbidden"], ["unsupported", "forbidden"]]) {
    const both = await kept({ permission });
    assert.deepEqual({ ...both.loopkey.state }, { name: "blocked", reason });
    both.loopkey.connect();
    assert.equal(both.here.windows.length, 1, "before anything is awaited");
    assert.deepEqual(both.here.windows[0].addresses, ["http://127.0.0.1:28970/bridge"]);
    await settled(both);
    assert.equal(both.loopkey.state.name, "live");
    assert.equal(both.loopkey.person.name, "Ada Lovelace");
    assert.ok(both.loopkey.bridged);
    await both.loopkey.login();
    await settled(both);
    assert.equal(both.loopkey.session.account, "ada");
    assert.ok(both.here.windows[0].closed, "it closes when the person is signed in");
    assert.deepEqual({ ...both.loopkey.state }, { name: "blocked", reason });
    assert.ok(!both.loopkey.bridged);
  }
});

test("an error without a close is a browser that forbids it; with one, nobody is there", async () => {
  for (const [errorWithoutClose, state] of [[true, "blocked forbidden"], [false, "absent not_running"]]) {
    const { loopkey } = await kept({ permission: "unsupported", forbidden: () => false, agents: [], errorWithoutClose });
    assert.equal(Object.values(loopkey.state).join(" "), state);
  }
});

test("every message has an exact target, and none goes out before the window has gone somewhere", async () => {
  const both = await kept();
  both.loopkey.connect();
  const [window] = both.here.windows;
  await both.here.clock.advance(10);
  assert.deepEqual(window.told, []);
  await settled(both);
  assert.ok(window.told.length > 1 && window.told.every(([, target]) => target === "http://127.0.0.1:28970"));
  assert.equal(window.told.filter(([{ type }]) => type === "connect").length, 1);
});

test("only this window with the agent's origin is heard", async () => {
  const both = await kept({ agents: [Object.assign(new FakeAgent(), { listening: false })] });
  both.loopkey.connect();
  const [window] = both.here.windows;
  await both.here.clock.advance(200);
  const hello = { type: "relay", data: { type: "hello", v: 1, nonce: "n".repeat(43) } };
  for (const from of [{ source: {} }, { origin: "http://127.0.0.1:28971" }, { origin: "https://evil.example" }, { origin: "null" }]) {
    window.hear(hello, from);
    await both.here.clock.advance(1);
    assert.equal(both.loopkey.state.name, "probing", JSON.stringify(from));
  }
  for (const data of [null, "relay", { type: "relay" }, { type: "relay", data: "{}" }, { type: "relay", data: [] }, { type: "other" }]) window.hear(data);
  await both.here.clock.advance(1);
  assert.equal(both.loopkey.state.name, "probing");
  window.hear(hello);
  await both.here.clock.advance(1);
  assert.equal(both.loopkey.state.name, "found");
});

test("nobody on the first port: the window goes on to the next, and is closed when nobody is anywhere", async () => {
  const both = await kept({ agents: [new FakeAgent(28971)] });
  both.loopkey.connect();
  await both.here.clock.advance(7_000);
  assert.deepEqual(both.here.windows[0].addresses, ["http://127.0.0.1:28970/bridge", "http://127.0.0.1:28971/bridge"]);
  assert.equal(both.loopkey.state.name, "live");

  const nobody = await kept({ agents: [] });
  nobody.loopkey.connect();
  await nobody.here.clock.advance(12_000);
  assert.deepEqual({ ...nobody.loopkey.state }, { name: "absent", reason: "not_running" });
  assert.ok(nobody.here.windows[0].closed);
});

test("a window that does not open, and one that is closed, are named; each can be opened again", async () => {
  const blocked = await kept({ opens: false });
  blocked.loopkey.connect();
  await settled(blocked);
  assert.deepEqual({ ...blocked.loopkey.state }, { name: "blocked", reason: "popup_blocked" });

  const both = await kept();
  both.loopkey.connect();
  await settled(both);
  both.here.windows[0].closed = true;
  await settled(both);
  assert.deepEqual({ ...both.loopkey.state }, { name: "blocked", reason: "window_closed" });
  assert.equal(both.loopkey.presence, null);
  // Another agent is there by then, which knows none of the tickets of the one before.
  both.here.agent.tickets.clear();
  both.loopkey.connect();
  await settled(both);
  assert.equal(both.here.windows.length, 2);
  assert.equal(both.loopkey.state.name, "live");
  // Before anybody has answered, too.
  const early = await kept({ agents: [] });
  early.loopkey.connect();
  early.here.windows[0].closed = true;
  await settled(early);
  assert.deepEqual({ ...early.loopkey.state }, { name: "blocked", reason: "window_closed" });
});

test("the agent's own endings keep their names, and a doubted window raises no prompt of the browser", async () => {
  const both = await kept();
  both.loopkey.connect();
  await settled(both);
  both.here.windows[0].hear({ type: "closed", code: 4403 });
  await settled(both);
  assert.deepEqual({ ...both.loopkey.state }, { name: "blocked", reason: "withdrawn" });

  const doubted = await kept();
  doubted.here.issuer.scripted["/v1/presence"] = Array.from({ length: 4 }, () => [401, { error: "invalid_proof" }]);
  const dials = doubted.here.dials.length;
  doubted.loopkey.connect();
  await doubted.here.clock.advance(30_000);
  assert.equal(doubted.loopkey.state.reason, "unverified");
  assert.equal(doubted.here.dials.length, dials, "no other port is dialled");
});

test("a prompt brings the window to the front, and the page leaves it when it leaves the screen", async () => {
  const both = await kept();
  both.here.agent.onLogin = (socket, { id }) => socket.say({ type: "consent", id, code: "47" });
  const seen = record(both.loopkey, "consent");
  both.loopkey.connect();
  await settled(both);
  both.loopkey.login().catch(() => {});
  await settled(both);
  assert.deepEqual(seen, [["consent", { code: "47" }]]);
  assert.equal(both.here.windows[0].focused, 1);
  both.here.environment.window.dispatchEvent(new Event("pagehide"));
  assert.ok(both.here.windows[0].closed);
});

test("why there is no connection", () => {
  const environment = (more) => ({ framed: () => false, delegated: () => null, advise() {}, secure: true, opaque: false, ...more });
  const page = { environment: environment(), local: false, permission: "unsupported", asked: false };
  const errors = (...each) => ({ errors: each });
  const why = (error, more) => Object.values(explain(error, { ...page, ...more })).join(" ");
  assert.equal(why(errors({}), {}), "absent not_running");
  assert.equal(why(errors({ forbidden: true }), {}), "blocked forbidden");
  assert.equal(why(errors({ forbidden: true }), { local: true }), "blocked forbidden", "a policy forbids it there too");
  assert.equal(why(errors({ forbidden: true }, {}), {}), "absent not_running", "one address was tried");
  assert.equal(why(errors(), {}), "absent not_running");
  assert.equal(why(errors({}), { permission: "denied" }), "blocked denied");
  assert.equal(why(errors({}), { permission: "denied", environment: environment({ secure: false }) }), "blocked insecure_page");
  assert.equal(why(errors({}), { permission: "denied", local: true }), "absent not_running");
  assert.equal(why(errors({}), { permission: "prompt", asked: true }), "blocked dismissed");
  assert.equal(why(errors({}), { permission: "prompt" }), "absent not_running");
  assert.equal(why(errors({ incompatible: true }, { forbidden: true }), {}), "incompatible version");
});

test("the card offers the window where it helps, and the browser's own question first where that may still be answered", () => {
  const shown = (reason, lang = "en") => cardView(
    { state: { name: "blocked", reason }, presence: null, person: null, session: null, busy: false, redeeming: false, bridged: false, code: null, error: null },
    { lang, app: "Harbor" });
  for (const reason of ["denied", "forbidden", "popup_blocked", "window_closed"]) {
    assert.deepEqual(shown(reason).actions.map(({ id }) => id), ["bridge"], reason);
    assert.ok(onlyWindowHelps({ name: "blocked", reason }));
  }
  assert.deepEqual(shown("dismissed").actions.map(({ id }) => id), ["retry", "bridge"]);
  assert.ok(windowHelps({ name: "blocked", reason: "dismissed" }) && !onlyWindowHelps({ name: "blocked", reason: "dismissed" }));
  for (const reason of ["insecure_page", "not_delegated", "withdrawn", "challenge_refused"]) {
    assert.deepEqual(shown(reason).actions.map(({ id }) => id), ["retry"], reason);
  }
  assert.ok(!windowHelps({ name: "absent", reason: "denied" }));
  const titles = new Set(["denied", "forbidden", "popup_blocked", "window_closed"].flatMap((reason) => [shown(reason).title, shown(reason, "zh").title]));
  assert.equal(titles.size, 8, "each in words of its own, in both languages");
});

test("a connection behind a window says what it hangs on", () => {
  const person = { name: "Ada", avatar: null };
  const shown = (more, lang) => cardView(
    { state: { name: "live", reason: "ready" }, presence: { presence: "signed_in" }, person, session: null, busy: false, redeeming: false, bridged: true, code: null, error: null, ...more },
    { lang, app: "Harbor" });
  assert.match(shown({}).text, /Keep the small window open/);
  assert.match(shown({}, "zh").text, /请保持小窗口打开/);
  assert.match(shown({ code: "47" }).text, /in Harbor or in the small window/);
  assert.doesNotMatch(shown({ bridged: false }).text, /window/);
});
