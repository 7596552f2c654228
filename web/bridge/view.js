/** Draws the window. Other people's text is only ever text. */

export class View {
  #document;
  #words;

  /** @param {Document} document @param {any} words of `words.js` */
  constructor(document, words) {
    this.#document = document;
    this.#words = words;
    document.documentElement.lang = words.lang;
    for (const [id, text] of [
      ["account-label", words.account], ["browser-label", words.browser], ["advice", words.advice],
      ["remember-label", words.remember], ["deny", words.deny], ["allow", words.allow],
    ]) this.#at(id).textContent = text;
  }

  /** @param {string} state a key of the words with a title @param {string | null} origin */
  show(state, origin) {
    const { title, text = "" } = this.#words[state];
    this.#document.body.dataset.state = state;
    this.#document.title = title;
    this.#at("title").textContent = title;
    this.#at("text").textContent = text;
    this.#at("text").hidden = !text;
    this.#at("origin").textContent = origin ?? "";
    this.#at("origin").hidden = !origin;
    this.#at("question").hidden = state !== "asking";
  }

  /** @param {any} request */
  ask({ origin, name, code, browser, can_remember: canRemember }) {
    this.show("asking", origin);
    this.#at("account").textContent = name;
    this.#at("browser").textContent = browser ?? "";
    this.#at("browser-row").hidden = !browser;
    const digits = this.#at("digits");
    digits.setAttribute("aria-label", this.#words.number.replace("{code}", code));
    digits.replaceChildren(...[...code].map((digit) => {
      const box = this.#document.createElement("span");
      box.textContent = digit;
      return box;
    }));
    this.#at("remember").checked = false;
    this.#at("remember-row").hidden = !canRemember;
    // Whoever answers without reading says no.
    this.#at("deny").focus();
  }

  /** @param {boolean} armed */
  arm(armed) {
    this.#document.body.dataset.armed = String(armed);
    for (const id of ["deny", "allow"]) this.#at(id).setAttribute("aria-disabled", String(!armed));
  }

  /** @param {{share: number, seconds: number}} left */
  time({ share, seconds }) {
    this.#at("time").value = share;
    this.#at("left").textContent = this.#words.left.replace("{seconds}", seconds);
  }

  get remembers() {
    return !this.#at("remember-row").hidden && this.#at("remember").checked;
  }

  #at(id) {
    return this.#document.getElementById(id);
  }
}
