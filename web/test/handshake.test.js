import assert from "node:assert/strict";
import { test } from "node:test";
import { createLoopkey } from "../loopkey.js";
import { FakeAgent, FakeIssuer, started, world } from "./support.js";

test("a login server slower than the agent's patience: the late challenge serves the next socket", async () => {
  const issuer = new FakeIssuer();
  issuer.slow["/v1/challenge"] = [7_000];
  const { loopkey, states, agent, clock } = await started({ issuer });
  await clock.advance(6_000);
  assert.deepEqual(loopkey.state, { name: "blocked", reason: "issuer_unreachable" });
  await clock.advance(1_100);
  assert.deepEqual(states(), ["probing/page_load", "found/handshake", "blocked/issuer_unreachable", "found/handshake", "live/ready"]);
  assert.deepEqual(agent.expired, [4408]);
  assert.deepEqual(agent.received.map(({ challenge }) => challenge), ["c1"]);
});

test("a silent login server: no socket until it answers, and never `agent_lost`", async () => {
  const issuer = new FakeIssuer();
  issuer.slow["/v1/challenge"] = [60_000, 60_000, 60_000];
  const { loopkey, states, agent, dials, clock } = await started({ issuer });
  await clock.advance(60_000);
  assert.deepEqual(loopkey.state, { name: "blocked", reason: "issuer_unreachable" });
  assert.deepEqual([dials.length, agent.expired.length, issuer.challenges], [1, 1, 3]);
  await clock.advance(10_000);
  assert.deepEqual(states().slice(2), ["blocked/issuer_unreachable", "found/handshake", "live/ready"]);
  assert.deepEqual(agent.received.map(({ challenge }) => challenge), ["c4"]);
});

test("an agent that goes while the page waits for a challenge is lost; a challenge is kept for 60 s only", async () => {
  const issuer = new FakeIssuer();
  issuer.slow["/v1/challenge"] = [2_000];
  const { here, loopkey, agent, clock } = await started({ issuer });
  const [socket] = here.open;
  agent.listening = false;
  socket.drop(1006);
  await clock.advance(1_900);
  assert.equal(loopkey.state.reason, "not_running");
  await clock.advance(64_000);
  agent.listening = true;
  await clock.advance(3_000);
  assert.equal(loopkey.state.name, "live");
  assert.deepEqual(agent.received.map(({ challenge }) => challenge), ["c2"]);
});

test("an agent that hangs up before it is ready is asked less and less often", async () => {
  const { agent, clock } = await started();
  await clock.advance(60_000);
  agent.refuseOpen = 1006;
  for (const socket of agent.sockets.splice(0)) socket.drop(1006);
  await clock.advance(60_000);
  assert.ok(agent.received.length < 15, `${agent.received.length} attempts`);
});

test("1013, the agent cannot reach the login server: said so, and back with a fresh challenge", async () => {
  const { loopkey, states, agent, clock } = await started({ agents: [Object.assign(new FakeAgent(), { refuseOpen: 1013 })] });
  assert.deepEqual(loopkey.state, { name: "blocked", reason: "issuer_unreachable" });
  await clock.advance(4_000);
  assert.equal(agent.received.length, 1, "not at once");
  await clock.advance(46_000);
  assert.deepEqual([agent.received.length, loopkey.state.reason], [4, "issuer_unreachable"], "and later each time");
  agent.refuseOpen = null;
  await clock.advance(60_000);
  assert.equal(loopkey.state.name, "live");
  assert.deepEqual(agent.received.map(({ challenge }) => challenge), ["c1", "c2", "c3", "c4", "c5"]);
  assert.ok(!states().some((state) => state.includes("challenge_refused") || state.includes("busy")));
});

test("a content security policy that forbids the probe: an agent that was reached is dialled again", async () => {
  const here = world({ agents: [Object.assign(new FakeAgent(), { refuseOpen: 1013 })] });
  const { fetch } = here.environment;
  here.environment.fetch = (url, init) => (url.endsWith("/v1/probe") ? Promise.reject(new TypeError()) : fetch(url, init));
  const loopkey = createLoopkey({ issuer: "https://app.example.com", environment: here.environment });
  loopkey.start();
  await here.clock.advance(50);
  assert.equal(loopkey.state.reason, "issuer_unreachable");
  here.agent.refuseOpen = null;
  await here.clock.advance(10_000);
  assert.equal(loopkey.state.name, "live");
});

test("a content security policy that forbids the probe: ports that the issuer names are dialled all the same", async () => {
  const here = world({ agents: [new FakeAgent(30100)], issuer: Object.assign(new FakeIssuer(), { ports: [30100] }) });
  const { fetch } = here.environment;
  here.environment.fetch = (url, init) => (url.endsWith("/v1/probe") ? Promise.reject(new TypeError()) : fetch(url, init));
  const loopkey = createLoopkey({ issuer: "https://app.example.com", environment: here.environment });
  loopkey.start();
  await here.clock.advance(50);
  assert.equal(loopkey.state.name, "live");
});
