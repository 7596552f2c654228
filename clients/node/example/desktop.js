/** What Electron brings and plain Node.js does not: a dialog, and word of the screen's lock. Here it is the terminal. */

import { EventEmitter } from "node:events";
import { createInterface } from "node:readline";

/** A question takes no answer so soon: somebody may be typing something else (milliseconds). */
const DEAD_TIME = 500;

/** In Electron: `import { powerMonitor } from "electron"`, with the events of the same names. */
export const powerMonitor = new EventEmitter();

/** What is typed while no question is open. */
const COMMANDS = { lock: "lock-screen", unlock: "unlock-screen", away: "away", back: "back", out: "sign-out", quit: "quit" };
export const HELP = `Type ${Object.keys(COMMANDS).join(", ")}.`;

/** Where the next line goes while a question is open. */
let answerWith = null;

createInterface({ input: process.stdin }).on("line", (line) => {
  const word = line.trim().toLowerCase();
  if (answerWith) answerWith(word);
  else if (Object.hasOwn(COMMANDS, word)) powerMonitor.emit(COMMANDS[word]);
  else say(HELP);
});

export function say(text) {
  process.stdout.write(`${text}\n`);
}

/**
 * In Electron: `dialog.showMessageBox(window, { message, buttons, signal })`.
 * @param {string} message @param {{signal: AbortSignal}} options
 * @returns {Promise<{response: "yes" | "always" | "no"}>}
 */
export function showQuestion(message, { signal, always }) {
  say(message);
  return new Promise((resolve, reject) => {
    const close = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", withdrawn);
      answerWith = null;
    };
    const withdrawn = () => {
      close();
      say("The question was taken back.");
      reject(signal.reason);
    };
    answerWith = () => {};
    const timer = setTimeout(() => {
      say(always ? "Allow it? yes, always, no:" : "Allow it? yes, no:");
      answerWith = (word) => {
        close();
        resolve({ response: word === "yes" || (always && word === "always") ? word : "no" });
      };
    }, DEAD_TIME);
    signal.addEventListener("abort", withdrawn);
  });
}
