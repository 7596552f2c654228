import assert from "node:assert/strict";
import { test } from "node:test";
import { createLoopkey } from "../loopkey.js";
import { record, world } from "./support.js";

const SESSION = { subject: "s-ada", account: "ada", name: "Ada Lovelace", avatar: null, signed_in_at: 1 };

async function signedIn(options) {
  const here = world(options);
  here.issuer.session = SESSION;
  const loopkey = createLoopkey({ issuer: "https://app.example.com", environment: here.environment });
  const seen = record(loopkey, "session");
  loopkey.start();
  await here.clock.advance(50);
  return Object.assign(here, { loopkey, reasons: () => seen.map(([, { session, reason }]) => `${session ? "in" : "out"}/${reason}`) });
}

/** Events may have passed while the stream was down, so that the page asks. */
function reopened(stream) {
  stream.onopen();
  stream.onopen();
}

test("the first look is reported either way", async () => {
  assert.deepEqual((await signedIn()).reasons(), ["in/checked"]);
  const here = world();
  const loopkey = createLoopkey({ issuer: "https://app.example.com", environment: here.environment });
  const seen = record(loopkey, "session");
  loopkey.start();
  await here.clock.advance(50);
  assert.deepEqual(seen, [["session", { session: null, reason: "checked" }]]);
  assert.equal(here.streams.length, 0);
});

test("the server's event ends the session at once; an unknown reason is `ended`", async () => {
  const { loopkey, streams, reasons, clock } = await signedIn();
  streams[0].tell("signed_out", { reason: "revoked" });
  assert.equal(loopkey.session, null);
  assert.equal(streams[0].readyState, 2);
  assert.deepEqual(reasons(), ["in/checked", "out/revoked"]);
  await clock.advance(10_000);

  const other = await signedIn();
  other.streams[0].tell("signed_out", { reason: "meteor" });
  assert.equal(other.reasons().at(-1), "out/ended");
});

test("a log-out everywhere in another browser is named as such, whatever else is suspected", async () => {
  const { streams, agent, reasons } = await signedIn();
  agent.push({ epoch: 2 });
  streams[0].tell("signed_out", { reason: "logged_out_everywhere" });
  assert.equal(reasons().at(-1), "out/logged_out_everywhere");
});

test("the agent's news make the page ask the server at once, and again until it knows", async () => {
  const { agent, issuer, clock, reasons } = await signedIn();
  agent.push({ epoch: 2, presence: "signed_out" });
  await clock.advance(10);
  assert.deepEqual(reasons(), ["in/checked"], "the server has not heard of it yet");
  issuer.session = null;
  await clock.advance(200);
  assert.equal(reasons().at(-1), "out/signed_out");
});

test("a switch is named as such, even when the server says signed out", async () => {
  const { agent, streams, clock, reasons } = await signedIn();
  agent.push({ epoch: 2 });
  streams[0].tell("signed_out", { reason: "signed_out" });
  await clock.advance(10);
  assert.equal(reasons().at(-1), "out/switched");
});

test("a session that the agent did not make survives the doubt", async () => {
  const { agent, issuer, clock, reasons } = await signedIn();
  agent.push({ epoch: 2, presence: "signed_out" });
  await clock.advance(60_000);
  assert.deepEqual(reasons(), ["in/checked"]);
  assert.ok(issuer.count("/v1/session") <= 6);
});

test("a switch makes the page ask at once, and again until the server knows", async () => {
  const { agent, issuer, clock, reasons } = await signedIn();
  const asked = issuer.count("/v1/session");
  agent.push({ epoch: 2 });
  await clock.advance(10);
  assert.equal(issuer.count("/v1/session"), asked + 1);
  issuer.session = null;
  await clock.advance(200);
  assert.deepEqual(reasons(), ["in/checked", "out/switched"]);
});

test("a first look that answers late does not undo a login", async () => {
  for (const late of [300, 60_000]) { // answered in between, and given up after 10 s
    const here = world();
    here.issuer.slow["/v1/session"] = [late];
    const loopkey = createLoopkey({ issuer: "https://app.example.com", environment: here.environment });
    const seen = record(loopkey, "session");
    loopkey.start();
    await here.clock.advance(50);
    await loopkey.login();
    await here.clock.advance(20_000);
    assert.deepEqual(seen.map(([, { session, reason }]) => [session?.account, reason]), [["ada", "logged_in"]]);
    assert.equal(loopkey.session.account, "ada");
    assert.deepEqual(here.streams.map(({ readyState }) => readyState), [1], "events are still received");
  }
});

test("a question from before the login says nothing about the session after it", async () => {
  const { loopkey, issuer, streams, clock, reasons } = await signedIn();
  issuer.scripted["/v1/session"] = [[401, { error: "no_session" }]]; // the cookie of the replaced session
  issuer.slow["/v1/session"] = [100, 200];
  reopened(streams[0]);
  await clock.advance(1);
  await loopkey.login();
  await clock.advance(1_000);
  assert.deepEqual(reasons(), ["in/checked", "in/logged_in"]);
});

test("an answer from before the sign-out does not bring the session back", async () => {
  const { loopkey, issuer, streams, clock, reasons } = await signedIn();
  issuer.slow["/v1/session"] = [300];
  reopened(streams[0]);
  await clock.advance(1);
  await loopkey.logout();
  await clock.advance(1_000);
  assert.deepEqual(reasons(), ["in/checked", "out/logged_out"]);
  assert.equal(streams.length, 1);
});

test("the end of a replaced session does not hide the new one", async () => {
  const { loopkey, issuer, streams, clock, reasons } = await signedIn();
  issuer.slow["/v1/session"] = [300];
  await loopkey.login();
  streams[0].tell("signed_out", { reason: "ended" });
  await clock.advance(1_000);
  assert.deepEqual(reasons(), ["in/checked", "out/ended", "in/logged_in"]);
  assert.equal(loopkey.session.account, "ada");
});

test("log out here, everywhere, and when it was already over", async () => {
  const { loopkey, issuer, reasons } = await signedIn();
  await loopkey.logout();
  assert.equal(reasons().at(-1), "out/logged_out");
  issuer.scripted["/v1/logout"] = [[401, { error: "no_session" }]];
  await loopkey.logout({ everywhere: true });
  assert.deepEqual(issuer.calls.at(-1), ["/v1/logout", { everywhere: true }]);
});

test("a refused stream means asking; a session that still stands is listened to again", async () => {
  const { streams, clock, issuer, reasons } = await signedIn();
  streams[0].readyState = 2;
  streams[0].onerror();
  await clock.advance(5_000);
  assert.equal(streams.length, 2);
  assert.deepEqual(reasons(), ["in/checked"]);
  issuer.session = null;
  streams[1].readyState = 2;
  streams[1].onerror();
  await clock.advance(60_000);
  assert.equal(reasons().at(-1), "out/expired");
  assert.equal(streams.length, 2);
});

test("presence from the server counts only while no agent is connected", async () => {
  const { agent, loopkey, streams, clock } = await signedIn();
  streams[0].tell("presence", { presence: "away" });
  assert.equal(loopkey.presence.presence, "signed_in");
  agent.stop();
  await clock.advance(1_000);
  streams[0].tell("presence", { presence: "away" });
  assert.deepEqual([loopkey.presence.presence, loopkey.presence.epoch], ["away", null]);
  streams[0].tell("presence", { presence: "unknown" });
  assert.equal(loopkey.presence, null, "whoever said it is gone");
});

test("one tab listens for all of the browser", async () => {
  const channels = new Set();
  class Channel {
    constructor() {
      channels.add(this);
    }
    postMessage(data) {
      for (const other of channels) if (other !== this) other.onmessage?.({ data });
    }
    close() {
      channels.delete(this);
    }
  }
  let held = Promise.resolve();
  const locks = { request: (_, { signal }, hold) => (held = held.then(() => (signal.aborted ? undefined : hold()))) };
  const environment = { BroadcastChannel: Channel, locks };
  const one = await signedIn({ environment });
  const two = await signedIn({ environment });
  assert.deepEqual([one.streams.length, two.streams.length], [1, 0]);
  one.streams[0].tell("signed_out", { reason: "signed_out" });
  assert.deepEqual([one.loopkey.session, two.loopkey.session], [null, null]);
});
