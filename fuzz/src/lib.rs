//! What must hold for any bytes that a stranger can send, one module a fuzz target. Each `run` takes any bytes, panics where
//! something does not hold, and tells whether the bytes were accepted.
//!
//! The fuzzers in `fuzz_targets/` search for such bytes; `tests/it/fuzz_corpora.rs` compiles this same file and replays what
//! is committed in `seeds/`.
#![allow(unreachable_pub, reason = "a crate of its own for the fuzzers, a module of the tests for the replay")]

pub mod connection;
pub mod head;
pub mod link;
pub mod message;
pub mod origin;
pub mod qr;
pub mod statement;

/// A fuzz target: the name of its seed folder, and what it runs.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// Every target.
pub const TARGETS: [Target; 7] = [
    ("connection", connection::run),
    ("head", head::run),
    ("link", link::run),
    ("message", message::run),
    ("origin", origin::run),
    ("qr", qr::run),
    ("statement", statement::run),
];
