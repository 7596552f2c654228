//! Whether the page's script is alive. Browsers answer WebSocket pings for frozen pages, so the script is asked.

use std::time::Duration;

use crate::protocol::limits::{PING_INTERVAL, PONG_TIMEOUT};
use crate::protocol::time::Moment;

/// Who comes so much later than the deadline was not awake meanwhile.
const OVERSLEPT: Duration = Duration::from_secs(3);

/// The heartbeat of one open socket.
#[derive(Debug, Clone)]
pub(super) struct Pulse {
    heard: Moment,
    next_ping: Moment,
    /// Pings since the last answer.
    unanswered: u32,
}

/// What the time brings.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Tick {
    Nothing,
    Ping,
    Dead,
}

impl Pulse {
    pub(super) fn new(now: Moment) -> Self {
        Self { heard: now, next_ping: next_beat(now), unanswered: 0 }
    }

    pub(super) fn deadline(&self) -> Moment {
        self.next_ping.min(self.heard + PONG_TIMEOUT)
    }

    pub(super) fn tick(&mut self, now: Moment) -> Tick {
        if now.since(self.deadline()) >= OVERSLEPT {
            // Whoever slept with the computer could not answer.
            self.heard = now;
        }
        if now.since(self.heard) >= PONG_TIMEOUT {
            Tick::Dead
        } else if now >= self.next_ping {
            self.next_ping = next_beat(now);
            self.unanswered += 1;
            Tick::Ping
        } else {
            Tick::Nothing
        }
    }

    pub(super) fn pong(&mut self, now: Moment) {
        self.heard = now;
        self.unanswered = 0;
    }

    /// Whether a whole interval went by without an answer: no proof and no token goes to such a socket.
    pub(super) const fn missed(&self) -> bool {
        self.unanswered > 1
    }
}

/// The next of the moments in which pages are asked: the same for every socket of the agent, so that a computer at rest wakes
/// once for all of them. The first comes within an interval of `ready`.
fn next_beat(now: Moment) -> Moment {
    let interval = PING_INTERVAL.as_nanos();
    let beats = now.0.as_nanos() / interval + 1;
    Moment(PING_INTERVAL.saturating_mul(u32::try_from(beats).unwrap_or(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_every_thirty_seconds_and_gives_up_after_seventy_five() {
        let start = Moment(Duration::from_secs(120));
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pulse = Pulse::new(start);
        assert_eq!((pulse.deadline(), pulse.tick(at(29))), (at(30), Tick::Nothing));
        assert_eq!((pulse.tick(at(30)), pulse.missed()), (Tick::Ping, false));
        assert_eq!((pulse.tick(at(60)), pulse.missed()), (Tick::Ping, true));
        assert_eq!((pulse.deadline(), pulse.tick(at(74))), (at(75), Tick::Nothing));
        assert_eq!(pulse.clone().tick(at(75)), Tick::Dead);
        pulse.pong(at(74));
        assert_eq!((pulse.missed(), pulse.tick(at(90))), (false, Tick::Ping));
    }

    #[test]
    fn after_the_computers_sleep_a_page_is_asked_again_and_has_its_whole_time() {
        let start = Moment(Duration::from_secs(120));
        let at = |millis| start + Duration::from_millis(millis);
        for asleep in [0, 30_000, 60_000] {
            let mut pulse = Pulse::new(start);
            for millis in (0..=asleep).step_by(30_000) {
                pulse.tick(at(millis));
            }
            let woke = 3_600_000 + 7_000;
            assert_eq!(pulse.tick(at(woke)), Tick::Ping, "asleep after {asleep} ms");
            assert_eq!(pulse.deadline(), at(3_630_000));
            for millis in [3_630_000, 3_660_000] {
                assert_eq!(pulse.tick(at(millis)), Tick::Ping);
            }
            assert_eq!((pulse.deadline(), pulse.tick(at(woke + 75_000))), (at(woke + 75_000), Tick::Dead));
        }
        // The least that is no sleep.
        let mut pulse = Pulse::new(start);
        for millis in [30_000, 60_000] {
            assert_eq!(pulse.tick(at(millis)), Tick::Ping);
        }
        assert_eq!(pulse.clone().tick(at(77_999)), Tick::Dead);
        assert_ne!(pulse.tick(at(78_000)), Tick::Dead);
    }

    #[test]
    fn every_socket_is_asked_in_the_same_moments() {
        let at = |millis| Moment(Duration::from_millis(millis));
        for opened in [90_000, 90_001, 104_321, 119_999] {
            let mut pulse = Pulse::new(at(opened));
            assert_eq!(pulse.deadline(), at(120_000));
            assert_eq!((pulse.tick(at(119_999)), pulse.tick(at(120_004))), (Tick::Nothing, Tick::Ping));
            assert_eq!(pulse.deadline(), at(150_000), "whenever the timer rang");
        }
    }
}
