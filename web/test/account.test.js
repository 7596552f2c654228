import assert from "node:assert/strict";
import { test } from "node:test";
import { Api, Failed, NoSession, siteOf } from "../account/api.js";
import { AccountPage } from "../account/page.js";
import { exact, said } from "../account/time.js";
import { view } from "../account/view.js";
import { fill, wordsFor } from "../account/words.js";

const NOW = 1_800_000_000;
const session = (id, more = {}) => ({
  id, browser: "Firefox on Windows", device: "d1", device_name: "ada-laptop", origin: "https://app.example.com",
  method: "agent", signed_in_at: NOW - 7200, last_used: NOW - 300, expires_at: NOW + 9999, current: false, ...more,
});
const ACCOUNT = {
  person: { subject: "s", name: "Ada", avatar: null },
  sessions: [session("far", { browser: "Safari on iPhone" }), session("own", { current: true })],
  devices: [{ device: "d1", name: "ada-laptop", enrolled_at: NOW - 86_400, current: true }, { device: "d2", name: "old", enrolled_at: NOW - 86_400 * 90, current: false }],
  identities: [], ways: [],
};

/** A login server that answers what the test says. */
class FakeApi {
  account = ACCOUNT;
  calls = [];
  fault = null;
  load = () => this.#answer("load", this.account);
  end = (id) => this.#answer(`end ${id}`);
  revoke = (id) => this.#answer(`revoke ${id}`);
  unlink = (id) => this.#answer(`unlink ${id}`);
  link = (way, back) => this.#answer(`link ${way} ${back}`, "https://id.example.com/authorize");
  signOutEverywhere = () => this.#answer("everywhere");
  async #answer(call, value = null) {
    this.calls.push(call);
    if (this.fault) throw this.fault;
    return value;
  }
}

async function opened(api = new FakeApi()) {
  const done = [];
  const states = [];
  const gone = [];
  const page = new AccountPage(api, {
    draw: (state) => states.push(state), done: (...what) => done.push(what), go: (to) => gone.push(to), address: () => "https://app.example.com/account",
  });
  await page.load();
  return { api, page, done, states, gone };
}

const shown = (state, lang = "en", site = "https://app.example.com/") => view({ ...state, lang, now: NOW, site });
const all = (tree) => (typeof tree === "string" ? [] : [tree, ...tree.slice(2).flatMap(all)]);
const text = (tree) => (typeof tree === "string" ? tree : tree.slice(2).map(text).join(" "));
const byId = (tree, id) => all(tree).find(([, attributes]) => attributes.id === id);
const acts = (tree) => all(tree).map(([, { act }]) => act?.join(" ")).filter(Boolean);

test("it loads and shows this session first, the others and the devices", async () => {
  const { page, states } = await opened();
  assert.deepEqual(states.map(({ phase }) => phase), ["loading", "ready"]);
  const tree = shown(page.state);
  assert.deepEqual(acts(tree), ["end own", "end far", "ask device d1", "ask device d2", "ask everywhere"]);
  assert.match(text(byId(tree, "session-own")), /Firefox on Windows.*This browser.*Signed in 2 hours ago.*ada-laptop.*app\.example\.com.*Sign out/);
  assert.match(text(byId(tree, "session-far")), /Safari on iPhone.*Last used 5 minutes ago.*End/);
  assert.match(text(shown(page.state, "zh-CN")), /您的设备与会话.*Firefox（Windows）.*当前浏览器/);
});

test("every button has a name of its own for those who do not see the row", async () => {
  const { page } = await opened();
  const names = all(shown(page.state)).filter(([tag]) => tag === "button").map(([, a, child]) => a["aria-label"] ?? child);
  assert.equal(new Set(names).size, names.length);
  assert.match(names[1], /^End the session Safari on iPhone/);
});

test("another session is ended at once, and the list asked for anew", async () => {
  const { api, page, done } = await opened();
  api.account = { ...ACCOUNT, sessions: [ACCOUNT.sessions[1]] };
  await page.end("far");
  assert.deepEqual(api.calls, ["load", "end far", "load"]);
  assert.deepEqual(done, [["ended", undefined]]);
  assert.equal(page.state.account.sessions.length, 1);
});

test("a device is asked about once, in words, before it goes", async () => {
  const { api, page, done } = await opened();
  page.ask("device", "d1");
  const question = text(shown(page.state));
  assert.match(question, /Remove ada-laptop\?.*can no longer sign you in.*you will be signed out here/);
  assert.deepEqual(api.calls, ["load"]);
  page.cancel();
  assert.doesNotMatch(text(shown(page.state)), /can no longer sign you in/);
  page.ask("device", "d2");
  assert.doesNotMatch(text(shown(page.state)), /you will be signed out here/);
  await page.revoke("d2");
  assert.deepEqual(done, [["removed", "old"]]);
  assert.equal(page.state.asking, null);
  await page.revoke("d1");
  assert.deepEqual([page.state.phase, page.state.reason], ["none", "revoked"]);
});

test("out everywhere, or out of this session, says so and leads back to the site", async () => {
  for (const [leave, reason, sentence] of [
    [(page) => page.signOutEverywhere(), "logged_out_everywhere", /You are signed out.*signed out everywhere/],
    [(page) => page.end("own"), "logged_out", /have signed out/],
    [(page) => page.signedOut("signed_out"), "signed_out", /desktop app was signed out/],
    [(page) => page.signedOut("something new"), "something new", /You are signed out/],
    [(page) => page.signedOut("expired"), "expired", /expired/],
  ]) {
    const { page } = await opened();
    await leave(page);
    assert.deepEqual([page.state.phase, page.state.reason, page.state.account, page.state.busy], ["none", reason, null, false]);
    const tree = shown(page.state);
    assert.match(text(tree), sentence);
    assert.equal(all(tree).find(([tag]) => tag === "a")[1].href, "https://app.example.com/");
  }
});

test("the reason that is known first stays", async () => {
  const { page } = await opened();
  await page.end("own");
  page.signedOut("ended");
  assert.equal(page.state.reason, "logged_out");
});

test("without a session nothing is explained and nothing shown", async () => {
  const api = new FakeApi();
  api.fault = new NoSession();
  const { page } = await opened(api);
  assert.deepEqual([page.state.phase, page.state.reason], ["none", null]);
  assert.match(text(shown(page.state)), /You are not signed in.*Go to app\.example\.com/);
});

test("what cannot be loaded can be tried again; what cannot be done leaves the list as it was", async () => {
  const api = new FakeApi();
  api.fault = new Failed("offline");
  const { page } = await opened(api);
  assert.equal(page.state.phase, "failed");
  assert.match(text(shown(page.state)), /cannot be reached.*Try again/);
  api.fault = null;
  await page.load();
  assert.equal(page.state.phase, "ready");
  api.fault = new Failed("busy");
  await page.end("far");
  assert.deepEqual([page.state.phase, page.state.trouble, page.state.busy], ["ready", "busy", false]);
  assert.match(text(shown(page.state)), /did not work.*a lot to do/);
  await page.refresh();
  assert.equal(page.state.phase, "ready", "a look by the way disturbs nobody");
  api.fault = new NoSession();
  await page.refresh();
  assert.deepEqual([page.state.phase, page.state.reason], ["none", "ended"]);
});

test("a sign-in that failed and came back here says why", async () => {
  const api = new FakeApi();
  api.fault = new NoSession();
  const { page } = await opened(api);
  page.notLinked("provider_unavailable");
  assert.match(text(shown(page.state)), /Signing in there didn’t work\. You can try again\./);
});

test("one change at a time", async () => {
  const { api, page } = await opened();
  const first = page.end("far");
  const buttons = all(shown(page.state)).filter(([tag]) => tag === "button");
  assert.ok(buttons.every(([, attributes]) => attributes["aria-disabled"] === "true"));
  await page.revoke("d2");
  await first;
  assert.deepEqual(api.calls, ["load", "end far", "load"]);
});

test("names are other people's text: cleaned, and never markup", async () => {
  const api = new FakeApi();
  api.account = { ...ACCOUNT, sessions: [session("x", { browser: "<b>\u202Evil on Windows", device_name: "a\u200Bb", origin: "nonsense" })] };
  const { page } = await opened(api);
  const row = text(byId(shown(page.state), "session-x"));
  assert.match(row, /<b>vil on Windows|<b>il on Windows/);
  assert.doesNotMatch(row, /[\u202E\u200B]/);
  api.account = { ...ACCOUNT, sessions: [session("x", { browser: null })], devices: [] };
  await page.refresh();
  assert.match(text(shown(page.state)), /Unknown browser.*No device is set up/);
});

test("a session without a device says how it was opened", async () => {
  const api = new FakeApi();
  const none = { device: null, device_name: null };
  api.account = { ...ACCOUNT, sessions: [session("c", { ...none, method: "connector:dingtalk" }), session("a", { ...none, method: "approval" })] };
  const { page } = await opened(api);
  assert.match(text(byId(shown(page.state), "session-c")), /Signed in through dingtalk/);
  api.account.ways = [{ name: "dingtalk", label: "钉钉" }];
  assert.match(text(byId(shown(page.state), "session-c")), /Signed in through 钉钉/, "as its button says");
  assert.match(text(byId(shown(page.state), "session-a")), /Signed in by approval/);
});

const LINKED = {
  ...ACCOUNT,
  ways: [{ name: "corp", label: "Corp account" }, { name: "ding", label: "钉钉" }],
  identities: [{ id: "i1", connector: "corp", label: "Corp account", name: "ada.l", linked_at: NOW - 3600 }, { id: "i2", connector: "gone", label: null, name: null, linked_at: NOW - 60 }],
};

test("accounts elsewhere are listed, linked and unlinked, where the login server has such a thing", async () => {
  const api = new FakeApi();
  api.account = LINKED;
  const { page, done, gone } = await opened(api);
  const tree = shown(page.state);
  assert.match(text(byId(tree, "identity-i1")), /Corp account.*As ada\.l · .*Linked 1 hour ago.*Unlink/);
  assert.match(text(byId(tree, "identity-i2")), /gone\s+Linked 1 minute ago/);
  page.ask("identity", "i1");
  assert.match(text(shown(page.state)), /Unlink Corp account\?.*another way to sign in/);
  assert.equal(byId(shown(page.state), "unlink-i1"), undefined);
  await page.unlink("i1");
  assert.deepEqual([api.calls.slice(1), done], [["unlink i1", "load"], [["unlinked", "ada.l"]]]);
  await page.link("ding");
  assert.deepEqual([api.calls.at(-1), gone], ["link ding https://app.example.com/account", ["https://id.example.com/authorize"]]);
  assert.equal(page.state.phase, "ready");
  assert.equal(byId(shown((await opened()).page.state), "identities"), undefined, "this one has none");
});

test("what kept an account from being linked is said once, and a second try takes it away", async () => {
  const api = new FakeApi();
  api.account = LINKED;
  const { page } = await opened(api);
  page.notLinked("access_refused");
  assert.match(text(byId(shown(page.state), "identities")), /Nothing was linked\./);
  page.notLinked("identity_taken");
  assert.match(text(byId(shown(page.state), "identities")), /linked to somebody else here\. You can try again\./);
  assert.match(text(byId(shown(page.state, "zh"), "identities")), /该账号已关联到其他用户。您可以重试。/);
  await page.link("corp");
  assert.doesNotMatch(text(shown(page.state)), /somebody else/);
});

test("both languages say the same things", () => {
  const places = (words) => Object.entries(words).flatMap(([key, value]) =>
    typeof value === "string" ? [`${key} ${[...value.matchAll(/\{\w+\}/g)].sort().join()}`] : places(value).map((place) => `${key}.${place}`));
  assert.deepEqual(places(wordsFor("zh-Hant")), places(wordsFor("en")));
  assert.equal(fill("{a} {b}", { a: "1" }), "1 {b}");
});

test("near times are distances, far ones dates", () => {
  for (const [passed, english, chinese] of [
    [-5, "just now", "刚刚"], [59, "just now", "刚刚"], [60, "1 minute ago", "1分钟前"], [3599, "59 minutes ago", "59分钟前"],
    [7200, "2 hours ago", "2小时前"], [86_400, "yesterday", "昨天"], [6 * 86_400, "6 days ago", "6天前"],
  ]) {
    assert.equal(said(NOW - passed, NOW, "en", wordsFor("en").now), english);
    assert.equal(said(NOW - passed, NOW, "zh-CN", wordsFor("zh").now), chinese);
  }
  assert.match(said(NOW - 90 * 86_400, NOW, "en"), /2026/);
  assert.match(exact(NOW, "en"), /Jan 1[45], 2027/);
});

test("calls carry the cookie, and their failures have names", async () => {
  const asked = [];
  let answer = { status: 204, ok: true };
  const fetch = async (url, { method, credentials, headers, body }) => {
    asked.push([method, url, credentials, headers?.["content-type"], body]);
    if (answer instanceof Error) throw answer;
    return answer;
  };
  const api = new Api(fetch, "https://app.example.com/loopkey/");
  await api.end("a/b");
  await api.signOutEverywhere();
  assert.deepEqual(asked, [
    ["DELETE", "https://app.example.com/loopkey/v1/sessions/a%2Fb", "same-origin", undefined, undefined],
    ["POST", "https://app.example.com/loopkey/v1/logout", "same-origin", "application/json", '{"everywhere":true}'],
  ]);
  assert.equal(api.events, "https://app.example.com/loopkey/v1/session/events");
  answer = { status: 404, ok: false };
  assert.equal(await api.revoke("gone"), null, "gone already");
  answer = { status: 401, ok: false };
  await assert.rejects(api.load(), NoSession);
  for (const [status, code, error] of [[503, "busy", "unavailable"], [503, "provider", "provider_unavailable"], [429, "busy"], [403, "other"], [500, "other"]]) {
    answer = { status, ok: false, json: async () => (error ? { error } : JSON.parse("<")) };
    await assert.rejects(api.revoke("d"), { code });
  }
  answer = new TypeError("network");
  await assert.rejects(api.load(), { code: "offline" });
});

test("the link back leads to the page one came from, if it is the site's", () => {
  const own = "https://login.example.com/loopkey/account";
  const origins = ["https://app.example.com", "https://www.example.com"];
  assert.equal(siteOf(origins, "https://www.example.com/notes?x=1", own), "https://www.example.com/notes?x=1");
  assert.equal(siteOf(origins, "https://evil.example.net/", own), "https://app.example.com/");
  assert.equal(siteOf(origins, "", own), "https://app.example.com/");
  assert.equal(siteOf(origins, "javascript:alert(1)", own), "https://app.example.com/");
  assert.equal(siteOf(["https://login.example.com"], own, own), "https://login.example.com/");
  assert.equal(siteOf([], "", own), "https://login.example.com/");
});
