//! Opening a store from the address that a configuration gives.

use std::path::PathBuf;
use std::sync::Arc;

use super::embedded::{Embedded, EmbeddedError};
use super::{SharedStore, Store};
use crate::clock::Clock;

/// Why a store was not opened. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address names no engine of this build.
    #[error("store {0:?}: write memory: or embedded:DIR")]
    Address(String),
    /// The embedded engine's own reason.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
}

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `memory:` — gone with the process.
    Memory,
    /// `embedded:DIR` — SQLite in a folder.
    Embedded(PathBuf),
}

impl std::str::FromStr for StoreUrl {
    type Err = OpenError;

    fn from_str(text: &str) -> Result<Self, OpenError> {
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("embedded", folder)) if !folder.is_empty() => Ok(Self::Embedded(folder.into())),
            _ => {
                // An address may hold a password.
                let shown = text.split_once("://").map_or(text, |(scheme, _)| scheme);
                Err(OpenError::Address(shown.to_owned()))
            }
        }
    }
}

/// Opens a store.
///
/// # Errors
/// [`OpenError`] where it cannot be used as it is.
pub async fn open(url: &StoreUrl, clock: Arc<dyn Clock>) -> Result<SharedStore, OpenError> {
    let store = match url {
        StoreUrl::Memory => Embedded::in_memory(clock)?,
        StoreUrl::Embedded(folder) => Embedded::open(folder, clock)?,
    };
    Ok(Arc::new(store) as Arc<dyn Store>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!("memory:".parse::<StoreUrl>().ok(), Some(StoreUrl::Memory));
        assert_eq!("embedded:a/b".parse::<StoreUrl>().ok(), Some(StoreUrl::Embedded("a/b".into())));
        for other in ["", "memory", "memory:x", "embedded:", "sqlite:x", "a/b"] {
            assert!(other.parse::<StoreUrl>().is_err(), "{other:?}");
        }
        let error = "postgres://user:hunter2@db/x".parse::<StoreUrl>().expect_err("unknown").to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
