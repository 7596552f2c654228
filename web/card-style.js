/**
 * The card's look, as a constructed style sheet. A site changes it by the custom properties on the
 * host (`--loopkey-accent`, `--loopkey-surface`, …) and by the parts.
 */

const CSS = `
:host {
  --accent: var(--loopkey-accent, #1f5f5b);
  --on-accent: var(--loopkey-on-accent, #ffffff);
  --surface: var(--loopkey-surface, #ffffff);
  --ink: var(--loopkey-ink, #1b2124);
  --soft: var(--loopkey-soft, #5d686c);
  --line: var(--loopkey-line, #e1e5e4);
  --tint: var(--loopkey-tint, #eef4f3);
  --warn-ink: #7a4308;
  --warn-tint: #fdf3e4;
  --radius: var(--loopkey-radius, 18px);
  display: block;
  max-width: 25rem;
  color: var(--ink);
  font: 400 0.9375rem/1.5 var(--loopkey-font, system-ui, -apple-system, "Segoe UI", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif);
  -webkit-font-smoothing: antialiased;
}
@media (prefers-color-scheme: dark) {
  :host {
    --accent: var(--loopkey-accent, #7cc4bd);
    --on-accent: var(--loopkey-on-accent, #0c1c1b);
    --surface: var(--loopkey-surface, #1c2225);
    --ink: var(--loopkey-ink, #eef1f1);
    --soft: var(--loopkey-soft, #9caaae);
    --line: var(--loopkey-line, #30393d);
    --tint: var(--loopkey-tint, #243033);
    --warn-ink: #f3c88b;
    --warn-tint: #33291a;
  }
}
:host([hidden]) { display: none; }
* { box-sizing: border-box; }

.card {
  background: var(--surface);
  border: 1px solid var(--line);
  border-radius: var(--radius);
  box-shadow: 0 1px 2px rgb(16 24 28 / 4%), 0 18px 44px -18px rgb(16 24 28 / 18%);
  overflow: hidden;
}
.body {
  display: flex;
  flex-direction: column;
  align-items: center;
  justify-content: center;
  min-height: 24.5rem;
  padding: 2.25rem 2rem 2rem;
  text-align: center;
}
.hero { display: grid; place-items: center; height: 6rem; margin-bottom: 1.25rem; }

/* A name is somebody else's text: it stays within its two lines and above the button. */
h2, .label { display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow: hidden; overflow-wrap: anywhere; }
h2 { margin: 0; max-width: 100%; flex: none; font-size: 1.25rem; font-weight: 620; line-height: 1.3; letter-spacing: -0.012em; text-wrap: balance; }
h2:focus { outline: none; }
p { margin: 0.4rem 0 0; max-width: 19rem; color: var(--soft); text-wrap: pretty; }

.icon {
  position: relative;
  display: grid;
  place-items: center;
  width: 4.5rem;
  height: 4.5rem;
  border-radius: 50%;
  background: var(--tint);
  color: var(--accent);
}
svg { width: 1.9rem; height: 1.9rem; fill: none; stroke: currentColor; stroke-width: 1.6; stroke-linecap: round; stroke-linejoin: round; }
.blocked .icon, .framed .icon, .incompatible .icon, .unverified .icon { background: var(--warn-tint); color: var(--warn-ink); }
.absent .icon, .offline .icon, .waiting .icon, .signed-out .icon { color: var(--soft); }

/* Where to click in the browser's own windows. */
.asking .hero:has(.guide), .blocked .hero:has(.guide) { height: auto; }
.guide { min-height: 8.125rem; }
.guide svg { display: block; width: 15rem; height: auto; stroke: none; }
.guide .window { fill: var(--tint); stroke: var(--line); }
.guide .address, .guide .panel { fill: var(--surface); stroke: var(--line); }
.guide .panel { filter: drop-shadow(0 3px 6px rgb(16 24 28 / 14%)); }
.guide .words { fill: var(--line); }
.guide .stroke { fill: none; stroke: var(--soft); stroke-width: 1.5; }
.guide .button { fill: var(--tint); stroke: var(--line); }
.guide .main, .guide .switch, .guide .number { fill: var(--accent); stroke: none; }
.guide .knob { fill: var(--on-accent); }
.guide .tick { fill: none; stroke: var(--on-accent); stroke-width: 2; }
.guide text { fill: var(--on-accent); font: 700 10px system-ui, sans-serif; text-anchor: middle; }
ol { margin: 0.75rem 0 0; padding: 0; max-width: 19rem; list-style: none; counter-reset: step; text-align: start; color: var(--ink); }
ol li { position: relative; padding: 0.15rem 0 0.15rem 1.9rem; counter-increment: step; }
ol li::before {
  content: counter(step);
  position: absolute;
  inset-inline-start: 0;
  top: 0.3rem;
  display: grid;
  place-items: center;
  width: 1.2rem;
  height: 1.2rem;
  border-radius: 50%;
  background: var(--accent);
  color: var(--on-accent);
  font-size: 0.72rem;
  font-weight: 700;
}

.who { position: relative; display: inline-block; }
.portrait {
  position: relative;
  display: grid;
  place-items: center;
  width: 5.5rem;
  height: 5.5rem;
  border-radius: 50%;
  overflow: hidden;
  background: var(--tint);
  color: var(--accent);
  font-size: 1.75rem;
  font-weight: 600;
}
.portrait img { position: absolute; inset: 0; width: 100%; height: 100%; object-fit: cover; }
.locked .portrait { filter: grayscale(1); opacity: 0.55; }
.badge {
  position: absolute;
  right: 0.1rem;
  bottom: 0.1rem;
  display: grid;
  place-items: center;
  width: 1.35rem;
  height: 1.35rem;
  border: 4px solid var(--surface);
  border-radius: 50%;
  background: #2f9e63;
}
.badge.away { background: #d9952b; }
.badge.lock { width: 2.2rem; height: 2.2rem; right: -0.35rem; bottom: -0.25rem; background: var(--ink); color: var(--surface); }
.badge.lock svg { width: 1.1rem; height: 1.1rem; stroke-width: 2; }

.digits { display: flex; gap: 0.6rem; }
.digits span {
  display: grid;
  place-items: center;
  width: 4rem;
  height: 5.25rem;
  border: 1px solid var(--line);
  border-radius: 14px;
  background: var(--tint);
  color: var(--ink);
  font-size: 3rem;
  font-weight: 620;
  font-variant-numeric: tabular-nums;
  line-height: 1;
}

.notice {
  margin-top: 1rem;
  padding: 0.6rem 0.9rem;
  border-radius: 10px;
  background: var(--warn-tint);
  color: var(--warn-ink);
  font-size: 0.875rem;
}

.actions { display: flex; flex-direction: column; gap: 0.5rem; width: 100%; margin-top: 1.5rem; }
.actions > *, :where(#approval) {
  display: block;
  width: 100%;
  padding: 0.75rem 1rem;
  border: 1px solid transparent;
  border-radius: 11px;
  font: inherit;
  font-weight: 580;
  line-height: 1.35;
  text-align: center;
  text-decoration: none;
  cursor: pointer;
  transition: background-color 0.12s, border-color 0.12s;
}
.main { background: var(--accent); color: var(--on-accent); }
.main:hover { background: color-mix(in srgb, var(--accent) 88%, var(--ink)); }
.main:active { background: color-mix(in srgb, var(--accent) 78%, var(--ink)); }
.second { background: transparent; border-color: var(--line); color: var(--ink); }
.second:hover { background: var(--tint); }

.foot { border-top: 1px solid var(--line); padding: 0.5rem; text-align: center; }
.quiet {
  padding: 0.55rem 0.9rem;
  border: 0;
  border-radius: 9px;
  background: none;
  color: var(--soft);
  font: inherit;
  font-size: 0.875rem;
  cursor: pointer;
}
.quiet:hover { color: var(--ink); background: var(--tint); }
.other { display: grid; gap: 0.5rem; padding: 0.5rem 1.5rem 1.25rem; text-align: start; }
.other .actions { margin-top: 0.5rem; }
[hidden] { display: none !important; }
.frame { display: grid; place-items: center; margin: 0.75rem 0 0.25rem; }
iframe { max-width: 100%; border: 1px solid var(--line); border-radius: 12px; background: #fff; }
/* For a link alone; the page's own rules go before it. */
::slotted(a) { display: block; padding: 0.25rem 0; color: var(--accent); text-align: center; }
:focus-visible { outline: 2.5px solid var(--accent); outline-offset: 2px; }

.status { position: absolute; width: 1px; height: 1px; margin: 0; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

/* What lasts a few milliseconds only is not shown at all: no flicker between two lasting views. */
.working:not(.signing) > * { animation: appear 0.25s 0.2s both; }
.working .icon::after, .signing .who::after, .asking .icon::after {
  content: "";
  position: absolute;
  inset: -6px;
  border: 2px solid transparent;
  border-top-color: var(--accent);
  border-radius: 50%;
  animation: turn 0.9s linear infinite;
}
@keyframes appear { from { opacity: 0; } }
@keyframes turn { to { transform: rotate(1turn); } }
@media (prefers-reduced-motion: reduce) {
  .working > * { animation-duration: 0s !important; }
  .working .icon::after, .signing .who::after, .asking .icon::after { animation-duration: 6s; }
}
@media (forced-colors: active) {
  .main, .digits span, .icon { border: 1px solid ButtonText; }
}
@media (max-width: 24rem) {
  .body { padding: 1.75rem 1.25rem 1.5rem; }
}
`;

let sheet = null;

/** One sheet for all cards of the page. */
export function cardStyle() {
  if (!sheet) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync(CSS);
  }
  return sheet;
}
