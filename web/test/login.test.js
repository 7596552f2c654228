import assert from "node:assert/strict";
import { test } from "node:test";
import { createLoopkey } from "../loopkey.js";
import { record, world } from "./support.js";

async function live(options) {
  const here = world(options);
  const loopkey = createLoopkey({ issuer: "https://app.example.com", environment: here.environment });
  const seen = record(loopkey, "person", "presence", "session", "consent");
  loopkey.start();
  await here.clock.advance(50);
  return Object.assign(here, { loopkey, seen });
}

const code = (promise) => promise.then(() => "204", (error) => error.code);

test("the person comes from the login server's answer to the proof", async () => {
  const { issuer, loopkey } = await live();
  assert.deepEqual(issuer.calls.find(([path]) => path === "/v1/presence")[1], { challenge: "c1", proof: "proof of c1" });
  assert.deepEqual({ ...loopkey.person }, { subject: "s-ada", name: "Ada Lovelace", avatar: null });
});

test("a refused proof is proved once more with a new challenge, then given up", async () => {
  const refused = [401, { error: "invalid_proof" }];
  const here = world();
  here.issuer.scripted["/v1/presence"] = [refused];
  const loopkey = createLoopkey({ issuer: "https://app.example.com", environment: here.environment });
  loopkey.start();
  await here.clock.advance(50);
  assert.equal(loopkey.person.name, "Ada Lovelace");
  assert.deepEqual(here.agent.received.at(-1), { type: "prove", id: 1, challenge: "c2" });

  const twice = world();
  twice.issuer.scripted["/v1/presence"] = [refused, refused];
  const other = createLoopkey({ issuer: "https://app.example.com", environment: twice.environment });
  other.start();
  await twice.clock.advance(50);
  assert.equal(other.person, null);
  assert.deepEqual(other.state, { name: "live", reason: "unverified" });
  assert.equal(await code(other.login()), "no_person");
  other.connect(); // "Try again"
  await twice.clock.advance(1);
  assert.deepEqual(other.state, { name: "live", reason: "ready" });
});

test("a new epoch drops the person at once and asks who it is now", async () => {
  const { agent, issuer, loopkey, clock, seen } = await live();
  issuer.account = { subject: "s-lin", name: "林小雨", avatar: null };
  seen.length = 0;
  agent.push({ epoch: 2 });
  assert.equal(loopkey.person, null);
  await clock.advance(1);
  assert.equal(loopkey.person.name, "林小雨");
  agent.push({ epoch: 3, presence: "signed_out" });
  await clock.advance(1);
  assert.equal(loopkey.person, null);
  assert.equal(loopkey.presence.presence, "signed_out");
});

test("an answer for an earlier epoch is not believed", async () => {
  const { agent, issuer, loopkey, clock, environment } = await live();
  const { fetch } = environment;
  let release;
  const held = new Promise((resolve) => (release = resolve));
  environment.fetch = async (url, init) => {
    const answer = await fetch(url, init);
    if (url.endsWith("/v1/presence") && issuer.count("/v1/presence") === 2) await held;
    return answer;
  };
  agent.push({ epoch: 2 });
  await clock.advance(1);
  issuer.account = { subject: "s-sam", name: "Sam Okafor", avatar: null };
  agent.push({ epoch: 3 });
  await clock.advance(1);
  release();
  await clock.advance(1);
  assert.equal(loopkey.person.name, "Sam Okafor");
});

test("login: a fresh challenge, the epoch and the subject of the card", async () => {
  const { agent, issuer, loopkey, clock, seen } = await live();
  assert.equal(await code(loopkey.login()), "204");
  assert.deepEqual(agent.received.findLast(({ type }) => type === "login"), { type: "login", id: 1, epoch: 1, challenge: "c2" });
  assert.deepEqual(issuer.calls.find(([path]) => path === "/v1/login")[1], { challenge: "c2", token: "token-1", subject: "s-ada" });
  await clock.advance(1);
  assert.equal(loopkey.session.account, "ada");
  assert.equal(seen.findLast(([type]) => type === "session")[1].reason, "logged_in");
});

test("the two digits are shown while the prompt is open, then withdrawn", async () => {
  const { agent, loopkey, clock, seen } = await live();
  agent.onLogin = (socket, { id }) => socket.say({ type: "consent", id, code: "47" });
  const going = code(loopkey.login());
  await clock.advance(1);
  assert.deepEqual(seen.filter(([type]) => type === "consent"), [["consent", { code: "47" }]]);
  agent.sockets[0].say({ type: "token", id: 1, token: "t" });
  assert.equal(await going, "204");
  assert.deepEqual(seen.filter(([type]) => type === "consent").at(-1)[1], { code: null });
});

test("each refusal of the agent is the error's code", async () => {
  for (const refusal of ["denied", "timeout", "signed_out", "locked", "switched", "busy", "unavailable", "not_granted"]) {
    const { agent, issuer, loopkey } = await live();
    agent.onLogin = (socket, { id }) => socket.say({ type: "refused", id, code: refusal });
    assert.equal(await code(loopkey.login()), refusal);
    assert.equal(issuer.count("/v1/login"), 0);
  }
});

test("stale challenge and unknown fate: started over once, with a new challenge and token", async () => {
  for (const answer of [[409, { error: "stale_challenge" }], [503, { error: "unavailable" }]]) {
    const { issuer, loopkey } = await live();
    issuer.scripted["/v1/login"] = [answer];
    assert.equal(await code(loopkey.login()), "204");
    const posted = issuer.calls.filter(([path]) => path === "/v1/login").map(([, body]) => body);
    assert.deepEqual(posted.map(({ challenge, token }) => [challenge, token]), [["c2", "token-1"], ["c3", "token-2"]]);

    const again = await live();
    again.issuer.scripted["/v1/login"] = [answer, answer];
    assert.equal(await code(again.loopkey.login()), answer[1].error);
    assert.equal(again.issuer.count("/v1/login"), 2);
  }
});

test("a token that the server refuses is not tried again", async () => {
  const { issuer, loopkey } = await live();
  issuer.scripted["/v1/login"] = [[401, { error: "invalid_token" }]];
  assert.equal(await code(loopkey.login()), "invalid_token");
  assert.equal(issuer.count("/v1/login"), 1);
});

test("cancel takes the prompt away; a second login cancels the first", async () => {
  const { agent, loopkey, clock } = await live();
  agent.onLogin = (socket, { id }) => socket.say({ type: "consent", id, code: "12" });
  const first = code(loopkey.login());
  await clock.advance(1);
  const second = code(loopkey.login());
  await clock.advance(1);
  assert.equal(await first, "cancelled");
  assert.deepEqual(agent.received.filter(({ type }) => type === "login" || type === "cancel").map(({ type, id }) => [type, id]), [["login", 1], ["cancel", 1], ["login", 2]]);
  loopkey.cancel();
  assert.equal(await second, "cancelled");
});

test("cancel ends the wait for a slow challenge at once, and nobody is asked", async () => {
  const { agent, issuer, loopkey, clock } = await live();
  issuer.slow["/v1/challenge"] = [8_000];
  const going = code(loopkey.login());
  await clock.advance(100);
  loopkey.cancel();
  const ended = await Promise.race([going, clock.advance(1).then(() => "still waiting")]);
  assert.equal(ended, "cancelled");
  await clock.advance(20_000);
  assert.ok(!agent.received.some(({ type }) => type === "login"));
  assert.deepEqual([issuer.count("/v1/login"), loopkey.session], [0, null]);
});

test("cancel is not offered while the token is redeemed, and has no effect then", async () => {
  const { issuer, loopkey, clock } = await live();
  const redeeming = record(loopkey, "redeeming");
  issuer.slow["/v1/login"] = [3_000];
  assert.equal(loopkey.redeeming, false);
  const going = code(loopkey.login());
  await clock.advance(100);
  assert.equal(loopkey.redeeming, true);
  loopkey.cancel();
  assert.equal(await code(loopkey.login()), "busy", "one token at a time");
  await clock.advance(3_000);
  assert.equal(await going, "204");
  assert.equal(loopkey.session.account, "ada");
  assert.deepEqual(redeeming.map(([, detail]) => detail), [true, false]);
});

test("a login that starts over can be cancelled again", async () => {
  const { issuer, loopkey, clock } = await live();
  issuer.scripted["/v1/login"] = [[409, { error: "stale_challenge" }]];
  issuer.slow["/v1/challenge"] = [0, 3_000];
  const going = code(loopkey.login());
  await clock.advance(100);
  assert.deepEqual([issuer.count("/v1/login"), loopkey.redeeming], [1, false]);
  loopkey.cancel();
  await clock.advance(20_000);
  assert.equal(await going, "cancelled");
  assert.deepEqual([issuer.count("/v1/login"), loopkey.session], [1, null]);
});

test("the agent goes away, stays silent, or was never there", async () => {
  const { agent, loopkey, clock } = await live();
  agent.onLogin = () => {};
  const silent = code(loopkey.login());
  await clock.advance(75_000);
  assert.equal(await silent, "timeout");
  const lost = code(loopkey.login());
  await clock.advance(1);
  agent.stop();
  assert.equal(await lost, "disconnected");
  assert.equal(await code(loopkey.login()), "not_connected");
});

test("a site's own backend gets the token in place of the login server, and may ask for another", async () => {
  const here = world();
  const { issuer, clock } = here;
  const loopkey = createLoopkey({ issuer: "https://app.example.com", redeemAt: "https://app.example.com/sign-in", environment: here.environment });
  issuer.scripted["/sign-in"] = [[401, { error: "stale_challenge" }], [200, { account: "ada" }]];
  loopkey.start();
  await clock.advance(50);
  const done = code(loopkey.login());
  await clock.advance(50);
  assert.equal(await done, "204");
  const posted = issuer.calls.filter(([path]) => path === "/sign-in").map(([, body]) => body);
  assert.deepEqual(posted.map(({ subject }) => subject), ["s-ada", "s-ada"]);
  assert.notEqual(posted[0].challenge, posted[1].challenge);
  assert.equal(issuer.count("/v1/login"), 0);
  assert.equal(loopkey.session, null);
  assert.equal(await code(loopkey.login()), "issuer_refused", "what the backend does not know is no sign-in");
});
