//! Presence from the desktop itself, so that an agent without a client still knows `away` and `locked` (an option, Linux).

#[cfg(target_os = "linux")]
mod logind;
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing tells anything there yet"))]
mod rule;
#[cfg(target_os = "linux")]
mod watch;

pub(super) use rule::Standing;
#[cfg(target_os = "linux")]
pub(super) use watch::watch;
