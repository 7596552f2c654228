import assert from "node:assert/strict";
import { Queue, failed, heard, test } from "./support.js";

const schema = { type: "object", properties: { document: { type: "string" } }, required: ["document"] };
const invoke = (id, name, params) => ({ id, method: "action.invoke", params: { origin: "https://app.example.com", account: "u7", name, params } });

test("an action is offered, done, replaced and taken back", async (stage) => {
  const { client, connection } = await stage.connected();
  client.action("open", schema, ({ document }, { origin, account }) => ({ opened: `${document} for ${account} at ${origin}` }));
  assert.deepEqual(await connection.called("actions.register"), { name: "open", schema });
  connection.say(invoke(1, "open", { document: "minutes" }));
  assert.deepEqual((await connection.answers.next()).result, { opened: "minutes for u7 at https://app.example.com" });
  client.action("open", {}, async () => {});
  assert.deepEqual(await connection.called("actions.register"), { name: "open", schema: {} });
  connection.say(invoke(2, "open"));
  assert.deepEqual(await connection.answers.next(), { jsonrpc: "2.0", id: 2, result: null });
  client.removeAction("open");
  client.removeAction("never there");
  assert.deepEqual(await connection.called("actions.unregister"), { name: "open" });
  for (const [id, name] of [[3, "open"], [4, "toString"], [5, "__proto__"]]) {
    connection.say(invoke(id, name));
    assert.equal((await connection.answers.next()).error.data.code, "unknown_action");
  }
  assert.ok(connection.isQuiet);
});

test("what an action throws stays in the application", async (stage) => {
  const { client, connection } = await stage.connected();
  const loop = {};
  loop.loop = loop;
  const ways = { throws: () => { throw new Error("the path is /home/ada"); }, loops: () => loop, counts: () => 1n, talks: () => "x".repeat(256 * 1024) };
  for (const [id, [name, handler]] of Object.entries(ways).entries()) {
    client.action(name, {}, handler);
    await connection.called("actions.register");
    connection.say(invoke(id, name));
    const { error } = await connection.answers.next();
    assert.deepEqual([error.code, error.data.code, /ada/.test(error.message)], [-32000, "failed", false], name);
    assert.equal((await heard(client, "fault"))[1], "action", name);
    await client.status();
    await connection.called("status");
    assert.equal(client.heard.length, 0, "told once");
  }
  connection.say({ id: 9, method: "action.invoke", params: { name: "throws" } });
  assert.equal((await connection.answers.next()).error.code, -32602);
});

test("an action that nobody waits for any more is told so", async (stage) => {
  const { client, connection } = await stage.connected();
  const started = new Queue();
  client.action("play", {}, (_, { signal }) => new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
    started.push(signal);
  }));
  connection.say(invoke(1, "play"));
  const signal = await started.next();
  connection.say({ method: "action.withdrawn", params: { id: 1 } });
  connection.say({ method: "sockets.changed", params: { origins: [] } });
  assert.deepEqual(await client.heard.next(), ["sockets", []]);
  assert.equal(signal.reason.code, "withdrawn");
  await client.status();
  assert.deepEqual([client.heard.length, connection.answers.length], [0, 0]);
});

test("what the agent has against an action is told", async (stage) => {
  const { client, connection } = await stage.connected();
  for (const code of ["taken", "bad_schema"]) {
    stage.agent.answer = () => {
      throw failed(code);
    };
    client.action("open", schema, () => {});
    await connection.called("actions.register");
    const [error, during] = await heard(client, "fault");
    assert.deepEqual([error.code, during], [code, "register"]);
  }
});

test("what is published is said once, and anew where something changed", async (stage) => {
  const { client, connection } = await stage.connected();
  client.action("player", {}, () => {});
  await connection.called("actions.register");
  const player = { playing: true };
  client.publish("player", player);
  player.playing = false;
  assert.deepEqual(await connection.called("actions.publish"), { name: "player", value: { playing: true } });
  client.publish("player");
  assert.deepEqual(await connection.called("actions.publish"), { name: "player", value: null });
  stage.agent.answer = () => {
    throw failed("too_long");
  };
  client.publish("player", "long");
  const [error, during] = await heard(client, "fault");
  assert.deepEqual([error.code, during], ["too_long", "publish"]);
  assert.ok((await connection.called("actions.publish")) && connection.isQuiet);
  client.removeAction("player");
  assert.throws(() => client.publish("player", 1), { code: "not_registered" });
});
