/**
 * What the page shows, as a tree of what it knows: tags, attributes and texts. `act` is what a press does. Nothing is made here, so
 * that every state can be tested by reading.
 */

import { shownName } from "../name.js";
import { wordsFor } from "./words.js";

/**
 * @param {{phase: string, shown: any, busy: boolean, lang: string}} state
 * @returns {any}
 */
export function view({ phase, shown, busy, lang }) {
  const words = wordsFor(lang);
  if (phase === "loading") return ["main", {}, ["p", { class: "lead" }, words.loading]];
  if (phase !== "ask") {
    const { title, text } = words.ends[phase] ?? words.ends.failed;
    const mark = { approved: "good", denied: "bad", superseded: "bad" }[phase] ?? "calm";
    return ["main", { class: `end ${mark}` }, ["h1", { id: "title", tabindex: "-1" }, title], ["p", { class: "lead" }, text]];
  }
  const place = words.places[shown.place] ?? words.places.unknown;
  const rows = [
    [words.site, shown.origin],
    [words.browser, shown.browser ?? words.unknown],
    [words.place, `${place} · ${shown.same_network ? words.same : words.other}`],
    [words.account, shownName(shown.name)],
  ];
  const field = {
    id: "code", name: "code", inputmode: "numeric", autocomplete: "off", pattern: "[0-9]{2}", maxlength: "2", minlength: "2", required: "",
    "aria-describedby": "advice", ...(busy && { disabled: "" }),
  };
  const press = busy ? { disabled: "" } : {};
  return ["main", {},
    ["h1", { id: "title", tabindex: "-1" }, words.title],
    ["dl", {}, ...rows.map(([name, value]) => ["div", {}, ["dt", {}, name], ["dd", {}, value]])],
    ["form", { id: "form" },
      ["label", { for: "code" }, words.code],
      ["input", field],
      ["p", { id: "advice", class: "advice" }, words.advice],
      ["div", { class: "choice" },
        ["button", { id: "deny", type: "button", act: "deny", ...press }, words.deny],
        ["button", { id: "approve", type: "submit", ...press }, words.approve],
      ],
    ],
  ];
}
