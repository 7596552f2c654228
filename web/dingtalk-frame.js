/**
 * DingTalk's page in a frame of ours, without any of DingTalk's scripts. The frame ends by posting a message to whoever is
 * around it, so everything about the message is looked at: its window, its origin as a whole, and where it wants to lead. The
 * policy of the page has to let the frame in (`frame-src`).
 *
 * @typedef {object} FrameOptions
 * @property {string} location     DingTalk's page, as the login server gave it
 * @property {string} frameOrigin  DingTalk's origin, as the login server gave it
 * @property {string} redirectUri  where DingTalk may send the browser; of the page's own origin
 * @property {string} title        of the frame, for who cannot see it
 * @property {AbortSignal} [signal] takes the frame away
 */

/** The code itself is 210 pixels wide, wherever the frame ends. */
const SIZE = { width: "300", height: "300" };
/** Longest accepted word of the older page. */
const WORD_MAX_LENGTH = 512;
/** The older page, which gives a bare word. */
const OLDER_PAGE = "/login/qrcode.htm";

/**
 * Shows the frame until DingTalk is done. Gives the address that the page goes to next. Throws a `DOMException`: `NotAllowedError`
 * where the person or DingTalk said no, `AbortError` where the signal did.
 * @param {Element} container @param {FrameOptions} options @returns {Promise<string>}
 */
export function showDingTalk(container, { location, frameOrigin, redirectUri, title, signal }) {
  const { ownerDocument } = container;
  const page = /** @type {Window} */ (ownerDocument.defaultView);
  const frame = Object.assign(ownerDocument.createElement("iframe"), { title, src: location, ...SIZE });
  return new Promise((resolve, reject) => {
    /** Says it once: DingTalk does so twice now and then. @param {() => void} settle */
    const end = (settle) => {
      page.removeEventListener("message", hear);
      signal?.removeEventListener("abort", abort);
      frame.remove();
      settle();
    };
    const abort = () => end(() => reject(new DOMException("The frame was taken away", "AbortError")));
    /** @param {MessageEvent} event */
    const hear = ({ source, origin, data }) => {
      if (!source || source !== frame.contentWindow || origin !== frameOrigin) return;
      const next = destination(data, location, redirectUri);
      if (next) end(() => resolve(next));
      else if (data?.errorMsg) end(() => reject(new DOMException("DingTalk said no", "NotAllowedError")));
    };
    if (signal?.aborted) return abort();
    page.addEventListener("message", hear);
    signal?.addEventListener("abort", abort);
    container.append(frame);
  });
}

/**
 * Where a message leads: to the callback address and nowhere else, or for the older page to the address that the login server
 * gave with it.
 * @param {unknown} data @param {string} location @param {string} redirectUri @returns {string | null}
 */
function destination(data, location, redirectUri) {
  if (typeof data === "string") {
    const { pathname, searchParams } = new URL(location);
    const goto = pathname === OLDER_PAGE && searchParams.get("goto");
    const sound = data !== "" && data.length <= WORD_MAX_LENGTH;
    return goto && sound ? `${goto}&loginTmpCode=${encodeURIComponent(data)}` : null;
  }
  const { success, redirectUrl } = /** @type {any} */ (data ?? {});
  if (success !== true || typeof redirectUrl !== "string" || !URL.canParse(redirectUrl)) return null;
  const [to, own] = [new URL(redirectUrl), new URL(redirectUri)];
  const plain = !to.username && !to.password;
  return plain && to.origin === own.origin && to.pathname === own.pathname ? to.href : null;
}
