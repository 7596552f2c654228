//! T: the login token. Five minutes, one use, one browser.

use serde::{Deserialize, Serialize};

use super::Statement;
use crate::protocol::id::{ChallengeId, DeviceIssuer, Epoch, Sid, Subject, TokenId};
use crate::protocol::issuer::LoginUrl;
use crate::protocol::json;
use crate::protocol::origin::Origin;
use crate::protocol::time::Timestamp;

/// The longest life of a login token, in seconds.
pub const LOGIN_LIFE_SECONDS: u64 = 300;

/// How the person agreed, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "lowercase")]
pub enum UserVerification {
    /// The click in the page, on a site that the person or the administrator trusts already.
    Page,
    /// A prompt outside the page.
    Prompt,
    /// The operating system's own check: password, fingerprint, face.
    Os,
}

json::words_only!(UserVerification);

/// Claims of a login token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// `loopkey:` and the device id.
    pub iss: DeviceIssuer,
    /// The challenge's `rdm`: the one address that redeems it.
    pub aud: LoginUrl,
    /// Who signs in.
    pub sub: Subject,
    /// The page's origin.
    pub org: Origin,
    /// The challenge's `jti`.
    pub nonce: ChallengeId,
    /// From the challenge.
    pub sid: Sid,
    /// Names the token in audit records.
    pub jti: TokenId,
    /// The agent's epoch at this issuer.
    pub epo: Epoch,
    /// How the person agreed.
    pub uv: UserVerification,
    /// By the issuer's clock: the challenge's `iat` and the time since.
    pub iat: Timestamp,
    /// At most [`LOGIN_LIFE_SECONDS`] after `iat`.
    pub exp: Timestamp,
}

impl Statement for Login {
    const TYP: &'static str = "loopkey-login+jwt";

    fn is_consistent(&self) -> bool {
        self.iat <= self.exp && self.exp.seconds_since(self.iat) <= LOGIN_LIFE_SECONDS
    }
}
