//! A few connections that are used in turn, and transactions on them.

use std::ops::Deref;
use std::sync::{Mutex, PoisonError};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::connection::Connection;
use super::log;
use super::target::{Purpose, SharedTarget};
use crate::protocol::id::Subject;
use crate::protocol::time::Timestamp;
use crate::store::{Audited, EndReason, StoreError, Withdrawal, Withdrawn};

/// Connections for everything but marks and hints.
const SIZE: usize = 8;

/// Connections that are made when they are needed, and kept.
#[derive(Debug)]
pub(super) struct Pool {
    target: SharedTarget,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Pool {
    pub(super) fn new(target: SharedTarget) -> Self {
        Self { target, idle: Mutex::default(), permits: Semaphore::new(SIZE) }
    }

    /// A connection; waits for one where all are taken. The caller has the deadline.
    pub(super) async fn get(&self) -> Result<Pooled<'_>, StoreError> {
        let permit = self.permits.acquire().await.map_err(StoreError::new)?;
        let kept = self.kept();
        let connection = match kept {
            Some(connection) => connection,
            None => self.target.connect(Purpose::Work).await?,
        };
        Ok(Pooled { connection: Some(connection), pool: self, _permit: permit })
    }

    /// One that was used before; those that the server closed meanwhile are forgotten.
    fn kept(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(Connection::is_reusable);
        idle.pop()
    }

    /// Begins a transaction.
    pub(super) async fn begin(&self, now: Timestamp) -> Result<Transaction<'_>, StoreError> {
        let connection = self.get().await?;
        connection.begin().await?;
        Ok(Transaction { connection, now, withdrawn: Vec::new() })
    }
}

/// A connection on loan. It goes back unless something is wrong with it.
#[derive(Debug)]
pub(super) struct Pooled<'a> {
    connection: Option<Connection>,
    pool: &'a Pool,
    _permit: SemaphorePermit<'a>,
}

impl Deref for Pooled<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("it is taken out when this goes, not before")
    }
}

impl Drop for Pooled<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(Connection::is_reusable) {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}

/// A transaction. Dropped without a commit, it never was: its connection is cut.
///
/// Rows are locked in one order, so that no two transactions wait for each other: account, identities, tickets, devices,
/// sessions, and last the log, whose one counter every withdrawal waits for.
#[derive(Debug)]
pub(super) struct Transaction<'a> {
    connection: Pooled<'a>,
    pub(super) now: Timestamp,
    withdrawn: Vec<Withdrawal>,
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Transaction<'_> {
    /// Writes an entry of the log with the commit.
    pub(super) fn withdraw(&mut self, withdrawn: Withdrawn, reason: EndReason) {
        self.withdrawn.push(Withdrawal { withdrawn, reason });
    }

    /// Writes an audit entry.
    pub(super) async fn record(
        &self,
        what: Audited,
        subject: Option<&Subject>,
        device: Option<&str>,
        detail: &str,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO audit (at, what, subject, device, detail) VALUES ($1, $2, $3, $4, $5)";
        let at = super::columns::integer(self.now.0);
        self.execute(sql, &[&at, &what.as_str(), &subject.map(Subject::as_str), &device, &detail]).await.map(drop)
    }

    /// Writes something that every server passes over, unless something was withdrawn. A transaction that wrote nothing is
    /// committed at once, whatever the server should wait for.
    pub(super) async fn leave_a_trace(&self) -> Result<(), StoreError> {
        if !self.withdrawn.is_empty() {
            return Ok(());
        }
        let sql = "SELECT pg_logical_emit_message(true, 'loopkey', '')";
        self.all(sql, &[]).await.map(drop)
    }

    /// Commits; whether the log grew.
    pub(super) async fn commit(self) -> Result<bool, StoreError> {
        if !self.withdrawn.is_empty() {
            log::append(&self.connection, self.now, &self.withdrawn).await?;
        }
        self.connection.commit().await?;
        Ok(!self.withdrawn.is_empty())
    }
}
