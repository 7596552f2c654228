//! A token bucket: so many at once, so many a second after that.

use std::time::Duration;

use super::time::Moment;

/// Counts events against a rate.
#[derive(Debug, Clone)]
pub struct RateLimit {
    interval: Duration,
    burst: u32,
    /// When the bucket will be full again.
    full_at: Option<Moment>,
}

impl RateLimit {
    /// Allows `burst` at once and `per_second` from then on.
    #[must_use]
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1), burst: burst.max(1), full_at: None }
    }

    /// Counts one event; false where it is one too many (which then does not count).
    #[must_use]
    pub fn admit(&mut self, now: Moment) -> bool {
        let full_at = self.full_at.map_or(now, |at| at.max(now)) + self.interval;
        if full_at.since(now) > self.interval * self.burst {
            return false;
        }
        self.full_at = Some(full_at);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_the_rate() {
        let mut limit = RateLimit::new(10, 60);
        let start = Moment(Duration::from_secs(9));
        assert_eq!((0..100).filter(|_| limit.admit(start)).count(), 60);
        let later = start + Duration::from_secs(1);
        assert_eq!((0..100).filter(|_| limit.admit(later)).count(), 10);
        let much_later = start + Duration::from_secs(1000);
        assert_eq!((0..100).filter(|_| limit.admit(much_later)).count(), 60);
    }
}
