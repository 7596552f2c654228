/** A browser that refuses plain sockets from an https page, as WebKit does: the ports where agents speak TLS. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { securePorts } from "../discovery.js";
import { FakeAgent, FakeIssuer, started } from "./support.js";

const issuer = (wssPorts) => Object.assign(new FakeIssuer(), { scheme: "loopkey", wssPorts });
/** An `error` event without a `close`, and no request at all. */
const mixed = (url) => /^(ws|http):/.test(url);
const secured = (here) => here.dials.filter((url) => url.startsWith("wss:"));

test("plain sockets are refused as such, and the issuer names a port with TLS: the agent is found there", async () => {
  const { here, loopkey } = await started({ permission: "unsupported", mixed, issuer: issuer([28972]), agents: [new FakeAgent(28972)] });
  await here.clock.advance(3_000);
  assert.equal(loopkey.state.name, "live");
  assert.deepEqual(here.dials, ["ws://127.0.0.1:28970/v1", "ws://127.0.0.1:28971/v1", "wss://127.0.0.1:28972/v1"]);
});

test("an agent that starts later is found by a probe over TLS", async () => {
  const agent = Object.assign(new FakeAgent(28972), { listening: false });
  const { here, loopkey } = await started({ permission: "unsupported", mixed, issuer: issuer([28972]), agents: [agent] });
  await here.clock.advance(10_000);
  assert.equal(loopkey.state.name, "absent");
  assert.ok(here.probes.includes(28972));
  agent.listening = true;
  await here.clock.advance(3_000);
  assert.equal(loopkey.state.name, "live");
  assert.ok(secured(here).every((url) => !url.includes("localhost")));
});

test("nothing is dialled over TLS where the issuer names no port, or where plain sockets are not refused as such", async () => {
  for (const options of [
    { mixed, issuer: issuer(undefined), agents: [new FakeAgent(28972)] },
    { issuer: issuer([28972]), agents: [] },
    { issuer: issuer([28972]), agents: [new FakeAgent(28970), new FakeAgent(28972)] },
  ]) {
    const { here } = await started({ permission: "unsupported", ...options });
    await here.clock.advance(10_000);
    assert.deepEqual(secured(here), []);
  }
});

test("ports with TLS: three at most, in the safe range, and none by default", () => {
  assert.deepEqual(securePorts([28972, 80, "28973", 28974, 28975, 28976]), [28972, 28974, 28975]);
  for (const none of [undefined, null, [], "28972", [80], {}]) assert.deepEqual(securePorts(none), []);
});
