//! What must bounce off. One file a group of the catalogue in `docs/threat-model.md`; a test's name begins with the row
//! that it proves: `a06_…` for an attack, `i037_…` for an input. `catalogue` holds the document and the tests together.

mod at_rest;
pub(crate) mod bridge;
pub(crate) mod catalogue;
mod challenge;
#[cfg(target_os = "linux")]
mod churn;
mod claims;
mod configuration;
mod files;
mod forge;
mod frames;
mod fuzz;
mod head;
mod key_files;
mod keys;
mod limits;
mod limits_socket;
mod login_http;
mod messages;
mod order;
mod origin;
#[cfg(target_os = "linux")]
mod peer;
#[cfg(target_os = "linux")]
mod policy;
#[cfg(target_os = "linux")]
pub(crate) mod puppet;
mod randomness;
mod rate_limits;
mod raw;
mod refusals;
mod replay;
#[cfg(target_os = "linux")]
mod scheme;
mod secrets;
#[cfg(target_os = "linux")]
mod siege;
mod stage;
mod statements;
mod storms;
mod token;
mod wall_clock;
