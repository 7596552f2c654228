//! When an agent accepts a challenge (protocol section 4.1): signature, age by the issuer's clock, origin, first sight.

use std::collections::HashMap;
use std::time::Duration;

use super::id::ChallengeId;
use super::issuer::Issuer;
use super::limits::CHALLENGE_MAX_AGE_SECONDS;
use super::origin::Origin;
use super::statement::{BadStatement, Challenge, Unverified};
use super::time::{Moment, Timestamp};
use crate::crypto::{KeyId, PublicKey};

/// The issuer's clock as last heard: its `Date` and when that arrived. Never this computer's wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuerTime {
    /// What the issuer's answer said.
    pub date: Timestamp,
    /// When it arrived.
    pub heard: Moment,
}

impl IssuerTime {
    /// The issuer's time now.
    #[must_use]
    pub fn at(self, now: Moment) -> Timestamp {
        self.date.plus(now.since(self.heard).as_secs())
    }
}

/// Why a challenge was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChallengeFault {
    /// The statement itself.
    #[error(transparent)]
    Statement(#[from] BadStatement),
    /// Signed with a key that the issuer has not published, as far as the agent has heard.
    #[error("the issuer publishes no key {0}")]
    UnknownKey(KeyId),
    /// Of another issuer, or redeemed elsewhere.
    #[error("the challenge is not of this origin's issuer")]
    Issuer,
    /// For pages of another origin.
    #[error("the challenge names another origin")]
    Origin,
    /// Too old, or from the future, by the issuer's clock as last heard.
    #[error("the challenge is not of this time")]
    Time,
    /// Seen before.
    #[error("the challenge was used before")]
    Replayed,
}

/// A challenge that was accepted. Only [`accept`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedChallenge {
    challenge: Challenge,
    age: Duration,
    accepted: Moment,
}

impl AcceptedChallenge {
    /// Its claims.
    #[must_use]
    pub const fn claims(&self) -> &Challenge {
        &self.challenge
    }

    #[cfg(test)]
    pub(super) const fn for_test(challenge: Challenge, accepted: Moment) -> Self {
        Self { challenge, age: Duration::ZERO, accepted }
    }

    /// The time to write into a statement made now: the challenge's own, and what has passed since.
    #[must_use]
    pub fn timestamp(&self, now: Moment) -> Timestamp {
        self.challenge.iat.plus((self.age + now.since(self.accepted)).as_secs())
    }
}

/// What a challenge must fit.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The issuer that the configuration maps the origin to.
    pub issuer: &'a Issuer,
    /// The page's origin.
    pub origin: &'a Origin,
    /// The issuer's clock.
    pub time: IssuerTime,
}

/// Accepts a challenge, once.
///
/// # Errors
/// [`ChallengeFault`] for the first thing that is not as it must be. After [`ChallengeFault::UnknownKey`] and
/// [`ChallengeFault::Time`] the issuer may be asked again, and the challenge tried once more.
pub fn accept(
    compact: &str,
    keys: &[PublicKey],
    expected: Expected<'_>,
    seen: &mut SeenChallenges,
    now: Moment,
) -> Result<AcceptedChallenge, ChallengeFault> {
    let unverified = Unverified::<Challenge>::parse(compact)?;
    let key = keys.iter().find(|key| key.id() == unverified.key_id());
    let challenge = unverified.verify(key.ok_or(ChallengeFault::UnknownKey(unverified.key_id()))?)?;
    if challenge.iss != *expected.issuer || challenge.rdm != expected.issuer.login_url() {
        return Err(ChallengeFault::Issuer);
    }
    if challenge.org != *expected.origin {
        return Err(ChallengeFault::Origin);
    }
    let issuer_now = expected.time.at(now);
    let age = issuer_now.seconds_since(challenge.iat);
    // `Date` has whole seconds and is a round trip old: a challenge made just after it may seem to lie ahead.
    let ahead = challenge.iat.seconds_since(issuer_now);
    if age > CHALLENGE_MAX_AGE_SECONDS || issuer_now > challenge.exp || ahead > MAX_SECONDS_AHEAD {
        return Err(ChallengeFault::Time);
    }
    let forget = now + Duration::from_secs(CHALLENGE_MAX_AGE_SECONDS + MAX_SECONDS_AHEAD + 1);
    if !seen.insert(challenge.jti, forget, now) {
        return Err(ChallengeFault::Replayed);
    }
    Ok(AcceptedChallenge { challenge, age: Duration::from_secs(age), accepted: now })
}

/// How far ahead of the issuer's clock, as last heard, a challenge may seem to be. The estimate can only lag by the
/// rounding of `Date` and the way of the answer.
const MAX_SECONDS_AHEAD: u64 = 5;

/// The challenges that were accepted and could still be accepted again.
#[derive(Debug, Default)]
pub struct SeenChallenges {
    until: HashMap<ChallengeId, Moment>,
    sweep_at: usize,
}

impl SeenChallenges {
    /// Remembers a challenge until `forget`; false where it is remembered already.
    fn insert(&mut self, id: ChallengeId, forget: Moment, now: Moment) -> bool {
        // Swept whenever it has doubled: constant cost an entry, and no timer.
        if self.until.len() >= self.sweep_at.max(64) {
            self.until.retain(|_, until| *until > now);
            self.sweep_at = self.until.len() * 2;
        }
        self.until.insert(id, forget).is_none_or(|until| until <= now)
    }
}
