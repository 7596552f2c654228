//! The embedded engine: SQLite in a folder, or in memory. One code for both.
//!
//! In a folder it flushes before it answers (write-ahead log, `synchronous=FULL`), the folder is 0700 and the files are
//! 0600, and one process at a time may have it open. Single-use marks stay in memory in any case; their incarnation
//! changes with each process (protocol section 6.9).

mod accounts;
pub mod backup;
mod challenge_keys;
mod columns;
mod devices;
mod fault;
mod files;
mod identities;
mod log;
mod notes;
mod readers;
mod schema;
mod sessions;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::broadcast;

use super::hint::Hints;
use super::keys;
use super::session::USE_GRANULARITY_SECONDS;
use super::{
    Account, AccountChange, AccountId, Actor, AuditEntry, AuditRecord, Audited, ChallengeSigners, Cursor, Details,
    DeviceRecord, DisplayName, EnrolRefusal, Enrolled, Hint, Identity, LinkRefusal, LinkedIdentity, NewSession, Note,
    NoteKey, NoteValue, NoteVersion, OpenRefusal, OrganisationId, Profile, Refusable, Session, SessionKey,
    SessionLookup, Store, StoreError, Tail, TicketHash, Ticketed,
};
use crate::clock::Clock;
use crate::crypto::{Algorithm, KeyId, PublicKey};
use crate::keyfile::{FolderLock, KeyFileError};
use crate::protocol::id::{ChallengeId, DeviceId, Epoch, Incarnation, Subject};
use crate::protocol::time::Timestamp;
use crate::verify::mark::{FirstUse, MarkError, Marks};
use challenge_keys::Keys;
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
    keys: Keys,
    hints: Hints,
    _lock: Option<FolderLock>,
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
            keys: Keys::Folder(folder.join(keys::FOLDER), Arc::default()),
            hints: Hints::default(),
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
            keys: Keys::Memory(Arc::default()),
            hints: Hints::default(),
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

    /// Writes what takes rights away, and rings where it did.
    async fn withdraw<T, F>(&self, work: F, did: impl FnOnce(&T) -> bool) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, Timestamp) -> rusqlite::Result<T> + Send + 'static,
    {
        let outcome = self.write(work).await?;
        if did(&outcome) {
            self.hints.send(Hint::LogGrew);
        }
        Ok(outcome)
    }

    async fn find(&self, session: SessionKey) -> Result<sessions::SessionFound, StoreError> {
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

    async fn challenge_signers(&self, algorithm: Algorithm) -> Result<ChallengeSigners, StoreError> {
        self.keys.load(algorithm, self.clock.timestamp()).await
    }

    async fn rotate_challenge_key(&self, algorithm: Algorithm) -> Result<(), StoreError> {
        self.keys.rotate(algorithm, self.clock.timestamp()).await?;
        let record = |c: &Connection, now| columns::record(c, now, Audited::ChallengeKeyRotated, None, None, "");
        self.write(record).await
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

    async fn accounts(&self, after: Option<&AccountId>, limit: u32) -> Result<Vec<Account>, StoreError> {
        let after = after.cloned();
        self.read(move |c| accounts::page(c, after.as_ref().map(AccountId::as_str), limit)).await
    }

    async fn change_account(&self, account: &AccountId, change: AccountChange) -> Result<Option<Account>, StoreError> {
        let (account, of_profile) = (account.clone(), change.name.is_some() || change.avatar.is_some());
        let work = move |c: &Connection, now| accounts::change(c, now, &account, &change);
        let changed = self.withdraw(work, Option::is_some).await?;
        if let Some(account) = changed.as_ref().filter(|_| of_profile) {
            self.hints.send(Hint::ProfileChanged { subject: account.subject.clone() });
        }
        Ok(changed)
    }

    async fn erase_account(&self, account: &AccountId) -> Result<bool, StoreError> {
        let account = account.clone();
        self.withdraw(move |c, now| accounts::erase(c, now, &account), |erased| *erased).await
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

    async fn revoke_device(&self, account: &AccountId, device: &DeviceId, by: Actor) -> Result<bool, StoreError> {
        let (account, device) = (account.clone(), device.clone());
        self.withdraw(move |c, now| devices::revoke(c, now, &account, &device, by), |revoked| *revoked).await
    }

    async fn raise_epoch(&self, device: &DeviceId, epoch: Epoch) -> Result<bool, StoreError> {
        let device = device.clone();
        self.withdraw(move |c, now| devices::raise_epoch(c, now, &device, epoch), |raised| *raised).await
    }

    async fn open_session(&self, session: NewSession) -> Refusable<Account, OpenRefusal> {
        // It may have raised the epoch, and taken a former session's place.
        self.withdraw(move |c, now| sessions::open(c, now, &session), Result::is_ok).await
    }

    async fn use_session(&self, session: SessionKey) -> Result<SessionLookup, StoreError> {
        let found = self.find(session).await?;
        let due = self.clock.timestamp().seconds_since(found.last_used) >= USE_GRANULARITY_SECONDS;
        if due && matches!(found.lookup, SessionLookup::Open(_)) {
            // A session does not end because nobody can note its use: the disk may be full.
            if let Err(error) = self.write(move |c, now| sessions::note_use(c, now, session)).await {
                tracing::warn!("a session's use is not noted: {error}");
            }
        }
        Ok(found.lookup)
    }

    async fn look_at_session(&self, session: SessionKey) -> Result<SessionLookup, StoreError> {
        self.find(session).await.map(|found| found.lookup)
    }

    async fn sessions(&self, account: &AccountId) -> Result<Vec<Session>, StoreError> {
        let (account, now) = (account.clone(), self.clock.timestamp());
        self.read(move |c| sessions::of_account(c, now, &account)).await
    }

    async fn end_session(&self, account: &AccountId, session: SessionKey) -> Result<bool, StoreError> {
        let account = account.clone();
        self.withdraw(move |c, now| sessions::log_out(c, now, &account, session), |ended| *ended).await
    }

    async fn sign_out_account(&self, account: &AccountId, from: Option<SessionKey>) -> Result<bool, StoreError> {
        let account = account.clone();
        self.withdraw(move |c, now| accounts::sign_out(c, now, &account, from), |known| *known).await
    }

    async fn sign_out_organisation(&self, organisation: &OrganisationId) -> Result<bool, StoreError> {
        let organisation = organisation.clone();
        self.withdraw(move |c, now| accounts::sign_out_organisation(c, now, &organisation), |known| *known).await
    }

    async fn link_identity(
        &self,
        account: &AccountId,
        identity: Identity,
        details: Details,
    ) -> Refusable<(), LinkRefusal> {
        let account = account.clone();
        self.write(move |c, now| identities::link(c, now, &account, &identity, &details)).await
    }

    async fn identity(&self, identity: &Identity) -> Result<Option<(Account, LinkedIdentity)>, StoreError> {
        let identity = identity.clone();
        self.read(move |c| identities::find(c, &identity)).await
    }

    async fn identities(&self, account: &AccountId) -> Result<Vec<LinkedIdentity>, StoreError> {
        let account = account.clone();
        self.read(move |c| identities::of_account(c, &account)).await
    }

    async fn unlink_identity(&self, account: &AccountId, identity: &Identity) -> Result<bool, StoreError> {
        let (account, identity) = (account.clone(), identity.clone());
        self.write(move |c, now| identities::unlink(c, now, &account, &identity)).await
    }

    async fn adopt_identity(
        &self,
        profile: Profile,
        identity: Identity,
        details: Details,
    ) -> Refusable<Account, LinkRefusal> {
        self.write(move |c, now| identities::adopt(c, now, &profile, &identity, &details)).await
    }

    async fn keep_note(&self, note: &NoteKey, value: NoteValue, until: Timestamp) -> Result<bool, StoreError> {
        let note = note.clone();
        self.write(move |c, now| notes::keep(c, now, &note, &value, until)).await
    }

    async fn note(&self, note: &NoteKey) -> Result<Option<Note>, StoreError> {
        let (note, now) = (note.clone(), self.clock.timestamp());
        self.read(move |c| notes::read(c, now, &note)).await
    }

    async fn change_note(
        &self,
        note: &NoteKey,
        version: NoteVersion,
        value: NoteValue,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let key = note.clone();
        let changed = self.write(move |c, now| notes::change(c, now, &key, version, &value, until)).await?;
        if changed {
            self.hints.send(Hint::NoteChanged { note: note.clone() });
        }
        Ok(changed)
    }

    async fn take_note(&self, note: &NoteKey) -> Result<Option<NoteValue>, StoreError> {
        let note = note.clone();
        self.write(move |c, now| notes::take(c, now, &note)).await
    }

    async fn record(&self, record: AuditRecord) -> Result<(), StoreError> {
        self.write(move |c, now| {
            let account = record.account.as_ref().map(|account| accounts::by_id(c, account.as_str())).transpose()?;
            let subject = account.flatten().map(|account| account.subject);
            let device = record.device.as_ref().map(DeviceId::as_str);
            columns::record(c, now, record.what, subject.as_ref(), device, &record.detail)
        })
        .await
    }

    async fn audit_tail(&self, of: Option<&AccountId>, entries: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let of = of.map(|account| account.as_str().to_owned());
        let sql = "SELECT e.at, e.what, e.subject, a.account, e.device, e.detail
                   FROM audit e LEFT JOIN accounts a ON a.subject = e.subject
                   WHERE ?1 IS NULL OR e.subject = (SELECT subject FROM accounts WHERE account = ?1)
                   ORDER BY e.entry DESC LIMIT ?2";
        let entry = |row: &rusqlite::Row<'_>| {
            Ok(AuditEntry {
                at: columns::time_at(row, 0)?,
                what: row.get(1)?,
                subject: row.get(2)?,
                account: row.get(3)?,
                device: row.get(4)?,
                detail: row.get(5)?,
            })
        };
        self.read(move |c| columns::all(c, sql, rusqlite::params![of, entries], entry)).await
    }

    async fn log_end(&self) -> Result<Cursor, StoreError> {
        self.read(log::last).await
    }

    async fn withdrawals(&self, after: &Cursor) -> Result<Tail, StoreError> {
        let after = after.clone();
        self.read(move |c| log::after(c, &after)).await
    }

    fn hints(&self) -> broadcast::Receiver<Hint> {
        self.hints.listen()
    }

    async fn hint(&self, hint: Hint) {
        self.hints.send(hint);
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
