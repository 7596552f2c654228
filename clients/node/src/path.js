/** Where the agent's control socket is (docs/protocol.md, section 8). */

import { execFileSync } from "node:child_process";
import { homedir } from "node:os";
import { posix, win32 } from "node:path";
import { LoopkeyError } from "./errors.js";

/** `"computer\ada","S-1-5-21-…"`: a name cannot end the line like this. */
const SID_AT_END = /"(S-1(?:-\d+)+)"\s*$/;

/**
 * `$LOOPKEY_CONTROL`; else `loopkey/control.sock` in `$XDG_RUNTIME_DIR`; else `control.sock` in the agent's
 * state folder. On Windows the named pipe of this user.
 * @returns {string}
 */
export function controlPath({ env = process.env, platform = process.platform, home = homedir, sid = ownSid } = {}) {
  if (env.LOOPKEY_CONTROL) return env.LOOPKEY_CONTROL;
  if (platform === "win32") return `\\\\.\\pipe\\loopkey-${sid(env)}`;
  if (env.XDG_RUNTIME_DIR) return posix.join(env.XDG_RUNTIME_DIR, "loopkey", "control.sock");
  return posix.join(dataFolder(env, platform, home), "loopkey", "control.sock");
}

function dataFolder(env, platform, home) {
  if (platform === "darwin") return posix.join(home(), "Library", "Application Support");
  // What is not absolute does not count, says the XDG base directory specification.
  const { XDG_DATA_HOME: data } = env;
  return data && posix.isAbsolute(data) ? data : posix.join(home(), ".local", "share");
}

/** Node.js does not tell a user's SID; the system's own program does. */
function ownSid(env) {
  const whoami = win32.join(env.SystemRoot ?? "C:\\Windows", "System32", "whoami.exe");
  try {
    return sidIn(execFileSync(whoami, ["/user", "/fo", "csv", "/nh"], { encoding: "utf8", windowsHide: true }));
  } catch (cause) {
    const cure = "name the agent's pipe with the option path or LOOPKEY_CONTROL";
    throw new LoopkeyError("unusable", `${whoami} does not tell this user's SID; ${cure}`, cause);
  }
}

/** @param {string} text what `whoami /user /fo csv /nh` prints */
export function sidIn(text) {
  const [, sid] = SID_AT_END.exec(text) ?? [];
  if (!sid) throw new Error("there is no SID at the end of the line");
  return sid;
}
