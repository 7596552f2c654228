//! Where the control socket is, and that only this user's programs reach it.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::rpc::RpcError;

/// Why the control socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Another agent answers there.
    #[error(
        "another agent is running already (its control socket is {0}); stop it first, or configure another `control`"
    )]
    AnotherAgent(PathBuf),
    /// No agent answers.
    #[error(
        "no agent is running (nobody answers at {0}); start one with `loopkey agent`, or name its socket with --control or LOOPKEY_CONTROL"
    )]
    NoAgent(PathBuf),
    /// Something else than a socket is there.
    #[error(
        "{0} is not a socket, and it stays as it is; name another place with `control`, --control or LOOPKEY_CONTROL"
    )]
    NotASocket(PathBuf),
    /// Something listens there and does not answer.
    #[error(
        "the agent does not answer ({path}, within {} s); stop it, or kill it where it does not stop, and start it again", patience.as_secs()
    )]
    Silent {
        /// The control socket.
        path: PathBuf,
        /// How long was waited.
        patience: Duration,
    },
    /// It answers, but not with what was asked for.
    #[error(transparent)]
    Refused(RpcError),
    /// The system said no.
    #[error("the control socket {path} cannot be used: {source}")]
    Io {
        /// Where it is.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

#[cfg(unix)]
pub(super) use unix::{Endpoint, connect};
#[cfg(windows)]
pub(super) use windows::{Endpoint, connect};
