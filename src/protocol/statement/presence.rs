//! P: the presence proof. The page shows the person only from the login server's answer to it.

use serde::{Deserialize, Serialize};

use super::Statement;
use crate::protocol::id::{ChallengeId, DeviceIssuer, Epoch, Seq, Sid, Subject};
use crate::protocol::issuer::Issuer;
use crate::protocol::origin::Origin;
use crate::protocol::state::PresenceState;
use crate::protocol::time::Timestamp;

/// The longest life of a presence proof, in seconds.
pub const PRESENCE_LIFE_SECONDS: u64 = 60;

/// Claims of a presence proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Presence {
    /// `loopkey:` and the device id.
    pub iss: DeviceIssuer,
    /// The issuer.
    pub aud: Issuer,
    /// Who is signed in to the client.
    pub sub: Subject,
    /// The page's origin.
    pub org: Origin,
    /// The challenge's `jti`.
    pub nonce: ChallengeId,
    /// From the challenge.
    pub sid: Sid,
    /// The state of the client.
    pub pst: PresenceState,
    /// The number of that state.
    pub seq: Seq,
    /// The agent's epoch at this issuer.
    pub epo: Epoch,
    /// By the issuer's clock: the challenge's `iat` and the time since.
    pub iat: Timestamp,
    /// At most [`PRESENCE_LIFE_SECONDS`] after `iat`.
    pub exp: Timestamp,
}

impl Statement for Presence {
    const TYP: &'static str = "loopkey-presence+jwt";

    fn is_consistent(&self) -> bool {
        self.iat <= self.exp && self.exp.seconds_since(self.iat) <= PRESENCE_LIFE_SECONDS
    }
}
