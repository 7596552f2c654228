/**
 * A desktop application's way to the Loopkey agent on the same computer. Written by hand; the words are those of
 * `src/errors.js`.
 */

import { EventEmitter } from "node:events";

/** In `away` the person is signed in; in `locked` no page is signed in and no action is done. */
export type Presence = "signed_in" | "away" | "locked";

export const PRESENCES: readonly Presence[];

/** What a consent prompt shows. */
export interface ConsentRequest {
  /** Where the person would be signed in, e.g. `https://app.example.com`. Show it in full. */
  readonly origin: string;
  /** The login server's name for the account. */
  readonly account: string;
  /** The person's name. */
  readonly name: string;
  /** Two digits that the page shows too; people compare them. */
  readonly code: string;
  /** The browser that asks, where the agent knows it. */
  readonly browser: string | null;
  /** Whether `remember` counts in the answer. Offer it only then. */
  readonly canRemember: boolean;
}

export interface ConsentAnswer {
  allow: boolean;
  /** Not to ask again for this origin. Counts only where the request says `canRemember`. */
  remember?: boolean;
}

export interface ConsentContext {
  /** Aborts when nobody waits for the answer any more: take the prompt away. */
  readonly signal: AbortSignal;
}

/**
 * Asks the person. Ignore input for the first half second, so that nobody answers by accident. Anything but
 * `{ allow: true }` is a denial; what is thrown is told in the event `fault`.
 */
export type OnConsent = (
  request: ConsentRequest, context: ConsentContext) => ConsentAnswer | Promise<ConsentAnswer>;

export interface ActionContext {
  /** The page's origin. */
  readonly origin: string;
  readonly account: string;
  /** Aborts when the page waits no more. */
  readonly signal: AbortSignal;
}

/** `params` keep to the action's schema: the agent has seen to it. The result is sent to the page as JSON. */
export type ActionHandler<Params = unknown, Result = unknown> = (
  params: Params, context: ActionContext) => Result | Promise<Result>;

export interface Enrolled {
  account: string;
  name: string;
}

export interface Account {
  account: string;
  issuer: string;
  name: string;
  avatar?: string;
  /** Whether it is the one that is signed in at its issuer. */
  current: boolean;
}

export interface Profile {
  name?: string;
  /** An https address, or a `data:` PNG, JPEG or WebP. */
  avatar?: string;
}

/** `always` asks every time, `prompt` the first time, `blocked` never and refuses. */
export type Consent = "always" | "prompt" | "blocked";

export interface Origin {
  origin: string;
  issuer: string;
  /** Open sockets of its pages. */
  sockets: number;
  /** What it may ask for: `presence`, `login`, `action:NAME`. */
  grants: string[];
  /** How the person is asked, as the configuration and an administrator's policy have it; `page` is the click there. */
  consent: "always" | "prompt" | "page";
  /** What the person chose instead. */
  choice?: Consent;
  /** Whether an administrator's policy names the origin. */
  by_policy: boolean;
}

export interface Grants {
  /** What the person allowed; `since` in Unix milliseconds. */
  grants: { origin: string; account: string; since: number }[];
  /** Every origin that may speak to the agent. */
  origins: Origin[];
}

/** Members may be added. */
export interface Status {
  agent: string;
  protocol: number;
  port: number;
  /** Where it speaks TLS, if it does. */
  wss_port?: number;
  peer_check: boolean;
  accounts: Account[];
  issuers: {
    issuer: string; presence: Presence | "signed_out"; epoch: number; account: Account | null; pending_sign_outs: number;
  }[];
  origins: Origin[];
}

/** Something that is not as it should be; `docs/doctor.md` lists the codes and their details. It holds no secret. */
export interface Finding {
  code: string;
  /** `error`: somebody cannot sign in; `warning`: it works, but less well or less safely; `note`: nothing is wrong. */
  severity: "error" | "warning" | "note";
  /** What is wrong, in one sentence. */
  what: string;
  /** What to do, in one sentence. */
  cure: string;
  details?: Record<string, unknown>;
}

/**
 * - `no_agent`: none is running, or none is connected · `unusable`: the socket is another user's, or out of reach
 * - `disconnected`: the connection was lost meanwhile · `closed`: `close()` was called · `timeout`: no answer
 * - `protocol`: what is there does not speak ours
 * - `withdrawn`: the reason of a signal; the agent took its request back
 * - `unknown_method`: an agent of an earlier version · `invalid_params`
 * - the agent's own: see the table in `docs/control.md`, section 9; `internal` also stands for those that this version
 *   does not know
 */
export type ErrorCode =
  | "no_agent" | "unusable" | "disconnected" | "closed" | "protocol" | "timeout" | "withdrawn" | "unknown_method"
  | "invalid_params"
  | "unknown_issuer" | "unknown_origin" | "no_such_account" | "ambiguous_account" | "not_a_presence" | "not_a_picture"
  | "signed_out" | "policy" | "not_a_page" | "not_granted" | "no_browser" | "bad_name" | "bad_schema" | "taken"
  | "too_many" | "not_registered" | "too_long" | "issuer_unreachable" | "issuer_misbehaved" | "issuer_refused"
  | "storage" | "not_saved" | "key" | "stopping" | "internal";

export const ERRORS: readonly ErrorCode[];

export class LoopkeyError extends Error {
  constructor(code: ErrorCode, message: string, cause?: unknown);
  readonly code: ErrorCode;
}

/** What the application was in when something went wrong that nobody awaited. */
export type During = "connect" | "consent" | "action" | "register" | "publish" | "presence";

export interface LoopkeyClientEvents {
  /** Said hello to an agent; what was set before is being said again. */
  connected: [agent: { agent: string; protocol: string }];
  /** The connection is over; after `close()` for good. */
  disconnected: [reason: LoopkeyError];
  /** Open sockets of pages, by origin. */
  sockets: [origins: { origin: string; sockets: number }[]];
  /** The login server has revoked this computer's key: the account is removed, and can only be enrolled anew. */
  accountRevoked: [revoked: { account: string; issuer: string }];
  /** The login server has signed the person out, everywhere or by an administrator: the account stays enrolled. */
  accountSignedOut: [signedOut: { account: string; issuer: string }];
  /** For the log: a {@link LoopkeyError}, or what `onConsent` or an action threw. */
  fault: [error: Error, during: During];
}

export interface LoopkeyClientOptions {
  /** The application's name. */
  name: string;
  version: string;
  /** Left out: the agent asks the person by other means. */
  onConsent?: OnConsent;
  /** The agent's control socket. Default: {@link controlPath}. */
  path?: string;
  /** How long the agent may take for an answer. Default: 30000 ms. */
  timeout?: number;
}

export class LoopkeyClient extends EventEmitter {
  constructor(options: LoopkeyClientOptions);

  /** Whether an agent is there. */
  readonly connected: boolean;

  /** Connects as soon as there is an agent, and again whenever the connection is lost. Never throws. */
  start(): void;
  /** Connects now or rejects; once connected it is as after `start()`. */
  connect(): Promise<{ agent: string; protocol: string }>;
  /** Lets go of the connection; the object is of no use afterwards. */
  close(): void;

  /**
   * Enrols this computer for the account that the ticket is for, and signs the account in. Connects first where it must,
   * as every call does that waits for an answer.
   */
  enrol(enrolment: { issuer: string; ticket: string }): Promise<Enrolled>;
  accounts(): Promise<Account[]>;
  /** Signs an account out and forgets it. Left out, as everywhere: the one that was named last; else the agent decides. */
  removeAccount(account?: string): Promise<void>;

  /**
   * Says how the person stands; said again to each agent that comes. Resolves with `null` while there is none. What
   * the agent refuses is not said again.
   */
  setPresence(presence: Presence, of?: { account?: string }): Promise<{ seq: number } | null>;
  /** What prompts show, in place of what the login server said. Kept as with `setPresence`, and until that was called. */
  setProfile(profile: Profile): Promise<{ seq: number } | null>;
  /** Signs out on every page; `null` while there is no agent: it is the first that the next one hears. */
  signOut(of?: { account?: string }): Promise<{ epoch: number } | null>;

  /**
   * Offers an action to pages whose origin is granted `action:NAME`. `schema` is the JSON Schema of its parameters. What
   * the agent has against it is told in the event `fault`.
   */
  action<Params = unknown, Result = unknown>(
    name: string, schema: object, handler: ActionHandler<Params, Result>): void;
  /** Takes it back, with what was published of it. */
  removeAction(name: string): void;
  /**
   * Tells pages that may invoke an action of this client how things stand with it, at most 7168 bytes of JSON: they get
   * the event `news`. Only the newest counts; it is said again to each agent that comes, and forgotten with a sign-out or
   * a change of account. Throws `not_registered` and `invalid_params`; what the agent has against it is told in `fault`.
   */
  publish(name: string, value: unknown): void;

  grants(): Promise<Grants>;
  /** The person's own choice, `default` for none; `policy` where it would allow more than the configuration does. */
  setGrant(origin: string, consent: Consent | "default"): Promise<void>;
  /** Takes back what the person allowed, and closes the origin's sockets; `true` where there was something. */
  revoke(origin: string): Promise<boolean>;

  /** Opens a page in the default browser, signed in without a further question, once, within a minute. */
  open(url: string | URL): Promise<void>;

  status(): Promise<Status>;
  /** What the agent finds wrong with itself and its surroundings; it may have to ask login servers first. */
  doctor(): Promise<Finding[]>;

  on<E extends keyof LoopkeyClientEvents>(event: E, listener: (...values: LoopkeyClientEvents[E]) => void): this;
  once<E extends keyof LoopkeyClientEvents>(event: E, listener: (...values: LoopkeyClientEvents[E]) => void): this;
  off<E extends keyof LoopkeyClientEvents>(event: E, listener: (...values: LoopkeyClientEvents[E]) => void): this;
}

/**
 * Where the agent's control socket is: `$LOOPKEY_CONTROL`, `$XDG_RUNTIME_DIR/loopkey/control.sock`, the agent's state
 * folder, or this user's named pipe on Windows. The parameter is for tests.
 */
export function controlPath(surroundings?: {
  env?: Record<string, string | undefined>; platform?: string; home?: () => string; sid?: () => string;
}): string;
