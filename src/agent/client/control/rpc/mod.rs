//! JSON-RPC 2.0 over a stream, one object a line, both sides calling and being called (protocol section 9).

mod connection;
mod error;
mod line;
mod peer;

pub use connection::{Connection, listen, open};
pub use error::{ErrorData, RpcError};
pub use line::Incoming;
pub use peer::Peer;

#[cfg(test)]
mod tests;
