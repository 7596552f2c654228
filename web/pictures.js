/**
 * Where to click in the browser's own windows, drawn: the question below the address, and the place
 * where an answer is taken back. Shapes only; their words are the steps beside them, whose numbers
 * they carry. The colours are the card's.
 */

const NAMESPACE = "http://www.w3.org/2000/svg";

function shape(tag, attributes, ...children) {
  const made = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.append(...children);
  return made;
}

const box = (kind, x, y, width, height, rx) => shape("rect", { class: kind, x, y, width, height, rx });
const bar = (x, y, width) => box("words", x, y, width, 6, 3);

/** The number of a step, beside what it is about. */
function number(step, x, y) {
  return shape("g", {}, shape("circle", { class: "number", cx: x, cy: y, r: 8 }), shape("text", { x, y: y + 3.6 }, String(step)));
}

/** A computer, as both browsers draw what is on this device. */
function computer(x, y, crossed) {
  const lines = ["M2 3h12v8H2z", "M.5 13h15", ...(crossed ? ["M1 1l14 14"] : [])];
  return shape("g", { class: "stroke", transform: `translate(${x} ${y})` }, ...lines.map((d) => shape("path", { d })));
}

/** What stands left of the address: Chromium's site settings, or Firefox's shield and its permission. */
const CHROMIUM = { panel: 14, spot: 30, sign: () => shape("g", { class: "stroke" }, shape("circle", { cx: 30, cy: 24, r: 6 }), shape("path", { d: "M30 23v4M30 20.6v.1" })) };
const FIREFOX = { panel: 40, spot: 52, sign: (crossed) => shape("g", {}, shape("path", { class: "stroke", d: "M29 17.5l6 2v4.5c0 3.2-2.4 5.4-6 6.6-3.6-1.2-6-3.4-6-6.6v-4.5z" }), computer(44, 17, crossed)) };

function asking({ panel }) {
  return [
    bar(panel + 14, 54, 78), bar(panel + 14, 66, 104),
    box("button", panel + 42, 86, 40, 20, 10), box("button main", panel + 88, 86, 44, 20, 10),
    shape("path", { class: "tick", d: `M${panel + 104} 96l4 4 7-8` }),
  ];
}

const DRAWINGS = {
  "chromium-ask": [CHROMIUM, false, (browser) => [...asking(browser), number(1, CHROMIUM.panel + 136, 84)]],
  "firefox-ask": [FIREFOX, false, (browser) => [...asking(browser), number(1, FIREFOX.panel + 136, 84), number(2, FIREFOX.spot + 12, 16)]],
  "chromium-again": [CHROMIUM, true, ({ panel }) => [
    bar(panel + 14, 54, 70), computer(panel + 14, 76, false), bar(panel + 38, 82, 52),
    box("switch", panel + 104, 77, 28, 16, 8), shape("circle", { class: "knob", cx: panel + 124, cy: 85, r: 5 }),
    number(1, CHROMIUM.spot + 12, 16), number(2, panel + 136, 73),
  ]],
  "firefox-again": [FIREFOX, true, ({ panel }) => [
    bar(panel + 34, 52, 76), box("words", panel, 66, 146, 1, 0), computer(panel + 12, 78, true), bar(panel + 36, 84, 36),
    box("button", panel + 82, 77, 50, 20, 5), bar(panel + 90, 84, 22), shape("path", { class: "stroke", d: `M${panel + 119} 83.5l7 7m0-7l-7 7` }),
    number(1, FIREFOX.spot + 12, 16), number(2, panel + 136, 74),
  ]],
};

/** @param {string} name @returns {SVGElement} for the eye alone: the steps say the same */
export function picture(name) {
  const [browser, crossed, draw] = DRAWINGS[name];
  const frame = [box("window", 1, 1, 238, 128, 10), box("address", 14, 12, 212, 24, 12), browser.sign(crossed), bar(browser.spot + 22, 21, 84)];
  return shape("svg", { viewBox: "0 0 240 130", "aria-hidden": "true" }, ...frame, box("panel", browser.panel, 42, 146, 74, 8), ...draw(browser));
}
