//! When to try again: exponential, with full jitter, so that many agents of one server do not come at once. Pure.

use std::time::Duration;

use super::Ended;

/// A link that was up for so long counts as a new beginning.
const STEADY: Duration = Duration::from_secs(60);

/// The pauses between one try and the next.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    /// The longest that the last one could have been.
    ceiling: Duration,
}

impl Pauses {
    /// How long to wait after a link that was tried or up for some time. `fraction` is drawn from 0 to 1.
    pub(super) fn after(&mut self, ended: Ended, lasted: Duration, fraction: f64) -> Duration {
        let (first, last) = bounds(ended);
        let before = if lasted >= STEADY { Duration::ZERO } else { self.ceiling };
        self.ceiling = (before * 2).clamp(first, last);
        self.ceiling.mul_f64(fraction)
    }
}

/// The first and the longest ceiling (protocol section 7; a refusal is not mended within seconds).
const fn bounds(ended: Ended) -> (Duration, Duration) {
    match ended {
        Ended::Switched => (Duration::ZERO, Duration::ZERO),
        Ended::Lost => (Duration::from_secs(1), Duration::from_secs(60)),
        Ended::Crowded => (Duration::from_secs(8), Duration::from_secs(60)),
        Ended::Refused => (Duration::from_secs(60), Duration::from_secs(60)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BRIEFLY: Duration = Duration::from_secs(59);

    fn ceilings(ended: Ended) -> Vec<u64> {
        let mut pauses = Pauses::default();
        (0..8).map(|_| pauses.after(ended, BRIEFLY, 1.0).as_secs()).collect()
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_a_refusal_begins_there() {
        assert_eq!(ceilings(Ended::Lost), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(ceilings(Ended::Crowded), [8, 16, 32, 60, 60, 60, 60, 60]);
        assert_eq!(ceilings(Ended::Refused), [60; 8]);
    }

    #[test]
    fn the_whole_of_a_pause_is_jitter_and_a_steady_link_begins_anew() {
        let mut pauses = Pauses::default();
        for _ in 0..4 {
            pauses.after(Ended::Lost, BRIEFLY, 0.5);
        }
        assert_eq!(pauses.after(Ended::Lost, BRIEFLY, 0.0), Duration::ZERO);
        assert_eq!(pauses.after(Ended::Lost, BRIEFLY, 0.25), Duration::from_secs(8));
        assert_eq!(pauses.after(Ended::Lost, STEADY, 0.5), Duration::from_millis(500));
        pauses.after(Ended::Refused, BRIEFLY, 1.0);
        assert_eq!(pauses.after(Ended::Lost, BRIEFLY, 1.0), Duration::from_secs(60), "never longer than a minute");
    }
}
