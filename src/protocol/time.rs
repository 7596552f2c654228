//! The three kinds of time that the protocol speaks of, so that none is taken for another.

use std::ops::Add;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Whole Unix seconds, as signed statements carry them (RFC 7519 `NumericDate`, integers only).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Whole seconds since `earlier`; zero where `earlier` is the later one.
    #[must_use]
    pub fn seconds_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// This time and `seconds` more; stops at the end of the number's range.
    #[must_use]
    pub fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }
}

/// Unix milliseconds, as WebSocket messages carry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

impl UnixMillis {
    /// The second in which this millisecond lies.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        Timestamp(self.0 / 1000)
    }
}

/// A reading of a clock that never goes back: time since the computer started, suspend included.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub Duration);

impl Moment {
    /// Time passed since `earlier`; zero where `earlier` is the later one.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_below_zero_or_round() {
        assert_eq!((Timestamp(9).seconds_since(Timestamp(4)), Timestamp(4).seconds_since(Timestamp(9))), (5, 0));
        assert_eq!((Timestamp(4).plus(5), Timestamp(u64::MAX).plus(5)), (Timestamp(9), Timestamp(u64::MAX)));
        assert_eq!(UnixMillis(7_999).timestamp(), Timestamp(7));
        let (early, late) = (Moment(Duration::from_secs(4)), Moment(Duration::from_secs(9)));
        assert_eq!((late.since(early), early.since(late)), (Duration::from_secs(5), Duration::ZERO));
        assert_eq!(Moment(Duration::MAX) + Duration::from_secs(5), Moment(Duration::MAX));
    }
}
