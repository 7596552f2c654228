//! Whether the standing connection to a login server is to be had.

use super::finding::Finding;
use crate::agent::issuer::hub::Hub;
use crate::agent::issuer::link::LinkState;

/// What is wrong with the link, as far as it will not mend by itself.
pub(super) fn examine_link(hub: &Hub) -> Option<Finding> {
    let finding = match hub.link_state() {
        // What becomes of a device key that does not count is found out as a page would.
        LinkState::Up | LinkState::Down | LinkState::NotAccepted => return None,
        LinkState::Absent => Finding::note(
            "no_link",
            format!("{} has no link: what is done there reaches this computer only when a page asks", hub.issuer()),
            "a newer login server has one; behind a proxy, let `/v1/link` through with its upgrade to WebSocket",
        ),
        LinkState::Refused(reason) => Finding::warning(
            "link_refused",
            format!("{reason}: sign-outs and revocations there reach this computer late"),
            "if a proxy is in front of the login server, let `/v1/link` through with its upgrade to WebSocket; if not, the \
             server's log says why",
        ),
    };
    Some(finding.with("issuer", hub.issuer().as_str()))
}
