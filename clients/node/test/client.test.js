import assert from "node:assert/strict";
import { LoopkeyClient } from "../src/client.js";
import { ERRORS } from "../src/errors.js";
import { consentRequest, failed, heard, test } from "./support.js";

test("each method is the call that it stands for", async (stage) => {
  const { client, connection } = await stage.connected();
  for (const [run, method, params, answer, result] of [
    [() => client.enrol({ issuer: "i", ticket: "t", stray: 1 }), "account.enrol", { issuer: "i", ticket: "t" }, { account: "u7", name: "Ada" }, { account: "u7", name: "Ada" }],
    [() => client.accounts(), "account.list", {}, { accounts: [{ account: "u7" }] }, [{ account: "u7" }]],
    [() => client.setPresence("away"), "presence.set", { account: "u7", presence: "away" }, { seq: 3 }, { seq: 3 }],
    [() => client.setPresence("away", { account: "u8" }), "presence.set", { account: "u8", presence: "away" }, { seq: 4 }, { seq: 4 }],
    [() => client.setProfile({ name: "Ada" }), "presence.set", { account: "u8", presence: "away", profile: { name: "Ada" } }, { seq: 4 }, { seq: 4 }],
    [() => client.signOut(), "presence.signOut", { account: "u8" }, { epoch: 1 }, { epoch: 1 }],
    [() => client.signOut({ account: "u7" }), "presence.signOut", { account: "u7" }, { epoch: 2 }, { epoch: 2 }],
    [() => client.removeAccount("u7"), "account.remove", { account: "u7" }, {}, undefined],
    [() => client.grants(), "grants.list", {}, { grants: [], origins: [] }, { grants: [], origins: [] }],
    [() => client.setGrant("https://a.example", "blocked"), "grants.set", { origin: "https://a.example", consent: "blocked" }, {}, undefined],
    [() => client.setGrant("https://a.example", "default"), "grants.set", { origin: "https://a.example", consent: "default" }, {}, undefined],
    [() => client.revoke("https://a.example"), "grants.revoke", { origin: "https://a.example" }, { revoked: true }, true],
    [() => client.revoke("https://b.example"), "grants.revoke", { origin: "https://b.example" }, { revoked: false }, false],
    [() => client.open(new URL("https://a.example/x")), "pages.open", { url: "https://a.example/x" }, {}, undefined],
    [() => client.status(), "status", {}, { port: 28970 }, { port: 28970 }],
    [() => client.doctor(), "doctor", {}, { findings: [] }, []],
  ]) {
    stage.agent.answer = () => answer;
    assert.deepEqual(await run(), result, method);
    assert.deepEqual(await connection.called(method), params);
  }
});

test("both sides call at once, and answers find their calls in any order", async (stage) => {
  const answers = [];
  const onConsent = () => new Promise((resolve) => answers.push(resolve));
  const { client, connection } = await stage.connected({ onConsent });
  stage.agent.answer = () => undefined;
  const [first, second] = [client.status(), client.status()];
  await connection.called("status");
  await connection.called("status");
  // The agent's call has the number of one of ours, and is none of ours.
  connection.say(consentRequest(2));
  connection.say({ id: 3, result: "second" });
  connection.say({ id: 2, result: "first" });
  assert.deepEqual(await Promise.all([first, second]), ["first", "second"]);
  answers[0]({ allow: true });
  assert.deepEqual((await connection.answers.next()).result, { allow: true, remember: false });
});

test("errors have a code of the closed set, and the agent's words", async (stage) => {
  const { client } = await stage.connected();
  for (const [error, code] of [
    [failed("policy"), "policy"],
    [failed("taken"), "taken"],
    [{ code: -32601, message: "there is no method" }, "unknown_method"],
    [{ code: -32602, message: "invalid params" }, "invalid_params"],
    [{ code: -32600, message: "invalid request" }, "protocol"],
    [failed("of_a_later_agent"), "internal"],
    // The library's own codes are its own.
    [failed("closed"), "internal"],
    [{ code: -32000, message: "m", data: "x" }, "internal"],
    [{ code: 7, message: "m", data: { code: ["policy"] } }, "internal"],
  ]) {
    stage.agent.answer = () => {
      throw error;
    };
    await assert.rejects(client.status(), { name: "LoopkeyError", code, message: error.message });
    assert.ok(ERRORS.includes(code));
  }
});

test("an agent that does not answer is not waited for without end", async (stage) => {
  const { client, connection } = await stage.connected({ timeout: 15_000 });
  stage.agent.answer = () => undefined;
  const call = client.status();
  await connection.called("status");
  stage.clock.advance(14_999);
  assert.equal(stage.clock.pending, 1);
  stage.clock.advance(1);
  await assert.rejects(call, { code: "timeout", message: /status within 15000 ms/ });
  // An answer that is late meets nobody, and the connection goes on.
  connection.say({ id: 2, result: {} });
  stage.agent.answer = () => ({ port: 1 });
  assert.deepEqual(await client.status(), { port: 1 });
});

test("what would not go over the wire is said at once", async (stage) => {
  const { client } = await stage.connected();
  await assert.rejects(client.setPresence("asleep"), { code: "not_a_presence" });
  await assert.rejects(client.setPresence("signed_out"), { code: "not_a_presence", message: /signOut/ });
  await assert.rejects(client.setGrant(1n, "always"), { code: "invalid_params" });
  await assert.rejects(client.open("x".repeat(256 * 1024)), { code: "invalid_params", message: /262144 bytes/ });
  assert.throws(() => new LoopkeyClient({ name: "Test" }), TypeError);
  assert.throws(() => client.action("open", {}, null), TypeError);
  assert.throws(() => client.publish("open", 1), { code: "not_registered" });
  client.action("open", {}, () => {});
  assert.throws(() => client.publish("open", 1n), { code: "invalid_params" });
});

test("sockets of pages are told as they change, and words of a later agent pass by", async (stage) => {
  const { client, connection } = await stage.connected();
  const origins = [{ origin: "https://app.example.com", sockets: 2 }];
  connection.say({ method: "weather.changed", params: { rain: true } });
  for (const wrong of ["many", null, [null], [{ origin: "https://app.example.com" }], [{ origin: 1, sockets: 1 }]]) {
    connection.say({ method: "sockets.changed", params: { origins: wrong } });
  }
  for (const params of [undefined, null, {}, { account: "u7" }, { account: 7, issuer: "i" }]) {
    for (const method of ["account.revoked", "account.signed_out"]) connection.say({ method, params });
  }
  connection.say({ method: "sockets.changed", params: { origins, later: 1 } });
  assert.deepEqual(await client.heard.next(), ["sockets", origins]);
});

test("what a listener throws is the application's, and what goes on here goes on", async (stage) => {
  const { client, connection } = await stage.connected();
  const thrown = new Promise((resolve) => process.setUncaughtExceptionCaptureCallback(resolve));
  client.once("sockets", () => {
    throw new Error("a listener's");
  });
  connection.raw(['{"jsonrpc":"2.0","method":"sockets.changed","params":{"origins":[]}}', '{"jsonrpc":"2.0","id":9,"method":"who"}', ""].join("\n"));
  assert.equal((await thrown).message, "a listener's");
  process.setUncaughtExceptionCaptureCallback(null);
  assert.equal((await connection.answers.next()).id, 9);
  assert.ok(client.connected);
});

test("another protocol is no agent of ours", async (stage) => {
  await stage.agent.listen();
  for (const hello of [{ agent: "9", protocol: "loopkey.2" }, null, "loopkey.1"]) {
    stage.agent.answer = () => hello;
    const client = stage.client();
    await assert.rejects(client.connect(), { code: "protocol", message: /loopkey\.1/ });
    assert.equal((await heard(client, "fault"))[1], "connect");
    await (await stage.agent.connections.next()).ended;
  }
});

test("an enrolment's answer out of form is none", async (stage) => {
  const { client } = await stage.connected();
  for (const [call, answer] of [["enrol", {}], ["accounts", { accounts: "u7" }], ["grants", null], ["doctor", []]]) {
    stage.agent.answer = () => answer;
    await assert.rejects(client[call]({}), { code: "protocol", message: /out of form/ }, call);
  }
});
