/**
 * Another device lets this browser in: a phone that scans a code, or the desktop app on another computer of the person's. The
 * card loads this on a click. What the login server tells is a state; the session comes by a request of this browser alone.
 *
 * It imports nothing, so that it is one chunk, and brings its own words and style.
 */

/** @typedef {"opening" | "scan" | "digits" | "approved" | "done" | "denied" | "expired" | "superseded" | "cancelled" | "failed" | "busy"} Phase */

const en = {
  scan: { title: "Scan with your phone", text: "Use a phone on which you are signed in to this site. The picture changes every few seconds." },
  digits: { title: "Type this number there", text: "Your other device asks for it. Never tell it to anybody." },
  asked: { title: "Approve on your other device", text: "Where {app} is running, you are asked for this number. Nothing comes? Then the name is another, or you were asked too often: use your phone." },
  approved: { title: "Signing you in…", text: "" },
  done: { title: "You’re signed in", text: "" },
  opening: { title: "One moment…", text: "" },
  denied: { title: "Not approved", text: "It was denied there, or another number was typed." },
  expired: { title: "That took too long", text: "Try again when your other device is at hand." },
  superseded: { title: "Two devices scanned this code", text: "One of them may not be yours. Try again where nobody else sees the screen." },
  cancelled: { title: "Given up", text: "" },
  failed: { title: "That did not work", text: "Try again, or use another way." },
  busy: { title: "Please wait a moment", text: "Too many tries came from here. Try again in a minute." },
  picture: "Code to scan with your phone",
  label: "Your number is {code}",
  retry: "Try again",
  close: "Cancel",
  agents: "No phone? Ask the app on your other computer",
  phone: "Use a phone instead",
  account: "Your account’s name",
  ask: "Ask there",
};

const zh = {
  scan: { title: "用手机扫码", text: "请使用已登录本站的手机。图片每隔几秒更换一次。" },
  digits: { title: "请在那里输入此数字", text: "您的另一台设备会要求输入。请勿告诉任何人。" },
  asked: { title: "在另一台设备上批准", text: "正在运行{app}的设备会要求输入此数字。没有提示？可能是账号名不对，或请求过于频繁：请改用手机。" },
  approved: { title: "正在登录…", text: "" },
  done: { title: "您已登录", text: "" },
  opening: { title: "请稍候…", text: "" },
  denied: { title: "未获批准", text: "在那里被拒绝，或输入了其他数字。" },
  expired: { title: "已超时", text: "请在另一台设备就绪后重试。" },
  superseded: { title: "有两台设备扫描了此码", text: "其中一台可能不是您的。请在他人看不到屏幕的地方重试。" },
  cancelled: { title: "已取消", text: "" },
  failed: { title: "未能成功", text: "请重试，或使用其他方式。" },
  busy: { title: "请稍候片刻", text: "此处尝试次数过多，请一分钟后重试。" },
  picture: "用手机扫描的二维码",
  label: "您的数字是 {code}",
  retry: "重试",
  close: "取消",
  agents: "没有手机？询问另一台电脑上的应用",
  phone: "改用手机",
  account: "您的账号名",
  ask: "发起询问",
};

const CSS = `
.approval { display: flex; flex-direction: column; gap: 0.75rem; align-items: center; padding: 0.5rem 0 0.25rem; text-align: center; }
.approval h3 { margin: 0; font-size: 1.0625rem; font-weight: 620; line-height: 1.3; }
.approval h3:focus { outline: none; }
.approval p { margin: 0; }
.approval img { display: block; width: min(13rem, 100%); aspect-ratio: 1; border: 1px solid var(--line); border-radius: 12px; background: #fff; }
.approval .number { display: flex; gap: 0.5rem; font-size: 2.75rem; font-weight: 640; line-height: 1; font-variant-numeric: tabular-nums; }
.approval .number span { padding: 0.6rem 0.8rem; border-radius: 12px; background: var(--tint); color: var(--accent); }
.approval form { display: grid; gap: 0.5rem; width: 100%; text-align: start; }
.approval input { width: 100%; min-height: 2.75rem; padding: 0.4rem 0.7rem; border: 1px solid var(--line); border-radius: 10px; background: transparent; color: inherit; font: inherit; }
.approval button { min-height: 2.75rem; padding: 0.4rem 0.9rem; border: 1px solid var(--line); border-radius: 10px; background: transparent; color: inherit; font: inherit; font-weight: 560; cursor: pointer; }
.approval button.plain { border-color: transparent; color: var(--soft); font-weight: 400; }
.approval :is(button, input):focus-visible { outline: 2.5px solid var(--accent); outline-offset: 2px; }
`;

/** Ends of an order, and what could not even begin. */
const OVER = ["denied", "expired", "superseded", "cancelled", "failed", "busy"];

/** The order of this browser, from its opening to its end. It draws nothing. */
export class Order {
  /** The last giving up, of whichever order of this page: they have one cookie. @type {Promise<unknown> | null} */
  static #cancelled = null;
  #environment;
  #issuer;
  #events = null;
  #on;
  /** Counts the orders, so that an answer about one before changes nothing. */
  #number = 0;
  /** @type {{phase: Phase, code: string, picture: string, account: boolean}} */
  state = { phase: "opening", code: "", picture: "", account: false };

  /**
   * @param {{fetch: typeof fetch, EventSource: typeof EventSource | undefined}} environment
   * @param {string} issuer without a slash at its end
   * @param {(state: Order["state"]) => void} on
   */
  constructor(environment, issuer, on) {
    this.#environment = environment;
    this.#issuer = issuer;
    this.#on = on;
  }

  /** Opens an order: for whoever scans its picture, or for the agents of an account. @param {string} [account] */
  async open(account) {
    this.#stop();
    const number = (this.#number += 1);
    this.#set({ phase: "opening", code: "", picture: "", account: account !== undefined });
    // Its answer takes the cookie away: late, it would take this one's.
    if (Order.#cancelled) await Order.#cancelled;
    if (number !== this.#number) return;
    const answer = await this.#post("/v1/orders", account === undefined ? {} : { account });
    if (number !== this.#number) return;
    if (answer?.status !== 201) return this.#set({ phase: answer?.status === 429 ? "busy" : "failed" });
    const { code } = await answer.json().catch(() => ({}));
    if (number !== this.#number) return;
    if (!/^\d\d$/.test(code) || !this.#environment.EventSource) return this.#set({ phase: "failed" });
    this.#set({ code });
    this.#listen(number);
  }

  /** Gives it up. */
  close() {
    this.#number += 1;
    const under = ["opening", "scan", "digits"].includes(this.state.phase);
    this.#stop();
    if (under) Order.#cancelled = this.#post("/v1/orders/cancel", {});
  }

  #listen(number) {
    const events = new this.#environment.EventSource(`${this.#issuer}/v1/orders/events`, { withCredentials: true });
    this.#events = events;
    events.addEventListener("order", (event) => {
      if (number !== this.#number) return;
      try {
        this.#told(JSON.parse(/** @type {MessageEvent} */ (event).data), number);
      } catch {
        // Not of this version: the next one may be.
      }
    });
    events.addEventListener("error", () => {
      // The browser opens it again by itself, but for an answer that says that there is nothing to hear.
      if (number === this.#number && events.readyState === 2) this.#end("expired");
    });
  }

  #told({ state, picture }, number) {
    if (state === "pending" && this.state.account) return this.#set({ phase: "digits" });
    if (state === "pending") return this.#set({ phase: "scan", picture: `${this.#issuer}/v1/orders/qr.svg?${Number(picture)}` });
    if (state === "scanned") return this.#set({ phase: "digits", picture: "" });
    if (state === "approved") return this.#finish(number);
    if (state === "consumed") return this.#stop();
    this.#end(OVER.includes(state) ? state : "failed");
  }

  async #finish(number) {
    if (this.state.phase === "approved") return;
    this.#set({ phase: "approved", picture: "" });
    this.#stop();
    const answer = await this.#post("/v1/orders/finish", {});
    if (number === this.#number) this.#set({ phase: answer?.status === 204 ? "done" : "failed" });
  }

  #end(phase) {
    this.#stop();
    this.#set({ phase, picture: "" });
  }

  #stop() {
    this.#events?.close();
    this.#events = null;
  }

  #post(path, body) {
    return this.#environment.fetch(this.#issuer + path, {
      method: "POST", credentials: "include", cache: "no-store", redirect: "error",
      headers: { "content-type": "application/json" }, body: JSON.stringify(body),
    }).catch(() => null);
  }

  #set(change) {
    this.state = { ...this.state, ...change };
    this.#on(this.state);
  }
}

/**
 * Draws the order into a place of the card, and opens one.
 *
 * @param {HTMLElement} place
 * @param {{issuer: string, lang: string, app?: string, account?: string, done: () => void, closed: () => void,
 *   environment?: {fetch: typeof fetch, EventSource: typeof EventSource | undefined}}} options
 */
export function approve(place, { issuer, lang, app, account, done, closed, environment = browser() }) {
  const words = /^zh\b/i.test(lang) ? zh : en;
  const values = { app: app ?? (words === zh ? "桌面应用" : "the desktop app"), code: "" };
  const say = (text) => text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  const root = /** @type {ShadowRoot} */ (place.getRootNode());
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(CSS);
  root.adoptedStyleSheets = [...root.adoptedStyleSheets, sheet];
  const status = make("p", { role: "status", class: "text" });
  const box = make("div", { class: "approval", part: "approval" });
  place.replaceChildren(box);
  let told = "";
  let shown = null;
  const order = new Order(environment, issuer, draw);
  order.open(account);
  return { close: leave };

  function draw({ phase, code, picture, account: byName }) {
    box.dataset.phase = phase;
    values.code = code;
    const about = words[phase === "digits" && byName ? "asked" : phase];
    // The next picture in its place: nothing around it moves, and nothing is read out again.
    if (phase === "scan" && shown) return shown.setAttribute("src", picture);
    const pieces = [make("h3", { tabindex: "-1" }, say(about.title))];
    shown = phase === "scan" ? make("img", { src: picture, alt: words.picture, width: "208", height: "208" }) : null;
    if (shown) pieces.push(shown);
    if (phase === "digits") {
      const digits = [...code].map((digit) => make("span", { "aria-hidden": "true" }, digit));
      pieces.push(make("div", { class: "number", role: "img", "aria-label": say(words.label) }, ...digits));
    }
    status.textContent = say(about.text);
    pieces.push(status);
    if (phase === "scan") pieces.push(button("by-name", words.agents, askName, "plain"));
    if (phase === "digits" && byName) pieces.push(button("by-phone", words.phone, () => order.open(), "plain"));
    if (OVER.includes(phase)) pieces.push(button("again", words.retry, () => order.open(byName ? account : undefined)));
    if (!["approved", "done"].includes(phase)) pieces.push(button("close", words.close, leave, "plain"));
    box.replaceChildren(...pieces);
    if (told !== phase && told) /** @type {HTMLElement} */ (box.firstElementChild).focus({ preventScroll: true });
    // The code is what was asked for: it must not stand below the edge of the window.
    if (phase === "scan" && told !== phase) box.scrollIntoView({ block: "nearest" });
    told = phase;
    if (phase === "done") done();
  }

  function askName() {
    order.close();
    shown = null;
    const field = make("input", { id: "account", name: "account", autocomplete: "username", autocapitalize: "none", maxlength: "128", required: "" });
    const form = make("form", {}, make("label", { for: "account" }, words.account), field, make("button", { type: "submit" }, words.ask));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      account = /** @type {HTMLInputElement} */ (field).value.trim();
      if (account) order.open(account);
    });
    box.dataset.phase = "name";
    box.replaceChildren(form, button("by-phone", words.phone, () => order.open(), "plain"));
    field.focus();
  }

  function leave() {
    order.close();
    root.adoptedStyleSheets = root.adoptedStyleSheets.filter((other) => other !== sheet);
    box.remove();
    closed();
  }
}

function browser() {
  return { fetch: (address, options) => globalThis.fetch(address, options), EventSource: globalThis.EventSource };
}

function button(id, label, act, kind = "") {
  const made = make("button", { id: `approval-${id}`, type: "button", class: kind }, label);
  made.addEventListener("click", act);
  return made;
}

/** @returns {HTMLElement} */
function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}
