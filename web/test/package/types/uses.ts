// Every public member, used as a site would. Nothing of this is run: it has to compile.

import {
  ACTION_REFUSALS, ERRORS, LoopkeyError, PRESENCES, REASONS, REFUSALS, SESSION_REASONS, STATES, WAKE_LINK, createLoopkey,
} from "loopkey-web";
import type {
  ActionRefusal, ErrorCode, Loopkey, LoopkeyEventMap, LoopkeyOptions, Person, Presence, PresenceName, Reason, RefusalCode,
  Session, SessionReason, State, StateName,
} from "loopkey-web";
import type { LoopkeyCardElement } from "loopkey-web/card";
import "loopkey-web/card";
import { isFramedByStranger } from "loopkey-web/frame";

const options: Required<LoopkeyOptions> = {
  issuer: "https://app.example.com/loopkey", redeemAt: "https://app.example.com/sign-in", lang: "zh", ports: [28970], local: false,
  ipv6: true, shared: true,
};
const loopkey: Loopkey = createLoopkey(options);
createLoopkey({ issuer: "https://app.example.com/loopkey" });

const issuer: string = loopkey.issuer;
loopkey.lang = "en";
loopkey.lang = undefined;
const { name, reason }: State = loopkey.state;
const named: StateName = name;
const why: Reason = reason;
const presence: Presence | null = loopkey.presence;
const here: PresenceName | undefined = presence?.presence;
const since: Date | null = presence && new Date(presence.since);
const epoch: number | null | undefined = presence?.epoch;
const person: Person | null = loopkey.person;
const label: string | undefined = person?.name;
const subject: string | undefined = person?.subject;
const avatar: string | null | undefined = person?.avatar;
const waking: Person | null = loopkey.canWakeFor;
const redeeming: boolean = loopkey.redeeming;

function draw(session: Session | null, because: SessionReason): string {
  if (!session) return because;
  const until = new Date(session.expires_at * 1000);
  const device: string | null = session.device_name ?? session.device;
  return [session.account, session.subject, session.name, session.avatar, device, session.method, session.signed_in_at, until].join();
}

loopkey.addEventListener("state", ({ detail }) => detail.name === "blocked" && detail.reason === "denied");
loopkey.addEventListener("presence", ({ detail }) => detail?.presence === "locked", { passive: true });
loopkey.addEventListener("person", ({ detail }) => detail?.name.toUpperCase());
loopkey.addEventListener("session", ({ detail }) => draw(detail.session, detail.reason), { once: true });
loopkey.addEventListener("consent", ({ detail }) => detail.code?.length);
loopkey.addEventListener("news", ({ detail }) => [detail.name.length, detail.value]);
loopkey.addEventListener("redeeming", ({ detail }) => detail === true);
const onError = ({ detail }: LoopkeyEventMap["error"]): ErrorCode => detail.code;
loopkey.addEventListener("error", onError);
loopkey.removeEventListener("error", onError);

export async function everything(): Promise<void> {
  await loopkey.start();
  await loopkey.connect();
  loopkey.bridge();
  const bridged: boolean = loopkey.bridged;
  console.log(bridged);
  await loopkey.wake();
  await loopkey.wake({ launched: true });
  try {
    await loopkey.login();
    const value: unknown = await loopkey.action("open", { document: "plan" });
    await loopkey.action("next");
    console.info(value);
  } catch (error) {
    if (error instanceof LoopkeyError && error.code === "switched") console.info(error.message, error.cause);
  }
  loopkey.cancel();
  await loopkey.signedIn();
  await loopkey.logout();
  await loopkey.logout({ everywhere: true });
  loopkey.close();
}

const card: LoopkeyCardElement | null = document.querySelector("loopkey-card");
if (card) card.loopkey = loopkey;
const made: LoopkeyCardElement = document.createElement("loopkey-card");
made.loopkey = null;
made.setAttribute("issuer", issuer);
document.addEventListener("loopkey-login", () => location.reload());
document.addEventListener("loopkey-error", (event) => console.info(event.detail.code));

const framed: boolean = isFramedByStranger() || isFramedByStranger(window);
const link: "loopkey:wake" = WAKE_LINK;
const words: [readonly StateName[], readonly PresenceName[], readonly RefusalCode[], readonly ActionRefusal[], readonly ErrorCode[], readonly SessionReason[]] =
  [STATES, PRESENCES, REFUSALS, ACTION_REFUSALS, ERRORS, SESSION_REASONS];
const reasons: readonly Reason[] = REASONS.live;
const made_up = new LoopkeyError("denied", new Error("a cause"));

export { avatar, epoch, framed, here, label, link, made_up, named, reasons, redeeming, since, subject, waking, why, words };
