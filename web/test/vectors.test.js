/** The vectors in `tests/vectors/`, which the Rust tests read too: both sides mean the same by the same bytes. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { REFUSALS } from "../codes.js";
import { Connection } from "../connection.js";
import { FakeClock, settle } from "./support.js";

const vectors = (name) => JSON.parse(readFileSync(new URL(`../../tests/vectors/${name}.json`, import.meta.url)));
const messages = vectors("messages");
const NONCE = "A".repeat(43);

class Wire {
  readyState = 1;
  sent = [];
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {}
}

function connect() {
  const wire = new Wire();
  return { wire, connection: new Connection(new FakeClock(), wire, NONCE) };
}

test("what the page sends is what the agent reads", async () => {
  const { signal } = new AbortController();
  const first = connect();
  first.connection.open("a.b.c");
  for (let id = 1; id <= 2; id += 1) first.connection.prove("x").catch(() => {});
  first.connection.prove("a.b.c").catch(() => {});
  const second = connect();
  second.connection.resume("dGlja2V0", 17);
  second.connection.login(4, "a.b.c", { signal, onConsent() {} }).catch(() => {});
  second.wire.onmessage({ data: JSON.stringify({ type: "ping" }) });
  await settle();

  const sent = [...first.wire.sent, ...second.wire.sent];
  for (const type of ["prove", "login", "pong"]) {
    const expected = messages.page_to_agent.map((text) => JSON.parse(text)).find((message) => message.type === type);
    assert.deepEqual(sent.filter((message) => message.type === type).at(-1), expected);
  }
  const opens = messages.page_to_agent.map((text) => JSON.parse(text)).filter(({ type }) => type === "open");
  assert.deepEqual(sent.filter(({ type }) => type === "open"), opens.slice(0, 2));
});

test("what the agent says is understood", async () => {
  for (const text of messages.agent_to_page) {
    const message = JSON.parse(text);
    const { wire, connection } = connect();
    const states = [];
    connection.onState = (state) => states.push(state);
    const opened = connection.open("a.b.c");
    wire.onmessage({ data: text });
    if (message.type === "ready") {
      const ready = await opened;
      assert.deepEqual(ready.state, message.state);
      assert.equal(ready.proof, message.proof ?? null);
      assert.equal(ready.resumed, message.resumed);
    }
    if (message.type === "state") assert.deepEqual(states, [message.state]);
    if (message.type === "ping") assert.deepEqual(wire.sent.at(-1), { type: "pong" });
    if (message.type === "refused" && message.id === 1) assert.ok(REFUSALS.includes(message.code), message.code);
  }
});

test("answers reach the request that they name", async () => {
  const byType = (type) => messages.agent_to_page.find((text) => JSON.parse(text).type === type);
  const { signal } = new AbortController();
  const codes = [];
  const login = connect();
  const token = login.connection.login(4, "a.b.c", { signal, onConsent: (code) => codes.push(code) });
  login.wire.onmessage({ data: byType("consent") });
  login.wire.onmessage({ data: byType("token") });
  assert.equal(await token, "a.b.c");
  assert.deepEqual(codes, ["47"]);
  const refused = connect();
  const denied = refused.connection.login(4, "a.b.c", { signal, onConsent() {} });
  refused.wire.onmessage({ data: byType("refused") });
  await assert.rejects(denied, { code: "denied" });
});
