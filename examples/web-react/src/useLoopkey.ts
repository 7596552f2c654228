import { useSyncExternalStore } from "react";
import { createLoopkey } from "loopkey-web";
import type { Loopkey, Person, Presence, Session, State } from "loopkey-web";

/** What a component may draw, as it is now. */
export interface Snapshot {
  readonly state: State;
  readonly presence: Presence | null;
  readonly person: Person | null;
  readonly session: Session | null;
  /** False until the login server has said whether there is a session. */
  readonly checked: boolean;
}

// One for the page, and as long as the page: the connection outlives every component.
export const loopkey: Loopkey = createLoopkey({ issuer: new URL("/loopkey", location.href).href });

const EVENTS = ["state", "presence", "person", "session"] as const;
let checked = false;
let snapshot = look();

loopkey.addEventListener("session", () => (checked = true));
for (const event of EVENTS) loopkey.addEventListener(event, () => (snapshot = look()));
loopkey.start();

function look(): Snapshot {
  const { state, presence, person, session } = loopkey;
  return { state, presence, person, session, checked };
}

function subscribe(onChange: () => void): () => void {
  for (const event of EVENTS) loopkey.addEventListener(event, onChange);
  return () => {
    for (const event of EVENTS) loopkey.removeEventListener(event, onChange);
  };
}

/** Draws the component anew with each change. */
export function useLoopkey(): Snapshot {
  return useSyncExternalStore(subscribe, () => snapshot);
}
