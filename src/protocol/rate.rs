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

    /// Allows `events` at once and as many again in each minute from then on.
    #[must_use]
    pub fn per_minute(events: u32) -> Self {
        let events = events.max(1);
        Self { interval: Duration::from_secs(60) / events, burst: events, full_at: None }
    }

    /// Counts one event; false where it is one too many (which then does not count).
    #[must_use]
    pub fn admit(&mut self, now: Moment) -> bool {
        let full_at = self.after_one_more(now);
        let admitted = self.has_room(full_at, now);
        if admitted {
            self.full_at = Some(full_at);
        }
        admitted
    }

    /// Whether the next event would be one too many.
    #[must_use]
    pub fn is_spent(&self, now: Moment) -> bool {
        !self.has_room(self.after_one_more(now), now)
    }

    /// When nothing of what was counted matters any more; `None` where nothing was.
    #[must_use]
    pub const fn full_at(&self) -> Option<Moment> {
        self.full_at
    }

    fn after_one_more(&self, now: Moment) -> Moment {
        self.full_at.map_or(now, |at| at.max(now)) + self.interval
    }

    fn has_room(&self, full_at: Moment, now: Moment) -> bool {
        full_at.since(now) <= self.interval * self.burst
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

    #[test]
    fn what_a_minute_allows_is_there_at_once_and_comes_back_in_a_minute() {
        let mut limit = RateLimit::per_minute(12);
        let start = Moment(Duration::from_secs(9));
        assert_eq!((0..100).filter(|_| limit.admit(start)).count(), 12);
        assert!(limit.is_spent(start));
        let one_later = start + Duration::from_secs(5);
        assert!(!limit.is_spent(one_later), "asking does not count");
        assert_eq!((0..100).filter(|_| limit.admit(one_later)).count(), 1);
        let full = limit.full_at().expect("something was counted");
        assert_eq!((0..100).filter(|_| limit.admit(full)).count(), 12);
    }
}
