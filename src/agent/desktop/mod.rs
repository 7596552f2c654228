//! Presence from the desktop itself, so that an agent without a client still knows `away` and `locked` (an option, Linux).

#[cfg(all(target_os = "linux", feature = "logind"))]
mod logind;
#[cfg_attr(
    not(all(target_os = "linux", feature = "logind")),
    allow(dead_code, reason = "nothing tells anything there yet")
)]
mod rule;
#[cfg(all(target_os = "linux", feature = "logind"))]
mod watch;

pub(super) use rule::Standing;
#[cfg(all(target_os = "linux", feature = "logind"))]
pub(super) use watch::watch;
