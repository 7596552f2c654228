/** Makes elements of what `view.js` says; no markup from strings. */

import { element, icon, portrait } from "../card-parts.js";

/**
 * @param {import("./view.js").view | string} tree @param {(act: string[]) => void} onAct
 * @returns {Node}
 */
export function made(tree, onAct) {
  if (typeof tree === "string") return document.createTextNode(tree);
  const [tag, { act, icon: symbol, portrait: person, ...attributes }, ...children] = tree;
  const node = element(tag, attributes, ...children.map((child) => made(child, onAct)));
  if (symbol) node.append(icon(symbol));
  if (symbol) node.setAttribute("aria-hidden", "true");
  if (person) node.append(portrait(person));
  if (act) node.addEventListener("click", () => node.getAttribute("aria-disabled") === "true" || onAct(act));
  return node;
}

/** Puts a tree in an element's place. What had the focus keeps it, as far as it is still there. */
export function replaceWith(place, tree, onAct) {
  const focused = document.activeElement?.id;
  const inside = place.contains(document.activeElement);
  const node = made(tree, onAct);
  place.replaceWith(node);
  if (inside && focused) document.getElementById(focused)?.focus({ preventScroll: true });
  return node;
}
