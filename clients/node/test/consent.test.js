import assert from "node:assert/strict";
import { Queue, consentRequest, heard, test } from "./support.js";

const NO = { allow: false, remember: false };

test("the person is shown what the agent says, and nothing else", async (stage) => {
  const asked = new Queue();
  const onConsent = (request, { signal }) => {
    asked.push([request, signal]);
    return { allow: true, remember: true, stray: 1 };
  };
  const { connection } = await stage.connected({ onConsent });
  connection.say(consentRequest(1, { peer: { browser: "Firefox" }, can_remember: true, later: "x" }));
  const [request, signal] = await asked.next();
  assert.deepEqual(request, {
    origin: "https://app.example.com", account: "u7", name: "Ada", code: "47", browser: "Firefox", canRemember: true,
  });
  assert.ok(Object.isFrozen(request));
  assert.equal(signal.aborted, false);
  assert.deepEqual(await connection.answers.next(), { jsonrpc: "2.0", id: 1, result: { allow: true, remember: true } });
  connection.say(consentRequest("two", { peer: undefined }));
  assert.equal((await asked.next())[0].browser, null);
  for (const can_remember of [false, undefined, "yes"]) {
    connection.say(consentRequest(3, { can_remember }));
    assert.equal((await asked.next())[0].canRemember, false, String(can_remember));
    await connection.answers.next();
  }
});

test("whatever goes wrong is a denial, and told", async (stage) => {
  const { client, connection } = await stage.connected({ onConsent: (request) => respond(request) });
  let respond;
  for (const [id, way] of [
    () => {
      throw new Error("no window");
    },
    () => Promise.reject(new Error("no window")),
    () => undefined,
    () => true,
    () => ({ allow: "yes" }),
    () => ({ allow: 1 }),
    () => ({ remember: true }),
    () => {
      throw undefined;
    },
  ].entries()) {
    respond = way;
    connection.say(consentRequest(id));
    assert.deepEqual(await connection.answers.next(), { jsonrpc: "2.0", id, result: NO }, String(way));
    assert.equal((await heard(client, "fault"))[1], "consent", String(way));
  }
  respond = () => ({ allow: false, remember: true });
  connection.say(consentRequest(99));
  assert.deepEqual((await connection.answers.next()).result, { allow: false, remember: true });
});

test("a withdrawn question is taken away, and its late answer kept back", async (stage) => {
  const open = new Queue();
  const onConsent = (_, { signal }) => new Promise((resolve) => open.push({ signal, resolve }));
  const { client, connection } = await stage.connected({ onConsent });
  connection.say(consentRequest(1));
  connection.say(consentRequest(2));
  const [first, second] = [await open.next(), await open.next()];
  const aborted = new Promise((resolve) => first.signal.addEventListener("abort", resolve));
  connection.say({ method: "consent.withdrawn", params: { id: 7 } });
  connection.say({ method: "consent.withdrawn", params: {} });
  connection.say({ method: "consent.withdrawn", params: { id: 1 } });
  await aborted;
  assert.equal(first.signal.reason.code, "withdrawn");
  assert.equal(second.signal.aborted, false, "only the one that was named");
  first.resolve({ allow: true });
  second.resolve({ allow: true });
  assert.equal((await connection.answers.next()).id, 2);
  // A dialog that ends with its signal has not failed.
  connection.say(consentRequest(3));
  const third = await open.next();
  third.signal.addEventListener("abort", () => third.resolve(Promise.reject(third.signal.reason)));
  connection.say({ method: "consent.withdrawn", params: { id: 3 } });
  connection.say({ method: "sockets.changed", params: { origins: [] } });
  assert.deepEqual(await client.heard.next(), ["sockets", []]);
  await client.status();
  assert.deepEqual([client.heard.length, connection.answers.length], [0, 0]);
});

test("a question goes with the connection", async (stage) => {
  const open = new Queue();
  const onConsent = (_, { signal }) => new Promise((resolve) => open.push({ signal, resolve }));
  const { client, connection } = await stage.connected({ onConsent });
  connection.say(consentRequest(1));
  const question = await open.next();
  connection.drop();
  await heard(client, "disconnected");
  assert.equal(question.signal.reason.code, "disconnected");
  // The yes to a question of the connection before answers nothing on the next one.
  stage.clock.advance(await stage.clock.pauses.next());
  const again = await stage.agent.connections.next();
  question.resolve({ allow: true });
  await heard(client, "connected");
  again.say(consentRequest(1));
  (await open.next()).resolve({ allow: false });
  assert.deepEqual((await again.answers.next()).result, NO);
  assert.equal(again.answers.length, 0);
});

test("a question out of form is asked of nobody", async (stage) => {
  const { connection } = await stage.connected({ onConsent: () => assert.fail("asked") });
  for (const [id, change] of [{ origin: undefined }, { account: 7 }, { name: null }, { code: 47 }].entries()) {
    connection.say(consentRequest(id, change));
    assert.equal((await connection.answers.next()).error.code, -32602);
  }
  connection.say({ id: 9, method: "consent.request" });
  assert.equal((await connection.answers.next()).error.code, -32602);
});

test("a client that cannot ask says so at hello, and passes a question on", async (stage) => {
  await stage.agent.listen();
  for (const [onConsent, expected] of [[undefined, { name: "Test", version: "1", consent: false }], [() => NO, { name: "Test", version: "1", consent: true }]]) {
    const client = stage.client({ onConsent });
    await client.connect();
    const connection = await stage.agent.connections.next();
    assert.deepEqual(await connection.called("client.hello"), expected);
    connection.say(consentRequest(1));
    assert.equal((await connection.answers.next()).error?.code, onConsent ? undefined : -32601);
  }
});
