import assert from "node:assert/strict";
import { test } from "node:test";
import { LINE_MAX_LENGTH, Lines } from "../src/lines.js";

const read = (lines, chunk) => [...lines.read(Buffer.from(chunk))].map(String);

test("lines come out as they end, however they come in", () => {
  const lines = new Lines();
  assert.deepEqual(read(lines, "one\ntwo\nth"), ["one", "two"]);
  assert.deepEqual(read(lines, ""), []);
  assert.deepEqual(read(lines, "re"), []);
  assert.deepEqual(read(lines, "e\n\n"), ["three", ""]);
  const text = "林小雨 😀\n";
  const bytes = [...Buffer.from(text.repeat(3))];
  assert.deepEqual(bytes.flatMap((byte) => read(lines, [byte])), Array(3).fill("林小雨 😀"));
});

test("the longest line passes, and one byte more does not", () => {
  const longest = `${"x".repeat(LINE_MAX_LENGTH - 1)}\n`;
  const lines = new Lines();
  assert.deepEqual(read(lines, `a\n${longest}b\n`).map(({ length }) => length), [1, LINE_MAX_LENGTH - 1, 1]);
  const seen = [];
  assert.throws(() => {
    for (const line of lines.read(Buffer.from(`c\nx${longest}`))) seen.push(String(line));
  }, { code: "protocol" });
  assert.deepEqual(seen, ["c"], "what came before is heard");
});

test("a line without an end is given up at the limit, and not later", () => {
  const lines = new Lines();
  const chunk = Buffer.alloc(64 * 1024, "x");
  for (let read = chunk.length; read < LINE_MAX_LENGTH; read += chunk.length) assert.deepEqual([...lines.read(chunk)], []);
  assert.throws(() => [...lines.read(chunk)], { code: "protocol" });
});
