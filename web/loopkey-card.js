/**
 * `<loopkey-card>`: the sign-in card. It draws what `card-view.js` decides and passes clicks on; it
 * signs nobody in without one. Works under a content security policy without inline style and under
 * required trusted types: only text nodes, attributes and a constructed style sheet.
 */

import { createLoopkey } from "./loopkey.js";
import { cardView } from "./card-view.js";
import { cardStyle } from "./card-style.js";
import { browserOf } from "./browser.js";
import { element, icon, portrait } from "./card-parts.js";
import { isFramedByStranger } from "./frame.js";
import { wordsFor } from "./words.js";

const EVENTS = ["state", "presence", "person", "session", "consent", "redeeming"];
/** Views in which the client is no way in. */
const NEEDED = ["absent", "blocked", "incompatible", "signed-out"];
const FRAMED = Object.freeze({ state: Object.freeze({ name: "blocked", reason: "framed" }) });

export class LoopkeyCard extends HTMLElement {
  static observedAttributes = ["lang", "app", "open", "framed", "approval"];

  #loopkey = null;
  #own = false;
  #busy = false;
  #code = null;
  #error = null;
  #drawn = "";
  /** @type {import("./ways.js").Ways | null} what the login server offers besides; asked for once, while nobody is signed in */
  #ways = null;
  #asked = "";
  #body = element("div", { class: "body", part: "body" });
  #status = element("p", { class: "status", role: "status", "aria-live": "polite" });
  #waysButton = element("button", { id: "ways", type: "button", class: "quiet", "aria-expanded": "false", "aria-controls": "other" });
  #other = element("div", { id: "other", class: "other", hidden: "" });
  #approval = element("button", { id: "approval", type: "button", class: "second", hidden: "" });
  #approving = null;
  #slot = /** @type {HTMLSlotElement} */ (element("slot", { name: "ways" }));

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [cardStyle()];
    this.#other.append(this.#approval, this.#slot);
    this.#approval.addEventListener("click", () => this.#approve());
    this.#waysButton.addEventListener("click", () => this.#showWays(this.#other.hidden));
    this.#slot.addEventListener("slotchange", () => this.#draw());
    root.append(element("section", { class: "card", part: "card" }, this.#body, this.#status, this.#foot));
  }

  #foot = element("div", { class: "foot", hidden: "" }, this.#waysButton, this.#other);

  get loopkey() {
    return this.#loopkey;
  }

  set loopkey(loopkey) {
    for (const type of EVENTS) this.#loopkey?.removeEventListener(type, this.#onEvent);
    if (this.#own) this.#loopkey.close();
    this.#own = false;
    this.#loopkey = loopkey;
    for (const type of EVENTS) loopkey?.addEventListener(type, this.#onEvent);
    this.#draw();
  }

  connectedCallback() {
    this.#begin();
    this.#draw();
  }

  /** Makes an own `loopkey` where the site gave none; in a stranger's frame nothing is even looked for. */
  #begin() {
    const issuer = this.getAttribute("issuer");
    if (!this.#loopkey && issuer && !this.#isFramed) {
      const ports = this.getAttribute("ports")?.split(/[\s,]+/).map(Number);
      const loopkey = createLoopkey({
        issuer, ports, lang: this.getAttribute("lang") ?? undefined, shared: this.getAttribute("shared") !== "false",
      });
      this.loopkey = loopkey;
      this.#own = true;
      loopkey.start();
    }
  }

  /** In another origin's frame, and the site does not say that it wants to be there. */
  get #isFramed() {
    return this.getAttribute("framed") !== "allow" && isFramedByStranger();
  }

  disconnectedCallback() {
    if (this.#own) this.loopkey = null;
  }

  attributeChangedCallback(name) {
    if (!this.isConnected) return;
    if (name === "framed") this.#begin();
    this.#draw();
  }

  #onEvent = (event) => {
    if (event.type === "consent") this.#code = event.detail.code;
    // Whatever failed for one person says nothing about the next, except that there is a next.
    if (event.type === "person" && this.#error !== "switched") this.#error = null;
    if (this.#loopkey.presence?.presence === "signed_out") this.#error = null;
    this.#draw();
  };

  get #lang() {
    return this.getAttribute("lang") || this.#loopkey?.lang || document.documentElement.lang || navigator.language;
  }

  #draw() {
    const { state = { name: "unknown", reason: "not_started" }, presence = null, person = null, session = null, redeeming = false, bridged = false } = (this.#isFramed ? FRAMED : this.#loopkey) ?? {};
    const situation = { state, presence, person, session, busy: this.#busy, redeeming, bridged, code: this.#code, error: this.#error };
    const view = cardView(situation, {
      lang: this.#lang,
      app: this.getAttribute("app") ?? undefined,
      href: this.getAttribute("open") ?? undefined,
      browser: browserOf(navigator),
    });
    this.setAttribute("state", state.name);
    this.setAttribute("reason", state.reason);
    this.setAttribute("view", view.view);
    this.#offer(view.view);
    const offers = this.hasAttribute("approval") && Boolean(this.#loopkey) && !session;
    this.#approval.toggleAttribute("hidden", !offers || this.#approving);
    if (!offers) this.#approving?.close();
    // Whoever is signed in needs no other way, and under a stranger's page none may be clicked.
    const noWays = view.view === "done" || view.view === "framed";
    this.#foot.toggleAttribute("hidden", noWays || !(offers || this.#slot.assignedNodes().length || this.#ways));

    const words = wordsFor(this.#lang);
    this.#waysButton.textContent = words.ways;
    this.#approval.textContent = words.approval;
    const drawing = JSON.stringify(view);
    if (drawing === this.#drawn) return;
    this.#drawn = drawing;

    const hadFocus = this.shadowRoot.activeElement && this.#body.contains(this.shadowRoot.activeElement);
    this.#body.className = `body ${view.view}${view.working ? " working" : ""}`;
    this.#body.replaceChildren(...this.#pieces(view));
    // The digits are read out with their meaning; everything else by its title and sentence.
    this.#status.textContent = [view.title, view.digitsLabel, view.notice ?? view.text, ...(view.guide?.steps ?? [])].filter(Boolean).join(". ");
    if (hadFocus) /** @type {HTMLElement} */ (this.#body.querySelector(".actions > *") ?? this.#body.querySelector("h2")).focus();
  }

  #pieces(view) {
    const hero = element("div", { class: "hero", part: "hero" });
    if (view.digits) {
      const digits = element("div", { id: "digits", class: "digits", part: "digits", role: "img", "aria-label": view.digitsLabel });
      digits.append(...[...view.digits].map((digit) => element("span", {}, digit)));
      hero.append(digits);
    } else if (view.person) hero.append(portrait(view.person, view.badge));
    else if (view.guide) hero.append(guide(view.guide.picture));
    else hero.append(element("span", { class: "icon" }, icon(view.icon)));

    const pieces = [
      hero,
      element("h2", { id: "title", tabindex: "-1", part: "title" }, view.title),
      element("p", { id: "text", part: "text" }, view.text),
    ];
    if (view.guide) pieces.push(element("ol", { id: "steps", part: "steps" }, ...view.guide.steps.map((step) => element("li", {}, step))));
    if (view.notice) pieces.push(element("p", { id: "notice", class: "notice", part: "notice" }, view.notice));
    if (view.actions.length) {
      pieces.push(element("div", { class: "actions" }, ...view.actions.map((action, place) => this.#button(action, place, view))));
    }
    return pieces;
  }

  #button({ id, label, href }, place, view) {
    const main = place === 0 && id !== "cancel" && view.view !== "offline";
    const attributes = { id, class: main ? "main" : "second", part: main ? "button" : "second-button" };
    const button = href
      ? element("a", { ...attributes, href, ...(/^https?:/.test(href) && { target: "_blank", rel: "noopener" }) })
      : element("button", { ...attributes, type: "button" });
    button.append(element("span", { class: "label" }, label));
    button.addEventListener("click", () => this.#act(id));
    return button;
  }

  #act(id) {
    switch (id) {
      case "login":
        return this.#login();
      case "retry":
      case "connect":
        return this.#loopkey.connect();
      case "bridge":
        return this.#loopkey.bridge();
      case "wake":
        return this.#loopkey.wake();
      case "open":
        return this.#loopkey.wake({ launched: true }); // the link itself starts the client
      case "cancel":
        return this.#loopkey.cancel();
    }
  }

  async #login() {
    this.#busy = true;
    this.#error = null;
    this.#draw();
    try {
      await this.#loopkey.login();
      this.dispatchEvent(new CustomEvent("loopkey-login", { bubbles: true, composed: true }));
    } catch (error) {
      const code = error.code ?? "unavailable";
      if (code !== "cancelled") this.#error = code;
      this.dispatchEvent(new CustomEvent("loopkey-error", { bubbles: true, composed: true, detail: { code } }));
    } finally {
      this.#busy = false;
      this.#code = null;
      this.#draw();
    }
  }

  /** Where nobody answers, or the browser stands between, the other ways are shown without a click. */
  #offer(view) {
    const { issuer } = this.#loopkey ?? {};
    if (!issuer || view === "framed" || view === "done") return;
    this.#ways?.say(this.#lang);
    if (this.#ways && NEEDED.includes(view)) this.#showWays(true);
    if (this.#asked === issuer) return;
    this.#asked = issuer;
    import("./ways.js").then(({ offer }) => offer({ issuer, element, frames: this.hasAttribute("frames") })).then((ways) => {
      if (!ways) return;
      this.#ways = ways;
      this.#other.prepend(ways.element);
      if (ways.error) this.#showWays(true);
      this.#draw();
      // What went wrong is why the person is here again: it must not stand below the edge of the window.
      if (ways.error) ways.element.scrollIntoView({ block: "nearest" });
    }, () => {});
  }

  /** Another device lets this browser in. Few people need it, so it is loaded when somebody does. */
  async #approve() {
    this.#approval.hidden = true;
    const place = element("div", { id: "approving" });
    this.#approval.after(place);
    const closed = () => {
      this.#approving = null;
      place.remove();
      this.#draw();
    };
    try {
      const { approve } = await import("./approval.js");
      this.#approving = approve(place, {
        issuer: this.#loopkey.issuer, lang: this.#lang, app: this.getAttribute("app") ?? undefined,
        account: this.getAttribute("approval") || undefined, closed,
        done: async () => {
          await this.#loopkey.signedIn();
          this.dispatchEvent(new CustomEvent("loopkey-login", { bubbles: true, composed: true }));
        },
      });
    } catch {
      closed();
    }
  }

  #showWays(show) {
    this.#other.hidden = !show;
    this.#waysButton.setAttribute("aria-expanded", String(show));
  }
}

/** Few people ever see one, so they are loaded when somebody does. The steps below say the same. */
function guide(name) {
  const place = element("div", { class: "guide", part: "guide" });
  import("./pictures.js").then(({ picture }) => place.append(picture(name)), () => place.remove());
  return place;
}

customElements.define("loopkey-card", LoopkeyCard);
