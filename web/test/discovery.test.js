import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_PORTS, candidatePorts, connectAtOnce, connectInTurn, probe } from "../discovery.js";
import { createLoopkey } from "../loopkey.js";
import { FakeAgent, world } from "./support.js";

const PORTS = [28970, 28971];
const never = () => new AbortController().signal;

/** Runs a promise to its end in fake time. */
async function outcome(here, promise, ms = 5_000) {
  const caught = promise.then((value) => ({ value }), (error) => ({ error }));
  await here.clock.advance(ms);
  return caught;
}

test("candidate ports: three at most, in the safe range, otherwise the protocol's", () => {
  assert.deepEqual(candidatePorts([30000, 80, 40000, "28970", 30001, 30001, 30002, 30003]), [30000, 30001, 30002]);
  assert.equal(candidatePorts([]), DEFAULT_PORTS);
  assert.equal(candidatePorts(undefined), DEFAULT_PORTS);
});

test("granted: all ports at once, literal 127.0.0.1, the subprotocol", async () => {
  const here = world({ agents: [new FakeAgent(28971)] });
  const { value } = await outcome(here, connectAtOnce(here.environment, PORTS, never()));
  assert.ok(value);
  assert.deepEqual(here.dials, ["ws://127.0.0.1:28970/v1", "ws://127.0.0.1:28971/v1"]);
});

test("[::1] is tried after 400 ms of silence, and not after a refusal", async () => {
  const here = world({ silent: (url) => url.includes("127.0.0.1") });
  const { value } = await outcome(here, connectAtOnce(here.environment, [28970], never()));
  assert.ok(value);
  assert.deepEqual(here.dials, ["ws://127.0.0.1:28970/v1", "ws://[::1]:28970/v1"]);

  const refused = world({ agents: [] });
  assert.ok((await outcome(refused, connectAtOnce(refused.environment, [28970], never()))).error);
  assert.deepEqual(refused.dials, ["ws://127.0.0.1:28970/v1"]);
});

test("[::1] is left out where the page says so, and where the probe has answered on 127.0.0.1", async () => {
  for (const how of [{ ipv6: false }, { ipv6: true }]) {
    const here = world({ silent: () => true, ...(!how.ipv6 && { noProbe: true }) });
    createLoopkey({ issuer: "https://app.example.com", environment: here.environment, ...how }).start();
    await here.clock.advance(3_000);
    assert.ok(here.dials.length && here.dials.every((url) => url.includes("127.0.0.1")), `${here.dials}`);
  }
});

test("silence everywhere ends within 1.4 seconds", async () => {
  const here = world({ silent: () => true });
  let ended = null;
  connectAtOnce(here.environment, PORTS, never()).catch(() => (ended = here.clock.time));
  const started = here.clock.time;
  await here.clock.advance(5_000);
  assert.equal(ended - started, 1_400);
});

test("a throw, an error without close, and a stranger's greeting all count as absent", async () => {
  for (const here of [
    world({ forbidden: () => true }),
    world({ agents: [], errorWithoutClose: true }),
    world({ agents: [Object.assign(new FakeAgent(), { version: undefined })] }),
  ]) {
    const { error } = await outcome(here, connectAtOnce(here.environment, [28970], never()));
    assert.ok(error instanceof AggregateError);
  }
});

test("an agent of another version is told apart", async () => {
  const here = world({ agents: [Object.assign(new FakeAgent(), { version: 2 })] });
  const { error } = await outcome(here, connectAtOnce(here.environment, PORTS, never()));
  assert.ok(error.errors.some(({ incompatible }) => incompatible));
});

test("prompt: one port at a time", async () => {
  const here = world({ agents: [new FakeAgent(28971)] });
  const going = outcome(here, connectInTurn(here.environment, PORTS, never(), () => {}), 0);
  assert.deepEqual(here.dials, ["ws://127.0.0.1:28970/v1"]);
  await here.clock.advance(10);
  assert.deepEqual(here.dials, ["ws://127.0.0.1:28970/v1", "ws://127.0.0.1:28971/v1"]);
  assert.ok((await going).value);
});

test("prompt: still connecting after 300 ms means the browser asks; it may take 60 s", async () => {
  const here = world();
  here.agent.gated = true;
  let asked = null;
  const started = here.clock.time;
  let ended = null;
  connectInTurn(here.environment, [28970], never(), () => (asked = here.clock.time)).catch(() => (ended = here.clock.time));
  await here.clock.advance(70_000);
  assert.equal(asked - started, 300);
  assert.equal(ended - started, 60_000);
});

test("an aborted round rejects with the reason and closes its sockets", async () => {
  const here = world({ silent: () => true });
  const abort = new AbortController();
  const going = outcome(here, connectAtOnce(here.environment, PORTS, abort.signal), 10);
  abort.abort(new Error("enough"));
  assert.equal((await going).error.message, "enough");
});

test("the probe names the port that answers 204, or none", async () => {
  const here = world({ agents: [new FakeAgent(28971)] });
  assert.equal(await probe(here.environment, PORTS, never()), 28971);
  here.agent.listening = false;
  assert.equal(await probe(here.environment, PORTS, never()), null);
});
