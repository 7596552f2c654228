/**
 * How much a visitor's browser loads, as bundlers leave it: bundled, minified, compressed. What a page loads later, on a
 * click, is a chunk of its own and counted apart.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { WEB, tool } from "./tools.js";

const KIB = 1024;
/** Bytes after gzip. The library with everything that it needs to sign somebody in; then the card with the library. */
const BUDGETS = { "loopkey.js": 12 * KIB, "loopkey-card.js": 23 * KIB };
/** The worker, which all tabs of an origin load once. */
const WORKER_BUDGET = 2.5 * KIB;
/** All that is loaded later, on a click or where something is missing. A good part of it is the approval, words and style with it. */
const LATER_BUDGET = 10 * KIB;

/** @returns {Promise<Map<string, {size: number, gzip: number, brotli: number}>>} "now" and the names of what comes later */
async function measured(entry) {
  const { build } = await import(join(tool("esbuild"), "lib", "main.js"));
  const { outputFiles, metafile } = await build({
    entryPoints: [join(WEB, entry)], absWorkingDir: WEB, outdir: "out", write: false, metafile: true,
    bundle: true, splitting: true, minify: true, format: "esm", target: "es2022", logLevel: "error",
  });
  const content = new Map(outputFiles.map(({ path, contents }) => [path.slice(WEB.length), contents]));
  const now = new Set();
  const follow = (path) => {
    if (now.has(path)) return;
    now.add(path);
    for (const { path: next, kind } of metafile.outputs[path].imports) if (kind === "import-statement") follow(next);
  };
  follow(`out/${entry}`);
  const sum = (paths) => paths.map((path) => content.get(path)).reduce((all, bytes) => ({
    size: all.size + bytes.length,
    gzip: all.gzip + gzipSync(bytes, { level: 9 }).length,
    brotli: all.brotli + brotliCompressSync(bytes).length,
  }), { size: 0, gzip: 0, brotli: 0 });
  const later = [...content.keys()].filter((path) => !now.has(path));
  return new Map([["now", sum([...now])], ...later.map((path) => [/(\w[\w-]*)-\w+\.js$/.exec(path)[1], sum([path])])]);
}

const told = (name, { size, gzip, brotli }) =>
  `${name}: ${size} bytes minified, ${gzip} (${(gzip / KIB).toFixed(1)} KiB) with gzip, ${brotli} with brotli`;

/** What the documents say (KiB), held to half a kibibyte, so that a figure is mended when it is no longer true. */
const SAID = {
  "loopkey.js": [["README.md", /The library is ([\d.]+) KiB/], ["docs/sdk.md", /the library ([\d.]+) KiB/]],
  "loopkey-card.js": [["README.md", /with the card ([\d.]+) KiB/], ["docs/sdk.md", /with the card\s+([\d.]+) KiB/]],
};

for (const [entry, budget] of Object.entries(BUDGETS)) {
  test(`${entry} keeps its budget of ${budget / KIB} KiB`, async (t) => {
    const parts = await measured(entry);
    const { now, ...later } = Object.fromEntries(parts);
    t.diagnostic(told(entry, now));
    for (const [name, size] of Object.entries(later)) t.diagnostic(told(`  later: ${name}`, size));
    assert.ok(now.gzip <= budget, `${now.gzip} bytes of ${budget}`);
    for (const [file, pattern] of SAID[entry]) {
      const said = Number(pattern.exec(readFileSync(join(WEB, "..", file), "utf8"))?.[1]);
      assert.ok(Math.abs(said - now.gzip / KIB) <= 0.5, `${file} says ${said} KiB`);
    }
    const all = Object.values(later).reduce((sum, { gzip }) => sum + gzip, 0);
    assert.ok(all > 0 && all <= LATER_BUDGET, `later: ${all} bytes of ${LATER_BUDGET}`);
  });
}

test(`the worker keeps its budget of ${WORKER_BUDGET / KIB} KiB`, async (t) => {
  const { now, ...later } = Object.fromEntries(await measured("shared-worker.js"));
  t.diagnostic(told("shared-worker.js", now));
  assert.deepEqual(later, {}, "it is one file");
  assert.ok(now.gzip <= WORKER_BUDGET, `${now.gzip} bytes of ${WORKER_BUDGET}`);
});
