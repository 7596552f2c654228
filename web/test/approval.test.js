/** The order of a waiting browser, and the page on the phone, without a browser. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Order } from "../approval.js";
import { Api } from "../approve/api.js";
import { view } from "../approve/view.js";
import { wordsFor } from "../approve/words.js";

const ISSUER = "https://app.example/loopkey";

/** A browser and a login server; `say` is an event of the stream. */
function stage(answers = {}) {
  const calls = [];
  const streams = [];
  const states = [];
  class EventSource {
    constructor(url, options) {
      Object.assign(this, { url, options, readyState: 1, on: {}, closed: false });
      streams.push(this);
    }

    addEventListener(type, run) {
      this.on[type] = run;
    }

    close() {
      this.closed = true;
    }
  }
  const fetch = async (url, { body, credentials }) => {
    const path = url.slice(ISSUER.length);
    calls.push([path, JSON.parse(body), credentials]);
    const { status = path === "/v1/orders" ? 201 : 204, json = { code: "47" } } = (await answers[path]) ?? {};
    return { status, json: async () => json };
  };
  const order = new Order(/** @type {any} */ ({ fetch, EventSource }), ISSUER, (state) => states.push(state.phase));
  const say = (data) => streams.at(-1).on.order({ data: typeof data === "string" ? data : JSON.stringify(data) });
  return { order, calls, streams, states, say, answers };
}

/** A promise, and what fulfils it. */
const later = () => {
  let resolve = (_value) => {};
  return { promise: new Promise((done) => { resolve = done; }), resolve };
};

const settled = () => new Promise((resolve) => setImmediate(resolve));

test("from the picture to the session", async () => {
  const { order, calls, streams, states, say } = stage();
  await order.open();
  assert.deepEqual(calls, [["/v1/orders", {}, "include"]]);
  assert.equal(streams[0].url, `${ISSUER}/v1/orders/events`);
  assert.equal(streams[0].options.withCredentials, true);
  say({ state: "pending", picture: 0 });
  assert.equal(order.state.picture, `${ISSUER}/v1/orders/qr.svg?0`);
  say({ state: "pending", picture: 1 });
  assert.equal(order.state.picture, `${ISSUER}/v1/orders/qr.svg?1`);
  say({ state: "scanned" });
  assert.deepEqual([order.state.phase, order.state.code, order.state.picture], ["digits", "47", ""]);
  say({ state: "approved" });
  say({ state: "approved" });
  await settled();
  assert.deepEqual(calls.slice(1), [["/v1/orders/finish", {}, "include"]], "once");
  assert.equal(states.at(-1), "done");
  assert.ok(streams[0].closed);
});

test("an order for agents shows its digits at once and names the account to the login server alone", async () => {
  const { order, calls, say } = stage();
  await order.open("u-1815");
  say({ state: "pending" });
  assert.deepEqual(calls[0][1], { account: "u-1815" });
  assert.deepEqual([order.state.phase, order.state.code], ["digits", "47"]);
});

test("every end is said, and nothing that is not known", async () => {
  for (const [state, phase] of [["denied", "denied"], ["expired", "expired"], ["superseded", "superseded"], ["cancelled", "cancelled"], ["later", "failed"]]) {
    const { order, say, streams } = stage();
    await order.open();
    say("not JSON");
    say({ state });
    assert.equal(order.state.phase, phase);
    assert.ok(streams[0].closed);
  }
  for (const [answers, phase] of [[{ "/v1/orders": { status: 429 } }, "busy"], [{ "/v1/orders": { status: 503 } }, "failed"], [{ "/v1/orders": { json: { code: "<b>" } } }, "failed"]]) {
    const { order, streams } = stage(answers);
    await order.open();
    assert.deepEqual([order.state.phase, streams.length], [phase, 0]);
  }
  const refused = stage({ "/v1/orders/finish": { status: 401 } });
  await refused.order.open();
  refused.say({ state: "approved" });
  await settled();
  assert.equal(refused.order.state.phase, "failed");
});

test("given up, it is cancelled, and what comes late changes nothing", async () => {
  const { order, calls, streams, say } = stage();
  await order.open();
  say({ state: "pending", picture: 0 });
  order.close();
  assert.deepEqual(calls.at(-1)[0], "/v1/orders/cancel");
  say({ state: "approved" });
  await settled();
  assert.ok(streams[0].closed && !calls.some(([path]) => path === "/v1/orders/finish"));
  await order.open();
  streams[0].on.order({ data: JSON.stringify({ state: "denied" }) });
  assert.equal(order.state.phase, "opening", "the former order's end is not this one's");
});

test("the next order waits until the one before is given up: its answer takes the cookie away", async () => {
  const held = stage();
  await held.order.open();
  const { promise, resolve } = later();
  held.answers["/v1/orders/cancel"] = promise;
  held.order.close();
  const after = [held, stage()].map(({ order, calls }) => ({ before: calls.length, calls, opened: order.open() }));
  await settled();
  for (const { before, calls } of after) assert.equal(calls.length, before, "of the same panel, and of the next one");
  resolve({});
  for (const { calls, opened } of after) {
    await opened;
    assert.equal(calls.at(-1)[0], "/v1/orders");
  }
});

test("an order that is given up while it waits for that is not opened", async () => {
  const { order, calls, answers } = stage();
  await order.open();
  const { promise, resolve } = later();
  answers["/v1/orders/cancel"] = promise;
  order.close();
  const opened = order.open();
  order.close();
  resolve({});
  await opened;
  assert.deepEqual(calls.filter(([path]) => path === "/v1/orders").length, 1);
});

/** Every text of a tree. */
const texts = (tree) => (typeof tree === "string" ? [tree] : tree.slice(2).flatMap(texts));
const find = (tree, id) => (typeof tree === "string" ? null : tree[1].id === id ? tree : tree.slice(2).map((part) => find(part, id)).find(Boolean) ?? null);

const SHOWN = { order: "o", origin: "https://app.example", browser: "Firefox on Windows", place: "internet", same_network: false, name: "Ada", seconds: 60 };

test("the phone shows what it is about, and a no beside the yes", () => {
  for (const lang of ["en", "zh"]) {
    const tree = view({ phase: "ask", shown: SHOWN, busy: false, lang });
    const said = texts(tree).join("\n");
    for (const part of ["https://app.example", "Firefox on Windows", "Ada", wordsFor(lang).places.internet, wordsFor(lang).other]) assert.ok(said.includes(part), part);
    assert.equal(find(tree, "deny")[0], find(tree, "approve")[0]);
    assert.equal(find(tree, "code")[1].maxlength, "2");
    assert.equal(find(tree, "code")[1].value, undefined, "nothing is there to be confirmed");
    for (const phase of Object.keys(wordsFor(lang).ends)) {
      assert.ok(texts(view({ phase, shown: null, busy: false, lang }))[0], phase);
    }
  }
});

test("both languages say the same things", () => {
  const shape = (words) => (typeof words === "string" ? "" : Object.fromEntries(Object.entries(words).map(([name, value]) => [name, shape(value)])));
  assert.deepEqual(shape(wordsFor("zh-CN")), shape(wordsFor("en")));
});

test("what the login server refuses is a page of its own", async () => {
  const asked = async (status, error) => {
    const fetch = async () => ({ ok: status === 200, status, json: async () => ({ error }) });
    return (await new Api(/** @type {any} */ (fetch), `${ISSUER}/`).scan("x")).error;
  };
  assert.deepEqual(
    await Promise.all([asked(401, "no_session"), asked(401, "invalid_order"), asked(409, "superseded"), asked(429, "too_many_requests"), asked(503, "unavailable"), asked(403, "stronger_way_needed")]),
    ["stranger", "unknown", "superseded", "busy", "offline", "weak"],
  );
});
