import assert from "node:assert/strict";
import { test } from "node:test";
import { isDelegated } from "../delegation.js";
import { started } from "./support.js";

const policy = (features, allowed) => ({ features: () => features, allowsFeature: (name) => allowed.includes(name) });

test("the policy: the first name that the browser knows decides, and a browser without one says nothing", () => {
  const both = ["loopback-network", "local-network-access"];
  assert.equal(isDelegated(policy(both, both)), true);
  assert.equal(isDelegated(policy(both, ["local-network-access"])), false, "a header forbids the newer name alone");
  assert.equal(isDelegated(policy(both, [])), false);
  // Chromium before 145
  assert.equal(isDelegated(policy(["local-network-access"], ["local-network-access"])), true);
  assert.equal(isDelegated(policy(["local-network-access"], [])), false);
  for (const silent of [undefined, {}, policy([], []), policy(["camera"], [])]) assert.equal(isDelegated(silent), null);
});

const frame = (more) => ({ framed: () => true, delegated: () => false, ...more });

test("a frame that was not let: one attempt all the same, then not_delegated and what the page around it has to write", async () => {
  for (const permission of ["denied", "prompt", "granted", "unsupported"]) {
    const { loopkey, dials, probes, advice, clock } = await started({ permission, agents: [], environment: frame() });
    await clock.advance(300_000);
    assert.deepEqual(loopkey.state, { name: "blocked", reason: "not_delegated" }, permission);
    assert.deepEqual([dials.length, probes.length], [2, 0], `${permission}: each port once, and no fetch`);
    assert.equal(advice.length, 1);
    assert.match(advice[0], /<iframe allow="loopback-network \*; local-network-access \*">/);
  }
});

test("an embedded browser that says so although loopback works (WebView2): the first attempt connects", async () => {
  const { loopkey, advice } = await started({ permission: "denied", environment: frame() });
  assert.deepEqual([loopkey.state.name, loopkey.person?.name, advice], ["live", "Ada Lovelace", []]);
});

test("a page alone that its own header keeps out is told of the header, and no frame", async () => {
  const { loopkey, advice } = await started({ permission: "denied", agents: [], environment: frame({ framed: () => false }) });
  assert.equal(loopkey.state.reason, "not_delegated");
  assert.match(advice[0], /Permissions-Policy/);
  assert.doesNotMatch(advice[0], /iframe/);
});

test("Firefox says denied and no more: in a stranger's frame that is the page around it, elsewhere the person", async () => {
  const silent = { delegated: () => null };
  const framed = await started({ permission: "denied", agents: [], environment: { ...silent, framed: () => true } });
  assert.deepEqual([framed.loopkey.state.reason, framed.advice.length], ["not_delegated", 1]);
  const alone = await started({ permission: "denied", agents: [], environment: silent });
  assert.deepEqual([alone.loopkey.state.reason, alone.advice.length], ["denied", 0]);
  const delegated = await started({ permission: "denied", agents: [], environment: { framed: () => true } });
  assert.equal(delegated.loopkey.state.reason, "denied", "Chromium says that it was let: so it was the person");
});

test("a permission that is taken away in a frame is told as what it is", async () => {
  const { loopkey, here } = await started({ permission: "prompt", environment: { framed: () => true, delegated: () => null } });
  here.permit("denied");
  assert.deepEqual(loopkey.state, { name: "blocked", reason: "not_delegated" });
});

test("a page of a private address needs nobody's leave", async () => {
  const { loopkey } = await started({ permission: "denied", hostname: "localhost", environment: frame() });
  assert.equal(loopkey.state.name, "live");
  const absent = await started({ permission: "denied", hostname: "localhost", agents: [], environment: frame() });
  assert.deepEqual([absent.loopkey.state.reason, absent.advice], ["not_running", []]);
});

test("a sandboxed page without an origin: nothing is tried, and the advice names the sandbox", async () => {
  const { loopkey, dials, probes, advice } = await started({ environment: { opaque: true, framed: () => true } });
  assert.deepEqual(loopkey.state, { name: "blocked", reason: "not_delegated" });
  assert.deepEqual([dials, probes], [[], []], "no agent accepts it");
  assert.match(advice[0], /allow-same-origin/);
});
