//! Why a policy was not written.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::ConfigError;

/// Why a policy was not written. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The authority.
    #[error(
        "the authority is no certificate in PEM ({0}): name the file authority.pem that `loopkey certs create` makes"
    )]
    Authority(String),
    /// Only administrators may.
    #[error("policies are the administrator's: run this as root, or write them into a folder with --out DIR")]
    NotRoot,
    /// Another system than Linux.
    #[error("on this system policies are distributed by other means: write them into a folder with --out DIR")]
    NotHere,
    /// Somebody else's file has the same key, and a browser would heed one of the two.
    #[error(
        "{other} sets {key} already, and a browser heeds one file only: add the entries of `loopkey policy` there, or take them out of it; nothing was written"
    )]
    Overruled {
        /// Somebody else's file.
        other: PathBuf,
        /// The policy.
        key: String,
    },
    /// What is there says something else.
    #[error("{path} says something else about {key}: decide which of the two it is to be; nothing was written")]
    Contradicts {
        /// The file.
        path: PathBuf,
        /// What about.
        key: String,
    },
    /// What is there cannot be read as what it should be.
    #[error("{path} is not JSON ({reason}): mend it first; nothing was written")]
    NotJson {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The agent's own policy.
    #[error(transparent)]
    Own(#[from] ConfigError),
    /// The system said no.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl PolicyError {
    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}
