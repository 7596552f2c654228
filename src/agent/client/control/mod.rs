//! The control socket between the desktop client and the agent: JSON-RPC 2.0, one object a line, never on TCP (protocol
//! section 9).

mod clients;
mod endpoint;
mod fault;
mod methods;
mod params;
mod request;
pub mod rpc;
mod server;
mod words;

use std::path::Path;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde_json::Value;

pub use endpoint::ControlError;
pub use fault::FaultCode;
pub use request::Method;
pub(in crate::agent) use server::ControlServer;

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
    Ok(rpc::listen(endpoint::connect(path).await?))
}

/// How long the agent may take for an answer. For each call of a login server it waits four seconds.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may take to say how it stands, for which it asks nobody.
pub const STATUS_TIMEOUT: Duration = Duration::from_secs(5);

/// Calls one method of a running agent, over a connection of its own.
///
/// # Errors
/// [`ControlError`]: none is there, it has not answered within `patience`, or it refuses.
pub async fn call(path: &Path, method: &str, params: &Value, patience: Duration) -> Result<Value, ControlError> {
    let answer = async {
        let (peer, mut connection) = rpc::open(endpoint::connect(path).await?);
        // In a task of its own: an answer that comes together with the end of the connection still counts.
        tokio::spawn(async move {
            // Whoever calls once is not called.
            drop(connection.serve(|_: rpc::Call<'_, IgnoredAny>| rpc::Served::Now(None)).await);
            connection.finish().await;
        });
        peer.call(method, params).await.map_err(ControlError::Refused)
    };
    let silent = |_| ControlError::Silent { path: path.to_owned(), patience };
    tokio::time::timeout(patience, answer).await.map_err(silent)?
}

/// Serves one client of a running agent over a stream in memory.
#[cfg(test)]
pub(in crate::agent) fn attend(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite,
    agent: crate::agent::handle::Handle,
) -> impl Future<Output = ()> {
    server::attend(stream, agent, clients::Clients::default())
}

#[cfg(all(test, unix))]
mod tests {
    use serde_json::json;

    use super::*;

    /// The connection stands as soon as the system has it in the listener's queue.
    #[tokio::test(start_paused = true)]
    async fn whoever_never_answers_is_waited_for_so_long_and_no_longer() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("control.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&path).expect("a listener");
        for patience in [STATUS_TIMEOUT, ANSWER_TIMEOUT] {
            let started = tokio::time::Instant::now();
            let error = call(&path, "status", &json!({}), patience).await.expect_err("nobody answers");
            assert!(matches!(&error, ControlError::Silent { path: named, .. } if *named == path), "{error}");
            assert!(error.to_string().contains("start it again"), "{error}");
            let waited = started.elapsed();
            assert!(waited >= patience && waited < patience + Duration::from_secs(1), "{waited:?}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_stays_and_is_not_called_an_absent_agent() {
        let folder = tempfile::tempdir().expect("a folder");
        let notes = folder.path().join("notes.txt");
        std::fs::write(&notes, "mine").expect("written");
        let link = folder.path().join("link");
        let socket = folder.path().join("left.sock");
        drop(std::os::unix::net::UnixListener::bind(&socket).expect("a socket that nobody serves"));
        std::os::unix::fs::symlink(&socket, &link).expect("a link");
        for path in [&notes, &link, &folder.path().to_owned()] {
            let error = server::ControlServer::bind(path).err().expect("it is not ours to remove");
            assert!(matches!(&error, ControlError::NotASocket(named) if named == path), "{error}");
            let error = connect(path).await.err().expect("nobody is there");
            assert!(matches!(&error, ControlError::NotASocket(named) if named == path), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&notes).expect("it is still there"), "mine");
        assert!(link.is_symlink());
        // What an agent left is taken over as before.
        drop(server::ControlServer::bind(&socket).expect("bound"));
    }
}
