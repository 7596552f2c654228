/** The types, as a site's TypeScript sees them in the packed package, and the sources against their own JSDoc. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { TOOLS, WEB, pack, tool } from "./tools.js";

const HERE = fileURLToPath(new URL("./types", import.meta.url));

/** Runs the compiler; what it complains of is the error. */
function tsc(folder, ...options) {
  try {
    execFileSync(process.execPath, [join(tool("typescript"), "bin", "tsc"), "--noEmit", ...options], { cwd: folder, encoding: "utf8" });
  } catch (error) {
    assert.fail(`tsc ${options.join(" ")}\n${error.stdout}`);
  }
}

/** A project with nothing but the package, unpacked as npm installs it. */
function project() {
  const folder = join(TOOLS, "types");
  const home = join(folder, "node_modules", "loopkey-web");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  execFileSync("tar", ["-xzf", join(folder, pack(folder).filename), "--strip-components=1", "-C", home]);
  cpSync(HERE, folder, { recursive: true });
  return folder;
}

const STRICT = ["--strict", "--target", "es2024", "--lib", "es2024,dom,dom.iterable", "--exactOptionalPropertyTypes"];

test("every public member, in a strict project, with each way of finding modules", () => {
  const folder = project();
  for (const how of [["--module", "esnext", "--moduleResolution", "bundler"], ["--module", "nodenext"]]) {
    tsc(folder, ...STRICT, ...how, "uses.ts", "misuses.ts");
  }
});

test("the file of uses names whatever is declared", () => {
  const declared = readFileSync(join(WEB, "loopkey.d.ts"), "utf8");
  const uses = readFileSync(join(HERE, "uses.ts"), "utf8");
  const exported = [...declared.matchAll(/^export (?:type|interface|class|function|const) (\w+)/gm)].map(([, name]) => name);
  const members = [...declared.matchAll(/^  (?:readonly )?(\w+)\??[:(<]/gm)].map(([, name]) => name);
  assert.ok(exported.length > 20 && members.length > 40, `${exported.length} and ${members.length}`);
  const missing = [...exported, ...members].filter((name) => name !== "constructor" && name !== "HTMLElementTagNameMap" && !uses.includes(name));
  assert.deepEqual(missing, []);
});

test("the sources keep their own JSDoc types", () => {
  tsc(WEB, "--allowJs", "--checkJs", "--strict", "false", "--target", "es2024", "--module", "nodenext", "--lib", "es2024,dom,dom.iterable",
    "loopkey.js", "loopkey-card.js", "frame.js", "dingtalk-frame.js");
});
