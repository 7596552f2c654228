//! L: the agent shows that it is the enrolled one, and opens a link to its login server.

use serde::{Deserialize, Serialize};

use super::Statement;
use crate::protocol::id::{DeviceIssuer, Epoch, Nonce};
use crate::protocol::issuer::LinkUrl;

/// Claims of a link. No time: the nonce is the login server's, and good for one link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// `loopkey:` and the device id.
    pub iss: DeviceIssuer,
    /// The metadata's `link_endpoint`, byte for byte.
    pub aud: LinkUrl,
    /// That of the link's `hello`.
    pub nonce: Nonce,
    /// The agent's epoch: one that is higher than the stored one ends the device's sessions below it.
    pub epo: Epoch,
}

impl Statement for Link {
    const TYP: &'static str = "loopkey-link+jwt";
}
