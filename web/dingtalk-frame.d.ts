/** What the frame needs; all but the title and the signal comes from the login server. */
export interface DingTalkFrameOptions {
  /** DingTalk's page. */
  location: string;
  /** DingTalk's origin. */
  frameOrigin: string;
  /** Where DingTalk may send the browser; of the page's own origin. */
  redirectUri: string;
  /** Of the frame, for who cannot see it. */
  title: string;
  /** Takes the frame away. */
  signal?: AbortSignal;
}

/**
 * Shows DingTalk's page in a frame until DingTalk is done, and gives the address that the page goes to next. Throws a
 * `DOMException`: `NotAllowedError` where the person or DingTalk said no, `AbortError` where the signal did.
 */
export function showDingTalk(container: Element, options: DingTalkFrameOptions): Promise<string>;
