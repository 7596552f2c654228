//! When an agent accepts a challenge (protocol section 4.1): signature, age by the issuer's clock, origin, first sight.

use std::collections::{HashSet, VecDeque};
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

/// A challenge that was accepted. Only [`accept`] makes one. It goes from hand to hand, and is a pointer for that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedChallenge(Box<Accepted>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Accepted {
    challenge: Challenge,
    age: Duration,
    accepted: Moment,
}

impl AcceptedChallenge {
    /// Its claims.
    #[must_use]
    pub const fn claims(&self) -> &Challenge {
        &self.0.challenge
    }

    #[cfg(test)]
    pub(super) fn for_test(challenge: Challenge, accepted: Moment) -> Self {
        Self(Box::new(Accepted { challenge, age: Duration::ZERO, accepted }))
    }

    /// The time to write into a statement made now: the challenge's own, and what has passed since.
    #[must_use]
    pub fn timestamp(&self, now: Moment) -> Timestamp {
        let Accepted { challenge, age, accepted } = &*self.0;
        challenge.iat.plus((*age + now.since(*accepted)).as_secs())
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
    if challenge.iss != *expected.issuer || !challenge.rdm.is_login_of(expected.issuer) {
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
    Ok(AcceptedChallenge(Box::new(Accepted { challenge, age: Duration::from_secs(age), accepted: now })))
}

/// How far ahead of the issuer's clock, as last heard, a challenge may seem to be. The estimate can only lag by the
/// rounding of `Date` and the way of the answer.
const MAX_SECONDS_AHEAD: u64 = 5;

/// The challenges that were accepted and could still be accepted again.
#[derive(Debug, Default)]
pub struct SeenChallenges {
    seen: HashSet<ChallengeId>,
    /// All of `seen` in the order in which they were seen, which is that in which they are forgotten.
    order: VecDeque<(Moment, ChallengeId)>,
}

impl SeenChallenges {
    /// Remembers a challenge until `forget`; false where it is remembered already.
    fn insert(&mut self, id: ChallengeId, forget: Moment, now: Moment) -> bool {
        while let Some(&(until, over)) = self.order.front()
            && until <= now
        {
            self.order.pop_front();
            self.seen.remove(&over);
        }
        let first = self.seen.insert(id);
        if first {
            self.order.push_back((forget, id));
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Algorithm, Signer as _, SoftwareKey};
    use crate::protocol::id::Sid;
    use crate::protocol::statement::{self, Audience};

    const NOW: Moment = Moment(Duration::from_secs(5000));
    const DATE: Timestamp = Timestamp(1_800_000_000);

    struct Bench {
        key: SoftwareKey,
        issuer: Issuer,
        origin: Origin,
        seen: SeenChallenges,
    }

    impl Bench {
        fn new() -> Self {
            Self {
                key: SoftwareKey::generate(Algorithm::Es256).expect("key").0,
                issuer: "https://app.example/login".parse().expect("issuer"),
                origin: "https://app.example".parse().expect("origin"),
                seen: SeenChallenges::default(),
            }
        }

        fn challenge(&self) -> Challenge {
            Challenge {
                iss: self.issuer.clone(),
                aud: Audience::Agent,
                org: self.origin.clone(),
                jti: ChallengeId::from_bytes(crate::crypto::random()),
                sid: Sid::from_bytes([2; 32]),
                iat: DATE,
                exp: DATE.plus(120),
                rdm: self.issuer.login_url(),
                inc: "life".parse().expect("incarnation"),
            }
        }

        fn accept_at(&mut self, challenge: &Challenge, now: Moment) -> Result<AcceptedChallenge, ChallengeFault> {
            let compact = statement::sign(challenge, &self.key).expect("signed");
            let time = IssuerTime { date: DATE, heard: NOW };
            let expected = Expected { issuer: &self.issuer, origin: &self.origin, time };
            accept(&compact, &[self.key.public().clone()], expected, &mut self.seen, now)
        }

        fn fault_of(&mut self, change: impl FnOnce(&mut Challenge)) -> Option<ChallengeFault> {
            let mut challenge = self.challenge();
            change(&mut challenge);
            self.accept_at(&challenge, NOW).err()
        }
    }

    #[test]
    fn a_sound_challenge_is_accepted_once_and_dates_what_is_signed_for_it() {
        let mut bench = Bench::new();
        let challenge = bench.challenge();
        let later = NOW + Duration::from_secs(30);
        let accepted = bench.accept_at(&challenge, later).expect("accepted");
        assert_eq!(accepted.timestamp(later + Duration::from_secs(7)), DATE.plus(37));
        assert_eq!(bench.accept_at(&challenge, later), Err(ChallengeFault::Replayed));
    }

    #[test]
    fn every_condition_is_needed() {
        let mut bench = Bench::new();
        let elsewhere: Issuer = "https://app.example/other".parse().expect("issuer");
        let rdm = elsewhere.login_url();
        assert_eq!(bench.fault_of(|_| ()), None);
        assert_eq!(bench.fault_of(|c| c.iss = elsewhere), Some(ChallengeFault::Issuer));
        assert_eq!(bench.fault_of(|c| c.rdm = rdm), Some(ChallengeFault::Issuer));
        let foreign: Origin = "https://evil.example".parse().expect("origin");
        assert_eq!(bench.fault_of(|c| c.org = foreign), Some(ChallengeFault::Origin));
        let ahead = |c: &mut Challenge| (c.iat, c.exp) = (DATE.plus(6), DATE.plus(100));
        assert_eq!(bench.fault_of(ahead), Some(ChallengeFault::Time));
        let slightly_ahead = |c: &mut Challenge| (c.iat, c.exp) = (DATE.plus(5), DATE.plus(100));
        assert_eq!(bench.fault_of(slightly_ahead), None);
        let other = SoftwareKey::generate(Algorithm::Es256).expect("key").0;
        let compact = statement::sign(&bench.challenge(), &other).expect("signed");
        let expected =
            Expected { issuer: &bench.issuer, origin: &bench.origin, time: IssuerTime { date: DATE, heard: NOW } };
        let refused = accept(&compact, &[bench.key.public().clone()], expected, &mut bench.seen, NOW);
        assert_eq!(refused, Err(ChallengeFault::UnknownKey(other.public().id())));
    }

    #[test]
    fn age_is_by_the_issuers_clock_to_the_second() {
        let mut bench = Bench::new();
        let at = |seconds| NOW + Duration::from_secs(seconds);
        let challenge = bench.challenge();
        assert_eq!(bench.accept_at(&challenge, at(121)), Err(ChallengeFault::Time));
        assert!(bench.accept_at(&challenge, at(120)).is_ok());
        let mut short = bench.challenge();
        short.exp = DATE.plus(10);
        assert_eq!(bench.accept_at(&short, at(11)), Err(ChallengeFault::Time));
        assert!(bench.accept_at(&short, at(10)).is_ok());
    }

    #[test]
    fn a_challenge_is_remembered_until_its_last_second_and_no_longer() {
        let mut bench = Bench::new();
        let at = |seconds| NOW + Duration::from_secs(seconds);
        let mut ahead = bench.challenge();
        (ahead.iat, ahead.exp) = (DATE.plus(5), DATE.plus(125));
        assert!(bench.accept_at(&ahead, NOW).is_ok());
        assert_eq!(bench.accept_at(&ahead, at(125)), Err(ChallengeFault::Replayed));
        assert_eq!(bench.accept_at(&ahead, at(126)), Err(ChallengeFault::Time));
        assert_eq!(bench.seen.order.front(), Some(&(at(126), ahead.jti)));
    }

    #[test]
    fn what_was_seen_is_forgotten_when_it_could_not_be_accepted_any_more() {
        let mut seen = SeenChallenges::default();
        let at = |seconds| NOW + Duration::from_secs(seconds);
        let id = |number: u32| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            ChallengeId::from_bytes(bytes)
        };
        for number in 0..1_000 {
            let now = at(u64::from(number));
            assert!(seen.insert(id(number), now + Duration::from_secs(126), now));
            assert!(seen.seen.len() <= 126 && seen.order.len() == seen.seen.len(), "what is over is forgotten");
        }
        for number in 874..1_000 {
            assert!(!seen.insert(id(number), at(2_000), at(999)), "{number} could still be accepted");
        }
        assert!(seen.insert(id(873), at(2_000), at(999)), "nobody would accept it");
    }
}
