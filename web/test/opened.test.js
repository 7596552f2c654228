import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { record, started, world } from "./support.js";
import { createLoopkey } from "../loopkey.js";

const MARK = `${"m".repeat(42)}A`;
const SHOWN = createHash("sha256").update(MARK).digest("base64url");

/** A page at an address with this fragment, whose agent shows what it shows. */
async function arrive(fragment, shown, more = {}) {
  const here = world({ fragment });
  here.agent.opened = shown;
  Object.assign(here.issuer, more);
  const loopkey = createLoopkey({ issuer: "https://app.example.com", environment: here.environment });
  const seen = record(loopkey, "error", "session");
  loopkey.start();
  await here.clock.advance(50);
  return Object.assign(here, { loopkey, seen, logins: () => here.issuer.count("/v1/login") });
}

test("a page that was opened from the client signs in by itself, once", async () => {
  const here = await arrive(`loopkey=${MARK}`, SHOWN);
  assert.equal(here.logins(), 1);
  assert.equal(here.agent.received.find(({ type }) => type === "login").mark, MARK, "the agent knows the page by it");
  assert.equal(here.loopkey.session.name, "Ada Lovelace");
  assert.equal(here.environment.fragment(), "", "the mark is gone from the address");
  here.agent.push({ epoch: 2 });
  await here.clock.advance(50);
  assert.equal(here.logins(), 1, "the next person has to click");
});

test("what stood in the fragment before the mark stays", async () => {
  const here = await arrive(`/doc/1&loopkey=${MARK}`, SHOWN);
  assert.equal(here.environment.fragment(), "/doc/1");
  assert.equal(here.logins(), 1);
});

test("nobody is signed in without a click by any other program, page or address", async () => {
  for (const [fragment, shown] of [
    ["", SHOWN],
    [`loopkey=${MARK}`, null],
    [`loopkey=${MARK}`, "t".repeat(43)],
    [`loopkey=${MARK}`, MARK],
    [`loopkey=${SHOWN}`, SHOWN],
    [`loopkey=${MARK.slice(1)}`, SHOWN],
    [`loopkey=${MARK}&more`, SHOWN],
    [`xloopkey=${MARK}`, SHOWN],
  ]) {
    const here = await arrive(fragment, shown);
    assert.equal(here.logins(), 0, `${fragment} ${shown}`);
    assert.equal(here.loopkey.person.name, "Ada Lovelace");
    here.loopkey.login();
    await here.clock.advance(10);
    assert.equal(here.agent.received.find(({ type }) => type === "login").mark, undefined, "nobody else learns the mark");
  }
});

test("whoever is signed in already is not signed in again, and nobody in somebody else's place", async () => {
  for (const subject of ["s-ada", "s-lin"]) {
    const session = { subject, name: "Somebody", account: "somebody" };
    const here = await arrive(`loopkey=${MARK}`, SHOWN, { session });
    assert.equal(here.logins(), 0);
  }
});

test("where it does not work the page hears of it and the card has its button", async () => {
  const here = world({ fragment: `loopkey=${MARK}` });
  here.agent.opened = SHOWN;
  here.agent.onLogin = (socket, { id }) => socket.say({ type: "refused", id, code: "locked" });
  const loopkey = createLoopkey({ issuer: "https://app.example.com", environment: here.environment });
  const seen = record(loopkey, "error");
  loopkey.start();
  await here.clock.advance(50);
  assert.deepEqual(seen.map(([, error]) => error.code), ["locked"]);
  assert.equal(loopkey.person.name, "Ada Lovelace");
});

test("an action comes back with its result, or the reason there is none", async () => {
  const { loopkey, agent, clock } = await started();
  agent.onAction = (socket, { id, name, params }) => socket.say({ type: "result", id, value: { name, params } });
  const done = loopkey.action("open", { document: "plan" });
  await clock.advance(1);
  assert.deepEqual(await done, { name: "open", params: { document: "plan" } });
  agent.onAction = (socket, { id }) => socket.say({ type: "refused", id, code: "failed" });
  await assert.rejects(loopkey.action("open"), { code: "failed" });
  agent.onAction = () => {};
  const silent = assert.rejects(loopkey.action("open"), { code: "timeout" });
  await clock.advance(35_000);
  await silent;
  agent.listening = false;
  for (const socket of agent.sockets.splice(0)) socket.drop(1001);
  await clock.advance(1);
  await assert.rejects(loopkey.action("open"), { code: "not_connected" });
});

test("news of an action reach the page", async () => {
  const { loopkey, agent } = await started();
  const seen = record(loopkey, "news");
  const [socket] = agent.sockets;
  socket.say({ type: "news", name: "player", value: { playing: true } });
  socket.say({ type: "news", name: 7, value: 1 });
  assert.deepEqual(seen, [["news", { name: "player", value: { playing: true } }]]);
});
