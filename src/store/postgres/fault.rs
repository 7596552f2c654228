//! What goes wrong with PostgreSQL, in words that name the setting and the cure.

use std::error::Error;
use std::path::PathBuf;

use super::fitness::Unfit;
use crate::store::{Address, StoreError};

/// Why the store was not opened. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// The address cannot be understood.
    #[error("store: {0}; write postgres://USER@HOST:PORT/DATABASE")]
    Address(String),
    /// An `sslmode` that does not say whom it speaks to.
    #[error(
        "store: sslmode={0} does not verify whom it speaks to: write sslmode=verify-full (with [shared_store] ca_file \
         where the certificate is of your own authority), or sslmode=disable on a network that only you can reach"
    )]
    SslMode(String),
    /// The extra root certificates cannot be read.
    #[error("[shared_store] ca_file {}: {reason}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS could not be set up at all.
    #[error("TLS to the store cannot be set up: {0}")]
    Tls(String),
    /// No connection. The reason is the server's or the network's.
    #[error("{address} is out of reach: {reason}")]
    Unreachable {
        /// Where.
        address: Address,
        /// Why.
        reason: String,
    },
    /// The server answers and must not be used as it is.
    #[error("{address} cannot be used: {unfit}")]
    Unfit {
        /// Where.
        address: Address,
        /// Why.
        unfit: Unfit,
    },
    /// There is nothing to seal the challenge keys with.
    #[error(
        "a shared store needs a sealing secret: name [shared_store] secret_file, 32 random bytes or more as text, the \
         same on every replica"
    )]
    NoSecret,
    /// The challenge keys were sealed under another secret.
    #[error(
        "challenge key {0} in the store was sealed under another secret than the one in [shared_store] secret_file: give \
         every replica the same file"
    )]
    WrongSecret(i32),
    /// A later version of Loopkey wrote the store.
    #[error("the store has schema version {found} and this program knows up to {known}: start a newer Loopkey")]
    Newer {
        /// Version of the tables.
        found: i32,
        /// Last version that this program knows.
        known: i32,
    },
    /// The schema is another program's.
    #[error("the schema \"loopkey\" of this database is not Loopkey's: choose another database")]
    NotOurs,
    /// The store did not answer while it was opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The driver's error with its cause: by itself it says little more than "db error". Values of rows, which a server puts
/// into the detail, are left out.
pub(super) fn explained(error: &tokio_postgres::Error) -> String {
    if let Some(answer) = error.as_db_error() {
        let hint = answer.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        return format!("{} [{}]{hint}", answer.message(), answer.code().code());
    }
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::new(explained(&error))
    }
}

impl From<PostgresError> for StoreError {
    fn from(error: PostgresError) -> Self {
        match error {
            PostgresError::Store(error) => error,
            error => Self::new(error),
        }
    }
}
