//! The access token: what an application's backend gets for a redeemed login token (RFC 9068). Signed with the challenge
//! keys; its `typ` and its `aud` keep it apart from a challenge in both directions.

use serde::{Deserialize, Serialize};

use super::Statement;
use crate::protocol::id::{Subject, TokenId};
use crate::protocol::issuer::Issuer;
use crate::protocol::time::Timestamp;

/// The life of an access token, in seconds.
pub const ACCESS_LIFE_SECONDS: u64 = 300;

/// Claims of an access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessToken {
    /// Who issued it.
    pub iss: Issuer,
    /// The person's subject.
    pub sub: Subject,
    /// Whom it is for: never an agent.
    pub aud: String,
    /// The backend's own name for the person.
    pub account: String,
    /// What the backend calls itself.
    pub client_id: String,
    /// Names it in audit records: of the login token that it was given for.
    pub jti: TokenId,
    /// When the person agreed.
    pub auth_time: Timestamp,
    /// How (RFC 8176).
    pub amr: Vec<String>,
    /// Issued at.
    pub iat: Timestamp,
    /// [`ACCESS_LIFE_SECONDS`] after `iat`.
    pub exp: Timestamp,
}

impl Statement for AccessToken {
    const TYP: &'static str = "at+jwt";

    fn is_consistent(&self) -> bool {
        self.aud != super::AGENT_AUDIENCE
            && self.iat <= self.exp
            && self.exp.seconds_since(self.iat) <= ACCESS_LIFE_SECONDS
    }
}
