/** Every word of the page, in English and Chinese. */

const en = {
  title: "Your devices and sessions",
  lead: "See where you are signed in, and end what you no longer use.",
  back: "Back to {site}",
  loading: "Loading…",
  sessions: {
    title: "Sessions",
    text: "Browsers in which you are signed in now.",
    browser: "{browser} on {system}",
    unknown: "Unknown browser",
    current: "This browser",
    by: "Signed in with {device}",
    approved: "Signed in by approval",
    elsewhere: "Signed in through {connector}",
    at: "on {site}",
    since: "Signed in {time}",
    used: "Last used {time}",
    end: "End",
    endOwn: "Sign out",
    endWhich: "End the session {browser}, signed in {time}",
    ended: "The session has ended.",
  },
  devices: {
    title: "Devices",
    text: "Computers whose desktop app may sign you in.",
    current: "Used for this session",
    since: "Added {time}",
    remove: "Remove",
    removeWhich: "Remove the device {device}",
    removed: "{device} was removed.",
    none: "No device is set up.",
    ask: {
      title: "Remove {device}?",
      text: "Its desktop app can no longer sign you in, and every session that it opened ends at once.",
      own: "This session is one of them: you will be signed out here.",
      again: "To use it again, sign in to the desktop app there once more.",
      yes: "Remove device",
    },
  },
  everywhere: {
    title: "Sign out everywhere",
    text: "Ends every session in all browsers, this one too, and asks the desktop apps on your devices to sign out. Your devices stay on the list.",
    action: "Sign out everywhere…",
    ask: { title: "Sign out everywhere?", text: "You will be signed out here as well, and have to sign in again.", yes: "Sign out everywhere" },
  },
  cancel: "Cancel",
  none: {
    title: "You are not signed in",
    text: "Sign in on the site first, then open this page again.",
    action: "Go to {site}",
  },
  out: "You are signed out",
  now: "just now",
  reasons: {
    logged_out: "You have signed out.",
    logged_out_everywhere: "You were signed out everywhere.",
    signed_out: "The desktop app was signed out on your computer.",
    revoked: "The device that signed you in was removed.",
    expired: "Your session has expired.",
    ended: "Your session has ended.",
  },
  failed: {
    title: "This page could not be loaded",
    offline: "The sign-in service cannot be reached. Check your connection and try again.",
    busy: "The sign-in service has a lot to do. Try again in a moment.",
    other: "Something went wrong. Try again in a moment.",
    action: "Try again",
  },
  notDone: "That did not work. {why}",
};

/** @type {typeof en} */
const zh = {
  title: "您的设备与会话",
  lead: "查看您的登录位置，并结束不再使用的登录。",
  back: "返回 {site}",
  loading: "正在加载…",
  sessions: {
    title: "会话",
    text: "您当前已登录的浏览器。",
    browser: "{browser}（{system}）",
    unknown: "未知浏览器",
    current: "当前浏览器",
    by: "通过 {device} 登录",
    approved: "经批准登录",
    elsewhere: "通过 {connector} 登录",
    at: "网站 {site}",
    since: "登录时间：{time}",
    used: "最近使用：{time}",
    end: "结束",
    endOwn: "退出登录",
    endWhich: "结束会话 {browser}，登录时间 {time}",
    ended: "会话已结束。",
  },
  devices: {
    title: "设备",
    text: "其桌面客户端可以为您登录的电脑。",
    current: "用于本次登录",
    since: "添加时间：{time}",
    remove: "移除",
    removeWhich: "移除设备 {device}",
    removed: "已移除 {device}。",
    none: "尚未设置设备。",
    ask: {
      title: "移除 {device}？",
      text: "该设备上的桌面客户端将不能再为您登录，由它打开的所有会话会立即结束。",
      own: "当前会话也在其中：您将在此处退出登录。",
      again: "如需再次使用，请在该设备上重新登录桌面客户端。",
      yes: "移除设备",
    },
  },
  everywhere: {
    title: "全部退出",
    text: "结束您在所有浏览器中的会话（包括此处），并要求您各设备上的桌面客户端退出登录。设备仍保留在列表中。",
    action: "全部退出…",
    ask: { title: "确定全部退出？", text: "此处也会退出登录，之后需要重新登录。", yes: "全部退出" },
  },
  cancel: "取消",
  none: { title: "您尚未登录", text: "请先在网站上登录，然后再打开本页。", action: "前往 {site}" },
  out: "您已退出登录",
  now: "刚刚",
  reasons: {
    logged_out: "您已在此退出登录。",
    logged_out_everywhere: "您已在所有浏览器中退出登录。",
    signed_out: "您电脑上的桌面客户端已退出登录。",
    revoked: "用于登录的设备已被移除。",
    expired: "会话已过期。",
    ended: "会话已结束。",
  },
  failed: {
    title: "无法加载本页",
    offline: "无法连接登录服务。请检查网络后重试。",
    busy: "登录服务正忙，请稍后重试。",
    other: "出现问题，请稍后重试。",
    action: "重试",
  },
  notDone: "操作失败。{why}",
};

/** The words for a language tag; English for all but Chinese, as the card. @param {string | undefined} lang */
export function wordsFor(lang) {
  return /^zh\b/i.test(lang ?? "") ? zh : en;
}

/** Puts values into a sentence. @param {string} sentence @param {Record<string, string>} values */
export function fill(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}
