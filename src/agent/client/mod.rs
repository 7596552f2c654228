//! The desktop client: its control socket, and the actions that it performs for pages.

pub(super) mod action;
pub mod control;
mod schema;
