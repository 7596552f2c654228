import assert from "node:assert/strict";
import { test } from "node:test";
import { offer, sentence } from "../ways.js";

/** Elements as far as the ways need them. */
class Piece {
  constructor(tag, attributes, children) {
    Object.assign(this, { tag, attributes: { ...attributes }, children, textContent: "", listeners: [] });
  }

  get href() {
    return this.attributes.href;
  }

  setAttribute(name, value) {
    this.attributes[name] = value;
  }

  toggleAttribute(name, on) {
    if (on) this.attributes[name] = "";
    else delete this.attributes[name];
  }

  append(...pieces) {
    this.children.push(...pieces);
    for (const piece of pieces) piece.parent = this;
  }

  remove() {
    this.parent.children = this.parent.children.filter((piece) => piece !== this);
  }

  addEventListener(type, run) {
    this.listeners.push([type, run]);
  }

  all(tag) {
    return [...(this.tag === tag ? [this] : []), ...this.children.flatMap((child) => child.all?.(tag) ?? [])];
  }
}

const element = (tag, attributes = {}, ...children) => new Piece(tag, attributes, children);
const ISSUER = "https://app.example.com/loopkey";

function here({ connectors, fragment = "", status = 200, show = undefined, frame = { ok: true, json: async () => ({}) } }) {
  const page = {
    at: fragment, asked: [], gone: [], show,
    go: (address) => page.gone.push(address),
    fragment: () => page.at,
    setFragment: (to) => { page.at = to; },
    address: () => "https://app.example.com/",
    fetch: async (address, init) => {
      page.asked.push([address, init.credentials]);
      if (init.method === "POST") return frame;
      if (status !== 200) throw new Error("out of reach");
      return { json: async () => ({ connectors }) };
    },
  };
  return page;
}

const offered = (page, frames = undefined) => offer({ issuer: ISSUER, element: /** @type {any} */ (element), frames, page: /** @type {any} */ (page) });
/** @returns {boolean} whether the browser follows the link */
const click = (link, keys = {}) => {
  let follows = true;
  for (const [type, run] of link.listeners) if (type === "click") run({ preventDefault: () => { follows = false; }, ...keys });
  return follows;
};
/** Until everything that is under way has come to its end. */
const settled = () => new Promise((resolve) => setImmediate(resolve));
const CORP = { name: "corp", label: "Corp account", kind: "oidc" };

test("each connector is a link that leads back to where the page is when it is clicked", async () => {
  const page = here({ connectors: [CORP, { name: "two", label: "<b>$&</b>" }] });
  const ways = await offered(page);
  ways.say("en");
  const links = /** @type {any} */ (ways.element).all("a");
  assert.deepEqual(links.map(({ textContent }) => textContent), ["Continue with Corp account", "Continue with <b>$&</b>"]);
  assert.match(links[0].href, /\?return_to=https/, "also for who copies it");
  page.address = () => "https://app.example.com/documents?page=2&x=ä";
  for (const [type, run] of links[0].listeners) if (type === "pointerdown") run(); // as a click of any button begins
  assert.equal(links[0].href, `${ISSUER}/v1/connect/corp?return_to=https%3A%2F%2Fapp.example.com%2Fdocuments%3Fpage%3D2%26x%3D%C3%A4`);
  ways.say("zh-CN");
  assert.equal(links[0].textContent, "使用Corp account继续");
  assert.deepEqual(page.asked, [[`${ISSUER}/v1/connectors`, "omit"]], "without cookies");
});

test("nothing to offer, out of reach, or not what it should be: nothing", async () => {
  assert.equal(await offered(here({ connectors: [] })), null);
  assert.equal(await offered(here({ connectors: undefined })), null);
  assert.equal(await offered(here({ connectors: [], status: 500 })), null);
  const wrong = [{ name: "old", label: "x", page: false }, { name: "../evil", label: "x" }, { name: "a?b", label: "x" }, { name: "a", label: "" }, { name: "a", label: 7 }, {}];
  assert.equal(await offered(here({ connectors: wrong })), null);
});

test("what went wrong is told once, in both languages, and any other words are not shown", async () => {
  for (const [fragment, code, left] of [
    ["loopkey_error=identity_taken", "identity_taken", ""],
    ["chapter&loopkey_error=access_refused", "access_refused", "chapter"],
    ["loopkey_error=something_new", "something_new", ""],
  ]) {
    const page = here({ connectors: [CORP], fragment });
    const ways = await offered(page);
    assert.deepEqual([ways.error, page.at], [code, left]);
    const [notice] = /** @type {any} */ (ways.element).all("p");
    for (const [lang, end] of [["en", "You can try again."], ["zh", "您可以重试。"]]) {
      ways.say(lang);
      assert.ok(notice.textContent.endsWith(end) && !notice.textContent.includes("{"), notice.textContent);
      assert.ok(!notice.textContent.includes(code), notice.textContent);
    }
    assert.equal((await offered(page)).error, null, "once");
  }
  for (const fragment of ["loopkey_error=<b>x</b>", "loopkey_error=", "loopkey_error=a&b", "xloopkey_error=a", "LOOPKEY_ERROR=a"]) {
    assert.equal((await offered(here({ connectors: [CORP], fragment }))).error, null, fragment);
  }
  assert.equal((await offered(here({ connectors: [], fragment: "loopkey_error=not_linked" }))).error, "not_linked", "without connectors too");
});

test("only what a second try may change says that one can be made", () => {
  for (const [code, again] of [["access_refused", true], ["other", true], ["not_linked", false], ["stronger_way_needed", false], ["connector_misconfigured", false]]) {
    assert.equal(sentence(code, "en").endsWith(" You can try again."), again, code);
    assert.equal(sentence(code, "zh").endsWith("您可以重试。"), again, code);
  }
});

test("a code that every object knows is none of ours", () => {
  for (const code of ["constructor", "__proto__", "valueof", "toString"]) {
    assert.equal(sentence(code, "en"), "Signing in there didn’t work. You can try again.");
  }
});

const DING = { name: "ding", label: "DingTalk", kind: "dingtalk", framed: true };
const FRAME = {
  ok: true,
  json: async () => ({ location: "https://login.example/f", frame_origin: "https://login.example", redirect_uri: `${ISSUER}/back` }),
};

test("a provider is shown in a frame where the page and the provider want it, and nowhere else", async () => {
  const shown = [];
  const show = async (place, { signal, ...options }) => {
    shown.push(options);
    return `${ISSUER}/back?code=1`;
  };
  const page = here({ connectors: [DING, CORP], show, frame: FRAME });
  const ways = await offered(page, true);
  const [ding, corp] = /** @type {any} */ (ways.element).all("a");
  assert.equal(click(corp), true, "this one cannot be framed");
  assert.equal(click(ding, { ctrlKey: true }), true, "it is wanted in a tab of its own");
  assert.deepEqual([shown, page.gone], [[], []]);
  assert.equal(click(ding), false);
  await settled();
  assert.deepEqual(shown, [{ location: "https://login.example/f", frameOrigin: "https://login.example", redirectUri: `${ISSUER}/back`, title: "DingTalk" }]);
  assert.deepEqual(page.gone, [`${ISSUER}/back?code=1`]);
  assert.deepEqual(page.asked.at(-1), [`${ISSUER}/v1/connect/ding/frame`, "include"], "with the pre-login cookie");
  const [link] = /** @type {any} */ ((await offered(here({ connectors: [DING], show, frame: FRAME }))).element).all("a");
  assert.equal(click(link), true, "the page did not ask for it");
});

test("a frame that ends badly says so, and leaves the way as a page", async () => {
  for (const [frame, show, code] of [
    [FRAME, async () => { throw new DOMException("no", "NotAllowedError"); }, "access_refused"],
    [{ ok: false, status: 503 }, async () => "", "other"],
  ]) {
    const page = here({ connectors: [DING], show, frame });
    const ways = await offered(page, true);
    ways.say("en");
    const { all } = /** @type {any} */ (ways.element);
    const [notice, link] = ["p", "a"].map((tag) => all.call(ways.element, tag)[0]);
    assert.equal("hidden" in notice.attributes, true);
    click(link);
    assert.deepEqual(all.call(ways.element, "a").map(({ textContent }) => textContent), ["Continue with DingTalk", "Open DingTalk as a page instead"]);
    await settled();
    const sentence = code === "other" ? "Signing in there didn’t work." : "You were not let in.";
    assert.equal(notice.textContent, `${sentence} You can try again.`);
    assert.deepEqual(["hidden" in notice.attributes, page.gone, all.call(ways.element, "a").length], [false, [], 1]);
  }
});

test("a second click begins anew, and what becomes of the first is not told", async () => {
  const ends = [];
  const show = (place, { signal }) => new Promise((resolve, reject) => {
    ends.push(resolve);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
  const page = here({ connectors: [DING], show, frame: FRAME });
  const ways = await offered(page, true);
  const { all } = /** @type {any} */ (ways.element);
  const [link] = all.call(ways.element, "a");
  click(link);
  await settled();
  click(link);
  await settled();
  assert.equal(all.call(ways.element, "div").filter(({ attributes }) => attributes.class === "frame").length, 1);
  assert.equal("hidden" in all.call(ways.element, "p")[0].attributes, true);
  ends[1]("https://app.example.com/next");
  await settled();
  assert.deepEqual(page.gone, ["https://app.example.com/next"]);
});
