//! Single-use marks (protocol section 6.9).
//!
//! The mark is taken by one script that also compares the incarnation. It is sent once: a second try of a mark that did get
//! through would find it used, and a guess is worse than a refusal. Nothing deletes a mark but its time.

use std::time::Duration;

use redis::{FromRedisValue, ScriptInvocation};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};

use super::link::{Fault, Link};
use super::scripts::{INCARNATION, MARK, PREFIX};
use crate::crypto;
use crate::protocol::base64url;
use crate::protocol::id::{ChallengeId, Incarnation};
use crate::protocol::time::Timestamp;
use crate::store::StoreError;
use crate::verify::mark::{FirstUse, MarkError, Outcome, settle};

/// Longest time for a mark.
pub(super) const MARK_DEADLINE: Duration = Duration::from_millis(250);
/// For how long the incarnation may be told without a look. Challenges of one that is over are refused, not accepted.
const REMEMBERED: Duration = Duration::from_secs(1);
/// How much longer than asked a mark is kept, in seconds: what one login server marked must not be gone while another, whose
/// clock is behind, still takes the token for valid. Clocks that differ by more than half of it end the life (`lua/mark.lua`).
const MARGIN_SECONDS: u64 = 120;

/// The marks in the server, and what is remembered of them here.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) incarnation: Mutex<Option<(Instant, Incarnation)>>,
}

impl Marks {
    pub(super) async fn incarnation(&self, link: &Link, deadline: Duration) -> Result<Incarnation, StoreError> {
        // One looks, the others wait for it, and have what is left of their time after that.
        let ends = Instant::now() + deadline;
        let (mut known, left) = match self.incarnation.try_lock() {
            Ok(known) => (known, deadline),
            Err(_) => {
                let known = timeout_at(ends, self.incarnation.lock()).await.map_err(|_| Fault::Deadline(deadline))?;
                (known, ends.saturating_duration_since(Instant::now()))
            }
        };
        match known.as_ref() {
            Some((at, incarnation)) if at.elapsed() < REMEMBERED => return Ok(incarnation.clone()),
            _ => {}
        }
        let mut call = INCARNATION.prepare_invoke();
        call.key(PREFIX).arg(fresh_life());
        // As old as the question, not as the answer.
        let asked = Instant::now();
        let incarnation: String = invoke(link, left, &call).await?;
        let incarnation: Incarnation = incarnation.parse().map_err(StoreError::new)?;
        *known = Some((asked, incarnation.clone()));
        Ok(incarnation)
    }

    pub(super) async fn mark(
        &self,
        link: &Link,
        challenge: &ChallengeId,
        incarnation: &Incarnation,
        (now, until): (Timestamp, Timestamp),
    ) -> Result<FirstUse, MarkError> {
        // Half a `jti` is 128 random bits of our own, which no two challenges share.
        let mark = challenge.as_bytes().first_chunk::<16>().expect("a jti has 32 bytes");
        if until <= now {
            // It was verified so long ago that its mark may have come and gone.
            tracing::warn!("a token was not marked while it counted; it is refused");
            return Err(MarkError::Unavailable);
        }
        let kept = until.seconds_since(now).saturating_add(MARGIN_SECONDS).saturating_mul(1000);
        let mut call = MARK.prepare_invoke();
        call.key(PREFIX).arg(incarnation.as_str()).arg(mark.as_slice()).arg(kept).arg(now.0).arg(fresh_life());
        let outcome = match invoke(link, MARK_DEADLINE, &call).await {
            Ok(1_i8) => Outcome::Inserted,
            Ok(0) => Outcome::Present,
            Ok(-1) => Outcome::OtherIncarnation,
            Ok(-2) => {
                tracing::warn!(
                    "the clocks of the Redis server and the login servers came to differ by more than 60 s; all challenges \
                     from before are refused: set all of them by NTP"
                );
                Outcome::OtherIncarnation
            }
            Ok(other) => {
                tracing::error!("the mark script answered {other}; the token is refused");
                return Err(MarkError::Unavailable);
            }
            Err(fault) => {
                tracing::warn!("a single-use mark was not taken, or nobody knows; the token is refused: {fault}");
                return Err(MarkError::Unavailable);
            }
        };
        if outcome == Outcome::OtherIncarnation {
            // The next challenge must name the new one. Where somebody is looking it will, or soon after; a mark does not wait.
            if let Ok(mut known) = self.incarnation.try_lock() {
                *known = None;
            }
        }
        settle(challenge, outcome)
    }
}

/// The random half of a new life.
pub(super) fn fresh_life() -> String {
    base64url::encode(crypto::random::<16>())
}

/// Calls a script once.
pub(super) async fn invoke<T: FromRedisValue + Send>(
    link: &Link,
    deadline: Duration,
    call: &ScriptInvocation<'_>,
) -> Result<T, Fault> {
    link.call(deadline, async |live| Ok(call.invoke_async(&mut live.connection()).await?)).await
}
