//! One page's socket: frames, timers and tickets around the protocol's machine, which decides.

pub(super) mod bridge;
pub(super) mod driver;
mod jobs;
pub(super) mod outlet;
pub(super) mod ticket;
pub(super) mod wire;
