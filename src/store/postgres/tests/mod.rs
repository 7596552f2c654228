//! What the one suite does not ask: this engine's own promises, against a real server.

mod failing;
mod notes;
mod replicas;
mod starting;
mod tls;
