/** The programs that these tests need, and the package as npm would publish it. Both are in target/ alone. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const WEB = fileURLToPath(new URL("../..", import.meta.url));
export const TOOLS = join(WEB, "..", "target", "web-tools");

/** @param {string} name of an installed package @returns {string} its folder */
export function tool(name) {
  const folder = join(TOOLS, "node_modules", name);
  if (!existsSync(folder)) throw new Error(`${name} is not in target/web-tools: run ./test once, it installs it`);
  return folder;
}

/** What `npm pack` says of the package; with a folder, it is packed into it. */
export function pack(folder) {
  if (folder) mkdirSync(folder, { recursive: true });
  const where = folder ? ["--pack-destination", folder] : ["--dry-run"];
  const told = execFileSync("npm", ["pack", "--json", ...where], { cwd: WEB, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  return JSON.parse(told)[0];
}
