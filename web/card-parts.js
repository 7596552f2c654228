/** The card's small pieces: elements made by hand, since a page may forbid markup from strings. */

import { initials, safeAvatar } from "./avatar.js";

/** @param {string} tag @param {Record<string, string>} attributes @param {...(Node | string)} children */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Stroke paths on a 24 × 24 grid. */
const ICONS = {
  device: ["M5 5h14a1 1 0 0 1 1 1v9H4V6a1 1 0 0 1 1-1z", "M2.5 18.5h19"],
  browser: ["M4 5h16a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1z", "M3 9.5h18", "M9 14.5l2 2 4-4"],
  phone: ["M8 3h8a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1z", "M11 18h2"],
  window: ["M4 5h16a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1z", "M3 9.5h18", "M6 7.3h.1"],
  power: ["M12 4v7", "M7.2 7.2a7 7 0 1 0 9.6 0"],
  pause: ["M9 7v10", "M15 7v10"],
  blocked: ["M12 3.5l7 2.8v5c0 4.3-2.9 7.6-7 9.2-4.1-1.6-7-4.9-7-9.2v-5z", "M9.5 9.5l5 5", "M14.5 9.5l-5 5"],
  cloud: ["M7.5 18a4 4 0 0 1-.4-8 5.5 5.5 0 0 1 10.5 1.3A3.4 3.4 0 0 1 17.5 18z", "M4 4l16 16"],
  alert: ["M12 4.5l8.5 14.5h-17z", "M12 10v4", "M12 16.6v.1"],
  person: ["M12 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z", "M5 20c.6-3.6 3.4-5.5 7-5.5s6.4 1.9 7 5.5"],
  check: ["M5 12.5l4.5 4.5L19 7.5"],
  lock: ["M7 11h10v8H7z", "M9 11V8.5a3 3 0 0 1 6 0V11"],
};

export function icon(name) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  for (const d of ICONS[name] ?? []) {
    const path = document.createElementNS(namespace, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

/** @param {{name: string, avatar: string | null}} person @param {string} [badge] here, away or lock */
export function portrait(person, badge) {
  const face = element("span", { class: "portrait", part: "avatar", "aria-hidden": "true" }, initials(person.name));
  const address = safeAvatar(person.avatar, document.baseURI);
  if (address) {
    const image = element("img", { src: address, alt: "", width: "88", height: "88", referrerpolicy: "no-referrer" });
    image.addEventListener("error", () => image.remove()); // the initials stand behind it
    face.append(image);
  }
  const whole = element("span", { class: "who" }, face);
  if (badge) whole.append(element("span", { class: `badge ${badge}` }, ...(badge === "lock" ? [icon("lock")] : [])));
  return whole;
}
