/**
 * The other ways to sign in: what the login server has configured (`GET /v1/connectors`), each a link that leaves for the
 * provider and comes back to this page signed in. And what went wrong there, told once, in one sentence.
 *
 * Loaded when somebody is not signed in. What it shares with the rest is handed to it: an import would have bundlers cut the
 * rest in two.
 *
 * @typedef {object} Tools
 * @property {string} issuer
 * @property {(tag: string, attributes?: Record<string, string>, ...children: (Node | string)[]) => HTMLElement} element
 * @property {{fetch: typeof fetch, fragment: () => string, setFragment: (fragment: string) => void, address: () => string}} [page]
 *
 * @typedef {object} Ways
 * @property {HTMLElement} element
 * @property {string | null} error  the code of what went wrong, if this page was sent back with one
 * @property {(lang: string) => void} say  in that language
 */

const en = {
  with: "Continue with {label}",
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

/** A name as configured: nothing else goes into an address. */
const NAME = /^[a-z][a-z0-9-]{0,31}$/;
/** What is read of the fragment. */
const ERROR = /(?:^|&)loopkey_error=([a-z_]{1,40})$/;

/** @param {Tools} tools @returns {Promise<Ways | null>} nothing where there is nothing to offer and nothing to tell */
export async function offer({ issuer, element, page = thisPage() }) {
  const error = takeError(page);
  const ways = await listed(issuer, page.fetch);
  if (!ways.length && !error) return null;
  const notice = element("p", { class: "notice", role: "alert", part: "notice" });
  const links = ways.map(({ name }) => element("a", { class: "second", href: `${issuer}/v1/connect/${name}`, "data-way": name }));
  for (const link of links) {
    // Where the page is when the person leaves: an application may have moved it since.
    link.addEventListener("click", () => link.setAttribute("href", `${link.href.split("?")[0]}?return_to=${encodeURIComponent(page.address())}`));
  }
  const actions = element("div", { class: "actions" }, ...links);
  return {
    element: element("div", {}, ...(error ? [notice] : []), ...(links.length ? [actions] : [])),
    error,
    say(lang) {
      const words = /^zh\b/i.test(lang) ? zh : en;
      if (error) notice.textContent = words.again.replace("{sentence}", words.errors[error] ?? words.errors.other);
      links.forEach((link, at) => {
        link.textContent = words.with.replace("{label}", () => ways[at].label);
      });
    },
  };
}

/** Once: who loads the page again, or goes back to it, is not told again. */
function takeError({ fragment, setFragment }) {
  const found = ERROR.exec(fragment());
  if (!found) return null;
  setFragment(fragment().slice(0, found.index));
  return found[1];
}

/** Out of reach, or without connectors: then there is no other way, and nobody needs to hear of it. */
async function listed(issuer, fetch) {
  try {
    const answer = await fetch(`${issuer}/v1/connectors`, { cache: "no-store", credentials: "omit" });
    const { connectors } = await answer.json();
    return connectors.filter(({ name, label }) => NAME.test(name) && typeof label === "string" && label);
  } catch {
    return [];
  }
}

/** The page that this library is on. */
function thisPage() {
  const { fetch, location, history } = globalThis;
  return {
    fetch: (input, init) => fetch(input, init),
    fragment: () => location.hash.slice(1),
    setFragment: (fragment) => history.replaceState(history.state, "", location.pathname + location.search + (fragment && `#${fragment}`)),
    address: () => location.href.split("#")[0],
  };
}
