/**
 * Loopkey in the browser. Written by hand; the words are those of `codes.js`.
 */

/** Where the page stands with the agent on this computer. */
export type StateName =
  | "unknown" | "probing" | "waking" | "asking" | "found" | "absent" | "blocked" | "incompatible" | "live";

/**
 * Why.
 *
 * | state | reasons |
 * | --- | --- |
 * | `unknown` | `not_started`; `needs_click`: looking could raise the browser's prompt, call `connect()` from a click; `paused`: the page left the screen; `closed`: `close()` was called |
 * | `probing` | `page_load`, `click`, `permission_granted`, `page_shown`, `agent_lost` |
 * | `waking` | after `wake()`; `launched`: the browser may ask the person whether to open the app; `slow`: it did not answer within 3 s |
 * | `asking` | `permission_prompt`: the browser asks the person |
 * | `found` | `handshake` |
 * | `absent` | `not_running`; `asleep`: not running, and the login server says that a click can start it: call `wake()`; `not_woken`: it was launched and did not answer within 20 s; `busy`: the agent turned us away for now |
 * | `blocked` | `denied`: by the person or a policy; `dismissed`: the prompt was closed or not answered; `insecure_page`: plain http; `not_delegated`: the embedding page, or a header, keeps loopback from this page, and the console says what to write; `framed`: said by the card alone, in a frame of another origin; `forbidden`: the browser lets no page reach loopback by a socket (WebKit on https), or the page's own policy does not; `popup_blocked`: the browser did not let the window of `bridge()` open; `window_closed`: that window was closed, and the connection with it; `withdrawn`: the origin's grant was taken back in the app; `challenge_refused`: the agent does not accept this login server's challenges; `issuer_unreachable`: no challenge to be had, or the agent cannot check it; tried again; `issuer_busy`: the login server asks for a pause; the page keeps it and goes on |
 * | `incompatible` | `version`: the agent speaks another one; `protocol`: it broke ours; `unsupported_browser` |
 * | `live` | `ready`, `resumed`; `unverified`: the login server did not accept the agent's proof; `issuer_unreachable`: it did not answer; `issuer_busy`: it asks for a pause |
 */
export type Reason =
  | "not_started" | "needs_click" | "paused" | "closed"
  | "page_load" | "click" | "permission_granted" | "page_shown" | "agent_lost"
  | "permission_prompt"
  | "launched" | "slow"
  | "handshake"
  | "not_running" | "asleep" | "not_woken" | "busy"
  | "denied" | "dismissed" | "insecure_page" | "not_delegated" | "framed" | "forbidden" | "popup_blocked" | "window_closed" | "withdrawn" | "challenge_refused" | "issuer_unreachable" | "issuer_busy"
  | "version" | "protocol" | "unsupported_browser"
  | "ready" | "resumed" | "unverified";

export interface State {
  readonly name: StateName;
  readonly reason: Reason;
}

/** In `away` the person is signed in; in `locked` and `signed_out` no login is possible. */
export type PresenceName = "signed_in" | "away" | "locked" | "signed_out";

export interface Presence {
  readonly presence: PresenceName;
  /** Unix milliseconds, on the agent's clock. */
  readonly since: number;
  /** Goes up with every sign-out and switch. `null` when the login server said it and not the agent. */
  readonly epoch: number | null;
}

/** Who the agent's person is: always and only the login server's verified answer. */
export interface Person {
  readonly subject: string;
  readonly name: string;
  readonly avatar: string | null;
}

/** The answer of `GET /v1/session`; times in Unix seconds. Members may be added. */
export interface Session {
  readonly account: string;
  readonly subject: string;
  readonly name: string;
  readonly avatar: string | null;
  /** The device that signed for it; null where none did. */
  readonly device: string | null;
  /** What the person knows the device by. */
  readonly device_name: string | null;
  /** `agent`, `approval` or `connector:NAME`. */
  readonly method: string;
  readonly signed_in_at: number;
  readonly expires_at: number;
}

/**
 * Why the session changed. `checked`: asked on load or when the page came back · `logged_in` ·
 * `logged_out`: here or in another tab · `logged_out_everywhere`: from another browser · `signed_out`:
 * in the desktop client · `switched`: the client has another account now · `revoked`: the device · `expired` · `ended`: by the server, no reason given.
 */
export type SessionReason =
  | "checked" | "logged_in" | "logged_out" | "logged_out_everywhere" | "signed_out" | "switched" | "revoked"
  | "expired" | "ended";

/** What the agent may answer to a login. */
export type RefusalCode =
  | "denied" | "timeout" | "signed_out" | "locked" | "switched" | "busy" | "unavailable" | "cancelled" | "not_granted";

/** What the agent may answer to an action. */
export type ActionRefusal = "unknown_action" | "not_granted" | "denied" | "failed" | "timeout";

/**
 * - a {@link RefusalCode}; `cancelled` also when `cancel()` or a second `login()` ended the first,
 *   `unavailable` also when the login server's store was out of reach twice
 * - `invalid_token`, `invalid_proof`, `stale_challenge`: the login server's refusals
 * - `issuer_unreachable`, `issuer_refused`: no answer, or one that the protocol does not know
 * - `too_many_requests`: the login server asked for a pause, and once more after it
 * - `not_connected`, `no_person`: `login()` was called before there was anybody to sign in
 * - `not_woken`: `login()` launched the app, and it did not answer
 * - `disconnected`: the agent went away meanwhile · `closed`: `close()` was called
 */
export type ErrorCode =
  | RefusalCode | ActionRefusal
  | "invalid_token" | "invalid_proof" | "stale_challenge" | "issuer_unreachable" | "issuer_refused"
  | "too_many_requests"
  | "not_connected" | "not_woken" | "no_person" | "disconnected" | "closed";

export class LoopkeyError extends Error {
  constructor(code: ErrorCode, cause?: unknown);
  readonly code: ErrorCode;
}

export interface LoopkeyOptions {
  /** The login server's public base URL, same-site with the page, e.g. `https://app.example.com/loopkey`. */
  issuer: string;
  /**
   * Where login tokens are posted in place of the login server's `/v1/login`: an address of the site's own backend, of
   * the page's origin, which exchanges them at `/v1/token` and keeps a session of its own. `session` stays `null` then.
   */
  redeemAt?: string;
  /** Language of the card: `en` or `zh`. Default: the page's, then the browser's. */
  lang?: string;
  /** Candidate ports, three at most. Default: the protocol's until the issuer names its own. */
  ports?: number[];
  /**
   * Whether browsers let this page reach loopback without a permission. Default: judged by the host
   * name; set `true` for an intranet site under a DNS name.
   */
  local?: boolean;
  /**
   * `false`: the agent is not looked for on `[::1]` where `127.0.0.1` is silent. For pages with a content
   * security policy, which cannot name `[::1]` in any engine and would report a violation.
   */
  ipv6?: boolean;
  /**
   * `false`: the page has a socket of its own. Otherwise all tabs of an origin share one, held by a shared worker, where the
   * library's files are of the page's own origin and the browser can do it.
   */
  shared?: boolean;
}

export interface LoopkeyEventMap {
  /** `detail` is the new `state`. */
  state: CustomEvent<State>;
  presence: CustomEvent<Presence | null>;
  person: CustomEvent<Person | null>;
  /** Also sent after the first look when there is no session. */
  session: CustomEvent<{ session: Session | null; reason: SessionReason }>;
  /** The two digits that the client's prompt shows too; `null` when the prompt has gone. */
  consent: CustomEvent<{ code: string | null }>;
  /** What the client says of an action that this page may invoke: a player's state, say. Only the newest counts. */
  news: CustomEvent<{ name: string; value: unknown }>;
  /** The sign-in of a page that was opened from the client did not work; the card offers the click instead. */
  error: CustomEvent<LoopkeyError>;
  /** `detail` is the new `redeeming`. */
  redeeming: CustomEvent<boolean>;
}

export interface Loopkey extends EventTarget {
  readonly issuer: string;
  lang: string | undefined;
  readonly state: State;
  readonly presence: Presence | null;
  readonly person: Person | null;
  readonly session: Session | null;
  /** The login server is deciding on a `login()`: it can no longer be cancelled, so offer no way to. */
  readonly redeeming: boolean;

  /** On page load. Looks for the agent only if that cannot raise the browser's prompt. */
  start(): Promise<void>;
  /**
   * From a click: looks for the agent, and the browser may ask the person. Where the browser keeps the page from it
   * (`blocked` with `denied`, `forbidden`, `popup_blocked` or `window_closed`), it is `bridge()` that is called.
   */
  connect(): Promise<void>;
  /**
   * From a click, before anything is awaited: opens a small window of the agent's own that carries the connection where
   * the browser allows no socket. The connection ends when the window is closed; after a `login()` it closes by itself, and
   * the session goes on. The page must not be served with `Cross-Origin-Opener-Policy: same-origin`.
   */
  bridge(): void;
  /** The connection is carried by the window of `bridge()`. */
  readonly bridged: boolean;
  /**
   * From a click: launches {@link WAKE_LINK} and looks for the agent for 20 s. The browser may ask the person whether to
   * open it. No browser tells a page whether anything was launched; the state does: `waking`, then `live`, or `absent`
   * with `not_woken`. `launched`: the click has opened something itself, which starts the agent.
   */
  wake(options?: { launched?: boolean }): Promise<void>;
  /** The person to whom `login()` can get although nobody answers: it launches the app first. */
  readonly canWakeFor: Person | null;
  /**
   * Signs in the `person`; where the agent went away and can be started from here, launches it first and goes on when
   * that same person is back. Resolves when the login server has set the session; rejects with a
   * {@link LoopkeyError}. A second call cancels the first; while `redeeming` it is `busy` instead.
   */
  login(): Promise<void>;
  /** Has the desktop client perform an action that this origin is granted; rejects with an {@link ActionRefusal}. */
  action(name: string, params?: unknown): Promise<unknown>;
  /** Ends a `login()` under way and takes the client's prompt away; no effect while `redeeming`. */
  cancel(): void;
  /** `everywhere`: all web sessions of the account, in every browser. */
  /** The browser was signed in another way than by `login()`: looks at the session, and tells the other tabs. */
  signedIn(): Promise<void>;
  logout(options?: { everywhere?: boolean }): Promise<void>;
  /** Lets go of socket, timers and listeners; the object is of no use afterwards. */
  close(): void;

  addEventListener<K extends keyof LoopkeyEventMap>(
    type: K, listener: (event: LoopkeyEventMap[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof LoopkeyEventMap>(
    type: K, listener: (event: LoopkeyEventMap[K]) => void, options?: boolean | EventListenerOptions): void;
  removeEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | EventListenerOptions): void;
}

export function createLoopkey(options: LoopkeyOptions): Loopkey;

/** `loopkey:wake` */
export const WAKE_LINK: "loopkey:wake";
export const STATES: readonly StateName[];
export const REASONS: Readonly<Record<StateName, readonly Reason[]>>;
export const PRESENCES: readonly PresenceName[];
export const REFUSALS: readonly RefusalCode[];
export const ACTION_REFUSALS: readonly ActionRefusal[];
export const ERRORS: readonly ErrorCode[];
export const SESSION_REASONS: readonly SessionReason[];

/**
 * `<loopkey-card>`, defined by importing `loopkey-card.js`. Give it a `loopkey`, or the attribute
 * `issuer` to make its own.
 *
 * Attributes: `issuer`, `lang`, `app` (the client's name in the words), `open` (where it opens), `approval` (offers
 * a QR code), `frames` (shows the pages of providers in a frame where they can be), and
 * `framed="allow"` for a site that wants its card in frames of other origins: without it the card
 * shows nobody and no button there (state `blocked`, reason `framed`). Reflected by the card, for
 * styles and tests: `state`, `reason`, `view`. Slot: `ways`, the site's other ways to sign in.
 * Events: `loopkey-login` after a sign-in, `loopkey-error` with `detail.code`.
 */
export interface LoopkeyCardElement extends HTMLElement {
  loopkey: Loopkey | null;
}

declare global {
  interface HTMLElementTagNameMap {
    "loopkey-card": LoopkeyCardElement;
  }
  /** They bubble from the card. */
  interface GlobalEventHandlersEventMap {
    "loopkey-login": CustomEvent;
    "loopkey-error": CustomEvent<{ code: ErrorCode }>;
  }
}
