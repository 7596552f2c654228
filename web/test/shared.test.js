import assert from "node:assert/strict";
import { test } from "node:test";
import { Exchange } from "../shared-worker.js";
import { browser } from "./shared-support.js";
import { record } from "./support.js";

const state = ({ loopkey }) => `${loopkey.state.name}/${loopkey.state.reason}`;
const types = (agent) => agent.received.map(({ type }) => type);

async function tabs(here, count) {
  const all = [];
  for (let each = 0; each < count; each += 1) all.push(await here.visit());
  return all;
}

test("twenty tabs, one socket: each has the state, and a person by its own proof", async () => {
  const here = browser();
  const all = await tabs(here, 20);
  assert.deepEqual([here.dials.length, here.workerDials.length, here.workers], [1, 1, 1], "the probe found it; no tab dialled itself");
  assert.equal(here.agent.sockets.length, 1);
  for (const tab of all) assert.deepEqual([state(tab), tab.loopkey.person?.name, tab.loopkey.presence.presence], ["live/ready", "Ada Lovelace", "signed_in"]);
  assert.deepEqual([...types(here.agent)], ["open", ...Array(19).fill("prove")]);
  const challenges = here.agent.received.map(({ challenge }) => challenge);
  assert.equal(new Set(challenges).size, 20, "no challenge was used for another tab");

  here.agent.push({ presence: "locked" });
  await here.clock.advance(1);
  for (const tab of all) assert.equal(tab.loopkey.presence.presence, "locked");
});

test("tabs that come together: one opens, the others wait for it", async () => {
  const here = browser();
  const all = await Promise.all(Array.from({ length: 5 }, () => here.visit({ wait: 0 })));
  await here.clock.advance(50);
  assert.equal(here.workerDials.length, 1);
  for (const tab of all) assert.equal(state(tab), "live/ready");
  assert.equal(types(here.agent).filter((type) => type === "open").length, 1);
});

test("a tab that comes late gets the newest state, and the news of the present epoch alone", async () => {
  const here = browser();
  const [first] = await tabs(here, 1);
  here.agent.push({ presence: "away", since: 9 });
  const { sockets: [socket] } = here.agent;
  socket.say({ type: "news", name: "player", value: 1 });
  socket.say({ type: "news", name: "player", value: 2 });
  await here.clock.advance(1);
  const late = await here.visit();
  assert.deepEqual(late.loopkey.presence, { presence: "away", since: 9, epoch: 1 });
  const news = ({ seen }) => seen.filter(([type]) => type === "news").map(([, { value }]) => value);
  assert.deepEqual([news(first), news(late)], [[1, 2], [2]]);
  assert.deepEqual(first.loopkey.presence, late.loopkey.presence);

  here.agent.push({ epoch: 2 });
  await here.clock.advance(1);
  assert.deepEqual(news(await here.visit()), [], "what was said of the person before");
});

test("nobody signed in: the tab that comes later knows it without a proof", async () => {
  const here = browser();
  await here.visit();
  here.agent.push({ presence: "signed_out", epoch: 2 });
  here.agent.receive = (socket, { id }) => socket.say({ type: "refused", id, code: "signed_out" });
  const late = await here.visit();
  assert.deepEqual([state(late), late.loopkey.presence.presence, late.loopkey.person], ["live/ready", "signed_out", null]);
  assert.ok(!late.ports[0].got.some((data) => JSON.stringify(data).includes("proof")), "nor is it given the first tab's");
});

test("answers and digits go to the tab that asked", async () => {
  const here = browser();
  const [one, other] = await tabs(here, 2);
  here.agent.onLogin = (socket, { id }) => socket.say({ type: "consent", id, code: "47" });
  here.agent.onAction = (socket, { id, params }) => socket.say({ type: "result", id, value: params });
  const digits = [one, other].map(({ loopkey }) => record(loopkey, "consent"));
  const login = other.loopkey.login();
  await here.clock.advance(20);
  assert.deepEqual(digits, [[], [["consent", { code: "47" }]]]);
  // Both number their own calls, from one.
  const results = await Promise.all([one, other].map(async ({ loopkey }, each) => (await Promise.all([loopkey.action("a", each), here.clock.advance(5)]))[0]));
  assert.deepEqual(results, [0, 1]);
  const { id } = here.agent.received.find(({ type }) => type === "login");
  here.agent.sockets[0].say({ type: "token", id, token: "the token" });
  await here.clock.advance(20);
  await login;
  assert.deepEqual(here.issuer.calls.filter(([path]) => path === "/v1/login").map(([, { token }]) => token), ["the token"]);
  assert.ok(!one.ports.some((port) => port.got.some((data) => JSON.stringify(data).includes("the token"))), "no other tab saw it");
  assert.deepEqual(other.manager.held, [], "the lock of the login is given back");
});

test("cancel: of a tab's own login, by the agent's number", async () => {
  const here = browser();
  const [one, other] = await tabs(here, 2);
  here.agent.onLogin = (socket, { id }) => socket.say({ type: "consent", id, code: "47" });
  const login = other.loopkey.login().catch(({ code }) => code);
  await here.clock.advance(20);
  one.loopkey.cancel();
  one.ports[0].postMessage(JSON.stringify({ type: "cancel", id: here.agent.received.find(({ type }) => type === "login").id }));
  one.ports[0].postMessage(JSON.stringify({ type: "cancel", id: 1 }));
  await here.clock.advance(5);
  assert.ok(!types(here.agent).includes("cancel"), "nobody cancels for another tab, whose first call has the same number");
  other.loopkey.cancel();
  await here.clock.advance(5);
  const asked = here.agent.received.find(({ type }) => type === "login");
  assert.deepEqual(here.agent.received.at(-1), { type: "cancel", id: asked.id });
  assert.equal(await login, "cancelled");
  assert.deepEqual(other.manager.held, []);
});

test("a login right after another one that was cancelled is no death of the tab", async () => {
  const here = browser();
  const [tab] = await tabs(here, 1);
  here.agent.onLogin = (socket, { id }) => socket.say({ type: "consent", id, code: "47" });
  const receive = here.agent.receive.bind(here.agent);
  // The agent takes its time to take the prompt away.
  here.agent.receive = (socket, message) => here.clock.setTimeout(() => receive(socket, message), message.type === "cancel" ? 200 : 0);
  const first = tab.loopkey.login().catch(({ code }) => code);
  await here.clock.advance(20);
  const second = tab.loopkey.login();
  await here.clock.advance(300);
  assert.equal(await first, "cancelled");
  assert.equal(state(tab), "live/ready");
  const { id } = here.agent.received.findLast(({ type }) => type === "login");
  here.agent.sockets[0].say({ type: "token", id, token: "the token" });
  await Promise.all([second, here.clock.advance(20)]);
  assert.deepEqual(tab.manager.held, []);
});

test("a tab that leaves takes its prompt with it; the last one takes the socket", async () => {
  const here = browser();
  const [one, other] = await tabs(here, 2);
  here.agent.onLogin = (socket, { id }) => socket.say({ type: "consent", id, code: "47" });
  one.loopkey.login().catch(() => {});
  await here.clock.advance(20);
  one.environment.window.dispatchEvent(new Event("pagehide"));
  await here.clock.advance(5);
  assert.equal(here.agent.received.at(-1).type, "cancel");
  assert.deepEqual([state(one), state(other), one.manager.held], ["unknown/paused", "live/ready", []]);
  assert.equal(here.agent.sockets.length, 1);
  other.environment.window.dispatchEvent(new Event("pagehide"));
  await here.clock.advance(5);
  assert.equal(here.agent.sockets.length, 0, "the socket is given back");

  // Out of the back/forward cache: a new socket.
  other.environment.window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
  await here.clock.advance(20);
  assert.deepEqual([state(other), here.agent.sockets.length, here.dials.length], ["live/resumed", 1, 2]);
  assert.equal(other.loopkey.person.name, "Ada Lovelace");
});

test("a tab that dies in a login, without a word: its prompt goes, and the others hear nothing of it", async () => {
  const here = browser();
  const [one, other] = await tabs(here, 2);
  here.agent.onLogin = (socket, { id }) => socket.say({ type: "consent", id, code: "47" });
  one.loopkey.login().catch(() => {});
  await here.clock.advance(20);
  assert.equal(one.manager.held.length, 1);
  one.die();
  await here.clock.advance(5);
  assert.equal(here.agent.received.at(-1).type, "cancel");
  assert.equal(state(other), "live/ready");
});

test("a lock is held during a login alone: a browser does not freeze a page that holds one", async () => {
  const here = browser();
  const [tab] = await tabs(here, 1);
  assert.deepEqual(tab.manager.held, []);
  await Promise.all([tab.loopkey.login(), here.clock.advance(50)]);
  assert.deepEqual(tab.manager.held, []);
});

/** What the agent does each thirty seconds. */
async function ping(here) {
  here.agent.sockets[0]?.say({ type: "ping" });
  await here.clock.advance(1);
}

test("the heartbeat: each tab is asked, and one answer is the socket's", async () => {
  const here = browser();
  const [one, other] = await tabs(here, 2);
  await ping(here);
  assert.equal(types(here.agent).filter((type) => type === "pong").length, 1);
  one.freeze();
  await ping(here);
  assert.equal(types(here.agent).filter((type) => type === "pong").length, 2, "the other one answers");
  other.freeze();
  await ping(here);
  assert.equal(types(here.agent).filter((type) => type === "pong").length, 2, "nobody's script: the agent hears nothing");
});

test("a frozen tab is given no token and no proof, and is closed when it goes on; awake again it has the newest state", async () => {
  const here = browser();
  const [frozen, awake] = await tabs(here, 2);
  here.agent.onLogin = (socket, { id }) => socket.say({ type: "consent", id, code: "47" });
  const login = frozen.loopkey.login().catch(({ code }) => code);
  await here.clock.advance(20);
  frozen.freeze();
  await ping(here);
  await ping(here);
  const { id } = here.agent.received.find(({ type }) => type === "login");
  here.agent.sockets[0].say({ type: "token", id, token: "the token" });
  await here.clock.advance(1);
  assert.ok(!JSON.stringify(frozen.ports.map(({ held }) => held)).includes("the token"));
  await ping(here);
  here.agent.push({ presence: "locked" });
  await here.clock.advance(1);
  assert.equal(awake.loopkey.presence.presence, "locked");
  frozen.thaw();
  assert.ok(frozen.ports[0].got.some((data) => data?.closed === 4408));
  await here.clock.advance(200);
  assert.equal(await login, "unavailable");
  assert.deepEqual([state(frozen).split("/")[0], frozen.loopkey.presence.presence], ["live", "locked"]);
  assert.equal(here.dials.length, 1, "the socket was there all the time");
});

test("a tab that missed pings is refused before the agent is asked", async () => {
  const here = browser();
  const [tab, awake] = await tabs(here, 2);
  const [port] = tab.ports;
  port.frozen = true;
  await ping(here);
  await ping(here);
  // As the script would that ran again and had not come to the pings yet.
  const before = here.agent.received.length;
  for (const type of ["login", "prove"]) port.postMessage(JSON.stringify({ type, id: 77, epoch: 1, challenge: "c" }));
  await here.clock.advance(5);
  assert.equal(here.agent.received.length, before);
  const refused = JSON.stringify({ type: "refused", id: 77, code: "unavailable" });
  assert.equal(port.held.filter((data) => data === refused).length, 2);
  assert.equal(state(awake), "live/ready");
});

test("the agent restarts: every tab is back, on one socket", async () => {
  const here = browser();
  const all = await tabs(here, 20);
  here.agent.stop();
  await here.clock.advance(5);
  for (const tab of all) assert.notEqual(tab.loopkey.state.name, "live");
  here.agent.listening = true;
  await here.clock.advance(3_000);
  for (const tab of all) assert.deepEqual([state(tab), tab.loopkey.person?.name], ["live/ready", "Ada Lovelace"]);
  assert.equal(here.agent.sockets.length, 1);
});

test("a socket that was lost is resumed for all of its tabs: nobody asks the login server again", async () => {
  const here = browser();
  const all = await tabs(here, 5);
  const proofs = here.issuer.count("/v1/presence");
  here.agent.sockets.splice(0).forEach((socket) => socket.drop(4408));
  await here.clock.advance(3_000);
  for (const tab of all) assert.deepEqual([state(tab), tab.loopkey.person.name], ["live/resumed", "Ada Lovelace"]);
  assert.equal(here.issuer.count("/v1/presence"), proofs);
  // A switch meanwhile: nobody takes the old person for the new one.
  here.agent.push({ epoch: 2 });
  await here.clock.advance(20);
  assert.equal(here.issuer.count("/v1/presence"), proofs + 5);
  const late = await here.visit();
  assert.equal(state(late), "live/ready");
});

test("the worker dies: every tab notices, and another worker has the socket", async () => {
  const here = browser();
  const all = await tabs(here, 5);
  here.killWorker();
  await here.clock.advance(1_000);
  for (const tab of all) assert.deepEqual([state(tab), tab.loopkey.person.name], ["live/resumed", "Ada Lovelace"]);
  assert.deepEqual([here.workers, here.workerDials.length, here.dials.length, here.agent.sockets.length], [2, 2, 2, 1]);

  // And dies again: from now on each has a socket of its own, for a while.
  here.killWorker();
  await here.clock.advance(1_000);
  for (const tab of all) assert.equal(tab.loopkey.state.name, "live");
  assert.deepEqual([here.workers, here.agent.sockets.length], [2, 5]);
  await here.clock.advance(60_000);
  here.agent.stop();
  here.agent.listening = true;
  await here.clock.advance(10_000);
  for (const tab of all) assert.equal(tab.loopkey.state.name, "live");
  assert.deepEqual([here.workers, here.agent.sockets.length], [3, 1], "the next connection is the worker's again");
});

for (const works of ["throws", "fails", false]) {
  test(`a worker that ${works || "never answers"}: the page has a socket of its own, and does not ask each time`, async () => {
    const here = browser({ works });
    const tab = await here.visit({ wait: 2_100 });
    assert.deepEqual([state(tab), here.agent.sockets.length, here.workerDials.length], ["live/ready", 1, 0]);
    here.agent.sockets.splice(0)[0].drop(4408);
    await here.clock.advance(3_000);
    assert.equal(tab.loopkey.state.name, "live");
    assert.equal(tab.ports.length, works === "throws" ? 0 : 1);
  });
}

test("a worker that the browser lets nowhere: the page dials itself", async () => {
  const here = browser({ workerIsBlocked: true });
  const tab = await here.visit();
  assert.deepEqual([state(tab), here.workerDials.length, here.dials.length], ["live/ready", 1, 2]);
});

test("where the browser may ask, the page's own socket comes first and the worker takes over at the hello", async () => {
  const here = browser({ permission: "prompt" });
  const tab = await here.visit();
  assert.deepEqual([state(tab), here.dials, here.workers], ["unknown/needs_click", [], 0]);
  here.agent.gated = true;
  tab.loopkey.connect();
  await here.clock.advance(500);
  assert.deepEqual([state(tab), here.dials.length, here.workers], ["asking/permission_prompt", 1, 0], "a worker cannot ask");
  here.agent.gated = false;
  here.permit("granted");
  await here.clock.advance(50);
  assert.deepEqual([state(tab), here.workerDials.length, here.agent.sockets.length], ["live/ready", 1, 1]);

  // The same in one go, as where the person allows it at once: the first socket says hello, and no more is said on it.
  const quick = browser({ permission: "prompt" });
  const other = await quick.visit();
  other.loopkey.connect();
  await quick.clock.advance(50);
  assert.deepEqual([state(other), quick.dials.length, quick.workerDials.length], ["live/ready", 2, 1]);
  assert.deepEqual([types(quick.agent), quick.open[0].readyState], [["open"], 3], "the page's own is closed");
});

test("where the browser may ask and the worker fails, the page keeps its own socket and does not try each time", async () => {
  const here = browser({ permission: "prompt", works: "fails" });
  const tab = await here.visit();
  tab.loopkey.connect();
  await here.clock.advance(50);
  assert.deepEqual([state(tab), here.dials.length, tab.ports.length], ["live/ready", 1, 1]);
  here.agent.sockets.splice(0)[0].drop(4408);
  await here.clock.advance(3_000);
  assert.deepEqual([tab.loopkey.state.name, tab.ports.length], ["live", 1]);
});

test("a tab that comes back after a switch is not resumed, and the pass of another page is not passed on", async () => {
  const here = browser();
  here.agent.opened = "the hash of a mark";
  const [stays, goes] = await tabs(here, 2);
  assert.ok(!goes.ports[0].got.some((data) => String(data).includes("the hash")));
  goes.environment.window.dispatchEvent(new Event("pagehide"));
  await here.clock.advance(5);
  here.agent.push({ epoch: 2 });
  await here.clock.advance(5);
  goes.environment.window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
  await here.clock.advance(20);
  assert.deepEqual([state(goes), goes.loopkey.presence.epoch, state(stays)], ["live/ready", 2, "live/ready"]);
});

test("denied: the worker is not asked, since it must not be a way around", async () => {
  const here = browser({ permission: "denied" });
  here.agent.listening = false;
  await here.visit();
  assert.equal(here.workers, 0);
});

test("shared: false, a page that was opened from the client, and a browser without locks: sockets of their own", async () => {
  const here = browser();
  const plain = await here.visit({ options: { shared: false } });
  const opened = await here.visit({ environment: { fragment: () => `loopkey=${"m".repeat(43)}` } });
  const old = await here.visit({ environment: { locks: undefined } });
  for (const tab of [plain, opened, old]) assert.equal(state(tab), "live/ready");
  assert.deepEqual([here.workers, here.agent.sockets.length], [0, 3]);
});

test("a herd of tabs stays below what the agent takes on a socket", async () => {
  const here = browser();
  await here.visit();
  const at = [];
  let underWay = 0;
  const receive = here.agent.receive.bind(here.agent);
  here.agent.receive = (socket, message) => {
    if (message.type !== "prove") return receive(socket, message);
    at.push(here.clock.time);
    assert.ok((underWay += 1) <= 4, "four proofs at once");
    here.clock.setTimeout(() => {
      underWay -= 1;
      receive(socket, message);
    }, 3);
  };
  const all = await Promise.all(Array.from({ length: 100 }, () => here.visit({ wait: 0 })));
  await here.clock.advance(9_000);
  for (const tab of all) assert.equal(tab.loopkey.person?.name, "Ada Lovelace");
  const inASecond = at.map((time) => at.filter((other) => other >= time && other < time + 1_000).length);
  assert.ok(Math.max(...inASecond) <= 60, `${Math.max(...inASecond)} in a second`);
});

test("the worker dials nothing but an agent's address", () => {
  const dialled = [];
  const around = {
    WebSocket: class {
      constructor(url) {
        dialled.push(url);
      }
    },
    locks: { request: () => new Promise(() => {}) }, setTimeout, now: () => 0, name: () => "x",
  };
  const port = {};
  new Exchange(around).join(port);
  for (const dial of ["ws://evil.test:28970/v1", "wss://127.0.0.1.evil.test:1/v1", "ws://127.0.0.1:28970/other", "ws://127.0.0.1:28970/v1?x", "http://127.0.0.1:1/v1", 7, null]) {
    port.onmessage({ data: { dial } });
  }
  assert.deepEqual(dialled, []);
  port.onmessage({ data: { dial: "ws://127.0.0.1:28970/v1" } });
  assert.deepEqual(dialled, ["ws://127.0.0.1:28970/v1"]);
});
