//! The embedded engine: SQLite in a folder, or in memory. One code for both.
//!
//! In a folder it flushes before it answers (write-ahead log, `synchronous=FULL`), the folder is 0700 and the files are
//! 0600, and one process at a time may have it open. Single-use marks stay in memory in any case; their incarnation
//! changes with each process (protocol section 6.9).

mod accounts;
mod columns;
mod devices;
mod files;
mod readers;
mod schema;
mod sessions;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;

use super::keys;
use super::{
    Account, AccountChange, AccountId, AuditEntry, AuditRecord, ChallengeSigners, DeviceRecord, DisplayName,
    EndedSession, EnrolRefusal, Enrolled, NewSession, OpenRefusal, Opened, Profile, Refusable, SessionKey,
    SessionLookup, Store, StoreError, TicketHash, Ticketed,
};
use crate::clock::Clock;
use crate::crypto::{Algorithm, KeyId, PublicKey};
use crate::keyfile::KeyFileError;
use crate::protocol::id::{ChallengeId, DeviceId, Epoch, Incarnation, Subject};
use crate::protocol::time::Timestamp;
use crate::verify::mark::{FirstUse, MarkError, Marks};
use readers::Readers;
use writer::Writer;

/// Connections that read, beside the one that writes.
const READERS: usize = 4;

/// Why the store was not opened. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The folder or a file in it is missing, foreign, or open to others.
    #[error(transparent)]
    Files(#[from] KeyFileError),
    /// Another process has the store open.
    #[error("{0}: another process has this store open; stop it, or choose another folder")]
    InUse(PathBuf),
    /// A later version of Loopkey wrote the store.
    #[error("the store has schema version {found} and this program knows up to {known}: start a newer Loopkey")]
    Newer {
        /// Version of the file.
        found: i64,
        /// Last version that this program knows.
        known: i64,
    },
    /// The database is another program's.
    #[error("the store's database is not Loopkey's: choose another folder")]
    NotOurs,
    /// SQLite did not take a setting that durability rests on.
    #[error("the store cannot be used safely: {0} is {1:?}")]
    Setting(&'static str, String),
    /// SQLite's own error.
    #[error("the store cannot be opened: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The writing thread could not be started.
    #[error("the store's thread cannot be started: {0}")]
    Thread(std::io::Error),
}

/// The embedded engine. Dropping it finishes what is waiting.
#[derive(Debug)]
pub struct Embedded {
    // In this order: the thread ends before the lock goes.
    writer: Writer,
    readers: Option<Readers>,
    marks: Marks,
    clock: Arc<dyn Clock>,
    keys: Option<PathBuf>,
    _lock: Option<std::fs::File>,
}

impl Embedded {
    /// Opens the store of a folder, which is made where it is missing. Blocks.
    ///
    /// # Errors
    /// [`EmbeddedError`] where it cannot be used safely.
    pub fn open(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, EmbeddedError> {
        let lock = files::lock(folder)?;
        let path = files::database(folder)?;
        let mut connection = Connection::open(&path)?;
        schema::prepare(&connection, "wal")?;
        schema::migrate(&mut connection)?;
        let reader = || {
            let connection = Connection::open(&path)?;
            schema::prepare(&connection, "wal")?;
            connection.pragma_update(None, "query_only", "ON")?;
            Ok(connection)
        };
        let readers = (0..READERS).map(|_| reader()).collect::<Result<_, EmbeddedError>>()?;
        Ok(Self {
            writer: Writer::start(connection).map_err(EmbeddedError::Thread)?,
            readers: Some(Readers::new(readers)),
            marks: Marks::new(Arc::clone(&clock)),
            clock,
            keys: Some(folder.join(keys::FOLDER)),
            _lock: Some(lock),
        })
    }

    /// A store that is gone with this value.
    ///
    /// # Errors
    /// [`EmbeddedError`] where SQLite cannot be started.
    pub fn in_memory(clock: Arc<dyn Clock>) -> Result<Self, EmbeddedError> {
        let mut connection = Connection::open_in_memory()?;
        schema::prepare(&connection, "memory")?;
        schema::migrate(&mut connection)?;
        Ok(Self {
            writer: Writer::start(connection).map_err(EmbeddedError::Thread)?,
            readers: None,
            marks: Marks::new(Arc::clone(&clock)),
            clock,
            keys: None,
            _lock: None,
        })
    }

    /// Writes, with the time at which the writing happens.
    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, Timestamp) -> rusqlite::Result<T> + Send + 'static,
    {
        let clock = Arc::clone(&self.clock);
        self.writer.write(move |connection| work(connection, clock.timestamp())).await
    }

    /// Reads. A database in memory has one connection only.
    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        match &self.readers {
            Some(readers) => readers.read(work).await,
            None => self.writer.write(work).await,
        }
    }

    async fn find(&self, session: SessionKey) -> Result<sessions::Found, StoreError> {
        let now = self.clock.timestamp();
        self.read(move |c| sessions::find(c, now, session)).await
    }
}

#[async_trait]
impl Store for Embedded {
    async fn ping(&self) -> Result<(), StoreError> {
        // Through the writer: a store that can be read but not written is not ready.
        self.write(|c, _| c.query_row("SELECT 1", [], |_| Ok(()))).await
    }

    fn challenge_signers(&self, algorithm: Algorithm) -> Result<ChallengeSigners, StoreError> {
        match &self.keys {
            Some(folder) => keys::load(folder, algorithm),
            None => ChallengeSigners::ephemeral(algorithm),
        }
    }

    async fn issue_ticket(&self, ticket: TicketHash, profile: Profile) -> Result<Option<Ticketed>, StoreError> {
        self.write(move |c, now| accounts::issue_ticket(c, now, ticket, &profile)).await
    }

    async fn account(&self, account: &AccountId) -> Result<Option<Account>, StoreError> {
        let account = account.clone();
        self.read(move |c| accounts::by_id(c, account.as_str())).await
    }

    async fn account_of(&self, subject: &Subject) -> Result<Option<Account>, StoreError> {
        let subject = subject.clone();
        self.read(move |c| accounts::by_subject(c, subject.as_str())).await
    }

    async fn change_account(
        &self,
        account: &AccountId,
        change: AccountChange,
    ) -> Result<Option<Vec<EndedSession>>, StoreError> {
        let account = account.clone();
        self.write(move |c, now| accounts::change(c, now, &account, change)).await
    }

    async fn enrol(&self, ticket: TicketHash, key: PublicKey, name: DisplayName) -> Refusable<Enrolled, EnrolRefusal> {
        self.write(move |c, now| devices::enrol(c, now, ticket, &key, &name)).await
    }

    async fn device(&self, key: KeyId) -> Result<Option<DeviceRecord>, StoreError> {
        self.read(move |c| devices::by_key(c, key)).await
    }

    async fn devices(&self, account: &AccountId) -> Result<Vec<DeviceRecord>, StoreError> {
        let account = account.clone();
        self.read(move |c| devices::of_account(c, &account)).await
    }

    async fn revoke_device(
        &self,
        account: &AccountId,
        device: &DeviceId,
    ) -> Result<Option<Vec<EndedSession>>, StoreError> {
        let (account, device) = (account.clone(), device.clone());
        self.write(move |c, now| devices::revoke(c, now, &account, &device)).await
    }

    async fn raise_epoch(&self, device: &DeviceId, epoch: Epoch) -> Result<Vec<EndedSession>, StoreError> {
        let device = device.clone();
        self.write(move |c, now| devices::raise_epoch(c, now, &device, epoch)).await
    }

    async fn open_session(&self, session: NewSession) -> Refusable<Opened, OpenRefusal> {
        self.write(move |c, now| sessions::open(c, now, &session)).await
    }

    async fn use_session(&self, session: SessionKey) -> Result<SessionLookup, StoreError> {
        let found = self.find(session).await?;
        let due = self.clock.timestamp().seconds_since(found.last_used) >= sessions::USE_GRANULARITY_SECONDS;
        if due && matches!(found.lookup, SessionLookup::Open(_)) {
            self.write(move |c, now| sessions::note_use(c, now, session)).await?;
        }
        Ok(found.lookup)
    }

    async fn look_at_session(&self, session: SessionKey) -> Result<SessionLookup, StoreError> {
        self.find(session).await.map(|found| found.lookup)
    }

    async fn end_session(&self, session: SessionKey) -> Result<bool, StoreError> {
        self.write(move |c, now| sessions::log_out(c, now, session)).await
    }

    async fn end_sessions_of(&self, account: &AccountId) -> Result<Vec<EndedSession>, StoreError> {
        let account = account.clone();
        self.write(move |c, now| sessions::log_out_everywhere(c, now, &account)).await
    }

    async fn record(&self, record: AuditRecord) -> Result<(), StoreError> {
        self.write(move |c, now| {
            let (account, device) = (record.account.as_ref(), record.device.as_ref());
            let (account, device) = (account.map(AccountId::as_str), device.map(DeviceId::as_str));
            columns::record(c, now, record.what, account, device, &record.detail)
        })
        .await
    }

    async fn audit_tail(&self, entries: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let sql = "SELECT at, what, account, device, detail FROM audit ORDER BY entry DESC LIMIT ?1";
        let entry = |row: &rusqlite::Row<'_>| {
            Ok(AuditEntry {
                at: columns::time_at(row, 0)?,
                what: row.get(1)?,
                account: row.get(2)?,
                device: row.get(3)?,
                detail: row.get(4)?,
            })
        };
        self.read(move |c| columns::all(c, sql, [entries], entry)).await
    }

    async fn incarnation(&self) -> Result<Incarnation, StoreError> {
        Ok(self.marks.incarnation())
    }

    async fn mark(
        &self,
        challenge: &ChallengeId,
        incarnation: &Incarnation,
        until: Timestamp,
    ) -> Result<FirstUse, MarkError> {
        self.marks.mark(challenge, incarnation, until)
    }
}
