//! The control socket between the desktop client and the agent: JSON-RPC 2.0, one object a line, never on TCP (protocol
//! section 9).

mod clients;
mod endpoint;
mod fault;
mod methods;
mod params;
pub mod rpc;
mod server;
mod words;

use std::path::Path;

pub use endpoint::ControlError;
pub use fault::FaultCode;
pub use methods::Method;
pub(super) use server::ControlServer;

/// Connects to a running agent.
///
/// # Errors
/// [`ControlError::NoAgent`] where none answers.
pub async fn connect(
    path: &Path,
) -> Result<
    (rpc::Peer, tokio::sync::mpsc::Receiver<rpc::Incoming>, impl Future<Output = ()> + Send + use<>),
    ControlError,
> {
    Ok(rpc::open(endpoint::connect(path).await?))
}
