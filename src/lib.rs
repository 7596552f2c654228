//! Loopkey: a web page signs a person in with the desktop client that is already signed in on the same computer.

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(feature = "cli")]
pub mod cli;
pub mod clock;
#[cfg(feature = "cli")]
pub mod config;
pub mod crypto;
#[cfg(feature = "cli")]
pub mod demo;
#[cfg(any(feature = "agent", feature = "login"))]
pub mod keyfile;
#[cfg(feature = "login")]
pub mod login;
pub mod protocol;
#[cfg(feature = "login")]
pub mod store;
#[cfg(feature = "verify")]
pub mod verify;
