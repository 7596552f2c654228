//! Why a certificate was not made, or a browser not told of it.

use std::path::PathBuf;

use crate::agent::NoTls;
use crate::install::InstallError;
use crate::keyfile::KeyFileError;

/// Why a certificate was not made, or a browser not told of it. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// Making it.
    #[error("the certificate cannot be made: {0}")]
    Issue(String),
    /// The certificate as it is.
    #[error(transparent)]
    Unusable(#[from] NoTls),
    /// There is none to do this with.
    #[error("there is no certificate in {0}: run `loopkey certs create`")]
    Missing(PathBuf),
    /// There is one.
    #[error(
        "there is a certificate in {0} already: `loopkey certs renew` replaces it, `loopkey certs remove` takes it away"
    )]
    Exists(PathBuf),
    /// The program that writes into browsers' databases is missing.
    #[error(
        "browsers' certificate databases are written with the program certutil, which is not here: install libnss3-tools (Debian, Ubuntu) or nss-tools (Fedora), and run this again"
    )]
    NoCertutil,
    /// No store of certificates of this system is known.
    #[error("this system's own store of certificates is not known here: give {0} to it by hand")]
    NoSystemStore(PathBuf),
    /// A file.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// A step.
    #[error(transparent)]
    Step(#[from] InstallError),
    /// The record says something that this version did not write.
    #[error("{path} is not as `loopkey certs` wrote it ({reason}); move it away, and run `loopkey certs create` again")]
    Unreadable {
        /// The record.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}
