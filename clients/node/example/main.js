#!/usr/bin/env node
/**
 * Harbor, a desktop application as far as Loopkey sees one: what stands here is what stands in the main process of an
 * Electron application. What Electron would bring is in `desktop.js`.
 */

import { parseArgs } from "node:util";
import { LoopkeyClient, LoopkeyError } from "loopkey-client";
import { HELP, powerMonitor, say, showQuestion } from "./desktop.js";

const USAGE = `Harbor, an example of a desktop application that speaks to the Loopkey agent.

  node main.js [--issuer URL --ticket TICKET] [--control PATH] [--consent ask|allow|deny]

  --issuer URL      the login server, as the agent's configuration names it
  --ticket TICKET   the enrolment ticket that the application's own backend got for the person who signed in;
                    better in LOOPKEY_TICKET, which does not stand in the process list
  --control PATH    the agent's control socket (default: LOOPKEY_CONTROL, else where the agent puts it)
  --consent MODE    ask: on the terminal (default); allow, deny: for automation

Without a ticket it says that whoever was signed in on this computer is there again. ${HELP}
Try it: start an agent with consent = "prompt" as docs/integrate.md shows, open its page, and click.`;

const options = readOptions();

const loopkey = new LoopkeyClient({
  name: "Harbor",
  version: "1.0.0",
  path: options.control,
  async onConsent({ origin, name, code, browser, canRemember }, { signal }) {
    const asks = `${browser ?? "A browser"} asks to sign ${name} in at ${origin}. Its page shows ${code}.`;
    if (options.consent !== "ask") {
      say(`${asks} Answered: ${options.consent}.`);
      return { allow: options.consent === "allow" };
    }
    const { response } = await showQuestion(asks, { signal, always: canRemember });
    return { allow: response !== "no", remember: response === "always" };
  },
});

loopkey.on("connected", ({ agent }) => say(`Connected to agent ${agent}.`));
loopkey.on("disconnected", ({ message }) => say(`Not connected: ${message}.`));
loopkey.on("sockets", (origins) => say(`Open pages: ${origins.map((each) => `${each.origin} ${each.sockets}`).join(", ")}.`));
loopkey.on("accountRevoked", ({ account }) => say(`This computer is signed in as ${account} no more.`));
loopkey.on("fault", (error, during) => say(`Trouble (${during}): ${error.message}`));

// Pages of origins that are granted `action:open` and `action:player` can do this.
const opening = { type: "object", properties: { document: { type: "string", maxLength: 200 } }, required: ["document"] };
loopkey.action("open", opening, ({ document }, { origin }) => {
  say(`${origin} opens ${JSON.stringify(document)}.`);
  return { opened: document };
});

const player = { playing: false, track: 1 };
const steering = { type: "object", properties: { command: { enum: ["play", "pause", "next"] } }, required: ["command"] };
loopkey.action("player", steering, ({ command }) => {
  if (command === "next") player.track += 1;
  else player.playing = command === "play";
  say(`Player: track ${player.track}, ${player.playing ? "playing" : "paused"}.`);
  // Every page that may steer it sees what it does, and not only the one that asked.
  loopkey.publish("player", player);
  return player;
});

/** How the person stands; without an agent it is kept for the next one. */
const stand = (presence) => loopkey.setPresence(presence).then(() => say(`Now ${presence}.`), report);
// Electron: the same two events; `away` from powerMonitor.getSystemIdleTime().
powerMonitor.on("lock-screen", () => stand("locked"));
powerMonitor.on("unlock-screen", () => stand("signed_in"));
powerMonitor.on("away", () => stand("away"));
powerMonitor.on("back", () => stand("signed_in"));
powerMonitor.on("sign-out", () => loopkey.signOut().then(() => say("Signed out."), report));
powerMonitor.on("quit", quit);
process.on("SIGTERM", quit);
process.on("SIGINT", quit);

try {
  await loopkey.connect();
  if (options.ticket) {
    const { name } = await loopkey.enrol({ issuer: options.issuer, ticket: options.ticket });
    loopkey.publish("player", player);
    say(`Signed in as ${name}. ${HELP}`);
  } else {
    await loopkey.setPresence("signed_in");
    loopkey.publish("player", player);
    say(`Signed in. ${HELP}`);
  }
} catch (error) {
  report(error);
  process.exit(error.code === "no_agent" ? 3 : 1);
}

function report(error) {
  if (!(error instanceof LoopkeyError)) throw error;
  process.stderr.write(`harbor: ${error.message}\n`);
}

function quit() {
  loopkey.close();
  process.exit(0);
}

function readOptions() {
  const text = { type: "string" };
  const known = { issuer: text, ticket: text, control: text, consent: { ...text, default: "ask" }, help: { type: "boolean", short: "h" } };
  const misused = (problem) => {
    process.stderr.write(`harbor: ${problem} (see --help)\n`);
    process.exit(2);
  };
  let values;
  try {
    ({ values } = parseArgs({ options: known }));
  } catch (error) {
    misused(error.message);
  }
  if (values.help) {
    say(USAGE);
    process.exit(0);
  }
  const given = { ...values, ticket: values.ticket ?? process.env.LOOPKEY_TICKET };
  if (!["ask", "allow", "deny"].includes(given.consent)) misused(`--consent ${given.consent}: say ask, allow or deny`);
  if (given.ticket && !given.issuer) misused("a ticket needs --issuer URL");
  return given;
}
