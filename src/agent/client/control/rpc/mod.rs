//! JSON-RPC 2.0 over a stream, one object a line, both sides calling and being called (protocol section 9).

mod call;
mod connection;
mod error;
mod line;
mod peer;

pub use call::{Call, Incoming, Params};
pub use connection::{Answered, Connection, Served, listen, open};
pub use error::{ErrorData, RpcError};
pub use line::Json;
pub use peer::Peer;

#[cfg(test)]
mod tests;
