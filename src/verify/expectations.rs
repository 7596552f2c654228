//! What a request must agree with, apart from the device: all that the verifier knows about the moment and the browser.

use super::{ChallengeKeys, Fault};
use crate::crypto::{self, Secret};
use crate::protocol::id::Sid;
use crate::protocol::issuer::Issuer;
use crate::protocol::origin::Origin;
use crate::protocol::statement::{self, Challenge};
use crate::protocol::time::Timestamp;

/// What the verifier expects of a challenge and of the statement that answers it.
#[derive(Debug, Clone, Copy)]
pub struct Expectations<'a> {
    /// This login server.
    pub issuer: &'a Issuer,
    /// The keys that its challenges are signed with.
    pub challenge_keys: &'a ChallengeKeys,
    /// The request's `Origin`.
    pub origin: &'a Origin,
    /// The secret of the request's pre-login cookie; none where there is no such cookie, or several.
    pub cookie: Option<&'a Secret<[u8; 32]>>,
    /// The verifier's time. No other clock counts.
    pub now: Timestamp,
}

impl Expectations<'_> {
    /// C: own signature, `typ`, whose and for whom, age.
    pub(super) fn verify_challenge(&self, compact: &str, max_age_seconds: u64) -> Result<Challenge, Fault> {
        let challenge = self.challenge_keys.verify(compact)?;
        if challenge.iss != *self.issuer || !challenge.rdm.is_login_of(self.issuer) {
            return Err(Fault::ChallengeIssuer);
        }
        if challenge.org != *self.origin {
            return Err(Fault::ChallengeOrigin);
        }
        if self.now.seconds_since(challenge.iat) > max_age_seconds {
            return Err(Fault::ChallengeAge);
        }
        Ok(challenge)
    }

    /// `sid` = hash of the cookie, in the challenge as in the statement, compared in constant time.
    pub(super) fn verify_browser(&self, challenge: &Challenge, sid: &Sid) -> Result<(), Fault> {
        let own = statement::sid(self.cookie.ok_or(Fault::NoBrowser)?.expose());
        let is_own = |sid: &Sid| crypto::equal_digests(own.as_bytes(), sid.as_bytes());
        if !is_own(&challenge.sid) {
            return Err(Fault::ChallengeBrowser);
        }
        if is_own(sid) { Ok(()) } else { Err(Fault::Browser) }
    }
}
