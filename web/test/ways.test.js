import assert from "node:assert/strict";
import { test } from "node:test";
import { offer } from "../ways.js";

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

  addEventListener(type, run) {
    this.listeners.push(run);
  }

  all(tag) {
    return [...(this.tag === tag ? [this] : []), ...this.children.flatMap((child) => child.all?.(tag) ?? [])];
  }
}

const element = (tag, attributes = {}, ...children) => new Piece(tag, attributes, children);
const ISSUER = "https://app.example.com/loopkey";

function here({ connectors, fragment = "", status = 200 }) {
  const page = {
    at: fragment, asked: [],
    fragment: () => page.at,
    setFragment: (to) => { page.at = to; },
    address: () => "https://app.example.com/documents?page=2&x=ä",
    fetch: async (address, init) => {
      page.asked.push([address, init.credentials]);
      if (status !== 200) throw new Error("out of reach");
      return { json: async () => ({ connectors }) };
    },
  };
  return page;
}

const offered = (page) => offer({ issuer: ISSUER, element: /** @type {any} */ (element), page: /** @type {any} */ (page) });
const CORP = { name: "corp", label: "Corp account", kind: "oidc" };

test("each connector is a link that leads back to where the page is when it is clicked", async () => {
  const page = here({ connectors: [CORP, { name: "two", label: "<b>$&</b>" }] });
  const ways = await offered(page);
  ways.say("en");
  const links = /** @type {any} */ (ways.element).all("a");
  assert.deepEqual(links.map(({ textContent }) => textContent), ["Continue with Corp account", "Continue with <b>$&</b>"]);
  for (let twice = 0; twice < 2; twice += 1) links[0].listeners[0]();
  assert.equal(links[0].href, `${ISSUER}/v1/connect/corp?return_to=https%3A%2F%2Fapp.example.com%2Fdocuments%3Fpage%3D2%26x%3D%C3%A4`);
  ways.say("zh-CN");
  assert.equal(links[0].textContent, "使用Corp account继续");
  assert.deepEqual(page.asked, [[`${ISSUER}/v1/connectors`, "omit"]], "without cookies");
});

test("nothing to offer, out of reach, or not what it should be: nothing", async () => {
  assert.equal(await offered(here({ connectors: [] })), null);
  assert.equal(await offered(here({ connectors: undefined })), null);
  assert.equal(await offered(here({ connectors: [], status: 500 })), null);
  const wrong = [{ name: "../evil", label: "x" }, { name: "a?b", label: "x" }, { name: "a", label: "" }, { name: "a", label: 7 }, {}];
  assert.equal(await offered(here({ connectors: wrong })), null);
});

test("what went wrong is told once, in both languages, and any other words are not shown", async () => {
  for (const [fragment, code, left] of [
    ["loopkey_error=not_linked", "not_linked", ""],
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
