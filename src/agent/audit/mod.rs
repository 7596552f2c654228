//! The audit log: one line for each consent, token, refusal of an allowed origin, sign-out and enrolment. It is only ever
//! appended to, and each line carries the hash of the one before, so that a change is found, and found where it is.
//!
//! Whoever can write the agent's files can also write a whole new log: the chain shows tampering to people who keep the
//! hash of an earlier line elsewhere, and accidents to everybody. No line holds a secret.

mod entry;
mod log;
mod verify;

pub use entry::{Act, Entry, Outcome};
pub(super) use log::Audit;
pub use log::AuditError;
pub use verify::{Fault, Reading, read};
