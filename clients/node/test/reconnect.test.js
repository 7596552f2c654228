import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { test as plainTest } from "node:test";
import { fullJitter } from "../src/reconnect.js";
import { failed, heard, test } from "./support.js";

const schema = { type: "object" };

plainTest("pauses are anywhere below the doubled base, and never long", () => {
  const limits = { base: 250, cap: 10_000 };
  assert.equal(fullJitter(0, 0, limits), 10);
  assert.equal(fullJitter(0.999, 0, limits), 250);
  assert.equal(fullJitter(0.5, 3, limits), 1_000);
  assert.equal(fullJitter(0.999, 5_000, limits), 9_990);
});

test("start waits for an agent, with pauses that grow", async (stage) => {
  const { agent, clock } = stage;
  const client = stage.client();
  client.start();
  for (const pause of [125, 250, 500]) {
    assert.equal(await clock.pauses.next(), pause);
    clock.advance(pause);
  }
  assert.equal(await clock.pauses.next(), 1_000);
  assert.equal(client.connected, false);
  await agent.listen();
  clock.advance(1_000);
  // That no agent was there is nothing to tell of.
  assert.deepEqual(await client.heard.next(), ["connected", { agent: "0.1.0", protocol: "loopkey.1" }]);
});

test("once it was connected it stays at it, however long the agent is away", async (stage) => {
  const { client } = await stage.connected();
  await stage.agent.stop();
  for (const pause of [125, 250, 500]) {
    assert.equal(await stage.clock.pauses.next(), pause);
    stage.clock.advance(pause);
  }
  assert.equal((await client.heard.next())[0], "disconnected");
  await stage.clock.pauses.next();
  client.close();
  assert.equal(stage.clock.pending, 0, "nothing keeps the program from ending");
});

test("connect rejects where no agent is, and does not go on by itself", async (stage) => {
  const { agent, clock } = stage;
  const client = stage.client();
  await assert.rejects(client.connect(), { name: "LoopkeyError", code: "no_agent", message: /loopkey agent/ });
  assert.equal(clock.pending, 0);
  await agent.listen();
  assert.equal((await client.connect()).agent, "0.1.0");
  assert.equal((await client.connect()).agent, "0.1.0", "a second call is answered by the same connection");
  await agent.connections.next();
  assert.equal(agent.connections.length, 0);
});

test("a call connects first where it must", async (stage) => {
  const client = stage.client();
  await assert.rejects(client.accounts(), { code: "no_agent" });
  await stage.agent.listen();
  stage.agent.answer = () => ({ agent: "0.1.0", protocol: "loopkey.1", accounts: [] });
  client.start();
  assert.deepEqual(await client.accounts(), []);
  await stage.agent.connections.next();
  assert.equal(stage.agent.connections.length, 0, "start and the call share one connection");
});

test("connect cuts a pause short", async (stage) => {
  const { agent, clock } = stage;
  const client = stage.client();
  client.start();
  await clock.pauses.next();
  await agent.listen();
  await client.connect();
  assert.equal(clock.pending, 0);
});

test("a new agent hears everything that counts", async (stage) => {
  const { client, connection } = await stage.connected();
  const { agent, clock } = stage;
  client.action("open", schema, () => {});
  assert.deepEqual(await connection.called("actions.register"), { name: "open", schema });
  agent.answer = (method) => (method === "account.enrol" ? { account: "u7", name: "Ada" } : { seq: 1 });
  await client.enrol({ issuer: "https://app.example.com", ticket: "t" });
  assert.deepEqual(await connection.called("account.enrol"), { issuer: "https://app.example.com", ticket: "t" });
  await client.setProfile({ name: "Ada L." });
  await client.setPresence("away");
  assert.deepEqual(await connection.called("presence.set"), { account: "u7", presence: "signed_in", profile: { name: "Ada L." } });
  assert.deepEqual(await connection.called("presence.set"), { account: "u7", presence: "away", profile: { name: "Ada L." } });

  agent.answer = () => ({ agent: "0.2.0", protocol: "loopkey.1" });
  connection.drop();
  const [reason] = await heard(client, "disconnected");
  assert.equal(reason.code, "disconnected");
  assert.equal(client.connected, false);
  // While nobody listens the newest word is kept.
  assert.equal(await client.setPresence("locked"), null);
  client.action("play", schema, () => {});
  client.removeAction("open");

  clock.advance(await clock.pauses.next());
  const again = await agent.connections.next();
  assert.deepEqual(await again.called("client.hello"), { name: "Test", version: "1", consent: false });
  assert.deepEqual(await again.called("actions.register"), { name: "play", schema });
  assert.deepEqual(await again.called("presence.set"), { account: "u7", presence: "locked", profile: { name: "Ada L." } });
  assert.deepEqual(await heard(client, "connected"), [{ agent: "0.2.0", protocol: "loopkey.1" }]);
  assert.ok(again.isQuiet);
});

test("a sign-out that no agent heard is the first that the next one hears, once", async (stage) => {
  const { client, connection } = await stage.connected();
  const { agent, clock } = stage;
  await client.setPresence("signed_in", { account: "u7" });
  // The agent goes under the call.
  agent.answer = (method) => (method === "client.hello" ? { agent: "0.1.0", protocol: "loopkey.1" } : undefined);
  const signedOut = client.signOut();
  await connection.called("presence.set");
  await connection.called("presence.signOut");
  connection.drop();
  assert.equal(await signedOut, null);

  agent.answer = () => ({ agent: "0.1.0", protocol: "loopkey.1", epoch: 1 });
  clock.advance(await clock.pauses.next());
  const second = await agent.connections.next();
  await second.called("client.hello");
  assert.deepEqual(await second.called("presence.signOut"), { account: "u7" });
  // Answers come in order: after this one the sign-out has been answered.
  await client.status();
  await second.called("status");
  second.drop();

  clock.advance(await clock.pauses.next());
  const third = await agent.connections.next();
  await third.called("client.hello");
  await client.connect();
  await client.status();
  await third.called("status");
  assert.ok(third.isQuiet);
});

test("a sign-out without an agent is said before whatever was said after it", async (stage) => {
  const { agent, clock } = stage;
  const client = stage.client();
  client.start();
  await clock.pauses.next();
  assert.equal(await client.signOut({ account: "u7" }), null);
  assert.equal(await client.setPresence("signed_in", { account: "u7" }), null);
  await agent.listen();
  clock.advance(125);
  const connection = await agent.connections.next();
  await connection.called("client.hello");
  assert.deepEqual(await connection.called("presence.signOut"), { account: "u7" });
  assert.deepEqual(await connection.called("presence.set"), { account: "u7", presence: "signed_in" });
  // Answers come in order: after this one both have been answered, and the next agent hears of no sign-out.
  await client.status();
  await connection.called("status");
  connection.drop();
  clock.advance(await clock.pauses.next());
  const next = await agent.connections.next();
  await next.called("client.hello");
  assert.deepEqual(await next.called("presence.set"), { account: "u7", presence: "signed_in" });
  await client.status();
  await next.called("status");
  assert.ok(next.isQuiet);
});

test("what the agent refuses is not said again, and what it refuses anew is told", async (stage) => {
  const { client, connection } = await stage.connected();
  const { agent, clock } = stage;
  await client.setPresence("away", { account: "u7" });
  await connection.called("presence.set");
  agent.answer = () => {
    throw failed("not_a_picture");
  };
  await assert.rejects(client.setProfile({ avatar: "javascript:" }), { code: "not_a_picture" });
  connection.drop();
  agent.answer = (method) => {
    if (method === "client.hello") return { agent: "0.1.0", protocol: "loopkey.1" };
    throw failed("no_such_account");
  };
  clock.advance(await clock.pauses.next());
  const again = await agent.connections.next();
  await again.called("client.hello");
  assert.deepEqual(await again.called("presence.set"), { account: "u7", presence: "away" });
  const [error, during] = await heard(client, "fault");
  assert.deepEqual([error.code, during], ["no_such_account", "presence"]);
});

test("a revoked, removed or signed-out account is not signed in again", async (stage) => {
  const { client, connection } = await stage.connected();
  let open = connection;
  for (const [method, event] of [["account.revoked", "accountRevoked"], ["account.signed_out", "accountSignedOut"], []]) {
    await client.setPresence("signed_in", { account: "u7" });
    await open.called("presence.set");
    if (method) {
      open.say({ method, params: { account: "u7", issuer: "https://app.example.com" } });
      assert.deepEqual(await heard(client, event), [{ account: "u7", issuer: "https://app.example.com" }]);
    } else {
      await client.removeAccount();
      assert.deepEqual(await open.called("account.remove"), { account: "u7" });
    }
    open.drop();
    stage.clock.advance(await stage.clock.pauses.next());
    open = await stage.agent.connections.next();
    await open.called("client.hello");
    await heard(client, "connected");
    await client.status();
    await open.called("status");
    assert.ok(open.isQuiet);
  }
});

test("what was lost on the way is said again, and is no fault", async (stage) => {
  const { client, connection } = await stage.connected();
  const { agent, clock } = stage;
  agent.answer = (method) => (method === "client.hello" ? { agent: "0.1.0", protocol: "loopkey.1" } : undefined);
  client.action("open", schema, () => {});
  const late = assert.rejects(client.setPresence("away", { account: "u7" }), { code: "timeout" });
  await connection.called("actions.register");
  await connection.called("presence.set");
  clock.advance(30_000);
  await late;
  assert.equal((await heard(client, "fault"))[1], "register");
  client.action("open", schema, () => {});
  await connection.called("actions.register");
  connection.drop();
  assert.equal((await client.heard.next())[0], "disconnected");
  clock.advance(await clock.pauses.next());
  const again = await agent.connections.next();
  await again.called("client.hello");
  await again.called("actions.register");
  assert.deepEqual(await again.called("presence.set"), { account: "u7", presence: "away" });
  assert.equal((await client.heard.next())[0], "connected");
  assert.equal(client.heard.length, 0);
});

test("an agent that refuses the hello is left", async (stage) => {
  await stage.agent.listen();
  stage.agent.answer = () => {
    throw { code: -32602, message: "invalid params: an agent of another time" };
  };
  const client = stage.client();
  await assert.rejects(client.connect(), { code: "invalid_params" });
  await (await stage.agent.connections.next()).ended;
  assert.equal(client.connected, false);
});

test("an agent that hangs up at once is asked less and less often, one that stayed is not", async (stage) => {
  const { client, connection } = await stage.connected();
  const { agent, clock } = stage;
  let open = connection;
  for (const pause of [125, 250, 500]) {
    open.drop();
    assert.equal(await clock.pauses.next(), pause);
    clock.advance(pause);
    open = await agent.connections.next();
    await heard(client, "connected");
  }
  clock.advance(10_000);
  open.drop();
  assert.equal(await clock.pauses.next(), 125);
});

test("close is the end of it, whatever is under way", async (stage) => {
  const { client, connection } = await stage.connected();
  stage.agent.answer = () => undefined;
  const call = assert.rejects(client.status(), { code: "closed" });
  client.close();
  await call;
  await connection.ended;
  assert.equal((await heard(client, "disconnected"))[0].code, "closed");
  await assert.rejects(client.connect(), { code: "closed" });
  client.start();
  assert.equal(stage.clock.pending, 0);

  const silent = stage.client();
  const connecting = assert.rejects(silent.connect(), { code: "closed" });
  await (await stage.agent.connections.next()).called("client.hello");
  silent.close();
  await connecting;
  assert.equal(stage.clock.pending, 0);

  const dialling = stage.client();
  const dialled = assert.rejects(dialling.connect(), { code: "closed" });
  dialling.close();
  await dialled;
});

test("a socket of somebody else, or out of reach, is told apart from no agent", async (stage) => {
  await stage.agent.listen();
  const folder = dirname(stage.agent.path);
  const inFile = stage.client({ path: join(stage.agent.path, "control.sock") });
  inFile.start();
  const [error, during] = await heard(inFile, "fault");
  assert.deepEqual([error.code, during], ["unusable", "connect"]);
  assert.match(error.message, /cannot be used/);
  if (process.geteuid() === 0) {
    chownSync(stage.agent.path, 65_534, 65_534);
    await assert.rejects(stage.client().connect(), { code: "unusable", message: /belongs to user 65534/ });
  } else {
    mkdirSync(join(folder, "closed"));
    chmodSync(join(folder, "closed"), 0);
    await assert.rejects(stage.client({ path: join(folder, "closed", "x") }).connect(), { code: "unusable" });
  }
});

test("a new agent hears the newest news, behind the action and the presence", async (stage) => {
  const { client, connection } = await stage.connected();
  client.action("player", schema, () => {});
  client.action("open", schema, () => {});
  await client.setPresence("signed_in", { account: "u7" });
  for (const value of [1, 2]) client.publish("player", value);
  connection.drop();
  await heard(client, "disconnected");
  client.publish("open", 3);
  await client.connect();
  const next = await stage.agent.connections.next();
  await next.called("client.hello");
  await next.called("actions.register");
  await next.called("actions.register");
  await next.called("presence.set");
  assert.deepEqual(await next.called("actions.publish"), { name: "player", value: 2 });
  assert.deepEqual(await next.called("actions.publish"), { name: "open", value: 3 });
  assert.ok(next.isQuiet);
});

test("news are forgotten with the person whom they are about, and where the agent refuses them", async (stage) => {
  const { client } = await stage.connected();
  const { agent } = stage;
  client.action("player", schema, () => {});
  const ways = {
    "signs out": () => client.signOut(),
    "switches": () => client.setPresence("away", { account: "u8" }),
    "enrols": () => client.enrol({ issuer: "i", ticket: "t" }),
    "removes": () => client.removeAccount("u7"),
    "is too long": async () => {
      agent.answer = () => {
        throw failed("too_long");
      };
      client.publish("player", "long");
      await heard(client, "fault");
    },
  };
  const answer = (method) => (method === "client.hello" ? { agent: "0.1.0", protocol: "loopkey.1" } : { account: "u7", name: "Ada" });
  for (const [way, go] of Object.entries(ways)) {
    agent.answer = answer;
    await client.setPresence("signed_in", { account: "u7" });
    client.publish("player", way);
    assert.deepEqual(await newsAfterReconnect(stage, client), [way]);
    await go();
    agent.answer = answer;
    assert.deepEqual(await newsAfterReconnect(stage, client), [], way);
  }
  // The same person, in another way.
  await client.setPresence("signed_in", { account: "u7" });
  client.publish("player", "kept");
  await client.setPresence("locked");
  await client.setProfile({ name: "Ada" });
  assert.deepEqual(await newsAfterReconnect(stage, client), ["kept"]);
});

/** What a new agent is told of actions. */
async function newsAfterReconnect({ agent }, client) {
  const told = [];
  const before = agent.answer;
  agent.answer = (method, params) => {
    if (method === "actions.publish") told.push(params.value);
    return before(method, params);
  };
  await agent.stop();
  await heard(client, "disconnected");
  await agent.listen();
  await client.connect();
  // Answered behind everything that it was told.
  await client.status();
  agent.answer = before;
  return told;
}
