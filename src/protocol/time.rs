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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
