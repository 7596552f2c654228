import "loopkey-web/card";
import type { LoopkeyCardElement } from "loopkey-web";
import type { DetailedHTMLProps, HTMLAttributes } from "react";
import { loopkey, useLoopkey } from "./useLoopkey";

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "loopkey-card": DetailedHTMLProps<HTMLAttributes<LoopkeyCardElement>, LoopkeyCardElement> & {
        loopkey: LoopkeyCardElement["loopkey"];
        app?: string;
      };
    }
  }
}

export function App() {
  const { session, presence, checked } = useLoopkey();
  return (
    <main>
      <h1>Harbor</h1>
      {session ? (
        <p id="session">
          Signed in as <strong id="name">{session.name}</strong>
          {presence?.presence === "locked" && " (locked)"} <button id="logout" onClick={() => loopkey.logout()}>Sign out</button>
        </p>
      ) : checked ? (
        // React 19 gives a custom element its properties as properties.
        <loopkey-card loopkey={loopkey} app="Harbor" />
      ) : null}
    </main>
  );
}
