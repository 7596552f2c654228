/** Another program on the agent's first port, and the agent on the second: the page ends up with the agent. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeAgent, FakeIssuer, started } from "./support.js";

const [FIRST, SECOND] = [28970, 28971];
const MALLORY = { subject: "s-mallory", name: "Mallory", avatar: null };

/** A login server that knows one device's proofs only. */
class Strict extends FakeIssuer {
  answer(path, body) {
    if (path === "/v1/presence" && !body.proof.startsWith("proof of ")) {
      this.calls.push([path, body]);
      return [401, { error: "invalid_proof" }];
    }
    return super.answer(path, body);
  }
}

/** Says whatever it likes after `hello`. */
class Impostor extends FakeAgent {
  seen = [];
  constructor(port, answers = {}) {
    super(port);
    this.answers = answers;
  }
  receive(socket, message) {
    this.seen.push(message);
    this.sockets.push(socket);
    socket.opened = true;
    const answer = this.answers[message.type];
    if (typeof answer === "number") return socket.drop(answer);
    if (answer) socket.say({ id: message.id, ...answer });
  }
}

const ready = (more) => ({
  type: "ready", seq: 1, grants: ["presence", "login"], resume: "t", resumed: false,
  state: { presence: "signed_in", since: 1, epoch: 7, name: "Ada Lovelace" }, name: "Ada Lovelace", account: MALLORY, ...more,
});
const rubbish = { type: "proof", proof: "rubbish" };

const LIES = {
  "a proof of its own": { open: ready({ proof: "mallory's" }), prove: { type: "proof", proof: "mallory's" } },
  "no proof": { open: ready({}), prove: rubbish },
  "a refusal to prove": { open: ready({}), prove: { type: "refused", code: "unavailable" } },
  "silence when a proof is asked for": { open: ready({}) },
  "nobody signed in": { open: ready({ state: { presence: "signed_out", since: 1, epoch: 7 } }) },
  "locked": { open: ready({ state: { presence: "locked", since: 1, epoch: 7 }, proof: "x" }), prove: rubbish },
  "a resumed socket that never was": { open: ready({ resumed: true }), prove: rubbish },
  "nothing after hello": {},
  "withdrawn": { open: 4403 },
  "a refused challenge": { open: 4401 },
  "busy": { open: 4429 },
  "try later": { open: 1013 },
  "a broken protocol": { open: 4400 },
  "gone at once": { open: 1006 },
};

for (const [name, answers] of Object.entries(LIES)) {
  test(`a14: an impostor on the first port (${name}) does not keep the page from the agent`, async () => {
    const impostor = new Impostor(FIRST, answers);
    const { loopkey, clock } = await started({ agents: [impostor, new FakeAgent(SECOND)], issuer: new Strict() });
    const names = [];
    loopkey.addEventListener("person", ({ detail }) => detail && names.push(detail.name));
    await clock.advance(30_000);
    assert.ok(impostor.seen.length, "the page spoke to the impostor first");
    assert.deepEqual(loopkey.state, { name: "live", reason: "ready" });
    assert.equal(loopkey.person?.name, "Ada Lovelace");
    assert.ok(names.every((each) => each === "Ada Lovelace"), `only the login server's name: ${names}`);
    await clock.advance(120_000);
    assert.equal(loopkey.state.name, "live", "and stays there");
    await loopkey.login();
    assert.ok(!impostor.seen.some(({ type }) => type === "login"), "nothing is asked of the impostor");
  });
}

test("a14: a program that answers the probe and gives no socket is passed over", async () => {
  const mute = new FakeAgent(FIRST);
  const { loopkey, clock } = await started({
    agents: [mute, new FakeAgent(SECOND)], silent: (url) => url.includes(`:${FIRST}/`),
  });
  await clock.advance(10_000);
  assert.equal(loopkey.person?.name, "Ada Lovelace");
});

test("a14: without the probe the other port is tried by a socket", async () => {
  const { loopkey, clock } = await started({
    agents: [new Impostor(FIRST, LIES["a proof of its own"]), new FakeAgent(SECOND)], issuer: new Strict(), noProbe: true,
  });
  await clock.advance(1_000);
  assert.equal(loopkey.person?.name, "Ada Lovelace");
});

test("a14: an impostor alone is never more than unverified, and the agent is found when it comes", async () => {
  const agent = Object.assign(new FakeAgent(SECOND), { listening: false });
  const { loopkey, clock } = await started({
    agents: [new Impostor(FIRST, LIES["a proof of its own"]), agent], issuer: new Strict(),
  });
  await clock.advance(1_000);
  assert.deepEqual([loopkey.state.reason, loopkey.person], ["unverified", null]);
  agent.listening = true;
  await clock.advance(25_000);
  assert.equal(loopkey.person?.name, "Ada Lovelace");
});

test("a14: two impostors, and the agent on the third port", async () => {
  const lies = LIES["a proof of its own"];
  const { loopkey, clock } = await started({
    agents: [new Impostor(FIRST, lies), new Impostor(SECOND, lies), new FakeAgent(28972)],
    issuer: Object.assign(new Strict(), { ports: [FIRST, SECOND, 28972] }),
  }, { ports: [FIRST, SECOND, 28972] });
  await clock.advance(5_000);
  assert.equal(loopkey.person?.name, "Ada Lovelace");
});

test("i159: the port is taken by an impostor after the agent died, and the agent returns on the other one", async () => {
  const agent = new FakeAgent(FIRST);
  const { loopkey, here, clock, agents } = await started({ agents: [agent, new FakeAgent(SECOND)], issuer: new Strict() });
  agents[1].listening = false;
  assert.equal(loopkey.person.name, "Ada Lovelace");
  // It takes the ticket for granted, and with it the person that the page knows.
  const impostor = new Impostor(FIRST, {
    open: ready({ resumed: true, state: { presence: "signed_in", since: 5, epoch: 1 } }),
    prove: rubbish, login: { type: "token", token: "rubbish" },
  });
  agents[0] = impostor;
  agent.stop(1006);
  await clock.advance(5_000);
  assert.equal(impostor.seen.length > 0, true);
  agents[1].listening = true;
  here.issuer.scripted["/v1/login"] = [[401, { error: "invalid_token" }]];
  await assert.rejects(loopkey.login(), { code: "invalid_token" });
  await clock.advance(1_000);
  assert.equal(loopkey.person?.name, "Ada Lovelace");
  await loopkey.login();
  assert.ok(agents[1].received.some(({ type }) => type === "login"), "the token is the agent's");
});

test("one agent alone, with nobody signed in: one look at the other port, and one each 20 seconds", async () => {
  const agent = Object.assign(new FakeAgent(FIRST), { enrolled: false });
  agent.state = { presence: "signed_out", since: 5, epoch: 1 };
  const { loopkey, clock, probes, dials } = await started({ agents: [agent] });
  assert.equal(loopkey.presence.presence, "signed_out");
  const before = probes.length;
  await clock.advance(60_000);
  assert.ok(probes.length - before <= 4, `${probes.length - before}`);
  assert.equal(dials.length, 1, "and no socket");
  agent.enrolled = true;
  agent.push({ presence: "signed_in", epoch: 2 });
  await clock.advance(100);
  assert.equal(loopkey.person.name, "Ada Lovelace");
  const proven = probes.length;
  await clock.advance(120_000);
  assert.equal(probes.length, proven, "none once the person is known");
});
