import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeIssuer, started } from "./support.js";

const tooMany = [429, { error: "too_many_requests" }, { "Retry-After": "8" }];

test("no challenge for now: the page says so, keeps the pause, and goes on by itself", async () => {
  const issuer = new FakeIssuer();
  issuer.scripted["/v1/challenge"] = [tooMany];
  const { loopkey, states, clock } = await started({ issuer });
  assert.deepEqual(loopkey.state, { name: "blocked", reason: "issuer_busy" });
  await clock.advance(11_900);
  assert.equal(issuer.count("/v1/challenge"), 1, "eight seconds and half as much again");
  await clock.advance(200);
  assert.equal(issuer.count("/v1/challenge"), 2);
  assert.equal(loopkey.person.name, "Ada Lovelace");
  assert.deepEqual(states().slice(2), ["blocked/issuer_busy", "found/handshake", "live/ready"]);
});

test("nobody says who it is for now: the same, and the proof is made anew", async () => {
  const issuer = new FakeIssuer();
  issuer.scripted["/v1/presence"] = [[429, { error: "too_many_requests" }]];
  const { loopkey, clock } = await started({ issuer });
  assert.deepEqual(loopkey.state, { name: "live", reason: "issuer_busy" });
  await clock.advance(7_400);
  assert.equal(issuer.count("/v1/presence"), 1, "five seconds where no time is named");
  await clock.advance(200);
  assert.deepEqual([loopkey.person.name, loopkey.state.reason], ["Ada Lovelace", "ready"]);
});

test("a login waits once and posts the same token: nobody is asked twice", async () => {
  const issuer = new FakeIssuer();
  const { loopkey, agent, clock } = await started({ issuer });
  issuer.scripted["/v1/login"] = [tooMany];
  const login = loopkey.login();
  await clock.advance(12_100);
  await login;
  const posted = issuer.calls.filter(([path]) => path === "/v1/login").map(([, { token }]) => token);
  assert.deepEqual([posted.length, new Set(posted).size], [2, 1]);
  assert.equal(agent.received.filter(({ type }) => type === "login").length, 1);
});

test("and says so when that was not enough, however long a pause is asked for", async () => {
  const issuer = new FakeIssuer();
  const { loopkey, clock } = await started({ issuer });
  const forever = [429, null, { "Retry-After": "86400" }];
  issuer.scripted["/v1/challenge"] = [forever, forever];
  const failed = loopkey.login().catch(({ code }) => code);
  await clock.advance(91_000);
  assert.equal(await failed, "too_many_requests");
  assert.equal(issuer.count("/v1/login"), 0);
});
