/**
 * Every word that the card says, in English and Chinese. `{app}` is the desktop client's name,
 * `{App}` the same at the start of a sentence, `{name}` the person's.
 */

const en = {
  app: "the desktop app",
  looking: { title: "Looking for {app}…", text: "This takes a moment." },
  verifying: { title: "Confirming who you are…", text: "This takes a moment." },
  invite: {
    title: "Sign in with {app}",
    text: "No password needed. Your browser may ask whether this site may reach apps on this device; choose Allow.",
    action: "Continue with {app}",
  },
  asking: {
    title: "Answer your browser’s question",
    text: "Near the address bar, choose Allow so that this page can reach {app}.",
  },
  allow: {
    chromium: {
      ask: ["Choose Allow below the address."],
      again: ["Click the sign left of the address.", "Switch “Apps on device” on. This page goes on by itself."],
    },
    firefox: {
      ask: ["Choose Allow below the address.", "Is the question gone? Click the computer beside the address."],
      again: ["Click the crossed-out computer beside the address.", "Take away “Blocked” at “Access this device”.", "Try again here and choose Allow."],
    },
  },
  person: { text: "Signed in to {app} on this computer", away: "Away · signed in to {app}", bridged: "Signed in to {app} on this computer. Keep the small window open: the connection ends with it.", action: "Continue as {name}" },
  signing: { text: "Signing you in…" },
  consent: {
    title: "Confirm in {app}",
    text: "Allow it only if the app shows this number too.",
    label: "Your number is {code}",
    bridged: { title: "Answer the question", text: "It is in {app} or in the small window. Allow it only if this number stands there too." },
  },
  bridge: { action: "Continue in a small window", again: "Open the window again" },
  locked: { title: "Unlock {app} to continue", text: "This page goes on by itself." },
  signed_out: { title: "Nobody is signed in to {app}", text: "Sign in there; this page will notice.", action: "Open {app}" },
  absent: { title: "{App} isn’t running", text: "Start it and this page will find it.", action: "Open {app}" },
  asleep: { title: "{App} isn’t running", text: "Open it from here, and this page goes on." },
  not_woken: {
    title: "{App} didn’t start",
    text: "If your browser asked whether to open it, try again and choose Open. Otherwise start {app} yourself, or install it; this page will find it.",
  },
  waking: {
    launched: { title: "Starting {app}…", text: "Your browser may ask whether to open it; choose Open." },
    slow: { title: "Waiting for {app}…", text: "If your browser asks whether to open it, choose Open. This page goes on by itself." },
  },
  absent_busy: { title: "{App} is busy", text: "This page tries again in a moment." },
  offline: { title: "The sign-in service can’t be reached", text: "Check your connection. This page keeps trying." },
  waiting: { title: "Please wait a moment", text: "The sign-in service has a lot to do. This page goes on by itself." },
  unverified: { title: "Couldn’t confirm who you are", text: "The sign-in service did not accept {app} on this computer. Signing in to it again usually helps." },
  incompatible: { title: "{App} needs an update", text: "The version on this computer and this page don’t understand each other." },
  unsupported_browser: { title: "This browser can’t reach {app}", text: "Use another way to sign in, or another browser." },
  done: { title: "You’re signed in", text: "{name}" },
  blocked: {
    denied: {
      title: "Your browser blocks {app}",
      text: "Continue in a small window instead. Or set “Apps on device” to Allow in the site settings beside the address.",
      guided: "Allow it again there, or continue in a small window.",
    },
    forbidden: { title: "Your browser doesn’t let this page reach {app}", text: "A small window can: it stays open while you sign in." },
    popup_blocked: { title: "Your browser blocked the small window", text: "Allow this site to open windows, then try once more." },
    window_closed: { title: "The small window was closed", text: "The connection to {app} ended with it." },
    dismissed: { title: "Still waiting for your browser", text: "The question was closed without an answer. Try again and choose Allow." },
    insecure_page: { title: "This page isn’t secure", text: "Browsers let only https pages reach {app}." },
    not_delegated: { title: "Not available here", text: "This page, or the one around it, does not allow it to reach {app}. Use another way to sign in." },
    framed: { title: "Not available in this frame", text: "Another site is around this page. Open the page itself to sign in." },
    withdrawn: { title: "Access was withdrawn", text: "This site was removed in {app}. Allow it there to use it again." },
    challenge_refused: { title: "{App} doesn’t accept this site", text: "It may not be set up for this site, or this computer’s clock may be wrong." },
  },
  errors: {
    denied: "You declined in the app.",
    timeout: "Nobody answered in the app in time.",
    signed_out: "You have been signed out of the app.",
    locked: "The app was locked meanwhile.",
    switched: "The account in the app has changed. Check the name before you continue.",
    busy: "The app is busy or was asked too often. Try again in a few minutes.",
    unavailable: "Signing in isn’t possible right now.",
    cancelled: "The sign-in was cancelled.",
    not_granted: "The app doesn’t let this site sign you in.",
    invalid_token: "The sign-in service didn’t accept it.",
    invalid_proof: "The sign-in service didn’t recognise this computer.",
    stale_challenge: "The sign-in service has just restarted.",
    issuer_unreachable: "The sign-in service can’t be reached.",
    issuer_refused: "The sign-in service refused the request.",
    too_many_requests: "The sign-in service has a lot to do. Please wait a moment.",
    not_connected: "The app isn’t connected.",
    not_woken: "The app didn’t start.",
    no_person: "It isn’t confirmed yet who is signed in.",
    disconnected: "The app went away meanwhile.",
    closed: "The sign-in was closed.",
  },
  retry: "Try again",
  cancel: "Cancel",
  ways: "Use another way",
  approval: "Use your phone or another device",
};

/** @type {typeof en} */
const zh = {
  app: "桌面客户端",
  looking: { title: "正在查找{app}…", text: "请稍候片刻。" },
  verifying: { title: "正在确认您的身份…", text: "请稍候片刻。" },
  invite: {
    title: "通过{app}登录",
    text: "无需输入密码。浏览器可能会询问是否允许本网站访问此设备上的应用，请选择“允许”。",
    action: "使用{app}继续",
  },
  asking: { title: "请回答浏览器的询问", text: "在地址栏附近选择“允许”，本页即可连接{app}。" },
  allow: {
    chromium: {
      ask: ["在地址下方选择“允许”。"],
      again: ["点击地址左侧的图标。", "打开“设备上的应用”开关，本页会自动继续。"],
    },
    firefox: {
      ask: ["在地址下方选择“允许”。", "询问不见了？点击地址旁的电脑图标。"],
      again: ["点击地址旁带斜线的电脑图标。", "移除“访问此设备”旁的“已阻止”。", "回到这里重试，并选择“允许”。"],
    },
  },
  person: { text: "已在本机登录{app}", away: "离开 · 已登录{app}", bridged: "已在本机登录{app}。请保持小窗口打开：关闭后连接即结束。", action: "以{name}的身份继续" },
  signing: { text: "正在登录…" },
  consent: {
    title: "请在{app}中确认",
    text: "仅当客户端显示相同数字时才允许。", label: "您的数字是 {code}",
    bridged: { title: "请回答询问", text: "询问在{app}或小窗口中。仅当那里显示相同数字时才允许。" },
  },
  bridge: { action: "在小窗口中继续", again: "重新打开小窗口" },
  locked: { title: "请解锁{app}以继续", text: "解锁后本页会自动继续。" },
  signed_out: { title: "{app}中没有已登录的用户", text: "请先在客户端登录，本页会自动识别。", action: "打开{app}" },
  absent: { title: "{app}未在运行", text: "启动后，本页会自动找到它。", action: "打开{app}" },
  asleep: { title: "{app}未在运行", text: "可以从这里打开它，随后本页会自动继续。" },
  not_woken: {
    title: "{app}未能启动",
    text: "如果浏览器曾询问是否打开它，请重试并选择“打开”。否则请手动启动{app}，或先安装它；本页会自动找到它。",
  },
  waking: {
    launched: { title: "正在启动{app}…", text: "浏览器可能会询问是否打开它，请选择“打开”。" },
    slow: { title: "正在等待{app}…", text: "如果浏览器询问是否打开它，请选择“打开”。本页会自动继续。" },
  },
  absent_busy: { title: "{app}正忙", text: "本页稍后会自动重试。" },
  offline: { title: "无法连接登录服务", text: "请检查网络。本页会继续重试。" },
  waiting: { title: "请稍候", text: "登录服务正忙。本页会自动继续。" },
  unverified: { title: "无法确认您的身份", text: "登录服务未接受本机的{app}。重新登录客户端通常可以解决。" },
  incompatible: { title: "{app}需要更新", text: "本机的版本与此页面不兼容。" },
  unsupported_browser: { title: "此浏览器无法连接{app}", text: "请使用其他登录方式，或换一个浏览器。" },
  done: { title: "您已登录", text: "{name}" },
  blocked: {
    denied: { title: "浏览器阻止了{app}", text: "可以改在小窗口中继续。或点击地址旁的网站设置，将“设备上的应用”设为允许。", guided: "可以在浏览器中重新允许，或改在小窗口中继续。" },
    forbidden: { title: "浏览器不允许此页面连接{app}", text: "小窗口可以连接：登录期间请保持它打开。" },
    popup_blocked: { title: "浏览器拦截了小窗口", text: "请允许本网站打开窗口，然后再试一次。" },
    window_closed: { title: "小窗口已关闭", text: "与{app}的连接也随之结束。" },
    dismissed: { title: "仍在等待浏览器", text: "询问已关闭但未作答。请重试并选择“允许”。" },
    insecure_page: { title: "此页面不安全", text: "浏览器只允许 https 页面连接{app}。" },
    not_delegated: { title: "此处不可用", text: "此页面或其外层页面不允许连接{app}。请使用其他方式登录。" },
    framed: { title: "在此框架中不可用", text: "本页被嵌入在其他网站中。请直接打开本页进行登录。" },
    withdrawn: { title: "授权已被撤销", text: "本网站已在{app}中被移除。如需继续使用，请在客户端重新允许。" },
    challenge_refused: { title: "{app}不接受此网站", text: "可能未为此网站配置，或本机时间不正确。" },
  },
  errors: {
    denied: "您在客户端中拒绝了登录。",
    timeout: "客户端未在规定时间内得到答复。",
    signed_out: "您已从客户端退出登录。",
    locked: "客户端已被锁定。",
    switched: "客户端的账号已更换。继续之前请核对姓名。",
    busy: "客户端正在处理另一个登录请求，或请求过于频繁。请几分钟后再试。",
    unavailable: "暂时无法登录。",
    cancelled: "登录已取消。",
    not_granted: "客户端不允许此网站为您登录。",
    invalid_token: "登录服务未接受此次登录。",
    invalid_proof: "登录服务无法识别本机。",
    stale_challenge: "登录服务刚刚重启。",
    issuer_unreachable: "无法连接登录服务。",
    issuer_refused: "登录服务拒绝了请求。",
    too_many_requests: "登录服务正忙，请稍候再试。",
    not_connected: "客户端未连接。",
    not_woken: "客户端未能启动。",
    no_person: "尚未确认当前登录者。",
    disconnected: "客户端已断开连接。",
    closed: "登录已关闭。",
  },
  retry: "重试",
  cancel: "取消",
  ways: "使用其他方式",
  approval: "使用手机或其他设备",
};

/** The words for a language tag; English for all but Chinese. @param {string | undefined} lang */
export function wordsFor(lang) {
  return /^zh\b/i.test(lang ?? "") ? zh : en;
}

/** Puts values into a sentence. @param {string} sentence @param {Record<string, string>} values */
export function fill(sentence, values) {
  const { app = "" } = values;
  const all = { App: app.charAt(0).toUpperCase() + app.slice(1), ...values };
  return spaced(sentence.replace(/\{(\w+)\}/g, (whole, key) => all[key] ?? whole));
}

/** Chinese is set with a space where it meets Latin letters or digits: 打开 Harbor. */
function spaced(sentence) {
  return sentence
    .replace(/(\p{Script=Han})(?=[\p{Script=Latin}\d])/gu, "$1 ")
    .replace(/([\p{Script=Latin}\d])(?=\p{Script=Han})/gu, "$1 ");
}
