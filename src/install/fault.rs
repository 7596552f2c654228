//! Why something was not registered, or not taken away.

use std::io;
use std::path::{Path, PathBuf};

use crate::keyfile::KeyFileError;

/// Why something was not registered, or not taken away. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// Running as root.
    #[error(
        "refusing to do this as root: the agent and its scheme belong to one person; run it as that user (or, in a container, set allow_root = true in the agent's configuration)"
    )]
    Root,
    /// There is no home folder.
    #[error("there is no home folder to register anything in: set HOME")]
    NoHome,
    /// A path that no file of a desktop can carry.
    #[error("{0:?} cannot be registered: the path must be absolute, and of characters that can be written; move it")]
    Unwritable(PathBuf),
    /// Somebody else's file has a name of ours.
    #[error("{0} is there already, and `loopkey install` did not make it; move it away first")]
    Foreign(PathBuf),
    /// The system said no.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The record of what was registered.
    #[error(transparent)]
    Record(#[from] KeyFileError),
    /// The record says something that this version did not write.
    #[error("{path} is not as `loopkey install` wrote it ({reason}); remove it, and run `loopkey install` again")]
    Unreadable {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A program of the system is not here.
    #[error("the program `{command}` is not installed here")]
    Missing {
        /// Its name.
        command: String,
    },
    /// A program of the system failed.
    #[error("`{command}` failed: {reason}")]
    Command {
        /// What was run.
        command: String,
        /// What it said.
        reason: String,
    },
}

impl InstallError {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
