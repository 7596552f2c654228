//! What several test binaries share.

#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod browser;
pub(crate) mod harbor;
pub(crate) mod places;
pub(crate) mod trace;
pub(crate) mod world;
