import assert from "node:assert/strict";
import { test } from "node:test";
import { showDingTalk } from "../dingtalk-frame.js";

const DINGTALK = "https://login.dingtalk.com";
const CALLBACK = "https://app.example.com/loopkey/v1/connectors/ding/callback";
const NEWER = `${DINGTALK}/oauth2/auth?iframe=true&state=s`;
const GOTO = "https://oapi.dingtalk.com/connect/oauth2/sns_authorize?appid=a&state=s%2B";
const OLDER = `${DINGTALK}/login/qrcode.htm?goto=${encodeURIComponent(GOTO)}`;

/** A page with a place for a frame. */
function shown(location, signal) {
  const page = new EventTarget();
  const contentWindow = {};
  const frames = [];
  const ownerDocument = {
    defaultView: page,
    createElement: (name) => ({ name, contentWindow, remove() { frames.splice(frames.indexOf(this), 1); } }),
  };
  const container = { ownerDocument, append: (frame) => frames.push(frame) };
  const options = { location, frameOrigin: DINGTALK, redirectUri: CALLBACK, title: "DingTalk", signal };
  const done = showDingTalk(container, options);
  let outcome = "waiting";
  done.then((to) => { outcome = to; }, (error) => { outcome = error.name; });
  const say = async (data, { origin = DINGTALK, source = contentWindow } = {}) => {
    page.dispatchEvent(Object.assign(new Event("message"), { data, origin, source }));
    await new Promise(setImmediate);
    return outcome;
  };
  return { say, frames, outcome: () => outcome };
}

const success = { success: true, redirectUrl: `${CALLBACK}?authCode=c&code=c&state=s` };

test("d12: the code leads to the callback, once, and the frame is gone", async () => {
  const { say, frames } = shown(NEWER);
  assert.deepEqual([frames.length, frames[0].src, frames[0].title], [1, NEWER, "DingTalk"]);
  assert.equal(await say(success), success.redirectUrl);
  assert.equal(frames.length, 0);
  assert.equal(await say({ ...success, redirectUrl: `${CALLBACK}?code=other` }), success.redirectUrl, "again");
});

test("d12 e04: a message of another window or another origin is nobody's", async () => {
  for (const location of [NEWER, OLDER]) {
    const { say } = shown(location);
    for (const origin of [
      "https://login.dingtalk.com.evil.test", "https://evil.test", "http://login.dingtalk.com", "null", "",
      "https://login-dingtalk.com", "https://login.dingtalk.com:8443", "https://oapi.dingtalk.com", `${DINGTALK}/`,
    ]) {
      assert.equal(await say(success, { origin }), "waiting", origin);
      assert.equal(await say("word", { origin }), "waiting", origin);
    }
    for (const source of [{}, null]) {
      assert.equal(await say(success, { source }), "waiting");
      assert.equal(await say("word", { source }), "waiting");
    }
  }
});

test("d12: whatever leads elsewhere leads nowhere", async () => {
  const { say } = shown(NEWER);
  for (const redirectUrl of [
    "javascript:alert(1)", "https://evil.test/", `${CALLBACK}/more?code=c`, `${CALLBACK.replace("app", "www.app")}?code=c`,
    "https://user@app.example.com/loopkey/v1/connectors/ding/callback?code=c", CALLBACK.replace("https", "http"), "", null, 7, {},
  ]) {
    assert.equal(await say({ success: true, redirectUrl }), "waiting", String(redirectUrl));
  }
  for (const data of [null, undefined, 1, [], {}, { success: "true", redirectUrl: success.redirectUrl }, { redirectUrl: success.redirectUrl }]) {
    assert.equal(await say(data), "waiting");
  }
  assert.equal(await say("word"), "waiting", "the newer page gives no bare word");
});

test("e04 e05: the older page's word goes to the address that came with the page, encoded once", async () => {
  const { say } = shown(OLDER);
  assert.equal(await say(""), "waiting");
  assert.equal(await say("x".repeat(513)), "waiting");
  assert.equal(await say("a+b/c=&d"), `${GOTO}&loginTmpCode=a%2Bb%2Fc%3D%26d`);
});

test("d12: a no, and a page that takes the frame away", async () => {
  const refused = shown(NEWER);
  assert.equal(await refused.say({ errorMsg: "<b>no</b>" }), "NotAllowedError");
  assert.equal(refused.frames.length, 0);
  const controller = new AbortController();
  const { say, frames } = shown(NEWER, controller.signal);
  controller.abort();
  assert.equal(await say(success), "AbortError");
  assert.equal(frames.length, 0);
  const before = shown(NEWER, AbortSignal.abort());
  assert.equal(await before.say(success), "AbortError");
  assert.equal(before.frames.length, 0, "it was never shown");
});
