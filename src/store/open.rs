//! Opening a store from the address that a configuration gives.

use std::path::PathBuf;
use std::sync::Arc;

use super::embedded::{Embedded, EmbeddedError};
use super::shared::{Address, Shared, SharedOptions, hides_its_host};
use super::{SharedStore, Store};
use crate::clock::Clock;

/// Why a store was not opened. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The address names no engine.
    #[error("store {0:?}: write memory:, embedded:DIR, redis://HOST:PORT/DB or postgres://USER@HOST/DATABASE")]
    Address(String),
    /// A `/`, `?` or `#` stands before an `@`.
    #[error(
        "store {0:?}: write / as %2F, ? as %3F and # as %23 in a password, or put it into shared_store.password_file"
    )]
    Ambiguous(String),
    /// The embedded engine's own reason.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The Redis engine's own reason.
    #[cfg(feature = "redis")]
    #[error(transparent)]
    Redis(#[from] super::redis::RedisRefused),
    /// PostgreSQL's own reason.
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Postgres(#[from] super::postgres::PostgresError),
    /// This program was built without the engine.
    #[error("this loopkey was built without {0}: build it with --features {0}")]
    NotBuilt(&'static str),
}

/// Where a store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// `memory:` — gone with the process.
    Memory,
    /// `embedded:DIR` — SQLite in a folder.
    Embedded(PathBuf),
    /// `redis://…` or, with TLS, `rediss://…` — Redis or Valkey, for several replicas.
    Redis(Shared),
    /// `postgres://…` — PostgreSQL, for several replicas.
    Postgres(Shared),
}

impl StoreUrl {
    /// What a shared store is told beside its address; nothing for a store of one process.
    pub fn shared_options(&mut self) -> Option<&mut SharedOptions> {
        match self {
            Self::Memory | Self::Embedded(_) => None,
            Self::Redis(shared) | Self::Postgres(shared) => Some(&mut shared.options),
        }
    }
}

impl std::str::FromStr for StoreUrl {
    type Err = OpenError;

    fn from_str(text: &str) -> Result<Self, OpenError> {
        let shared = || Shared { address: Address::new(text.to_owned()), options: SharedOptions::default() };
        let has_host = |rest: &str| rest.strip_prefix("//").is_some_and(|rest| !rest.is_empty());
        match text.split_once(':') {
            Some(("memory", "")) => Ok(Self::Memory),
            Some(("embedded", folder)) if !folder.is_empty() => Ok(Self::Embedded(folder.into())),
            Some((scheme @ ("redis" | "rediss" | "postgres" | "postgresql"), rest))
                if hides_its_host(rest.trim_start_matches('/')) =>
            {
                Err(OpenError::Ambiguous(scheme.to_owned()))
            }
            Some(("redis" | "rediss", rest)) if has_host(rest) => Ok(Self::Redis(shared())),
            Some(("postgres" | "postgresql", rest)) if has_host(rest) => Ok(Self::Postgres(shared())),
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
        #[cfg(feature = "redis")]
        StoreUrl::Redis(shared) => return Ok(Arc::new(super::redis::Redis::open(shared, clock).await?)),
        #[cfg(not(feature = "redis"))]
        StoreUrl::Redis(_) => return Err(OpenError::NotBuilt("redis")),
        #[cfg(feature = "postgres")]
        StoreUrl::Postgres(shared) => return Ok(Arc::new(super::postgres::Postgres::open(shared, clock).await?)),
        #[cfg(not(feature = "postgres"))]
        StoreUrl::Postgres(_) => return Err(OpenError::NotBuilt("postgres")),
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
        for redis in ["redis://localhost", "rediss://:secret@cache:6380/2"] {
            assert!(matches!(redis.parse(), Ok(StoreUrl::Redis(shared)) if shared.address.expose() == redis));
        }
        for postgres in ["postgres://db/loopkey", "postgresql://a:b@db/loopkey"] {
            assert!(matches!(postgres.parse(), Ok(StoreUrl::Postgres(shared)) if shared.address.expose() == postgres));
        }
        for other in [
            "",
            "memory",
            "memory:x",
            "embedded:",
            "sqlite:x",
            "a/b",
            "redis:",
            "redis://",
            "postgres:db",
            "redis://:a/b@c",
        ] {
            assert!(other.parse::<StoreUrl>().is_err(), "{other:?}");
        }
        let error = "mysql://user:hunter2@db/x".parse::<StoreUrl>().expect_err("unknown").to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
