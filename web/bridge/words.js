/** Every word of the bridge's window. */

const en = {
  connecting: { title: "Connecting…", text: "This takes a moment." },
  connected: { title: "Connected", text: "Keep this window open until you are signed in. It closes by itself." },
  asking: { title: "Sign in?" },
  signing: { title: "Signing you in…", text: "This window closes by itself." },
  denied: { title: "Not allowed", text: "Nobody was signed in. You can close this window." },
  done: { title: "Done", text: "This window closes by itself." },
  refused: { title: "This site can’t sign you in here", text: "It is not among the sites that the app on this computer allows. You can close this window." },
  gone: { title: "The connection has ended", text: "You can close this window. Open it again from the page to go on." },
  alone: { title: "Nothing to do here", text: "A page opens this window when you sign in. You can close it." },
  account: "Account",
  browser: "Browser",
  number: "Number {code}",
  advice: "Allow it only if the page shows this number too.",
  remember: "Don’t ask again for this site",
  deny: "Don’t allow",
  allow: "Allow",
  left: "{seconds} s left to answer",
};

/** @type {typeof en} */
const zh = {
  connecting: { title: "正在连接…", text: "请稍候片刻。" },
  connected: { title: "已连接", text: "登录完成之前请保持此窗口打开。它会自动关闭。" },
  asking: { title: "是否登录？" },
  signing: { title: "正在登录…", text: "此窗口会自动关闭。" },
  denied: { title: "未允许", text: "没有登录任何账号。您可以关闭此窗口。" },
  done: { title: "已完成", text: "此窗口会自动关闭。" },
  refused: { title: "此网站无法在这里为您登录", text: "本机的客户端未允许此网站。您可以关闭此窗口。" },
  gone: { title: "连接已结束", text: "您可以关闭此窗口。如需继续，请在网页中重新打开。" },
  alone: { title: "这里没有需要操作的内容", text: "登录时网页会打开此窗口。您可以关闭它。" },
  account: "账号",
  browser: "浏览器",
  number: "数字 {code}",
  advice: "仅当网页显示相同数字时才允许。",
  remember: "以后不再为此网站询问",
  deny: "不允许",
  allow: "允许",
  left: "剩余 {seconds} 秒",
};

/** English for all but Chinese. @param {string | undefined} language */
export function bridgeWords(language) {
  return /^zh\b/i.test(language ?? "") ? { lang: "zh", ...zh } : { lang: "en", ...en };
}
