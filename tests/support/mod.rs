//! What several test binaries share.

#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod browser;
pub(crate) mod camera;
pub(crate) mod certs;
pub(crate) mod harbor;
#[cfg(unix)]
pub(crate) mod home;
#[cfg(target_os = "linux")]
pub(crate) mod memory;
#[cfg(unix)]
pub(crate) mod nginx;
pub(crate) mod places;
#[cfg(unix)]
pub(crate) mod postgres;
#[cfg(unix)]
pub(crate) mod redis;
pub(crate) mod trace;
pub(crate) mod world;
