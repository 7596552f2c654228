import assert from "node:assert/strict";
import { test } from "node:test";
import { cardView } from "../card-view.js";
import { isFramedByStranger } from "../frame.js";

/** Windows from the outermost page to the innermost; reading a stranger's `origin` throws, as in browsers. */
function innermost(...origins) {
  let inner = null;
  const own = origins.at(-1);
  for (const origin of origins) {
    const page = { get origin() {
      if (origin !== own) throw new DOMException("Blocked a frame", "SecurityError");
      return origin;
    } };
    page.parent = inner ?? page;
    inner = page;
  }
  return inner;
}

const APP = "https://app.example.com";
const EVIL = "https://evil.test";

test("i155: a page alone, or in pages of its own origin, is not framed by a stranger", () => {
  assert.equal(isFramedByStranger(innermost(APP)), false);
  assert.equal(isFramedByStranger(innermost(APP, APP, APP)), false);
});

test("i155: another origin anywhere around it is a stranger", () => {
  for (const around of [[EVIL], [EVIL, APP], [APP, EVIL], [EVIL, EVIL], [APP, EVIL, APP], ["https://www.app.example.com"], ["http://app.example.com"], ["null"]]) {
    assert.equal(isFramedByStranger(innermost(...around, APP)), true, around.join(" > "));
  }
});

test("i155: a sandboxed page cannot know who its parent is", () => {
  assert.equal(isFramedByStranger(innermost("null", "null")), true);
});

test("i155: the view in a stranger's frame names nobody and has nothing to click, whatever is known", () => {
  const ada = { name: "Ada Lovelace", avatar: "https://cdn.example.com/ada.png" };
  const known = { presence: { presence: "signed_in" }, person: ada, session: ada, busy: true, redeeming: true, code: "47", error: "denied" };
  for (const lang of ["en", "zh"]) {
    const view = cardView({ ...known, state: { name: "blocked", reason: "framed" } }, { lang, app: "Harbor", href: "https://x.test/" });
    assert.equal(view.view, "framed");
    assert.deepEqual(view.actions, []);
    assert.ok(view.title && view.text && !JSON.stringify(view).includes("Ada") && !JSON.stringify(view).includes("47"));
  }
});
