/** What starts an agent from a page (protocol section 3.6). The rest of it, `waking.js`, is loaded with the first launch. */

/** What a login server names whose clients' agents can be started so. */
export const WAKE_SCHEME = "loopkey";
/** The one link that there is. It carries nothing, and is never what a server says. */
export const WAKE_LINK = `${WAKE_SCHEME}:wake`;
