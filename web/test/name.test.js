import assert from "node:assert/strict";
import { test } from "node:test";
import { shownName } from "../name.js";
import { started } from "./support.js";

test("i153: what does not show or turns text around is taken out", () => {
  for (const [given, shown] of [
    ["Ada Lovelace", "Ada Lovelace"],
    ["  林小雨\n", "林小雨"],
    ["evil\u202Egpj.exe", "evilgpj.exe"],
    ["\u2066x\u2069\u200B\u200E\uFEFF", "x"],
    ["a\u0000b\u007Fc\u0085\u2028d", "abcd"],
    ["<b>Ada</b>", "<b>Ada</b>"],
    ["نام\u200Cخانوادگی", "نام\u200Cخانوادگی"],
    ["\u{E0041}\u{E0042}x", "x"],
    ["\u202E \t", "?"], ["", "?"], [null, "?"], [undefined, "?"], [7, "?"], [{ toString: () => "x" }, "?"], [["x"], "?"],
  ]) assert.equal(shownName(given), shown, JSON.stringify(given));
});

test("i153: ten kilobytes are cut, by characters", () => {
  assert.equal(shownName("x".repeat(10_240)), `${"x".repeat(128)}…`);
  assert.equal(shownName("😀".repeat(200)), `${"😀".repeat(128)}…`);
  assert.equal(shownName("x".repeat(128)), "x".repeat(128));
});

test("a29: a person and a session carry clean names, whatever the login server let through", async () => {
  const hostile = { subject: "s", account: "a", name: "A\u202Eda\u0000", avatar: null, signed_in_at: 1, device_name: "lap\u200Btop", method: { toString: "agent" } };
  const here = await started();
  here.issuer.account = hostile;
  here.agent.push({ epoch: 2 });
  await here.clock.advance(50);
  assert.equal(here.loopkey.person.name, "Ada");
  here.issuer.session = hostile;
  await here.loopkey.login();
  await here.clock.advance(50);
  const { name, device_name, method } = here.loopkey.session;
  assert.deepEqual([name, device_name, method], ["Ada", "laptop", "?"]);
});
