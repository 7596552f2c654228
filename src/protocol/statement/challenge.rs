//! C: the issuer's challenge, for one page load or one click.

use serde::{Deserialize, Serialize};

use super::Statement;
use crate::crypto;
use crate::protocol::id::{ChallengeId, Incarnation, Sid};
use crate::protocol::issuer::{Issuer, LoginUrl};
use crate::protocol::json;
use crate::protocol::origin::Origin;
use crate::protocol::time::Timestamp;

/// The longest life of a challenge, in seconds.
pub const CHALLENGE_LIFE_SECONDS: u64 = 120;

/// The `aud` of every challenge.
pub const AGENT_AUDIENCE: &str = "loopkey-agent";

/// Claims of a challenge. It may grow: members that this version does not know are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// Who issued it.
    pub iss: Issuer,
    /// Always [`AGENT_AUDIENCE`].
    pub aud: Audience,
    /// The page's origin, as its request to the issuer carried it.
    pub org: Origin,
    /// 256 random bits: what single use is keyed by.
    pub jti: ChallengeId,
    /// The browser that fetched it.
    pub sid: Sid,
    /// Issued at, by the issuer's clock.
    pub iat: Timestamp,
    /// At most [`CHALLENGE_LIFE_SECONDS`] after `iat`.
    pub exp: Timestamp,
    /// Where the login token is redeemed.
    pub rdm: LoginUrl,
    /// The single-use store's life in which it can be redeemed (protocol section 6.9).
    pub inc: Incarnation,
}

impl Statement for Challenge {
    const TYP: &'static str = "loopkey-challenge+jwt";
    const MAY_GROW: bool = true;

    fn is_consistent(&self) -> bool {
        self.iat <= self.exp && self.exp.seconds_since(self.iat) <= CHALLENGE_LIFE_SECONDS
    }
}

/// The constant [`AGENT_AUDIENCE`] as a type: a challenge for anybody else does not parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub enum Audience {
    /// `loopkey-agent`
    #[default]
    #[serde(rename = "loopkey-agent")]
    Agent,
}

json::words_only!(Audience);

/// The `sid` that belongs to a pre-login cookie's secret (protocol section 5).
#[must_use]
pub fn sid(cookie_secret: &[u8; 32]) -> Sid {
    Sid::from_bytes(crypto::sha256(&[b"loopkey-sid-1", cookie_secret]))
}
