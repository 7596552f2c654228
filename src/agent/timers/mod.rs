//! Who waits until when, for all that stays: pages, connections that say nothing, links.
//!
//! A runtime that knows of a timer waits for its sockets with a time-out, which the system sets and takes back each time that
//! anything happens. Where pages come and go that is a good part of what the agent costs, in a virtual machine most of all. So the
//! system is told of the earliest moment only, when there is an earlier one or the last has come. What waits for a moment only, as
//! a goodbye does, waits by the runtime.

#[cfg(target_os = "linux")]
mod system;

use std::sync::Arc;

use crate::clock::{Clock, SystemClock};
use crate::protocol::time::Moment;

/// Completes waits at their moment.
#[derive(Debug)]
pub(in crate::agent) enum Timers {
    /// By one timer of the system.
    #[cfg(target_os = "linux")]
    System(system::SystemTimer),
    /// By the runtime's own: on other systems, and by a clock that is not the computer's.
    Runtime(Arc<dyn Clock>),
}

impl Timers {
    /// By the computer's clock. Called within a runtime.
    pub(in crate::agent) fn system() -> Self {
        #[cfg(target_os = "linux")]
        match system::SystemTimer::new() {
            Ok(timer) => return Self::System(timer),
            Err(error) => tracing::warn!(%error, "the system gives no timer; the runtime's are used"),
        }
        Self::Runtime(Arc::new(SystemClock))
    }

    /// The clock that the moments are of.
    pub(in crate::agent) fn clock(&self) -> Arc<dyn Clock> {
        match self {
            #[cfg(target_os = "linux")]
            Self::System(_) => Arc::new(SystemClock),
            Self::Runtime(clock) => Arc::clone(clock),
        }
    }

    /// Completes at the moment, or at once where it has passed. Safe to drop.
    pub(in crate::agent) async fn sleep_until(&self, until: Moment) {
        match self {
            #[cfg(target_os = "linux")]
            Self::System(timer) => timer.sleep_until(until).await,
            Self::Runtime(clock) => tokio::time::sleep(until.since(clock.now())).await,
        }
    }

    /// Wakes whoever is due, for as long as it runs: nobody else does.
    pub(in crate::agent) async fn run(&self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::System(timer) => timer.run().await,
            Self::Runtime(_) => {}
        }
    }
}
