/** The card's element in Node.js: as much of a document as it needs to draw itself, and nothing that lays out or paints. */

class Piece extends EventTarget {
  #attributes = new Map();
  children = [];
  className = "";
  textContent = "";
  isConnected = true;
  constructor(tag) {
    super();
    this.tag = tag;
  }
  getAttribute(name) {
    return this.#attributes.get(name) ?? null;
  }
  hasAttribute(name) {
    return this.#attributes.has(name);
  }
  setAttribute(name, value) {
    this.#attributes.set(name, String(value));
  }
  toggleAttribute(name, on) {
    if (on) this.#attributes.set(name, "");
    else this.#attributes.delete(name);
  }
  get hidden() {
    return this.#attributes.has("hidden");
  }
  append(...children) {
    this.children.push(...children);
  }
  replaceChildren(...children) {
    this.children = children;
  }
  attachShadow() {
    return (this.shadowRoot = new Piece("shadow"));
  }
  /** Itself or the first below it. @returns {Piece | undefined} */
  find(fits) {
    if (fits(this)) return this;
    for (const child of this.children) {
      const found = child instanceof Piece && child.find(fits);
      if (found) return found;
    }
  }
}

let css = "";
let Card = null;

async function define() {
  const document = { createElement: (tag) => new Piece(tag), createElementNS: (_, tag) => new Piece(tag), documentElement: { lang: "en" }, baseURI: "https://app.example.com/" };
  const page = { origin: "https://app.example.com" };
  const globals = {
    HTMLElement: Piece,
    CSSStyleSheet: class { replaceSync(text) { css = text; } },
    customElements: { define: (_, made) => (Card = made) },
    navigator: { language: "en", userAgent: "" },
    window: Object.assign(page, { parent: page }),
    document,
  };
  for (const [name, value] of Object.entries(globals)) Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  await import("../loopkey-card.js");
}

/** @param {{ways: number}} how `ways`: how many elements the page has in the slot of that name */
export async function cardElement({ ways }) {
  if (!Card) await define();
  const card = new Card();
  const below = (fits) => card.shadowRoot.find(fits);
  below(({ tag }) => tag === "slot").assignedNodes = () => Array.from({ length: ways }, () => new Piece("a"));
  const foot = below((piece) => piece.getAttribute("class") === "foot");
  Object.defineProperty(card, "showsWays", { get: () => !foot.hidden });
  const show = (situation) => {
    card.loopkey = Object.assign(new EventTarget(), {
      state: { name: "live", reason: "ready" }, presence: { presence: "signed_in" },
      person: { name: "Ada Lovelace", avatar: null }, session: null, ...situation,
    });
  };
  return { card, css, show };
}
