import assert from "node:assert/strict";
import { test } from "node:test";
import { DEAD_TIME, Prompt } from "../bridge/prompt.js";
import { Relay } from "../bridge/relay.js";
import { bridgeWords } from "../bridge/words.js";
import { FakeClock } from "./support.js";

const ORIGIN = "https://app.example.com";

/** The window's relay with an opener and a socket made of plain objects. */
function window() {
  const here = { told: [], said: [], states: [], asked: [], sockets: [] };
  here.opener = { postMessage: (message, target) => here.told.push([message, target]) };
  const connect = () => {
    const socket = { readyState: 1, send: (text) => here.said.push(JSON.parse(text)), close: () => (here.hungUp = true) };
    here.sockets.push(socket);
    return socket;
  };
  here.relay = new Relay(here.opener, "the key", connect, {
    state: (state, origin) => here.states.push([state, origin]),
    ask: (request) => here.asked.push(request),
    unask: (id) => here.asked.push(id),
  });
  here.page = (data, { source = here.opener, origin = ORIGIN } = {}) => here.relay.receive({ source, origin, data });
  here.agent = (message) => here.sockets[0].onmessage({ data: typeof message === "string" ? message : JSON.stringify(message) });
  return here;
}

function admitted() {
  const here = window();
  here.page({ type: "connect" });
  here.sockets[0].onopen();
  here.agent({ type: "relay", data: { type: "hello", v: 1, nonce: "n" } });
  return here;
}

test("the opener's first message settles the origin, and the browser's word for it goes to the agent with the key", () => {
  const here = window();
  here.page({ type: "relay", data: { type: "pong" } });
  here.page(null);
  here.page({ type: "connect" }, { source: {} });
  assert.equal(here.sockets.length, 0, "nothing is opened for anybody else, or for another message");
  here.page({ type: "connect", origin: "https://evil.example" });
  here.sockets[0].onopen();
  assert.deepEqual(here.said, [{ type: "bridge", key: "the key", origin: ORIGIN }]);
  here.page({ type: "connect" });
  here.page({ type: "connect" }, { origin: "https://evil.example" });
  assert.equal(here.sockets.length, 1, "once");
});

test("a window without an opener hears nobody", () => {
  const relay = new Relay(null, "k", () => assert.fail("no socket"), {});
  relay.receive({ source: null, origin: ORIGIN, data: { type: "connect" } });
});

test("nothing is said to the page before the agent has admitted its origin, and nothing of it goes to the agent", () => {
  const here = window();
  here.page({ type: "connect" });
  here.sockets[0].onopen();
  here.page({ type: "relay", data: { type: "open" } });
  assert.equal(here.said.length, 1);
  here.sockets[0].onclose({ code: 4400 });
  assert.deepEqual(here.told, []);
  assert.deepEqual(here.states.at(-1), ["refused", null]);
  here.page({ type: "relay", data: { type: "open" } });
  assert.equal(here.said.length, 1);
});

test("an agent that is gone is no refusal", () => {
  for (const code of [1001, 1006, 4408, 4429]) {
    const here = window();
    here.page({ type: "connect" });
    here.sockets[0].onclose({ code });
    assert.deepEqual([here.told, here.states.at(-1)], [[], ["gone", null]]);
  }
});

test("frames go both ways with an exact target; whatever the page says stands inside relay", () => {
  const here = admitted();
  assert.deepEqual(here.told, [[{ type: "relay", data: { type: "hello", v: 1, nonce: "n" } }, ORIGIN]]);
  here.said.length = 0;
  here.page({ type: "relay", data: { type: "consent_answer", id: 1, allow: true, remember: true }, id: 1, allow: true });
  here.page({ type: "consent_answer", id: 1, allow: true, remember: true });
  here.page({ type: "bridge", key: "k", origin: ORIGIN });
  for (const data of [null, "text", [1], 7, undefined]) here.page({ type: "relay", data });
  assert.deepEqual(here.said, [{ type: "relay", data: { type: "consent_answer", id: 1, allow: true, remember: true } }]);
  here.page({ type: "relay", data: { type: "pong" } }, { origin: "https://evil.example" });
  here.page({ type: "relay", data: { type: "pong" } }, { source: {} });
  assert.equal(here.said.length, 1);
});

test("the window says what it is: connected, asking, signing, and who it is for", () => {
  const here = admitted();
  here.agent({ type: "relay", data: { type: "ready" } });
  assert.deepEqual(here.states.at(-1), ["connected", ORIGIN]);
  here.agent({ type: "consent_request", id: 1, name: "Ada" });
  assert.deepEqual(here.asked, [{ type: "consent_request", id: 1, name: "Ada" }]);
  assert.equal(here.told.length, 2, "the page hears nothing of what is asked in the window");
  here.relay.answer(1, false, false);
  assert.deepEqual(here.said.at(-1), { type: "consent_answer", id: 1, allow: false, remember: false });
  here.agent({ type: "consent_end", id: 1 });
  assert.equal(here.asked.at(-1), 1);
  here.agent({ type: "relay", data: { type: "token" } });
  assert.deepEqual(here.states.at(-1), ["signing", ORIGIN]);
  for (const strange of ["{", "null", "[]", "7", { type: "other" }]) here.agent(strange);
  here.page({ type: "close" });
  assert.deepEqual(here.states.at(-1), ["closed", ORIGIN]);
  assert.ok(here.hungUp);
});

test("whoever closes the window tells the page", () => {
  const here = admitted();
  here.relay.leave();
  assert.deepEqual(here.told.at(-1), [{ type: "closed", code: 1001 }, ORIGIN]);
  here.relay.leave();
  assert.equal(here.told.length, 2);
  const dropped = admitted();
  dropped.sockets[0].onclose({ code: 4401 });
  assert.deepEqual(dropped.told.at(-1), [{ type: "closed", code: 4401 }, ORIGIN]);
  assert.deepEqual(dropped.states.at(-1), ["gone", ORIGIN]);
  const broken = admitted();
  broken.sockets[0].onclose({ code: 4400 });
  assert.deepEqual(broken.states.at(-1), ["gone", ORIGIN], "the site was allowed");
});

test("a prompt takes nothing in its first moment, and begins it anew when it comes into view", async () => {
  const clock = new FakeClock();
  const timers = { now: () => clock.time, setTimeout: clock.setTimeout, clearTimeout: clock.clearTimeout };
  let changes = 0;
  const prompt = new Prompt({ id: 1, expires_in: 60_000 }, timers, () => (changes += 1));
  assert.ok(DEAD_TIME > 500, "longer than the agent counts");
  assert.deepEqual(prompt.left, { share: 1, seconds: 60 });
  await clock.advance(DEAD_TIME - 1);
  assert.ok(!prompt.armed);
  prompt.disarm();
  await clock.advance(DEAD_TIME - 1);
  assert.ok(!prompt.armed, "it came into view again");
  await clock.advance(1);
  assert.ok(prompt.armed);
  prompt.disarm();
  assert.ok(!prompt.armed);
  await clock.advance(30_000);
  assert.ok(prompt.armed && changes === 5);
  assert.equal(prompt.left.seconds, 29);
  await clock.advance(60_000);
  assert.deepEqual(prompt.left, { share: 0, seconds: 0 });
  prompt.disarm();
  prompt.end();
  await clock.advance(DEAD_TIME);
  assert.ok(!prompt.armed, "a prompt that is over takes nothing");
});

test("the window has the same words in both languages", () => {
  const shape = (words) => JSON.stringify(words, (key, value) => (typeof value === "string" ? typeof value : value));
  assert.equal(shape(bridgeWords("zh-CN")), shape(bridgeWords("en")));
  assert.equal(bridgeWords("zh").lang, "zh");
  assert.equal(bridgeWords("de").lang, "en");
  assert.equal(bridgeWords(undefined).lang, "en");
});
