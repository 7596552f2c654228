import assert from "node:assert/strict";
import { test } from "node:test";
import { isLocalPage, loopbackPermission } from "../permission.js";
import { world } from "./support.js";

test("the current name first, the old name after a TypeError", async () => {
  assert.equal((await loopbackPermission(world({ permission: "prompt" }).environment)).state, "prompt");
  assert.equal((await loopbackPermission(world({ permission: "denied", oldName: true }).environment)).state, "denied");
});

test("a browser that knows neither name, or has no permissions at all", async () => {
  assert.equal((await loopbackPermission(world({ permission: "unsupported" }).environment)).state, "unsupported");
  assert.equal((await loopbackPermission({ permissions: undefined })).state, "unsupported");
});

test("loopback and private addresses are local, names and public addresses are not", () => {
  for (const host of ["localhost", "app.localhost", "127.0.0.1", "127.9.9.9", "[::1]", "10.1.2.3", "172.16.0.1", "172.31.255.1", "192.168.77.7", "[fd12:3456::1]", "[fe80::1]"]) {
    assert.equal(isLocalPage(host), true, host);
  }
  for (const host of ["app.example.com", "198.51.100.7", "172.32.0.1", "192.169.0.1", "localhost.example.com", "10.example.com", "[2001:db8::1]", "fdic.example", "1270.0.0.1"]) {
    assert.equal(isLocalPage(host), false, host);
  }
});
