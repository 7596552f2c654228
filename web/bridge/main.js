/**
 * Joins the parts in the window itself. The agent serves the files of this folder as one module, this one last, so that
 * there is nothing to import.
 */

/* global bridgeWords, Relay, Prompt, View */

/** How long the last word stays before the window closes (ms). */
const LAST_WORD = { done: 900, gone: 5_000, closed: 0 };

function begin() {
  const meta = document.querySelector("meta[name=loopkey-key]");
  const key = meta.content;
  meta.remove();
  const view = new View(document, bridgeWords(navigator.language));
  const { opener } = window;
  if (!opener) return view.show("alone", null);

  let prompt = null;
  let signed = false;
  const timers = {
    now: () => performance.now(),
    setTimeout: (run, ms) => setTimeout(run, ms),
    clearTimeout: (timer) => clearTimeout(timer),
  };
  const endPrompt = () => {
    prompt?.end();
    prompt = null;
    view.arm(false);
  };
  const close = (after) => setTimeout(() => window.close(), after);

  let page = null;
  const relay = new Relay(opener, key, () => new WebSocket(`ws://${location.host}/v1/bridge`, "loopkey.1"), {
    state(state, origin) {
      if (state === "connected") page = origin;
      endPrompt();
      signed ||= state === "signing";
      const last = state === "closed" && signed ? "done" : state;
      if (last !== "closed") view.show(last, origin);
      if (last in LAST_WORD) close(LAST_WORD[last]);
    },
    ask(request) {
      endPrompt();
      view.ask(request);
      prompt = new Prompt(request, timers, () => view.arm(Boolean(prompt?.armed)));
      view.arm(false);
      view.time(prompt.left);
      window.focus();
    },
    unask(id) {
      if (prompt?.request.id !== id) return;
      endPrompt();
      view.show("connected", page);
    },
  });

  const answer = (allow) => (event) => {
    if (!event.isTrusted || !prompt?.armed) return;
    const { id } = prompt.request;
    const remember = allow && view.remembers;
    endPrompt();
    view.show(allow ? "signing" : "denied", page);
    relay.answer(id, allow, remember);
  };
  document.getElementById("allow").addEventListener("click", answer(true));
  document.getElementById("deny").addEventListener("click", answer(false));
  document.getElementById("question").addEventListener("submit", (event) => event.preventDefault());

  // Whatever brings the window under the pointer or the keyboard anew.
  const again = () => prompt?.disarm();
  window.addEventListener("focus", again);
  window.addEventListener("resize", again);
  document.addEventListener("visibilitychange", again);

  window.addEventListener("message", (event) => relay.receive(event));
  window.addEventListener("pagehide", () => relay.leave());
  setInterval(() => {
    if (opener.closed) relay.leave();
    if (prompt) view.time(prompt.left);
  }, 250);
  view.show("connecting", null);
}

begin();
