import { createLoopkey } from "loopkey-web";
import "loopkey-web/card";

const loopkey = createLoopkey({ issuer: new URL("/loopkey", location.href).href });
const $ = (selector) => document.querySelector(selector);

// Comes once after the first look, and with each change: a sign-in, a sign-out in the desktop program, an end in another tab.
loopkey.addEventListener("session", ({ detail: { session } }) => {
  $("loopkey-card").hidden = session !== null;
  $("#session").hidden = session === null;
  $("#name").textContent = session?.name ?? "";
});

$("#logout").onclick = () => loopkey.logout();
$("loopkey-card").loopkey = loopkey;
loopkey.start();
