/** Whoever holds the socket: what it says ends in an error with a code, and costs no more than it should. */

import assert from "node:assert/strict";
import { Queue, consentRequest, heard, test } from "./support.js";

test("what is out of form ends the connection, with what waited for it, and the next one is as good as new", async (stage) => {
  const { agent, clock } = stage;
  const { client, connection } = await stage.connected();
  let open = connection;
  for (const bytes of [
    "{\n",
    "\n",
    "null\n",
    "7\n",
    "[]\n",
    '[{"jsonrpc":"2.0","id":1,"result":1}]\n',
    '{"id":2,"result":1}\n',
    '{"jsonrpc":"1.0","id":2,"result":1}\n',
    '{"jsonrpc":"2.0"}\n',
    '{"jsonrpc":"2.0","id":2}\n',
    '{"jsonrpc":"2.0","id":2,"result":1,"error":{"code":1,"message":"m"}}\n',
    '{"jsonrpc":"2.0","id":2,"error":null}\n',
    '{"jsonrpc":"2.0","id":2,"error":{"code":"1","message":"m"}}\n',
    '{"jsonrpc":"2.0","id":2,"error":{"code":1}}\n',
    '{"jsonrpc":"2.0","id":null,"method":"m"}\n',
    '{"jsonrpc":"2.0","id":{},"method":"m"}\n',
    '{"jsonrpc":"2.0","id":1.5,"method":"m"}\n',
    `{"jsonrpc":"2.0","id":"${"x".repeat(129)}","method":"m"}\n`,
    Buffer.from('{"jsonrpc":"2.0","id":2,"result":"\xff"}\n', "latin1"),
    '\ufeff{"jsonrpc":"2.0","id":2,"result":1}\n',
    "[".repeat(200_000) + "\n",
    "x".repeat(256 * 1024),
  ]) {
    const shown = String(bytes).slice(0, 80);
    agent.answer = () => undefined;
    const call = assert.rejects(client.status(), { code: "protocol" }, shown);
    await open.called("status");
    open.raw(bytes);
    await call;
    assert.equal((await heard(client, "disconnected"))[0].code, "protocol", shown);
    await open.ended;
    agent.answer = (method) => (method === "client.hello" ? { agent: "0.1.0", protocol: "loopkey.1" } : undefined);
    // One that breaks the rules is not asked in a hurry again.
    clock.advance(await clock.pauses.next());
    open = await agent.connections.next();
    await open.called("client.hello");
    await heard(client, "connected");
  }
});

test("after the end nothing is heard, not even of the same breath", async (stage) => {
  const { client, connection } = await stage.connected({ onConsent: () => assert.fail("asked") });
  connection.raw(`{"jsonrpc":"2.0","id":[],"method":"m"}\n${JSON.stringify({ jsonrpc: "2.0", ...consentRequest(1) })}\n`);
  const [event, reason] = await client.heard.next();
  assert.deepEqual([event, reason.code, client.heard.length], ["disconnected", "protocol", 0]);
});

test("a stranger that says anything but hello is no agent", async (stage) => {
  await stage.agent.listen();
  stage.agent.answer = () => undefined;
  for (const [bytes, code] of [["HTTP/1.1 400 Bad Request\r\n", "protocol"], ["\x00".repeat(300_000), "protocol"]]) {
    const client = stage.client();
    const connecting = assert.rejects(client.connect(), { code });
    (await stage.agent.connections.next()).raw(bytes);
    await connecting;
  }
  const patient = stage.client();
  const connecting = assert.rejects(patient.connect(), { code: "timeout" });
  await (await stage.agent.connections.next()).called("client.hello");
  stage.clock.advance(30_000);
  await connecting;
});

test("answers that nobody waits for, and methods that nobody knows", async (stage) => {
  const { client, connection } = await stage.connected();
  for (const id of [1, 77, -1, "1", "__proto__", null, [], {}]) connection.say({ id, result: {} });
  connection.say({ id: null, error: { code: -32700, message: "not JSON" } });
  connection.say({ method: "__proto__", params: 1 });
  for (const method of ["toString", "constructor", "account.enrol", "x".repeat(100_000)]) {
    connection.say({ id: 5, method });
    const { id, error } = await connection.answers.next();
    assert.deepEqual([id, error.code, error.message.length < 120], [5, -32601, true]);
  }
  assert.deepEqual(await client.status(), {});
  assert.equal(client.heard.length, 0, "nothing of that is for the application");
});

test("no more than so many questions at a time, and none twice under one number", async (stage) => {
  const open = new Queue();
  const onConsent = () => new Promise((resolve) => open.push(resolve));
  const { client, connection } = await stage.connected({ onConsent });
  for (let id = 0; id < 40; id += 1) {
    connection.say(consentRequest(id));
    // That the question was taken back does not make room while its dialog stands.
    connection.say({ method: "consent.withdrawn", params: { id } });
  }
  for (let id = 32; id < 40; id += 1) {
    const { id: answered, error } = await connection.answers.next();
    assert.deepEqual([answered, error.data.code], [id, "busy"]);
  }
  assert.equal(open.length, 32);
  (await open.next())({ allow: true });
  await client.status();
  connection.say(consentRequest(40));
  assert.ok(await open.next());
  connection.say(consentRequest(40));
  assert.equal((await heard(client, "disconnected"))[0].code, "protocol");
});

test("an agent that does not read is given up before it costs memory", async (stage) => {
  const { client, connection } = await stage.connected();
  connection.deaf();
  stage.agent.answer = () => undefined;
  const picture = `data:image/png;base64,${"A".repeat(90_000)}`;
  const said = [];
  for (let count = 0; count < 100; count += 1) said.push(client.setPresence("away"), client.setProfile({ avatar: picture }));
  // What it did not hear is kept for the next one.
  assert.ok((await Promise.all(said)).every((answer) => answer === null));
  const [reason] = await heard(client, "disconnected");
  assert.deepEqual([reason.code, /does not read/.test(reason.message)], ["protocol", true]);
});

test("a flood of notifications is taken in as it comes", async (stage) => {
  const { client, connection } = await stage.connected();
  const line = `${JSON.stringify({ jsonrpc: "2.0", method: "sockets.changed", params: { origins: [] } })}\n`;
  connection.raw(line.repeat(20_000));
  for (let count = 0; count < 20_000; count += 1) await heard(client, "sockets");
  assert.deepEqual(await client.status(), {});
});
