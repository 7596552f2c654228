/** Harbor, a simulated desktop client: who is signed in, the agent beside it, and the consent prompt. */

const WORDS = {
  en: {
    caption: "Simulated desktop client", room1: "Product circle", room2: "Handbook", room3: "Lin · Sam", room4: "Announcements",
    lock: "Lock", unlock: "Unlock", away: "Set away", back: "I’m back", signOut: "Sign out", signInAs: "Sign in as", agent: "Agent", log: "Events",
    nobody: "Nobody is signed in", stop: "Stop the agent", start: "Start the agent", running: "Running on this computer", stopped: "Stopped",
    music: "Music", play: "Play", pause: "Pause", next: "Next", documentOpen: "Open document", openSite: "Open Tidemark in the browser",
    sockets: "Connected pages: {count}", lost: "The demo has stopped",
    presence: { signed_in: "Active", away: "Away", locked: "Locked", signed_out: "Signed out" },
    consentTitle: "Sign in to a website", consentAsks: "asks to sign you in as", consentCompare: "Allow only if the page shows this number.",
    digits: "Digits", digitsCompare: "Another browser wants to sign in. Only if that is you: type the two digits that it shows.",
    browser: "Asked from {browser}", remember: "Remember for this site", allow: "Allow", deny: "Deny",
    tooSoon: "That click came too soon to count. Click Allow once more.",
    seconds: "{count} seconds left", asked: "{origin} asks to sign you in. The number is {code}.", failed: "That didn’t work: {error}",
    events: {
      agent_running: "The agent is running", agent_stopped: "The agent has stopped",
      signed_in: "{name} signed in", signed_out: "Signed out: open pages and web sessions end", signed_out_there: "Signed out everywhere, from the web",
      locked: "Locked", away: "Away", active: "Active", asked: "{origin} asks to sign you in",
      allowed: "You allowed the sign-in", allowed_for_good: "You allowed the sign-in, and this site’s from now on", denied: "You denied the sign-in", withdrawn: "The request was withdrawn",
      opened: "A page opened “{title}”", played: "Music plays", paused: "Music pauses", web_opened: "Tidemark opens in the browser, signed in",
    },
  },
  zh: {
    caption: "模拟桌面客户端", room1: "产品小组", room2: "手册", room3: "小雨 · Sam", room4: "公告",
    lock: "锁定", unlock: "解锁", away: "设为离开", back: "我回来了", signOut: "退出登录", signInAs: "登录为", agent: "代理", log: "事件",
    nobody: "无人登录", stop: "停止代理", start: "启动代理", running: "正在本机运行", stopped: "已停止",
    music: "音乐", play: "播放", pause: "暂停", next: "下一首", documentOpen: "已打开文档", openSite: "在浏览器中打开 Tidemark",
    sockets: "已连接页面：{count}", lost: "演示已停止",
    presence: { signed_in: "在线", away: "离开", locked: "已锁定", signed_out: "未登录" },
    consentTitle: "登录网站", consentAsks: "请求为您登录，身份为", consentCompare: "仅当网页显示相同数字时才允许。",
    digits: "数字", digitsCompare: "另一个浏览器想要登录。仅当那是您本人时，输入那里显示的两位数字。",
    browser: "来自 {browser}", remember: "记住此网站", allow: "允许", deny: "拒绝",
    tooSoon: "点击过早，未计入。请再次点击“允许”。",
    seconds: "剩余 {count} 秒", asked: "{origin} 请求为您登录，数字为 {code}。", failed: "操作失败：{error}",
    events: {
      agent_running: "代理正在运行", agent_stopped: "代理已停止",
      signed_in: "{name} 已登录", signed_out: "已退出登录：打开的页面和网页会话随之结束", signed_out_there: "已从网页全部退出登录",
      locked: "已锁定", away: "离开", active: "在线", asked: "{origin} 请求为您登录",
      allowed: "您已允许登录", allowed_for_good: "您已允许登录，今后不再询问此网站", denied: "您已拒绝登录", withdrawn: "请求已撤回",
      opened: "网页打开了“{title}”", played: "音乐开始播放", paused: "音乐已暂停", web_opened: "Tidemark 正在浏览器中打开并登录",
    },
  },
};
/** A prompt that appears under the pointer must not take the click that was meant for something else. */
const DEAD_TIME = 500;
const PROMPT_TIME = 60_000;

const $ = (id) => document.getElementById(id);
const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);

let lang = /^zh\b/i.test(navigator.language) ? "zh" : "en";
let state = null;

for (const each of ["en", "zh"]) $(`lang-${each}`).addEventListener("click", () => speak(each));
$("lock").addEventListener("click", () => post("presence", { presence: state.presence === "locked" ? "signed_in" : "locked" }));
$("away").addEventListener("click", () => post("presence", { presence: state.presence === "away" ? "signed_in" : "away" }));
$("sign-out").addEventListener("click", () => post("sign-out", {}));
$("player-toggle").addEventListener("click", () => post("player", { command: state.player.playing ? "pause" : "play" }));
$("player-next").addEventListener("click", () => post("player", { command: "next" }));
$("open-site").addEventListener("click", () => post("open-site", {}));
$("agent").addEventListener("click", () => post("agent", { running: state.agent !== "running" }));

function listen() {
  const events = new EventSource("/api/events");
  events.addEventListener("state", ({ data }) => {
    state = JSON.parse(data);
    draw();
  });
  events.addEventListener("error", () => {
    state = null;
    draw();
  });
}

async function post(call, body) {
  try {
    const response = await fetch(`/api/${call}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (response.ok) return;
    announce(fill(WORDS[lang].failed, { error: (await response.json()).error }));
  } catch {
    announce(WORDS[lang].lost);
  }
}

function speak(chosen) {
  lang = chosen;
  document.documentElement.lang = lang;
  for (const each of ["en", "zh"]) $(`lang-${each}`).setAttribute("aria-pressed", String(each === lang));
  for (const place of document.querySelectorAll("[data-words]")) place.textContent = WORDS[lang][place.dataset.words];
  draw();
}

function draw() {
  const words = WORDS[lang];
  const person = state?.people.find(({ id }) => id === state.person);
  const presence = person ? state.presence : "signed_out";
  const running = state?.agent === "running";
  document.body.dataset.agent = state?.agent ?? "unknown";
  document.body.dataset.presence = presence;
  document.body.dataset.person = person?.id ?? "";

  $("person-name").textContent = person?.name ?? (state ? words.nobody : words.lost);
  $("person-avatar").hidden = !person;
  if (person) $("person-avatar").src = person.avatar;
  $("presence").textContent = words.presence[presence];
  $("lock").textContent = presence === "locked" ? words.unlock : words.lock;
  $("away").textContent = presence === "away" ? words.back : words.away;
  for (const id of ["lock", "away", "sign-out"]) $(id).disabled = !person;
  $("away").disabled ||= presence === "locked";

  $("agent-state").textContent = running ? words.running : words.stopped;
  $("agent").textContent = running ? words.stop : words.start;
  $("agent").disabled = !state;
  $("sockets").textContent = fill(words.sockets, { count: state?.sockets ?? 0 });
  $("desk").hidden = !person || !running;
  $("document").hidden = !state?.document;
  $("document-title").textContent = state?.document ?? "";
  $("player-title").textContent = state?.player.title ?? "";
  $("player-toggle").textContent = state?.player.playing ? words.pause : words.play;
  document.body.dataset.playing = String(state?.player.playing ?? false);
  document.body.dataset.document = state?.document ?? "";
  $("open-site").disabled = presence === "locked";
  drawPeople(state?.people ?? []);
  drawLog(state?.log ?? []);
  prompt.draw(state?.prompt ?? null);
}

function drawPeople(people) {
  if ($("people").childElementCount !== people.length) {
    $("people").replaceChildren(...people.map(({ id, name, avatar }) => {
      const button = document.createElement("button");
      const image = document.createElement("img");
      button.type = "button";
      button.id = `sign-in-${id}`;
      image.src = avatar;
      image.alt = "";
      button.append(image, name);
      button.addEventListener("click", () => post("sign-in", { person: id }));
      return button;
    }));
  }
  for (const { id } of people) {
    $(`sign-in-${id}`).disabled = id === state.person;
    $(`sign-in-${id}`).setAttribute("aria-current", String(id === state.person));
  }
}

/** The newest first. */
function drawLog(log) {
  const time = new Intl.DateTimeFormat(lang, { timeStyle: "medium" });
  $("log").replaceChildren(...log.toReversed().map(({ at, event, ...values }) => {
    const item = document.createElement("li");
    const when = document.createElement("time");
    when.dateTime = new Date(at).toISOString();
    when.textContent = time.format(at);
    item.append(when, fill(WORDS[lang].events[event] ?? event, values));
    return item;
  }));
}

const capitalized = (word) => word.charAt(0).toUpperCase() + word.slice(1);

function announce(sentence) {
  $("announcement").textContent = sentence;
}

/** The consent prompt: one at a time, closed when the server no longer lists it. */
const prompt = {
  id: null,
  armed: null,
  ticking: null,
  asksDigits: false,

  draw(asked) {
    if (!asked) return this.close();
    const words = WORDS[lang];
    $("consent-origin").textContent = asked.origin;
    $("consent-account").textContent = asked.account;
    $("consent-code").textContent = asked.code;
    $("consent-browser").textContent = asked.browser ? fill(words.browser, { browser: capitalized(asked.browser) }) : "";
    $("consent-remembers").hidden = !asked.can_remember;
    // Another browser asks: the person types what it shows, and nothing here says what that is.
    this.asksDigits = asked.asks_digits;
    $("consent-types").hidden = !asked.asks_digits;
    $("consent-code").hidden = asked.asks_digits;
    $("consent-compare").textContent = asked.asks_digits ? words.digitsCompare : words.consentCompare;
    if (asked.id === this.id) return;

    this.id = asked.id;
    $("consent-remember").checked = false;
    $("consent-too-soon").textContent = "";
    $("consent-digits").value = "";
    if (!$("consent").open) $("consent").showModal();
    // What stands outside an open dialog is not read out.
    $("consent-announcement").textContent = fill(words.asked, asked);
    this.disarm();
    this.tick(performance.now() + PROMPT_TIME);
  },

  close() {
    if (this.id === null) return;
    this.id = null;
    clearTimeout(this.armed);
    clearTimeout(this.ticking);
    $("consent-announcement").textContent = "";
    $("consent").close();
  },

  /** Starts the dead time anew. */
  disarm() {
    if (this.id === null) return;
    clearTimeout(this.armed);
    $("consent").dataset.armed = "false";
    this.armed = setTimeout(() => ($("consent").dataset.armed = "true"), DEAD_TIME);
  },

  tick(end) {
    clearTimeout(this.ticking);
    const left = Math.max(0, end - performance.now());
    $("consent-countdown").textContent = fill(WORDS[lang].seconds, { count: Math.ceil(left / 1000) });
    $("consent-bar").style.setProperty("width", `${(left / PROMPT_TIME) * 100}%`);
    if (left > 0) this.ticking = setTimeout(() => this.tick(end), 250); // the agent ends it, not this page
  },

  answer(allow) {
    // Only a yes can be given by accident: a no is safe at any time.
    if (this.id === null) return;
    if (allow && $("consent").dataset.armed !== "true") {
      $("consent-too-soon").textContent = WORDS[lang].tooSoon;
      return;
    }
    const typed = $("consent-digits").value;
    if (allow && this.asksDigits && !/^[0-9]{2}$/.test(typed)) return $("consent-digits").focus();
    const code = this.asksDigits && { code: allow ? typed : "00" };
    post("consent", { id: this.id, allow, remember: allow && $("consent-remember").checked, ...code });
    this.close();
  },
};

$("consent-allow").addEventListener("click", () => prompt.answer(true));
$("consent-deny").addEventListener("click", () => prompt.answer(false));
$("consent").addEventListener("cancel", (event) => {
  event.preventDefault();
  prompt.answer(false);
});
for (const type of ["focus", "resize"]) addEventListener(type, () => prompt.disarm());
document.addEventListener("visibilitychange", () => prompt.disarm());

speak(lang);
listen();
