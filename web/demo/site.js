/** Tidemark, an invented product that signs people in with Loopkey: the demo's site. */

import { createLoopkey } from "/sdk/loopkey.js";
import "/sdk/loopkey-card.js";
import { initials, safeAvatar } from "/sdk/avatar.js";

const WORDS = {
  en: {
    headline: "Documents that keep their place.",
    lead: "Tidemark is where your team writes things down: decisions, minutes, handbooks. One quiet page at a time.",
    sampleKicker: "Decision · 14 May", sampleTitle: "One sign-in for every tool",
    sampleText: "Whoever is signed in to Harbor, our desktop app, is already known. The browser only has to ask.",
    sampleNote: "Agreed. No more passwords on this page. — Lin",
    waysText: "Is Harbor not running? Open its window and start it there. A real site puts its own other sign-in methods here.",
    waysDevice: "To try the other device on this computer: choose it, then “Ask the app on your other computer”, and type who is signed in to Harbor: ada, lin or sam. Harbor asks for the number. No phone reaches localhost; another browser here that is signed in as the same person can open the code’s address.",
    wayClient: "Open Harbor’s window",
    recent: "Recent documents", coverTitle: "Harbor is locked", coverText: "Your documents come back when you unlock it.",
    device: "Device", method: "Signed in with", since: "Since", until: "Until",
    accountLink: "Your devices and sessions",
    logout: "Sign out", logoutEverywhere: "Sign out everywhere",
    everywhereHint: "Everywhere ends your sessions in all browsers, and signs you out of Harbor.",
    footer: "A demonstration of Loopkey.", clientLink: "Open Harbor, the simulated desktop client",
    playerKicker: "Playing in Harbor", playerPlay: "Play", playerPause: "Pause", playerNext: "Next",
    openInHarbor: "Open in Harbor", openedInHarbor: "“{title}” is open in Harbor.",
    greeting: "Hello, {name}", documentMeta: "{who} · {when}",
    documents: [["One sign-in for every tool", "Lin", "today"], ["Minutes, product circle", "Sam", "yesterday"], ["Handbook: the first week", "Ada", "Monday"], ["What we learned in spring", "Sam", "last week"]],
    methods: { loopkey: "Harbor on this computer", agent: "Harbor on this computer", approval: "Approval on another device", "connector:dingtalk": "DingTalk" },
    presence: { signed_in: "Active in Harbor", away: "Away", locked: "Harbor is locked", signed_out: "Signed out of Harbor", unknown: "Harbor isn’t connected" },
    reasons: {
      logged_in: "You are signed in.", logged_out: "You have signed out.",
      logged_out_everywhere: "Your session here was ended because you signed out everywhere in another browser.",
      signed_out: "You were signed out because Harbor was signed out on your computer.",
      switched: "You were signed out because Harbor now belongs to another account.",
      revoked: "You were signed out because this device was removed.",
      expired: "Your session has ended. Please sign in again.", ended: "Your session has ended. Please sign in again.",
    },
    failed: "That didn’t work. Please try again.",
  },
  zh: {
    headline: "让文档各得其所。",
    lead: "Tidemark 是团队记录一切的地方：决定、纪要、手册，一页一页，从容不迫。",
    sampleKicker: "决定 · 5月14日", sampleTitle: "一次登录，处处可用",
    sampleText: "只要登录了桌面客户端 Harbor，您的身份就已确认，浏览器只需问一声。",
    sampleNote: "同意，这里不再需要密码。——小雨",
    waysText: "Harbor 没有运行？打开它的窗口并在那里启动。真实的网站会在这里提供自己的其他登录方式。",
    waysDevice: "在本机也能试其他设备的方式：选择它，再选择“询问另一台电脑上的应用”，输入已登录 Harbor 的账号名：ada、lin 或 sam，Harbor 会询问数字。手机无法访问 localhost；本机另一个已由同一人登录的浏览器可以打开二维码中的地址。",
    wayClient: "打开 Harbor 窗口",
    recent: "最近的文档", coverTitle: "Harbor 已锁定", coverText: "解锁后即可继续查看文档。",
    device: "设备", method: "登录方式", since: "登录时间", until: "有效期至",
    accountLink: "您的设备与会话",
    logout: "退出登录", logoutEverywhere: "全部退出",
    everywhereHint: "“全部退出”会结束您在所有浏览器中的会话，并退出 Harbor。",
    footer: "Loopkey 演示。", clientLink: "打开模拟桌面客户端 Harbor",
    playerKicker: "Harbor 正在播放", playerPlay: "播放", playerPause: "暂停", playerNext: "下一首",
    openInHarbor: "在 Harbor 中打开", openedInHarbor: "已在 Harbor 中打开“{title}”。",
    greeting: "{name}，您好", documentMeta: "{who} · {when}",
    documents: [["一次登录，处处可用", "小雨", "今天"], ["产品小组会议纪要", "Sam", "昨天"], ["手册：入职第一周", "Ada", "周一"], ["春季复盘", "Sam", "上周"]],
    methods: { loopkey: "本机的 Harbor", agent: "本机的 Harbor", approval: "在其他设备上确认", "connector:dingtalk": "钉钉" },
    presence: { signed_in: "Harbor 在线", away: "离开", locked: "Harbor 已锁定", signed_out: "Harbor 已退出登录", unknown: "未连接 Harbor" },
    reasons: {
      logged_in: "您已登录。", logged_out: "您已退出登录。",
      logged_out_everywhere: "您在另一个浏览器中选择了“全部退出”，此处的会话已结束。",
      signed_out: "由于本机的 Harbor 已退出登录，您已被退出。",
      switched: "由于 Harbor 已切换账号，您已被退出。",
      revoked: "由于此设备已被移除，您已被退出。",
      expired: "会话已结束，请重新登录。", ended: "会话已结束，请重新登录。",
    },
    failed: "操作失败，请重试。",
  },
};

const $ = (id) => document.getElementById(id);
const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);

// `?as=public` makes this loopback page wait for a click and ask for the browser's permission, as a public site does.
const local = new URLSearchParams(location.search).get("as") === "public" ? false : undefined;
// The server writes its candidate ports into the page, so that the first look need not wait for an answer.
const ports = document.body.dataset.ports.split(" ").map(Number);
// No policy can name [::1], and this page has one.
const loopkey = createLoopkey({ issuer: location.origin, ports, local, ipv6: false });

let lang = remembered() ?? (/^zh\b/i.test(navigator.language) ? "zh" : "en");
/** Why the last session ended, as long as the page should say so. */
let reason = null;
/** Whom the card may show beside it: whose session it was and, where Harbor changed hands, who came. */
let concerned = [];
/** Whose session was the last one. */
let last = null;
/** What Harbor plays, as it last said. */
let player = null;

loopkey.addEventListener("session", ({ detail }) => {
  reason = detail.reason === "checked" ? null : detail.reason;
  concerned = [last];
  last = detail.session?.subject ?? null;
  shown(loopkey.person);
  draw();
  announce(WORDS[lang].reasons[reason]);
});
loopkey.addEventListener("news", ({ detail }) => {
  if (detail.name !== "player") return;
  player = detail.value;
  drawPlayer();
});
loopkey.addEventListener("person", ({ detail }) => {
  shown(detail);
  drawPresence();
});
// A new attempt makes an old ending stale, whichever way the person takes.
loopkey.addEventListener("consent", forget);
$("card").addEventListener("loopkey-error", forget);
$("card").addEventListener("click", (event) => {
  const pressed = event.composedPath().find((part) => ["a", "button"].includes(part.localName));
  if (pressed && pressed.id !== "ways") forget();
});
loopkey.addEventListener("presence", () => {
  drawPresence();
  if (loopkey.session && isTheirs()) announce($("presence-text").textContent);
});

$("card").setAttribute("app", "Harbor");
$("card").loopkey = loopkey;
$("card").setAttribute("open", `http://localhost:${document.body.dataset.client}/`);
for (const id of ["client-link", "way-client"]) $(id).href = `http://localhost:${document.body.dataset.client}/`;
for (const each of ["en", "zh"]) $(`lang-${each}`).addEventListener("click", () => speak(each));
$("player-toggle").addEventListener("click", () => steer(player.playing ? "pause" : "play"));
$("player-next").addEventListener("click", () => steer("next"));
$("logout").addEventListener("click", () => leave(false));
$("logout-everywhere").addEventListener("click", () => leave(true));

speak(lang);
loopkey.start();

async function leave(everywhere) {
  try {
    await loopkey.logout({ everywhere });
  } catch {
    announce(WORDS[lang].failed);
  }
}

/** Harbor tells every page what it plays, this one too. */
async function steer(command) {
  try {
    await loopkey.action("player", { command });
  } catch {
    announce(WORDS[lang].failed);
  }
}

async function open(title) {
  try {
    await loopkey.action("open", { title });
    announce(fill(WORDS[lang].openedInHarbor, { title }));
  } catch {
    announce(WORDS[lang].failed);
  }
}

function speak(chosen) {
  lang = chosen;
  try {
    localStorage.setItem("lang", lang);
  } catch {
    // storage is a convenience; without it the browser's language decides next time
  }
  document.documentElement.lang = lang;
  $("card").setAttribute("lang", lang);
  $("account-link").href = `/account?lang=${lang}`;
  for (const each of ["en", "zh"]) $(`lang-${each}`).setAttribute("aria-pressed", String(each === lang));
  for (const place of document.querySelectorAll("[data-words]")) place.textContent = WORDS[lang][place.dataset.words];
  draw();
}

function remembered() {
  try {
    const known = localStorage.getItem("lang");
    return known in WORDS ? known : null;
  } catch {
    return null;
  }
}

/** Somebody else on the card: why the session ended is no news of theirs. */
function shown(person) {
  if (!reason || !person || concerned.includes(person.subject)) return;
  if (reason === "switched" && concerned.length < 2) concerned.push(person.subject);
  else forget();
}

function forget() {
  if (!reason || loopkey.session) return;
  reason = null;
  draw();
}

/** Whether Harbor on this computer is of whoever is signed in here: its verified person says so, or how the session began. */
function isTheirs() {
  const { session, person } = loopkey;
  if (!session) return true;
  return person ? person.subject === session.subject : session.method === "agent";
}

function draw() {
  const { session } = loopkey;
  const words = WORDS[lang];
  const was = document.body.dataset.session;
  document.body.dataset.session = session ? "in" : "out";
  document.body.dataset.reason = reason ?? "";
  $("landing").hidden = Boolean(session);
  $("app").hidden = !session;
  document.title = session ? `${words.recent} · Tidemark` : "Tidemark";

  const why = session || reason === "logged_in" ? undefined : words.reasons[reason];
  $("notice").hidden = !why;
  $("notice").textContent = why ?? "";

  if (session) drawApp(session, words);
  drawPresence();
  // The view that had the focus is gone: reading and tabbing go on at the heading of the new one.
  if (was !== "unknown" && was !== document.body.dataset.session && document.activeElement === document.body) {
    $(session ? "app" : "landing").querySelector("h1").focus();
  }
}

function drawApp(session, words) {
  $("person-name").textContent = session.name;
  $("person-initials").textContent = initials(session.name);
  const picture = safeAvatar(session.avatar, location.href);
  $("person-avatar").hidden = !picture;
  if (picture) $("person-avatar").src = picture;
  else $("person-avatar").removeAttribute("src");
  $("greeting").textContent = fill(words.greeting, { name: session.name });
  $("device").textContent = session.device_name ?? "";
  $("device-row").hidden = !session.device_name;
  $("method").textContent = words.methods[session.method] ?? session.method.replace(/^connector:/, "");
  $("signed-in-at").textContent = time(session.signed_in_at);
  $("expires-at").textContent = time(session.expires_at);
  $("documents").replaceChildren(...words.documents.map(([title, who, when]) => {
    const item = document.createElement("li");
    const name = document.createElement("span");
    const meta = document.createElement("small");
    name.textContent = title;
    meta.textContent = fill(words.documentMeta, { who, when });
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button small open";
    button.textContent = words.openInHarbor;
    button.addEventListener("click", () => open(title));
    item.append(name, meta, button);
    return item;
  }));
}

function drawPlayer() {
  // What Harbor plays is known while it is there, and shown to whom it belongs.
  $("player").hidden = !player || !loopkey.presence || !isTheirs();
  if (!player) return;
  document.body.dataset.playing = String(player.playing);
  $("player-title").textContent = player.title;
  $("player-toggle").textContent = player.playing ? WORDS[lang].playerPause : WORDS[lang].playerPlay;
}

function drawPresence() {
  const presence = loopkey.presence?.presence ?? "unknown";
  const theirs = isTheirs();
  const locked = Boolean(loopkey.session) && theirs && presence === "locked";
  document.body.dataset.presence = presence;
  $("presence").dataset.presence = presence;
  $("presence").hidden = !theirs;
  for (const button of document.querySelectorAll(".open")) button.hidden = !theirs;
  $("presence-text").textContent = WORDS[lang].presence[presence];
  $("cover").hidden = !locked;
  $("work").inert = locked;
  if (presence === "unknown" || presence === "signed_out") player = null;
  drawPlayer();
}

function time(seconds) {
  return new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "short" }).format(seconds * 1000);
}

function announce(sentence) {
  $("announcement").textContent = sentence ?? "";
}
