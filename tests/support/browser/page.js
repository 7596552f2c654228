// In scope of every expression a test evaluates; nothing here becomes a global of the page under test.

/** The first element that matches; `host >>> inner` goes on inside the open shadow root of `host`. */
const $ = (selector) => {
  let root = document;
  let found = null;
  for (const step of selector.split('>>>')) {
    found = root?.querySelector(step.trim()) ?? null;
    root = found?.shadowRoot;
  }
  return found;
};

/** Resolves at the next frame, or soon where there are none (a hidden tab). */
const frame = () => new Promise((resolve) => {
  requestAnimationFrame(resolve);
  setTimeout(resolve, 50);
});

/** Resolves when the document changed, at the next frame, or soon: shadow roots are not seen by the observer. */
const change = () => new Promise((resolve) => {
  const observer = new MutationObserver(resolve);
  observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  frame().then(resolve).finally(() => observer.disconnect());
});

/** Evaluates `condition` until it is truthy; an exception counts as "not yet" and is told when time is up. */
const until = async (milliseconds, condition) => {
  const late = Symbol('late');
  const deadline = new Promise((resolve) => { setTimeout(resolve, milliseconds, late); });
  let fault = 'its promise did not settle';
  for (;;) {
    try {
      const value = await Promise.race([condition(), deadline]);
      if (value === late) return { fault };
      if (value) return { met: value };
      fault = 'it stayed false';
    } catch (error) {
      fault = String(error);
    }
    if (await Promise.race([change(), deadline]) === late) return { fault };
  }
};

/** The element on top at a point, inside shadow roots too. */
const topmost = (x, y) => {
  let hit = document.elementFromPoint(x, y);
  for (;;) {
    const inner = hit?.shadowRoot?.elementFromPoint(x, y);
    if (!inner || inner === hit) return hit;
    hit = inner;
  }
};

/** The centre of an element that a person could click now; throws the reason why not. */
const clickable = async (selector) => {
  const element = $(selector);
  if (!element) throw new Error('nothing matches');
  if (element.matches(':disabled')) throw new Error('it is disabled');
  element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
  const before = element.getBoundingClientRect();
  await frame();
  const { x: left, y: top, width, height } = element.getBoundingClientRect();
  if (width === 0 || height === 0) throw new Error('it has no size');
  if (left !== before.x || top !== before.y || width !== before.width) throw new Error('it is moving');
  const [x, y] = [left + width / 2, top + height / 2];
  const hit = topmost(x, y);
  for (let node = hit; node; node = node.assignedSlot ?? node.parentNode ?? node.host) {
    if (node === element) return { x, y };
  }
  throw new Error(`it is covered by ${hit?.cloneNode(false).outerHTML ?? 'nothing on screen'}`);
};
