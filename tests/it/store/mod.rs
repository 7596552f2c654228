//! What stores promise, proven where it can be: single use by a model, durability by pulling the plug.

#[cfg(all(unix, feature = "postgres", feature = "redis"))]
mod failover;
#[cfg(target_os = "linux")]
mod full_disk;
mod model;
#[cfg(target_os = "linux")]
mod power_loss;
