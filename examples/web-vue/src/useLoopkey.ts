import { readonly, shallowRef } from "vue";
import { createLoopkey } from "loopkey-web";
import type { Person, Presence, Session, State } from "loopkey-web";

// One for the page, and as long as the page: the connection outlives every component.
const loopkey = createLoopkey({ issuer: new URL("/loopkey", location.href).href });

const state = shallowRef<State>(loopkey.state);
const presence = shallowRef<Presence | null>(null);
const person = shallowRef<Person | null>(null);
const session = shallowRef<Session | null>(null);
/** False until the login server has said whether there is a session. */
const checked = shallowRef(false);

loopkey.addEventListener("state", ({ detail }) => (state.value = detail));
loopkey.addEventListener("presence", ({ detail }) => (presence.value = detail));
loopkey.addEventListener("person", ({ detail }) => (person.value = detail));
loopkey.addEventListener("session", ({ detail }) => {
  session.value = detail.session;
  checked.value = true;
});
loopkey.start();

/** The page's connection, and what it knows as refs. */
export function useLoopkey() {
  return {
    loopkey,
    state: readonly(state),
    presence: readonly(presence),
    person: readonly(person),
    session: readonly(session),
    checked: readonly(checked),
  };
}
