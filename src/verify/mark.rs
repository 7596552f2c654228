//! Single-use marks (protocol section 6.9): the last step before a session, and the only one that remembers.
//!
//! A mark is taken by one atomic operation that also compares the store's incarnation with the one that the challenge
//! names: a store that may have forgotten marks has another incarnation, and refuses. Nothing deletes a mark before the
//! token would be refused anyway.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;
use crate::crypto;
use crate::protocol::base64url;
use crate::protocol::id::{ChallengeId, Incarnation};
use crate::protocol::time::Timestamp;

/// Proof that a challenge was marked used, and never before. Only [`settle`] makes one; it cannot be copied.
#[derive(Debug)]
#[must_use = "the challenge is spent now: open the session, or nobody ever will"]
pub struct FirstUse(ChallengeId);

impl FirstUse {
    /// The challenge that was marked.
    #[must_use]
    pub const fn challenge(&self) -> &ChallengeId {
        &self.0
    }
}

/// Why there is no [`FirstUse`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MarkError {
    /// The challenge was redeemed before.
    #[error("the challenge was used before")]
    Used,
    /// The challenge is of another life of the store, which may have seen it used.
    #[error("the challenge is of another incarnation of the single-use store")]
    Stale,
    /// The store did not answer, or nobody knows what it did. The token counts as spent.
    #[error("the single-use store did not answer")]
    Unavailable,
}

/// What a store's one atomic operation found: "if the incarnation is this one, insert the mark unless it is there".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The incarnation agreed, and the mark was not there. It is now.
    Inserted,
    /// The incarnation agreed, and the mark was there.
    Present,
    /// The incarnation differs; nothing was written.
    OtherIncarnation,
}

/// Turns a store's answer into the proof. A store of your own calls this with what its atomic operation returned, and
/// maps every failure and every doubt to [`MarkError::Unavailable`] instead.
///
/// # Errors
/// [`MarkError`] unless the mark was inserted by this very operation.
pub fn settle(challenge: &ChallengeId, outcome: Outcome) -> Result<FirstUse, MarkError> {
    match outcome {
        Outcome::Inserted => Ok(FirstUse(*challenge)),
        Outcome::Present => Err(MarkError::Used),
        Outcome::OtherIncarnation => Err(MarkError::Stale),
    }
}

/// The single-use marks of one process, in memory. Their incarnation is drawn anew with each process, so that nothing
/// that an earlier one accepted can be redeemed here.
#[derive(Debug)]
pub struct Marks {
    clock: Arc<dyn Clock>,
    life: Mutex<Life>,
}

impl Marks {
    /// An empty set with an incarnation of its own.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, life: Mutex::new(Life::new()) }
    }

    /// The incarnation that new challenges must name.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.lock().incarnation.clone()
    }

    /// Marks a challenge used until the given time at least.
    ///
    /// # Errors
    /// [`MarkError::Used`] and [`MarkError::Stale`].
    pub fn mark(
        &self,
        challenge: &ChallengeId,
        incarnation: &Incarnation,
        until: Timestamp,
    ) -> Result<FirstUse, MarkError> {
        let now = self.clock.timestamp();
        let outcome = self.lock().insert(challenge, incarnation, until, now);
        settle(challenge, outcome)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Life> {
        // No step below can leave the set half changed.
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks are grouped by the minute in which they end, so that forgetting is dropping a whole group.
const BUCKET_SECONDS: u64 = 60;

/// Half a `jti` is 128 random bits of our own, which no two challenges share.
type Key = [u8; 16];

#[derive(Debug)]
struct Life {
    incarnation: Incarnation,
    buckets: BTreeMap<u64, HashSet<Key>>,
    /// Every bucket below this one has been dropped.
    forgotten: u64,
}

impl Life {
    fn new() -> Self {
        let incarnation = base64url::encode(crypto::random::<16>());
        let incarnation = incarnation.parse().expect("base64url is a valid incarnation");
        Self { incarnation, buckets: BTreeMap::new(), forgotten: 0 }
    }

    fn insert(
        &mut self,
        challenge: &ChallengeId,
        incarnation: &Incarnation,
        until: Timestamp,
        now: Timestamp,
    ) -> Outcome {
        if self.incarnation != *incarnation {
            return Outcome::OtherIncarnation;
        }
        self.forget(now);
        let bucket = until.0 / BUCKET_SECONDS;
        if bucket < self.forgotten {
            // The clock was ahead and went back: what was forgotten meanwhile may be valid again. A new life begins, in
            // which none of the old challenges counts.
            *self = Self::new();
            return Outcome::OtherIncarnation;
        }
        let key = challenge.as_bytes().first_chunk::<16>().expect("a jti has 32 bytes");
        if self.buckets.entry(bucket).or_default().insert(*key) { Outcome::Inserted } else { Outcome::Present }
    }

    fn forget(&mut self, now: Timestamp) {
        let current = now.0 / BUCKET_SECONDS;
        self.buckets.retain(|bucket, _| *bucket >= current);
        self.forgotten = self.forgotten.max(current);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;
    use crate::protocol::time::UnixMillis;

    const START: u64 = 1_800_000_000;

    fn marks() -> (Arc<ManualClock>, Marks) {
        let clock = Arc::new(ManualClock::at(UnixMillis(START * 1000)));
        (Arc::clone(&clock), Marks::new(clock))
    }

    fn challenge() -> ChallengeId {
        ChallengeId::from_bytes(crypto::random())
    }

    #[test]
    fn a_mark_is_taken_once_and_kept_as_long_as_asked() {
        let (clock, marks) = marks();
        let (inc, jti, until) = (marks.incarnation(), challenge(), Timestamp(START + 480));
        assert_eq!(*marks.mark(&jti, &inc, until).expect("first").challenge(), jti);
        for _ in 0..480 {
            assert_eq!(marks.mark(&jti, &inc, until).err(), Some(MarkError::Used));
            clock.advance(Duration::from_secs(1));
        }
        assert_eq!(marks.mark(&jti, &inc, until).err(), Some(MarkError::Used));
    }

    #[test]
    fn old_marks_are_forgotten() {
        let (clock, marks) = marks();
        let inc = marks.incarnation();
        for _ in 0..10 {
            let _ = marks.mark(&challenge(), &inc, Timestamp(START + 480)).expect("first");
        }
        clock.advance(Duration::from_secs(600));
        let _ = marks.mark(&challenge(), &inc, Timestamp(START + 1080)).expect("first");
        assert_eq!(marks.lock().buckets.values().map(HashSet::len).sum::<usize>(), 1);
    }

    #[test]
    fn another_incarnation_is_refused_and_marks_nothing() {
        let (_, marks) = marks();
        let (jti, until) = (challenge(), Timestamp(START + 480));
        let other = self::marks().1.incarnation();
        assert_eq!(marks.mark(&jti, &other, until).err(), Some(MarkError::Stale));
        assert!(marks.mark(&jti, &marks.incarnation(), until).is_ok());
    }

    #[test]
    fn a_clock_that_goes_back_does_not_revive_what_was_forgotten() {
        let (clock, marks) = marks();
        let (inc, jti, until) = (marks.incarnation(), challenge(), Timestamp(START + 480));
        let _ = marks.mark(&jti, &inc, until).expect("first");
        clock.advance(Duration::from_secs(1000));
        let _ = marks.mark(&challenge(), &inc, Timestamp(START + 1480)).expect("first");
        clock.set_wall(UnixMillis(START * 1000));
        assert_eq!(marks.mark(&jti, &inc, until).err(), Some(MarkError::Stale));
        assert_ne!(marks.incarnation(), inc);
        assert!(marks.mark(&challenge(), &marks.incarnation(), until).is_ok(), "the new life works");
    }
}
