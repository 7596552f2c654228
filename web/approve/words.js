/** Every word of the page, in English and Chinese. */

const en = {
  title: "Sign in another browser?",
  loading: "One moment…",
  site: "Site", browser: "Browser", place: "Place", account: "As",
  places: { here: "the login server’s own computer", local: "a local network", internet: "the Internet", unknown: "unknown" },
  same: "your own network",
  other: "another network than yours",
  unknown: "Unknown browser",
  code: "The two digits that it shows",
  advice: "Approve only if you are signing in there yourself, just now. Nobody who calls or writes to you needs this.",
  approve: "Approve",
  deny: "Deny",
  ends: {
    approved: { title: "Approved", text: "The other browser goes on by itself. You can close this page." },
    denied: { title: "Denied", text: "The other browser is not signed in. If you did mean it, begin anew there." },
    superseded: { title: "Two devices scanned this code", text: "One of them may not be yours, so nobody is signed in. Begin anew there." },
    unknown: { title: "This code has expired", text: "Codes change every few seconds. Scan the one that is shown now." },
    stranger: { title: "You are not signed in here", text: "Sign in to this site in this browser first, then scan the code again." },
    weak: { title: "Not from this browser", text: "How you are signed in here lets no other browser in. Sign in with the desktop app, or sign in there directly." },
    busy: { title: "Too many tries", text: "Wait ten minutes, then scan a new code." },
    offline: { title: "The sign-in service can’t be reached", text: "Check your connection, then scan the code again." },
    failed: { title: "That did not work", text: "Scan the code again." },
  },
};

const zh = {
  title: "让另一个浏览器登录？",
  loading: "请稍候…",
  site: "网站", browser: "浏览器", place: "位置", account: "账号",
  places: { here: "登录服务器本机", local: "本地网络", internet: "互联网", unknown: "未知" },
  same: "与您相同的网络",
  other: "与您不同的网络",
  unknown: "未知浏览器",
  code: "那里显示的两位数字",
  advice: "仅当您本人此刻正在那里登录时才批准。任何来电或来信的人都不需要它。",
  approve: "批准",
  deny: "拒绝",
  ends: {
    approved: { title: "已批准", text: "另一个浏览器会自动继续。您可以关闭此页面。" },
    denied: { title: "已拒绝", text: "另一个浏览器没有登录。如果您本想批准，请在那里重新开始。" },
    superseded: { title: "有两台设备扫描了此码", text: "其中一台可能不是您的，因此没有人登录。请在那里重新开始。" },
    unknown: { title: "此码已失效", text: "二维码每隔几秒更换一次。请扫描当前显示的码。" },
    stranger: { title: "您在此浏览器中尚未登录", text: "请先在此浏览器中登录本站，然后重新扫码。" },
    weak: { title: "此浏览器不能批准", text: "您在此处的登录方式不能让其他浏览器登录。请使用桌面客户端登录，或直接在那里登录。" },
    busy: { title: "尝试次数过多", text: "请等待十分钟，然后扫描新的码。" },
    offline: { title: "无法连接登录服务", text: "请检查网络连接，然后重新扫码。" },
    failed: { title: "未能成功", text: "请重新扫码。" },
  },
};

/** @param {string} [lang] a language tag */
export function wordsFor(lang) {
  return /^zh\b/i.test(lang ?? "") ? zh : en;
}
