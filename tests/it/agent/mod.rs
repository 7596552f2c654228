//! The agent over real sockets, with a real login server behind it.

mod actions;
mod approval;
mod audit;
mod bridge;
mod control;
#[cfg(target_os = "linux")]
mod core_file;
#[cfg(target_os = "linux")]
mod desktop;
#[cfg(target_os = "linux")]
mod dialog;
#[cfg(target_os = "linux")]
mod full_disk;
mod gate;
mod grants;
mod link;
mod login;
mod node;
mod opened;
#[cfg(target_os = "linux")]
mod program;
mod schema;
mod sign_out;
mod socket;
#[cfg(target_os = "linux")]
mod terminal;
#[cfg(unix)]
mod wss;
