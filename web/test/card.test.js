import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { initials, safeAvatar } from "../avatar.js";
import { browserOf } from "../browser.js";
import { cardView } from "../card-view.js";
import { ACTION_REFUSALS, ERRORS, PRESENCES, REASONS, REFUSALS, SESSION_REASONS, STATES } from "../codes.js";
import { wordsFor } from "../words.js";
import { cardElement } from "./card-support.js";

const ada = { name: "Ada Lovelace", avatar: null };
const view = (situation, speech = { lang: "en" }) => cardView({
  state: { name: "live", reason: "ready" }, presence: { presence: "signed_in" }, person: ada, session: null,
  busy: false, code: null, error: null, ...situation,
}, speech);

test("each state and reason has a view with words, in both languages", () => {
  for (const lang of ["en", "zh-CN"]) {
    for (const name of STATES) {
      for (const reason of REASONS[name]) {
        const drawn = view({ state: { name, reason } }, { lang });
        assert.ok(drawn.title && !drawn.title.includes("{"), `${lang} ${name}/${reason}: ${drawn.title}`);
        assert.ok(!drawn.text.includes("{"), `${lang} ${name}/${reason}: ${drawn.text}`);
      }
    }
  }
});

test("views by what is known", () => {
  assert.equal(view({}).view, "person");
  assert.equal(view({}).actions[0].label, "Continue as Ada Lovelace");
  assert.equal(view({ person: null }).view, "looking");
  assert.equal(view({ person: null, presence: { presence: "signed_out" } }).view, "signed-out");
  assert.equal(view({ presence: { presence: "locked" } }).view, "locked");
  assert.deepEqual(view({ presence: { presence: "locked" } }).actions, [], "nothing to click while locked");
  assert.equal(view({ busy: true }).view, "signing");
  assert.deepEqual([view({ busy: true, code: "07" }).view, view({ busy: true, code: "07" }).digits], ["consent", "07"]);
  assert.equal(view({ session: ada }).view, "done");
  const absent = { state: { name: "absent", reason: "not_running" } };
  assert.equal(view(absent, { lang: "en", href: "https://app.example/open" }).actions[0].href, "https://app.example/open");
  assert.deepEqual(view(absent).actions.map(({ id }) => id), ["retry"], "no button that opens nothing");
});

test("cancel is offered until the token is redeemed", () => {
  const ids = (situation) => view(situation).actions.map(({ id }) => id);
  assert.deepEqual(ids({ busy: true }), ["cancel"]);
  assert.deepEqual(ids({ busy: true, redeeming: true }), []);
});

test("each error has one sentence in each language, and a way to try again", () => {
  for (const lang of ["en", "zh"]) assert.deepEqual(Object.keys(wordsFor(lang).errors).sort(), [...ERRORS].sort());
  assert.equal(view({ error: "denied" }).actions[0].label, "Try again");
  assert.equal(view({ error: "switched" }).actions[0].label, "Continue as Ada Lovelace", "the new name is on the button");
});

test("where the browser stands between, its own windows are drawn, in the browser that is known", () => {
  const blocked = (reason, browser, lang = "en") => view({ state: { name: "blocked", reason } }, { lang, browser }).guide;
  for (const lang of ["en", "zh"]) {
    for (const browser of ["chromium", "firefox"]) {
      assert.equal(blocked("denied", browser, lang).picture, `${browser}-again`);
      assert.equal(blocked("dismissed", browser, lang).picture, `${browser}-ask`);
      assert.ok(blocked("denied", browser, lang).steps.length >= 2);
      assert.equal(view({ state: { name: "asking", reason: "permission_prompt" } }, { lang, browser }).guide.picture, `${browser}-ask`);
    }
    assert.equal(blocked("denied", "other", lang), undefined);
    assert.equal(blocked("insecure_page", "firefox", lang), undefined, "nothing that a click in the browser helps");
  }
});

test("a browser is known by its own name", () => {
  const agent = (userAgent) => browserOf({ userAgent });
  assert.equal(agent("Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0"), "firefox");
  assert.equal(agent("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36"), "chromium");
  assert.equal(agent("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36 Edg/156.0.0.0"), "chromium");
  assert.equal(agent("Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15"), "other");
  assert.equal(agent(undefined), "other");
});

test("both languages have the same words", () => {
  const shape = (words) => (typeof words === "string" ? "" : Object.fromEntries(Object.entries(words).map(([key, value]) => [key, shape(value)])));
  assert.deepEqual(shape(wordsFor("zh")), shape(wordsFor("en")));
});

test("the app's name begins a sentence with a capital", () => {
  assert.equal(view({ state: { name: "absent", reason: "not_running" } }).title, "The desktop app isn’t running");
  assert.equal(view({ state: { name: "absent", reason: "not_running" } }, { lang: "en", app: "Harbor" }).title, "Harbor isn’t running");
});

test("Chinese keeps a space from Latin names, and none within", () => {
  assert.equal(view({}, { lang: "zh", app: "Harbor", href: "x:" }).actions[0].label, "以 Ada Lovelace 的身份继续");
  assert.equal(view({ person: { name: "林小雨", avatar: null } }, { lang: "zh" }).actions[0].label, "以林小雨的身份继续");
  assert.equal(view({ state: { name: "absent", reason: "not_running" } }, { lang: "zh", app: "Harbor", href: "x:" }).actions[0].label, "打开 Harbor");
});

test("pictures: https, the page's own origin, inline bitmaps; nothing else", () => {
  const page = "http://localhost:28980/";
  const bitmap = "data:image/png;base64,AAAA";
  for (const good of ["https://cdn.example.com/a.png", "/avatars/ada.png", bitmap]) assert.ok(safeAvatar(good, page), good);
  for (const bad of [null, "", "javascript:alert(1)", "data:image/svg+xml,<svg/>", "data:text/html,x", "http://evil.test/a.png", "file:///etc/passwd", `data:image/png;base64,${"A".repeat(200_000)}`, "  javascript:alert(1)", "JaVaScRiPt:alert(1)", "data:image/svg+xml;base64,AAAA", "//evil.test/a.png", 7, {}, ["https://x.test/"], "https://user:pw@cdn.example.com/a.png", "blob:http://localhost:28980/x"]) {
    assert.equal(safeAvatar(bad, page), null, String(bad));
  }
});

test("initials", () => {
  assert.deepEqual(["Ada Lovelace", "林小雨", "sam", "  ", "Ana María del Río"].map(initials), ["AL", "小雨", "S", "?", "AR"]);
});

test("loopkey.d.ts names every code", () => {
  const types = readFileSync(new URL("../loopkey.d.ts", import.meta.url), "utf8");
  for (const code of [...STATES, ...Object.values(REASONS).flat(), ...ERRORS, ...REFUSALS, ...ACTION_REFUSALS, ...SESSION_REASONS, ...PRESENCES]) {
    assert.ok(types.includes(`"${code}"`), code);
  }
});

test("other ways are offered until somebody is signed in, and again afterwards", async () => {
  const { card, show } = await cardElement({ ways: 1 });
  show({});
  assert.deepEqual([card.getAttribute("view"), card.showsWays], ["person", true]);
  show({ session: ada });
  assert.deepEqual([card.getAttribute("view"), card.showsWays], ["done", false]);
  show({ session: null });
  assert.equal(card.showsWays, true, "after a sign-out");
  const without = await cardElement({ ways: 0 });
  without.show({});
  assert.equal(without.card.showsWays, false, "the site has none");
});

test("a link among the other ways looks as the card does, and a page's own rules win", async () => {
  const { css } = await cardElement({ ways: 1 });
  const rule = /::slotted\(a\)\s*\{([^}]*)\}/.exec(css)?.[1] ?? "";
  assert.match(rule, /text-align: center/);
  assert.match(rule, /[^-]color: var\(--accent\)/);
  assert.match(rule, /display: block/, "an inline link cannot be centred by its own rule");
  // Of rules that are important, those of the shadow tree win over the page's.
  assert.ok(rule && !rule.includes("!important"));
});
