//! S: the sign-out. It carries no time: it is idempotent, kept on disk, and sent until it is answered.

use serde::{Deserialize, Serialize};

use super::{Statement, Unverified};
use crate::protocol::id::{DeviceIssuer, Epoch, Subject};
use crate::protocol::issuer::Issuer;

/// Claims of a sign-out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignOut {
    /// `loopkey:` and the device id.
    pub iss: DeviceIssuer,
    /// The issuer.
    pub aud: Issuer,
    /// Who signed out.
    pub sub: Subject,
    /// The new epoch: the device's sessions below it end.
    pub epo: Epoch,
}

impl Statement for SignOut {
    const TYP: &'static str = "loopkey-signout+jwt";
}

impl SignOut {
    /// The epoch that a statement of one's own names, to know its answer by. Nothing is verified.
    #[must_use]
    pub fn epoch_of(compact: &str) -> Option<Epoch> {
        Unverified::<Self>::parse(compact).ok()?.claims().ok().map(|claims| claims.epo)
    }
}
