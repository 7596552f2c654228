/**
 * The other ways to sign in: what the login server has configured (`GET /v1/connectors`), each a link that leaves for the
 * provider and comes back to this page signed in. Where the page wants it, a provider that can be framed is shown in a frame;
 * the link stays for who opens it elsewhere. And what went wrong there, told once, in one sentence.
 *
 * Loaded when somebody is not signed in. What it shares with the rest is handed to it: an import would have bundlers cut the
 * rest in two.
 *
 * @typedef {object} Tools
 * @property {string} issuer
 * @property {(tag: string, attributes?: Record<string, string>, ...children: (Node | string)[]) => HTMLElement} element
 * @property {boolean} [frames]  show in a frame what can be; the page's policy lets it in (`frame-src`)
 * @property {Page} [page]
 *
 * @typedef {object} Page
 * @property {typeof fetch} fetch
 * @property {() => string} fragment
 * @property {(fragment: string) => void} setFragment
 * @property {() => string} address
 * @property {(address: string) => void} go
 * @property {typeof import("./dingtalk-frame.js").showDingTalk} show
 *
 * @typedef {object} Ways
 * @property {HTMLElement} element
 * @property {string | null} error  the code of what went wrong, if this page was sent back with one
 * @property {(lang: string) => void} say  in that language
 */

const en = {
  with: "Continue with {label}",
  asPage: "Open {label} as a page instead",
  errors: {
    sign_in_expired: "That sign-in took too long, or was begun in another window.",
    code_expired: "That sign-in took too long.",
    other_organisation: "That account belongs to another organisation.",
    access_refused: "You were not let in.",
    not_linked: "That account isn’t known here yet. Sign in as usual first, then link it.",
    stronger_way_needed: "Your account asks for a safer way to sign in.",
    identity_taken: "That account is linked to somebody else here.",
    connector_misconfigured: "This way to sign in isn’t set up correctly. Please tell an administrator.",
    other: "Signing in there didn’t work.",
  },
  again: "{sentence} You can try again.",
};

/** @type {typeof en} */
const zh = {
  with: "使用{label}继续",
  asPage: "直接前往{label}页面",
  errors: {
    sign_in_expired: "登录已超时，或是在其他窗口开始的。",
    code_expired: "登录已超时。",
    other_organisation: "该账号属于其他组织。",
    access_refused: "登录未获允许。",
    not_linked: "此处尚未关联该账号。请先用原有方式登录，再进行关联。",
    stronger_way_needed: "您的账号要求使用更安全的登录方式。",
    identity_taken: "该账号已关联到其他用户。",
    connector_misconfigured: "此登录方式的配置有误，请联系管理员。",
    other: "未能在那里完成登录。",
  },
  again: "{sentence}您可以重试。",
};

const wordsFor = (lang) => (/^zh\b/i.test(lang) ? zh : en);

/** What a second try changes nothing about. */
const FINAL = ["not_linked", "stronger_way_needed", "connector_misconfigured"];

/** What went wrong, in one sentence. @param {string} code @param {string} lang */
export function sentence(code, lang) {
  const { errors, again } = wordsFor(lang);
  const said = Object.hasOwn(errors, code) ? errors[code] : errors.other;
  return FINAL.includes(code) ? said : again.replace("{sentence}", said);
}

/** A name as configured: nothing else goes into an address. */
const NAME = /^[a-z][a-z0-9-]{0,31}$/;
/** What is read of the fragment. */
const ERROR = /(?:^|&)loopkey_error=([a-z_]{1,40})$/;

/** @param {Tools} tools @returns {Promise<Ways | null>} nothing where there is nothing to offer and nothing to tell */
export async function offer({ issuer, element, frames = false, page = thisPage() }) {
  let error = takeError(page);
  const ways = await listed(issuer, page.fetch);
  if (!ways.length && !error) return null;
  const notice = element("p", { class: "notice", role: "alert", part: "notice", ...(!error && { hidden: "" }) });
  const to = (name) => `${issuer}/v1/connect/${name}?return_to=${encodeURIComponent(page.address())}`;
  /** Leads back to where the page is when the person leaves, with whichever button: an application may have moved it since. */
  const leaving = (name, attributes) => {
    const link = element("a", { ...attributes, href: to(name) });
    for (const type of ["pointerdown", "click"]) link.addEventListener(type, () => link.setAttribute("href", to(name)));
    return link;
  };
  const links = ways.map(({ name }) => leaving(name, { class: "second", "data-way": name }));
  let language = "en";
  /** The frame that is open. @type {{close: AbortController, label: string, link: HTMLElement} | null} */
  let open = null;
  const draw = () => {
    notice.toggleAttribute("hidden", !error);
    if (error) notice.textContent = sentence(error, language);
    const words = wordsFor(language);
    links.forEach((link, at) => {
      link.textContent = words.with.replace("{label}", () => ways[at].label);
    });
    if (open) open.link.textContent = words.asPage.replace("{label}", () => open.label);
  };
  const frame = async ({ name, label }) => {
    open?.close.abort();
    const link = leaving(name, { class: "quiet" });
    const place = element("div", { class: "frame", part: "frame" });
    const mine = (open = { close: new AbortController(), label, link });
    error = null;
    draw();
    box.append(place, link);
    try {
      await showFrame(place, { issuer, name, label, page, signal: mine.close.signal });
    } catch (cause) {
      if (open !== mine) return;
      // Said no there; anything else is no fault of the person's, who may still go there by the link.
      error = cause.name === "NotAllowedError" ? "access_refused" : "other";
    } finally {
      place.remove();
      link.remove();
      if (open === mine) open = null;
      draw();
    }
  };
  const box = element("div", {}, notice, ...(links.length ? [element("div", { class: "actions" }, ...links)] : []));
  links.forEach((link, at) => link.addEventListener("click", (event) => {
    // With a key held down the browser opens it elsewhere.
    if (!frames || ways[at].framed !== true || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    frame(ways[at]);
  }));
  draw();
  return {
    element: box,
    error,
    say(lang) {
      language = lang;
      draw();
    },
  };
}

/** Shows a provider's page in a frame until it is done, and goes where it leads. */
async function showFrame(place, { issuer, name, label, page, signal }) {
  const answer = await page.fetch(`${issuer}/v1/connect/${name}/frame`, {
    method: "POST", credentials: "include", cache: "no-store", redirect: "error", signal,
    headers: { "Content-Type": "application/json" }, body: JSON.stringify({ return_to: page.address() }),
  });
  if (!answer.ok) throw new Error(`no frame (${answer.status})`);
  const { location, frame_origin: frameOrigin, redirect_uri: redirectUri } = await answer.json();
  page.go(await page.show(place, { location, frameOrigin, redirectUri, title: label, signal }));
}

/** Once: who loads the page again, or goes back to it, is not told again. @returns {string | null} its code */
export function takeError({ fragment, setFragment }) {
  const found = ERROR.exec(fragment());
  if (!found) return null;
  setFragment(fragment().slice(0, found.index));
  return found[1];
}

/** Out of reach, or without connectors: then there is no other way, and nobody needs to hear of it. */
export async function listed(issuer, fetch) {
  try {
    const answer = await fetch(`${issuer}/v1/connectors`, { cache: "no-store", credentials: "omit" });
    const { connectors } = await answer.json();
    return connectors.filter(({ name, label, page }) => page !== false && NAME.test(name) && typeof label === "string" && label);
  } catch {
    return [];
  }
}

/** The page that this library is on. @returns {Page} */
export function thisPage() {
  const { fetch, location, history } = globalThis;
  return {
    fetch: (input, init) => fetch(input, init),
    fragment: () => location.hash.slice(1),
    setFragment: (fragment) => history.replaceState(history.state, "", location.pathname + location.search + (fragment && `#${fragment}`)),
    address: () => location.href.split("#")[0],
    go: (address) => location.assign(address),
    show: async (place, options) => (await import("./dingtalk-frame.js")).showDingTalk(place, options),
  };
}
