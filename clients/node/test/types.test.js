import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { AGENT_ERRORS } from "../src/errors.js";
import * as library from "../src/index.js";

const types = readFileSync(new URL("../index.d.ts", import.meta.url), "utf8");
const body = (head) => types.slice(types.indexOf(head), types.indexOf("\n}", types.indexOf(head)));

test("every export is in the types file", () => {
  for (const name of Object.keys(library)) assert.match(types, new RegExp(`export (class|const|function) ${name}\\b`), name);
});

test("every public member of the client is in the types file, and nothing else", () => {
  const declared = [...body("export class LoopkeyClient").matchAll(/^ {2}(?:readonly )?(\w+)[(:<]/gm)].map(([, name]) => name);
  const inherited = ["on", "once", "off"];
  const members = Object.getOwnPropertyNames(library.LoopkeyClient.prototype);
  assert.deepEqual([...new Set(declared)].sort(), [...members, ...inherited].sort());
});

test("the closed sets are the same", () => {
  const words = (text) => [...text.matchAll(/"(\w+)"/g)].map(([, word]) => word);
  const union = (name) => words(types.slice(types.indexOf(`export type ${name} =`)).split(";")[0]);
  assert.deepEqual(union("ErrorCode"), [...library.ERRORS]);
  assert.deepEqual(union("Presence"), [...library.PRESENCES]);
  const client = readFileSync(new URL("../src/client.js", import.meta.url), "utf8");
  const told = new Set([...client.matchAll(/#tell\("(\w+)"/g)].map(([, event]) => event));
  const events = [...body("export interface LoopkeyClientEvents").matchAll(/^ {2}(\w+): \[/gm)].map(([, event]) => event);
  assert.deepEqual([...told].sort(), events.sort());
  const during = [...client.matchAll(/#(?:tell|report)\((?:"fault", error|peer|this\.#peer), "(\w+)"/g)].map(([, word]) => word);
  assert.deepEqual([...new Set(during)].sort(), union("During").sort());
});

test("the agent's codes are those of its schema", () => {
  const schema = JSON.parse(readFileSync(new URL("../../../docs/control.schema.json", import.meta.url), "utf8"));
  const codes = schema.properties.error.properties.data.properties.code.enum;
  assert.deepEqual([...AGENT_ERRORS].sort(), [...codes].sort());
  assert.equal(new Set(library.ERRORS).size, library.ERRORS.length);
});

test("the package is what it says", () => {
  const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  assert.deepEqual(Object.keys(manifest).filter((key) => /dependencies/i.test(key)), []);
  assert.equal(manifest.exports["."].default, "./src/index.js");
});
