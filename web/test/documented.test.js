/** `docs/sdk.md` against what is declared: nothing is missing there, and nothing stands there that does not exist. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ACTION_REFUSALS, ERRORS, PRESENCES, REASONS, SESSION_REASONS, STATES } from "../codes.js";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const page = read("../../docs/sdk.md");
const declared = read("../loopkey.d.ts");

/** The table rows of a section, as cells. Its heading starts with the number. */
function rows(number) {
  const section = page.split(/^## /m).find((each) => each.startsWith(`${number}. `));
  const lines = section.split("\n").filter((line) => line.startsWith("| `"));
  return lines.map((line) => line.split(" | ").map((cell) => cell.replace(/^\| | \|$/g, "").trim()));
}

/** What stands in backquotes in the first cells, without parameters. */
const named = (number) => rows(number).flatMap(([first]) => [...first.matchAll(/`(\w[\w-]*)/g)].map(([, name]) => name));

/** The members of an interface: those with a type, and the methods. */
function members(name) {
  const body = new RegExp(`^export interface ${name}\\b.*?\\{\\n(.*?)^\\}`, "ms").exec(declared)[1];
  const found = [...body.matchAll(/^  (?:readonly )?(\w+)(\??[:(<])/gm)];
  const of = (methods) => [...new Set(found.filter(([, , mark]) => /[(<]/.test(mark) === methods).map(([, member]) => member))];
  return { properties: of(false), methods: of(true) };
}

const same = (documented, expected) => assert.deepEqual([...new Set(documented)].sort(), [...expected].sort());

test("options, properties, methods and events", () => {
  same(named(2), members("LoopkeyOptions").properties);
  same(named(3), members("Loopkey").properties);
  same(named(4), members("Loopkey").methods);
  same(named(5), members("LoopkeyEventMap").properties);
});

test("states, and each state's reasons with what to do", () => {
  const [states, reasons] = [rows(6).filter((row) => row.length === 2), rows(6).filter((row) => row.length === 4)];
  assert.deepEqual(states.map(([state]) => state), STATES.map((state) => `\`${state}\``));
  const expected = Object.entries(REASONS).flatMap(([state, all]) => all.map((reason) => `\`${state}\` \`${reason}\``));
  assert.deepEqual(reasons.map(([state, reason]) => `${state} ${reason}`), expected);
  assert.equal(states.length + reasons.length, rows(6).length, "a row of another form");
  for (const row of reasons) assert.ok(row.every(Boolean), row.join(" | "));
});

test("presences, reasons of a session, and errors with what to do", () => {
  same(named(7), PRESENCES);
  same(named(8), SESSION_REASONS);
  same(named(9), [...ERRORS, ...ACTION_REFUSALS].filter((code, at, all) => all.indexOf(code) === at));
  for (const row of rows(9)) assert.ok(row.length === 4 && row.every(Boolean), row.join(" | "));
});

test("the card's attributes, parts and events", () => {
  const card = read("../loopkey-card.js") + read("../card-parts.js");
  const used = [...card.matchAll(/(?:get|set|has)Attribute\("([a-z]+)"/g)].map(([, name]) => name);
  for (const name of named(10)) assert.ok(used.includes(name), `the card does not know ${name}`);
  const last = page.slice(page.indexOf("## 10."));
  for (const [, parts] of card.matchAll(/part: "([\w -]+)"/g)) {
    for (const part of parts.split(" ")) assert.ok(last.includes(`\`${part}\``), `part ${part}`);
  }
  for (const [, event] of card.matchAll(/CustomEvent\("([\w-]+)"/g)) assert.ok(last.includes(`\`${event}\``), event);
  assert.ok(declared.includes("isFramedByStranger") || read("../frame.d.ts").includes("isFramedByStranger"));
});

test("each constant that is exported is named", () => {
  for (const [, name] of declared.matchAll(/^export const (\w+)/gm)) assert.ok(page.includes(`\`${name}\``), name);
});
