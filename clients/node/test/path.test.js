import assert from "node:assert/strict";
import { test } from "node:test";
import { controlPath, sidIn } from "../src/path.js";

const home = () => "/home/ada";

test("the socket is where the agent puts it", () => {
  for (const [env, platform, expected] of [
    [{ LOOPKEY_CONTROL: "/x.sock", XDG_RUNTIME_DIR: "/run/user/7" }, "linux", "/x.sock"],
    [{ LOOPKEY_CONTROL: "", XDG_RUNTIME_DIR: "/run/user/7" }, "linux", "/run/user/7/loopkey/control.sock"],
    [{ XDG_RUNTIME_DIR: "/run/user/7" }, "darwin", "/run/user/7/loopkey/control.sock"],
    [{ XDG_RUNTIME_DIR: "", XDG_DATA_HOME: "/data" }, "linux", "/data/loopkey/control.sock"],
    [{ XDG_DATA_HOME: "data" }, "linux", "/home/ada/.local/share/loopkey/control.sock"],
    [{}, "linux", "/home/ada/.local/share/loopkey/control.sock"],
    [{ XDG_DATA_HOME: "/data" }, "darwin", "/home/ada/Library/Application Support/loopkey/control.sock"],
    [{}, "win32", "\\\\.\\pipe\\loopkey-S-1-5-21-1-2-3-1001"],
  ]) {
    assert.equal(controlPath({ env, platform, home, sid: () => "S-1-5-21-1-2-3-1001" }), expected, JSON.stringify([env, platform]));
  }
});

test("the SID is what stands at the end, whatever the user is called", () => {
  assert.equal(sidIn('"desk\\ada","S-1-5-21-1-2-3-1001"\r\n'), "S-1-5-21-1-2-3-1001");
  assert.equal(sidIn('"desk\\a ""S-1-5-9""","S-1-5-21-7"\r\n'), "S-1-5-21-7");
  for (const other of ["", "ERROR: access denied", '"desk\\S-1-5-18"', '"desk\\ada","S-1-5-21-7" more']) assert.throws(() => sidIn(other));
});

test("without whoami.exe the error says what to do", () => {
  const error = { code: "unusable", message: /LOOPKEY_CONTROL/ };
  assert.throws(() => controlPath({ env: { SystemRoot: "/nowhere" }, platform: "win32" }), error);
});
