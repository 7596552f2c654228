//! Databases for the tests of this engine.

// The same helper serves the tests of the whole login server.
#[allow(dead_code, reason = "each of them uses its part")]
#[path = "../../../tests/support/postgres.rs"]
pub(super) mod server;

use std::sync::Arc;

use super::{Postgres, PostgresError};
use crate::clock::{Clock as _, ManualClock, SystemClock};
use crate::crypto::Secret;
use crate::store::{Shared, StoreUrl};
use server::Server;

/// A database of a test's own.
pub(crate) struct Database {
    pub(crate) server: &'static Server,
    pub(crate) name: String,
}

impl Database {
    /// On the server that all tests share.
    pub(crate) fn fresh() -> Self {
        Self::of(server::shared())
    }

    pub(crate) fn of(server: &'static Server) -> Self {
        Self { server, name: server.database() }
    }

    pub(crate) fn url(&self) -> StoreUrl {
        StoreUrl::Postgres(self.shared())
    }

    pub(crate) fn shared(&self) -> Shared {
        shared(&self.server.url(&self.name))
    }

    pub(crate) fn sql(&self, statements: &str) -> String {
        self.server.sql(&self.name, statements)
    }

    pub(crate) async fn open(&self) -> Result<Postgres, PostgresError> {
        Postgres::open(&self.shared(), clock()).await
    }
}

/// The options that every test's store has.
pub(crate) fn shared(url: &str) -> Shared {
    let Ok(StoreUrl::Postgres(mut shared)) = url.parse() else { panic!("{url} is not an address of PostgreSQL") };
    shared.options.sealing_secret = Some(Secret::new("0123456789abcdef0123456789abcdef".to_owned()));
    shared
}

/// A clock that agrees with the server's now, and stands still.
pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(SystemClock.wall()))
}
