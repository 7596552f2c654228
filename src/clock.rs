//! Where the time comes from. Everything else is handed a [`Clock`]; nothing else asks the system.

use std::time::Duration;

use crate::protocol::time::{Moment, Timestamp, UnixMillis};

/// A source of time. Cheap to call; shared between tasks.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Wall-clock time in milliseconds. May jump; it is shown to people and never decides anything.
    fn wall(&self) -> UnixMillis;

    /// Time since the computer started, suspend included. Never goes back.
    fn now(&self) -> Moment;

    /// How much of that the computer has slept; zero where the system does not tell.
    fn slept(&self) -> Duration {
        Duration::ZERO
    }

    /// Wall-clock time in seconds, for the login server, whose clock does decide.
    fn timestamp(&self) -> Timestamp {
        self.wall().timestamp()
    }
}

/// The computer's own clocks.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    fn wall(&self) -> UnixMillis {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
        UnixMillis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    fn now(&self) -> Moment {
        // Linux's monotonic clock stands still while the computer sleeps; the boot-time clock does not.
        // Apple's monotonic clock counts sleep already.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        let id = rustix::time::ClockId::Boottime;
        #[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
        let id = rustix::time::ClockId::Monotonic;
        #[cfg(unix)]
        {
            Moment(read(id))
        }
        #[cfg(not(unix))]
        {
            Moment(since_first_call())
        }
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn slept(&self) -> Duration {
        let awake = read(rustix::time::ClockId::Monotonic);
        read(rustix::time::ClockId::Boottime).saturating_sub(awake)
    }
}

#[cfg(unix)]
fn read(id: rustix::time::ClockId) -> Duration {
    let time = rustix::time::clock_gettime(id);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Windows' performance counter goes on counting through sleep, so the time since the first call will do.
#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the monotonic clock")]
fn since_first_call() -> Duration {
    static FIRST: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    FIRST.get_or_init(std::time::Instant::now).elapsed()
}

/// A clock that stands still until it is told otherwise.
#[derive(Debug)]
pub struct ManualClock {
    state: std::sync::Mutex<(UnixMillis, Moment)>,
}

impl ManualClock {
    /// Starts at the given wall-clock time, an hour after the computer was started.
    #[must_use]
    pub fn at(wall: UnixMillis) -> Self {
        Self { state: std::sync::Mutex::new((wall, Moment(Duration::from_secs(3600)))) }
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, by: Duration) {
        let mut state = self.lock();
        state.0 = UnixMillis(state.0.0 + u64::try_from(by.as_millis()).unwrap_or(u64::MAX));
        state.1 = state.1 + by;
    }

    /// Sets the wall clock alone, as a person or a time server does.
    pub fn set_wall(&self, wall: UnixMillis) {
        self.lock().0 = wall;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (UnixMillis, Moment)> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> UnixMillis {
        self.lock().0
    }

    fn now(&self) -> Moment {
        self.lock().1
    }
}
