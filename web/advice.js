/** For the console of whoever builds a page that is kept from agents (`delegation.js`). Loaded where it is needed. */

const ALLOW = 'allow="loopback-network *; local-network-access *"';

export const ADVICE = {
  opaque: `loopkey: this page has no origin of its own, so that no agent accepts it. If it is sandboxed: <iframe sandbox="allow-scripts allow-same-origin" ${ALLOW}>`,
  framed: `loopkey: the page around this frame does not let it reach this computer. It has to write <iframe ${ALLOW}>, and neither of the two may send Permissions-Policy: loopback-network=()`,
  header: "loopkey: this page must not send Permissions-Policy: loopback-network=() or local-network-access=()",
};
