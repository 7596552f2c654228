//! Everything that is tested from outside the crate, in one binary: one link, one module a topic.

#[path = "../support/mod.rs"]
mod support;

mod administration;
mod agent;
#[cfg(target_os = "linux")]
mod certs;
mod commands;
mod connect;
mod connectors;
mod doctor;
mod embed;
mod fuzz_corpora;
mod hostile;
mod house;
#[cfg(unix)]
mod install;
mod login;
#[cfg(target_os = "linux")]
mod policies;
mod store;
mod vectors;
