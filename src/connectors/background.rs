//! What a connector needs of the login server besides its calls: a place that outlives the process, and time of its own.

use async_trait::async_trait;

use super::fault::ConnectFault;

/// Where a connector keeps a little text that all replicas of a login server share, and that is there again after a restart.
///
/// It is the login server's store, and whoever reads that database reads the text: a secret is kept sealed. It may be
/// forgotten early, say when a shared store fails over.
#[async_trait]
pub trait Shelf: Send + Sync + std::fmt::Debug {
    /// The text that is kept under a name. Names begin with the connector's kind: all connectors share one shelf.
    ///
    /// # Errors
    /// [`Fault::Unavailable`](super::Fault::Unavailable) where the store does not answer.
    async fn read(&self, name: &str) -> Result<Option<String>, ConnectFault>;

    /// Writes a text in the place of `former`, in one step. Whether it was so: false where something else is there by now.
    ///
    /// # Errors
    /// [`Fault::Unavailable`](super::Fault::Unavailable) where the store does not answer or the text is too long (4096 bytes).
    async fn write(&self, name: &str, former: Option<&str>, text: String) -> Result<bool, ConnectFault>;
}

/// What goes on beside the calls of a connector, for as long as a login server has it.
#[async_trait]
pub trait Background: Send + Sync + std::fmt::Debug {
    /// What it is, with everything that it depends on: of several of one id, one runs, and it runs on where a reload brings
    /// another one of the same id. It may be made of secrets, and is not shown.
    fn id(&self) -> String;

    /// Works until it is dropped, which may be at any point. Where it returns or panics it is begun anew, after a pause.
    async fn run(&self);
}
