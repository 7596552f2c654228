import assert from "node:assert/strict";
import { test } from "node:test";
import { Standing, callOf } from "../src/standing.js";

/** What a new agent would be told, as on the wire. */
const told = (standing) => standing.newest && JSON.parse(JSON.stringify(callOf(standing.newest)));

test("the newest word counts, and an account once named stays the one that is meant", () => {
  const standing = new Standing();
  assert.equal(told(standing), null);
  standing.presence("away");
  assert.deepEqual(told(standing), ["presence.set", { presence: "away" }]);
  standing.presence("locked", "u7");
  standing.presence("signed_in");
  assert.deepEqual(told(standing), ["presence.set", { account: "u7", presence: "signed_in" }]);
  standing.enrolled("u8");
  assert.deepEqual(told(standing), ["presence.set", { account: "u8", presence: "signed_in" }]);
});

test("a profile waits for the presence, is put together, and is one account's own", () => {
  const standing = new Standing();
  standing.profile({ name: "Ada" });
  assert.equal(callOf(standing.newest), null);
  standing.presence("signed_in");
  standing.profile({ avatar: "https://cdn.example/a.png", stray: 1 });
  standing.presence("away");
  const profile = { name: "Ada", avatar: "https://cdn.example/a.png" };
  assert.deepEqual(told(standing), ["presence.set", { presence: "away", profile }]);
  standing.presence("signed_in", "u8");
  assert.deepEqual(told(standing), ["presence.set", { account: "u8", presence: "signed_in" }]);
});

test("a sign-out is said until it was heard, and nothing signs in again by itself", () => {
  const standing = new Standing();
  standing.presence("signed_in", "u7");
  const signOut = standing.signOut();
  assert.deepEqual(told(standing), ["presence.signOut", { account: "u7" }]);
  assert.equal(standing.profile({ name: "Eve" }), signOut, "a profile does not hide it");
  standing.replace(signOut, null);
  assert.equal(told(standing), null);
});

test("a sign-out that nobody has heard yet outlives whatever is said after it, and comes first", () => {
  const unsaid = (standing) => JSON.parse(JSON.stringify(standing.unsaid.map(callOf)));
  const standing = new Standing();
  standing.presence("signed_in", "u7");
  const first = standing.signOut();
  standing.presence("signed_in", "u7");
  assert.deepEqual(unsaid(standing), [
    ["presence.signOut", { account: "u7" }],
    ["presence.set", { account: "u7", presence: "signed_in" }],
  ]);
  // Another account, of another login server: the agent would not sign the first one out for it.
  standing.signOut("u8");
  standing.presence("away", "u9");
  const again = standing.signOut("u7");
  standing.presence("away", "u9");
  assert.deepEqual(unsaid(standing).map(([, { account }]) => account), ["u8", "u7", "u9"]);
  standing.heard(first);
  assert.equal(standing.unsaid.length, 3, "that was an earlier one");
  standing.heard(again);
  assert.deepEqual(unsaid(standing).map(([, { account }]) => account), ["u8", "u9"]);
  // The agent signs in whom it enrols, after that one's sign-out.
  standing.enrolled("u8");
  assert.deepEqual(unsaid(standing), [["presence.set", { account: "u8", presence: "signed_in" }]]);
  standing.signOut("u8");
  standing.presence("away", "u9");
  standing.forget("u8");
  assert.deepEqual(unsaid(standing), [["presence.set", { account: "u9", presence: "away" }]]);
});

test("what is taken back gives way to what was before, but never to what came later", () => {
  const standing = new Standing();
  const before = standing.presence("away");
  const refused = standing.presence("locked");
  standing.replace(refused, before);
  assert.equal(standing.newest, before);
  const newest = standing.presence("signed_in");
  standing.replace(refused, before);
  assert.equal(standing.newest, newest);
});

test("an account that is gone leaves nothing that another one could be taken for", () => {
  for (const [account, gone, remains] of [["u7", "u7", false], ["u7", "u8", true], [undefined, "u8", false]]) {
    const standing = new Standing();
    standing.presence("signed_in", account);
    standing.forget(gone);
    assert.equal(standing.newest !== null, remains, `${account} ${gone}`);
  }
});
