import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { WEB, pack } from "./tools.js";

/** Everything that is published, by name: a new module is added here, and nothing else gets in. */
const FILES = `
  LICENSE-APACHE LICENSE-MIT README.md package.json
  advice.js agent.js approval.js avatar.js backoff.js blocked.js bridge.js browser.js candidates.js card-parts.js card-style.js card-view.js codes.js connection.js delegation.js dingtalk-frame.d.ts dingtalk-frame.js discovery.js
  environment.js frame.d.ts frame.js handshake.js identity.js issuer.js login.js loopkey-card.d.ts loopkey-card.js
  loopkey.d.ts loopkey.js name.js opened.js permission.js pictures.js session-events.js session.js shared-worker.js shared.js socket.js verdict.js wake-link.js
  waking.js ways.js words.js
`.trim().split(/\s+/).sort();

const read = (name) => readFileSync(join(WEB, name), "utf8");
const manifest = JSON.parse(read("package.json"));

test("the package has exactly these files: no test, no demo, no page of the login server", () => {
  assert.deepEqual(pack().files.map(({ path }) => path).sort(), FILES);
});

test("every module that is published is imported by one of the entries", () => {
  const entries = Object.values(manifest.exports).flatMap((entry) => entry.default ?? []);
  const reached = new Set();
  const follow = (name) => {
    if (reached.has(name)) return;
    reached.add(name);
    for (const [, , module] of read(name).matchAll(/(from |import\(|new URL\()"\.\/([\w-]+\.js)"/g)) follow(module);
  };
  entries.map((entry) => entry.slice(2)).forEach(follow);
  assert.deepEqual([...reached].sort(), FILES.filter((name) => name.endsWith(".js")));
});

test("the manifest: what it exports is there, and only the card does something by being imported", () => {
  const targets = Object.values(manifest.exports).flatMap((entry) => (typeof entry === "string" ? entry : Object.values(entry)));
  for (const target of [...targets, ...manifest.sideEffects, manifest.types]) assert.ok(FILES.includes(target.replace("./", "")), target);
  assert.deepEqual(manifest.sideEffects, ["./loopkey-card.js"]);
  assert.equal(manifest.dependencies, undefined);
  assert.equal(manifest.license, "MIT OR Apache-2.0");
  assert.match(manifest.engines.node, /^>=\d+$/);
  const cargo = read("../Cargo.toml");
  assert.equal(manifest.version, /^version = "(.+)"$/m.exec(cargo)[1], "one version for all of Loopkey");
});

test("the licences are those of the repository", () => {
  for (const name of ["LICENSE-MIT", "LICENSE-APACHE"]) assert.equal(read(name), read(`../${name}`), name);
});
