import assert from "node:assert/strict";
import { test } from "node:test";
import { createLoopkey } from "../loopkey.js";
import { FakeAgent, FakeIssuer, started, world } from "./support.js";

test("granted: found on page load, without a click", async () => {
  const { loopkey, states, probes, dials } = await started();
  assert.deepEqual(states(), ["probing/page_load", "found/handshake", "live/ready"]);
  assert.deepEqual(probes, [28970, 28971]);
  assert.deepEqual(dials, ["ws://127.0.0.1:28970/v1"], "a socket only to the port that answered the probe");
  assert.equal(loopkey.person.name, "Ada Lovelace");
});

test("prompt: nothing is touched before the click", async () => {
  const { loopkey, states, probes, dials, clock, issuer } = await started({ permission: "prompt" });
  await clock.advance(300_000);
  assert.deepEqual(states(), ["unknown/needs_click"]);
  assert.deepEqual([probes, dials, issuer.challenges], [[], [], 0]);
  loopkey.connect();
  await clock.advance(50);
  assert.equal(loopkey.state.name, "live");
  assert.deepEqual(probes, [], "fetch would raise a prompt where a WebSocket might not");
});

test("prompt: a page on loopback or an intranet needs no permission", async () => {
  for (const hostname of ["localhost", "192.168.77.7"]) {
    assert.equal((await started({ permission: "prompt", hostname })).loopkey.state.name, "live");
  }
  const { loopkey } = await started({ permission: "prompt", hostname: "localhost" }, { local: false });
  assert.equal(loopkey.state.reason, "needs_click");
});

test("asking, then Allow: a new socket at once", async () => {
  const { loopkey, states, agent, clock, permit, dials } = await started({ permission: "prompt" });
  agent.gated = true;
  loopkey.connect();
  await clock.advance(400);
  assert.equal(loopkey.state.name, "asking");
  agent.gated = false;
  permit("granted");
  await clock.advance(50);
  assert.equal(loopkey.state.name, "live");
  assert.equal(dials.length, 2);
  assert.ok(states().includes("probing/permission_granted"));
});

test("asking, then Block, or no answer: blocked, and no further attempt", async () => {
  const denied = await started({ permission: "prompt" });
  denied.agent.gated = true;
  denied.loopkey.connect();
  await denied.clock.advance(400);
  denied.permit("denied");
  await denied.clock.advance(120_000);
  assert.deepEqual(denied.loopkey.state, { name: "blocked", reason: "denied" });
  assert.equal(denied.dials.length, 1);

  const ignored = await started({ permission: "prompt" });
  ignored.agent.gated = true;
  ignored.loopkey.connect();
  await ignored.clock.advance(600_000);
  assert.deepEqual(ignored.loopkey.state, { name: "blocked", reason: "dismissed" });
  assert.equal(ignored.dials.length, 2, "each port once");
});

test("denied: one attempt, because some embedded browsers say so although loopback works", async () => {
  assert.equal((await started({ permission: "denied" })).loopkey.state.name, "live");
  const { loopkey, dials, clock } = await started({ permission: "denied", agents: [] });
  await clock.advance(300_000);
  assert.deepEqual(loopkey.state, { name: "blocked", reason: "denied" });
  assert.equal(dials.length, 2);
  const insecure = await started({ permission: "denied", agents: [], environment: { secure: false } });
  assert.equal(insecure.loopkey.state.reason, "insecure_page");
});

test("a browser without sockets", async () => {
  assert.equal((await started({ environment: { WebSocket: undefined } })).loopkey.state.reason, "unsupported_browser");
});

test("absent: looked for by fetch while visible, found within two seconds", async () => {
  const { here, loopkey, agent, clock, dials, probes } = await started({ agents: [Object.assign(new FakeAgent(), { listening: false })] });
  assert.deepEqual(loopkey.state, { name: "absent", reason: "not_running" });
  const first = dials.length;
  await clock.advance(60_000);
  assert.equal(dials.length, first, "failing sockets are slowed down by browsers; fetches are not");
  assert.ok(probes.length > 50);

  here.show(false);
  await clock.advance(2_500);
  const hidden = probes.length;
  await clock.advance(60_000);
  assert.equal(probes.length, hidden, "a hidden page does not look");
  here.show(true);
  agent.listening = true;
  await clock.advance(1_800);
  assert.equal(loopkey.state.name, "live");
});

test("absent at ports that the issuer named: the rounds that failed are not held against an agent that answers now", async () => {
  const agent = Object.assign(new FakeAgent(30100), { listening: false });
  const issuer = Object.assign(new FakeIssuer(), { ports: [30100] });
  const { loopkey, clock, dials } = await started({ agents: [agent], issuer });
  assert.equal(loopkey.state.name, "absent");
  assert.ok(dials.some((url) => url.includes("30100")) && dials.some((url) => url.includes("28970")), "two rounds");
  agent.listening = true;
  await clock.advance(1_800);
  assert.equal(loopkey.state.name, "live");
});

test("a content security policy that forbids the probe: one round of sockets on load", async () => {
  const here = world();
  const { fetch } = here.environment;
  here.environment.fetch = (url, init) => (url.endsWith("/v1/probe") ? Promise.reject(new TypeError()) : fetch(url, init));
  const loopkey = createLoopkey({ issuer: "https://app.example.com", environment: here.environment });
  loopkey.start();
  await here.clock.advance(50);
  assert.equal(loopkey.state.name, "live");
});

test("the issuer names other ports: they are tried at once, without a visit to absent", async () => {
  const issuer = Object.assign(new FakeIssuer(), { ports: [30100] });
  const { loopkey, states } = await started({ agents: [new FakeAgent(30100)], issuer });
  assert.deepEqual(states(), ["probing/page_load", "found/handshake", "live/ready"]);
  assert.equal(loopkey.person.name, "Ada Lovelace");
});

test("a lost socket resumes with the ticket and the newest sequence number", async () => {
  const { loopkey, states, agent, clock, issuer } = await started();
  agent.push({ presence: "away" });
  await clock.advance(1);
  const challenges = issuer.challenges;
  for (const socket of agent.sockets.splice(0)) socket.drop(1006);
  await clock.advance(200);
  assert.deepEqual(states().slice(-3), ["probing/agent_lost", "found/handshake", "live/resumed"]);
  const opened = agent.received.findLast(({ type }) => type === "open");
  assert.equal(opened.seq, 2);
  assert.ok(opened.resume);
  assert.equal(issuer.challenges, challenges);
  assert.equal(loopkey.person.name, "Ada Lovelace");
});

test("a restarted agent refuses the ticket: opened anew with a challenge, without delay", async () => {
  const { loopkey, agent, clock } = await started();
  agent.stop();
  await clock.advance(5_000);
  assert.equal(loopkey.state.name, "absent");
  assert.equal(loopkey.presence, null);
  agent.listening = true;
  await clock.advance(2_300);
  assert.equal(loopkey.state.name, "live");
  assert.deepEqual(agent.received.filter(({ type }) => type === "open").map((open) => ("resume" in open ? "ticket" : "challenge")), ["challenge", "ticket", "challenge"]);
});

test("close codes: withdrawn waits for a click, busy backs off, a broken protocol says so", async () => {
  const expected = { 4403: ["blocked", "withdrawn"], 4429: ["absent", "busy"], 1013: ["blocked", "issuer_unreachable"], 4400: ["incompatible", "protocol"] };
  for (const [code, [name, reason]] of Object.entries(expected)) {
    const { loopkey, agent, clock, dials } = await started();
    for (const socket of agent.sockets.splice(0)) socket.drop(Number(code));
    await clock.advance(3_000);
    assert.deepEqual(loopkey.state, { name, reason }, code);
    const dialled = dials.length;
    await clock.advance(120_000);
    assert.equal(dials.length > dialled, code !== "4403", code);
  }
});

test("challenges refused twice: blocked", async () => {
  const { loopkey, agent, clock } = await started({ agents: [Object.assign(new FakeAgent(), { refuseOpen: 4401 })] });
  assert.deepEqual(loopkey.state, { name: "blocked", reason: "challenge_refused" });
  assert.equal(agent.received.length, 2);
  await clock.advance(10_000);
  assert.equal(agent.received.length, 2);
});

test("the login server is out of reach: said so, and tried again", async () => {
  const here = await started({ permission: "prompt" });
  here.issuer.down = true;
  here.loopkey.connect();
  await here.clock.advance(50);
  assert.deepEqual(here.loopkey.state, { name: "blocked", reason: "issuer_unreachable" });
  here.issuer.down = false;
  await here.clock.advance(30_000);
  assert.equal(here.loopkey.state.name, "live");
});

test("pagehide closes the socket, a return from the cache resumes it", async () => {
  const { loopkey, agent, clock, environment } = await started();
  environment.window.dispatchEvent(new Event("pagehide"));
  await clock.advance(1);
  assert.equal(agent.sockets.length, 0);
  assert.deepEqual(loopkey.state, { name: "unknown", reason: "paused" });
  environment.window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
  await clock.advance(50);
  assert.deepEqual(loopkey.state, { name: "live", reason: "resumed" });
  loopkey.close();
  await clock.advance(60_000);
  assert.equal(agent.sockets.length, 0);
});

test("closed before the first look: nothing starts", async () => {
  const here = world();
  const loopkey = createLoopkey({ issuer: "https://app.example.com", environment: here.environment });
  loopkey.start();
  loopkey.close();
  await here.clock.advance(10_000);
  assert.deepEqual(loopkey.state, { name: "unknown", reason: "closed" });
  assert.deepEqual([here.probes, here.dials], [[], []]);
});

test("wake: looks again after 0.5, 1, 2, 4 and 8 seconds", async () => {
  const { loopkey, agent, clock, dials } = await started({ permission: "prompt", agents: [Object.assign(new FakeAgent(), { listening: false })] });
  loopkey.wake();
  await clock.advance(3_000);
  assert.ok(dials.length >= 6);
  agent.listening = true;
  await clock.advance(1_200);
  assert.equal(loopkey.state.name, "live");
});

test("pings are answered; what is unknown or broken is ignored", async () => {
  const { loopkey, agent, clock } = await started();
  const [socket] = agent.sockets;
  socket.say({ type: "ping" });
  for (const odd of ["", "[]", "null", "{", '{"type":"later"}', '{"type":"state","seq":9,"state":{"presence":"gone","epoch":1}}']) socket.say(odd);
  await clock.advance(1);
  assert.deepEqual(agent.received.at(-1), { type: "pong" });
  assert.equal(loopkey.state.name, "live");
  assert.equal(loopkey.presence.presence, "signed_in");
});
