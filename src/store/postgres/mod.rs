//! The PostgreSQL engine: one database for several replicas of the login server.
//!
//! What is acknowledged is as durable as the configuration says: each session sets `synchronous_commit`, and a server that
//! would lose acknowledged writes is refused, at the start and on each new connection ([`Unfit`]). Every operation has a
//! deadline; what is not known to have happened is an error.
//!
//! Not through a pooler that shares connections between transactions: there are prepared statements, and LISTEN.

mod accounts;
mod bell;
mod columns;
mod connection;
mod devices;
mod fault;
mod fitness;
mod identities;
mod keys;
mod log;
mod marks;
mod notes;
mod pool;
mod schema;
mod sessions;
mod sweep;
mod target;
#[cfg(all(test, unix))]
pub(super) mod testing;
#[cfg(all(test, unix))]
mod tests;
mod tls;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use super::sealed::Sealer;
use super::session::USE_GRANULARITY_SECONDS;
use super::{
    Account, AccountChange, AccountId, Actor, AuditEntry, AuditRecord, ChallengeSigners, Cursor, Details, DeviceRecord,
    DisplayName, EnrolRefusal, Enrolled, Hint, Identity, LinkRefusal, LinkedIdentity, NewSession, Note, NoteKey,
    NoteValue, NoteVersion, OpenRefusal, OrganisationId, Profile, Refusable, Session, SessionKey, SessionLookup,
    Shared, Store, StoreError, Tail, TicketHash, Ticketed,
};
use crate::clock::Clock;
use crate::crypto::{Algorithm, KeyId, PublicKey};
use crate::protocol::id::{ChallengeId, DeviceId, Epoch, Incarnation, Subject};
use crate::protocol::time::{Moment, Timestamp};
use crate::verify::mark::{FirstUse, MarkError};
use bell::Bell;
pub use fault::PostgresError;
pub use fitness::Unfit;
use marks::Marks;
use pool::{Pool, Transaction};
use target::{Purpose, SharedTarget, Target};

/// After this long the answer is "unknown", which is an error.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long the incarnation is believed for new challenges. An old one costs a sign-in a second try, and nothing else.
const INCARNATION_KNOWN: Duration = Duration::from_secs(1);

/// The PostgreSQL engine. Its tasks end when it is dropped.
#[derive(Debug)]
pub struct Postgres {
    target: SharedTarget,
    pool: Arc<Pool>,
    marks: Marks,
    bell: Bell,
    clock: Arc<dyn Clock>,
    sealer: Sealer,
    /// The challenge keys were looked at once.
    has_keys: AtomicBool,
    incarnation: Mutex<Option<(Moment, Incarnation)>>,
    _tasks: JoinSet<()>,
}

/// Waits for an operation as long as callers do.
async fn within<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(DEADLINE, work).await.map_err(|_| StoreError::new("no answer in 5 s"))?
}

/// Does something with a transaction, as `transact!(self, |tx| work)`, and commits it whatever the outcome in the domain;
/// an error leaves nothing behind.
macro_rules! transact {
    ($self:ident, |$tx:ident| $work:expr) => {
        within(async {
            let mut transaction = $self.pool.begin($self.clock.timestamp()).await?;
            let $tx = &mut transaction;
            let outcome = $work.await?;
            $self.commit(transaction).await?;
            Ok(outcome)
        })
        .await
    };
}

/// Takes rights away. Where they were gone already this writes all the same, so that the commit waits for the standbys like
/// the first one: that one may have been given up on while it waited, and whoever asks again must not be told "done" of
/// what a promotion would undo.
macro_rules! take_away {
    ($self:ident, |$tx:ident| $work:expr) => {
        transact!($self, |$tx| async {
            let outcome = $work.await?;
            $tx.leave_a_trace().await?;
            Ok::<_, StoreError>(outcome)
        })
    };
}

/// Reads, as `read!(self, |connection| work)`.
macro_rules! read {
    ($self:ident, |$connection:ident| $work:expr) => {
        within(async {
            let connection = $self.pool.get().await?;
            let $connection = &connection;
            $work.await
        })
        .await
    };
}

impl Postgres {
    /// Opens the store of a database, and makes its tables where they are missing.
    ///
    /// # Errors
    /// [`PostgresError`] where it is out of reach, or must not be used as it is.
    pub async fn open(shared: &Shared, clock: Arc<dyn Clock>) -> Result<Self, PostgresError> {
        let secret = shared.options.sealing_secret.as_ref().ok_or(PostgresError::NoSecret)?;
        let sealer = Sealer::new(secret);
        let target = Arc::new(Target::new(shared)?);
        let mut connection = target.connect(Purpose::Migration).await?;
        target.await_standbys(&connection).await?;
        schema::migrate(connection.client_mut()).await?;
        // Now that the tables are there.
        target.look_again(&connection, clock.wall()).await?;
        within(async { Ok(keys::prove(&connection, &sealer).await) }).await??;
        drop(connection);

        let pool = Arc::new(Pool::new(Arc::clone(&target)));
        let mut tasks = JoinSet::new();
        let marks = Marks::start(&target, &mut tasks);
        let (bell, ringing) = Bell::new(Arc::clone(&target));
        tasks.spawn(ringing);
        tasks.spawn(sweep::run(Arc::clone(&pool), Arc::clone(&clock)));
        let (has_keys, incarnation) = (AtomicBool::new(false), Mutex::default());
        Ok(Self { target, pool, marks, bell, clock, sealer, has_keys, incarnation, _tasks: tasks })
    }

    async fn commit(&self, transaction: Transaction<'_>) -> Result<(), StoreError> {
        if transaction.commit().await? {
            self.bell.send(Hint::LogGrew);
        }
        Ok(())
    }

    async fn find(&self, session: SessionKey, now: Timestamp) -> Result<sessions::SessionFound, StoreError> {
        read!(self, |connection| sessions::find(connection, now, session))
    }
}

#[async_trait]
impl Store for Postgres {
    async fn ping(&self) -> Result<(), StoreError> {
        // A server that was fit at the start may have been configured anew.
        read!(self, |connection| async { Ok(self.target.look_again(connection, self.clock.wall()).await?) })
    }

    async fn challenge_signers(&self, algorithm: Algorithm) -> Result<ChallengeSigners, StoreError> {
        let now = self.clock.timestamp();
        let load = async |wanted| read!(self, |connection| keys::load(connection, &self.sealer, wanted, now));
        // Only who starts changes the algorithm. Were each look to do it, two servers of which one still has the old
        // configuration would make keys in turn.
        let started = self.has_keys.load(Ordering::Relaxed);
        let found = match load((!started).then_some(algorithm)).await? {
            Some(signers) => signers,
            None => {
                transact!(self, |tx| keys::make_first(tx, &self.sealer, algorithm))?;
                load(None).await?.ok_or_else(|| StoreError::new("the challenge keys were deleted"))?
            }
        };
        self.has_keys.store(true, Ordering::Relaxed);
        Ok(found)
    }

    async fn rotate_challenge_key(&self, algorithm: Algorithm) -> Result<(), StoreError> {
        transact!(self, |tx| keys::rotate(tx, &self.sealer, algorithm))
    }

    async fn issue_ticket(&self, ticket: TicketHash, profile: Profile) -> Result<Option<Ticketed>, StoreError> {
        transact!(self, |tx| accounts::issue_ticket(tx, ticket, &profile))
    }

    async fn account(&self, account: &AccountId) -> Result<Option<Account>, StoreError> {
        read!(self, |connection| accounts::by_id(connection, account.as_str()))
    }

    async fn account_of(&self, subject: &Subject) -> Result<Option<Account>, StoreError> {
        read!(self, |connection| accounts::by_subject(connection, subject))
    }

    async fn accounts(&self, after: Option<&AccountId>, limit: u32) -> Result<Vec<Account>, StoreError> {
        read!(self, |connection| accounts::page(connection, after, limit))
    }

    async fn change_account(&self, account: &AccountId, change: AccountChange) -> Result<Option<Account>, StoreError> {
        let of_profile = change.name.is_some() || change.avatar.is_some();
        let changed = take_away!(self, |tx| accounts::change(tx, account, &change))?;
        if let Some(account) = changed.as_ref().filter(|_| of_profile) {
            self.bell.send(Hint::ProfileChanged { subject: account.subject.clone() });
        }
        Ok(changed)
    }

    async fn erase_account(&self, account: &AccountId) -> Result<bool, StoreError> {
        take_away!(self, |tx| accounts::erase(tx, account))
    }

    async fn enrol(&self, ticket: TicketHash, key: PublicKey, name: DisplayName) -> Refusable<Enrolled, EnrolRefusal> {
        transact!(self, |tx| devices::enrol(tx, ticket, &key, &name))
    }

    async fn device(&self, key: KeyId) -> Result<Option<DeviceRecord>, StoreError> {
        read!(self, |connection| devices::by_key(connection, key))
    }

    async fn devices(&self, account: &AccountId) -> Result<Vec<DeviceRecord>, StoreError> {
        read!(self, |connection| devices::of_account(connection, account))
    }

    async fn revoke_device(&self, account: &AccountId, device: &DeviceId, by: Actor) -> Result<bool, StoreError> {
        take_away!(self, |tx| devices::revoke(tx, account, device, by))
    }

    async fn raise_epoch(&self, device: &DeviceId, epoch: Epoch) -> Result<bool, StoreError> {
        take_away!(self, |tx| devices::raise_epoch(tx, device, epoch))
    }

    async fn open_session(&self, session: NewSession) -> Refusable<Account, OpenRefusal> {
        transact!(self, |tx| sessions::open(tx, &session))
    }

    async fn use_session(&self, session: SessionKey) -> Result<SessionLookup, StoreError> {
        let now = self.clock.timestamp();
        let found = self.find(session, now).await?;
        let due = now.seconds_since(found.last_used) >= USE_GRANULARITY_SECONDS;
        if due && matches!(found.lookup, SessionLookup::Open(_)) {
            let noted: Result<(), StoreError> = read!(self, |connection| sessions::note_use(connection, now, session));
            // The session is as good as it was found, whether a standby is away or not.
            if let Err(error) = noted {
                tracing::debug!("the use of a session was not noted: {error}");
            }
        }
        Ok(found.lookup)
    }

    async fn look_at_session(&self, session: SessionKey) -> Result<SessionLookup, StoreError> {
        self.find(session, self.clock.timestamp()).await.map(|found| found.lookup)
    }

    async fn sessions(&self, account: &AccountId) -> Result<Vec<Session>, StoreError> {
        read!(self, |connection| sessions::of_account(connection, self.clock.timestamp(), account))
    }

    async fn end_session(&self, account: &AccountId, session: SessionKey) -> Result<bool, StoreError> {
        take_away!(self, |tx| sessions::log_out(tx, account, session))
    }

    async fn sign_out_account(&self, account: &AccountId, from: Option<SessionKey>) -> Result<bool, StoreError> {
        take_away!(self, |tx| accounts::sign_out(tx, account, from))
    }

    async fn sign_out_organisation(&self, organisation: &OrganisationId) -> Result<bool, StoreError> {
        take_away!(self, |tx| accounts::sign_out_organisation(tx, organisation))
    }

    async fn link_identity(
        &self,
        account: &AccountId,
        identity: Identity,
        details: Details,
    ) -> Refusable<(), LinkRefusal> {
        transact!(self, |tx| identities::link(tx, account, &identity, &details))
    }

    async fn identity(&self, identity: &Identity) -> Result<Option<(Account, LinkedIdentity)>, StoreError> {
        read!(self, |connection| identities::find(connection, identity))
    }

    async fn identities(&self, account: &AccountId) -> Result<Vec<LinkedIdentity>, StoreError> {
        read!(self, |connection| identities::of_account(connection, account))
    }

    async fn unlink_identity(&self, account: &AccountId, identity: &Identity) -> Result<bool, StoreError> {
        take_away!(self, |tx| identities::unlink(tx, account, identity))
    }

    async fn adopt_identity(
        &self,
        profile: Profile,
        identity: Identity,
        details: Details,
    ) -> Refusable<Account, LinkRefusal> {
        transact!(self, |tx| identities::adopt(tx, &profile, &identity, &details))
    }

    async fn keep_note(&self, note: &NoteKey, value: NoteValue, until: Timestamp) -> Result<bool, StoreError> {
        // A life that nobody began yet is begun by who asks for it.
        self.incarnation().await?;
        transact!(self, |tx| notes::keep(tx, note, &value, until))
    }

    async fn note(&self, note: &NoteKey) -> Result<Option<Note>, StoreError> {
        read!(self, |connection| notes::read(connection, self.clock.timestamp(), note))
    }

    async fn change_note(
        &self,
        note: &NoteKey,
        version: NoteVersion,
        value: NoteValue,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        let changed = transact!(self, |tx| notes::change(tx, note, version, &value, until))?;
        if changed {
            self.bell.send(Hint::NoteChanged { note: note.clone() });
        }
        Ok(changed)
    }

    async fn take_note(&self, note: &NoteKey) -> Result<Option<NoteValue>, StoreError> {
        transact!(self, |tx| notes::take(tx, note))
    }

    async fn record(&self, record: AuditRecord) -> Result<(), StoreError> {
        transact!(self, |tx| async {
            let account = match &record.account {
                Some(account) => accounts::by_id(tx, account.as_str()).await?,
                None => None,
            };
            let subject = account.map(|account| account.subject);
            tx.record(record.what, subject.as_ref(), record.device.as_ref().map(DeviceId::as_str), &record.detail).await
        })
    }

    async fn audit_tail(&self, of: Option<&AccountId>, entries: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let sql = "SELECT e.at, e.what, e.subject, a.account, e.device, e.detail
                   FROM audit e LEFT JOIN accounts a ON a.subject = e.subject
                   WHERE $1::text IS NULL OR e.subject = (SELECT subject FROM accounts WHERE account = $1)
                   ORDER BY e.entry DESC LIMIT $2";
        let (of, entries) = (of.map(AccountId::as_str), i64::from(entries));
        let rows = read!(self, |connection| connection.all(sql, &[&of, &entries]))?;
        let entry = |row: &tokio_postgres::Row| {
            Ok(AuditEntry {
                at: Timestamp(columns::number_at(row, 0)?),
                what: row.try_get(1)?,
                subject: row.try_get(2)?,
                account: row.try_get(3)?,
                device: row.try_get(4)?,
                detail: row.try_get(5)?,
            })
        };
        rows.iter().map(entry).collect()
    }

    async fn log_end(&self) -> Result<Cursor, StoreError> {
        read!(self, |connection| log::last(connection))
    }

    async fn withdrawals(&self, after: &Cursor) -> Result<Tail, StoreError> {
        read!(self, |connection| log::after(connection, after))
    }

    fn hints(&self) -> broadcast::Receiver<Hint> {
        self.bell.listen()
    }

    async fn hint(&self, hint: Hint) {
        self.bell.send(hint);
    }

    async fn incarnation(&self) -> Result<Incarnation, StoreError> {
        let now = self.clock.now();
        let known = self.incarnation.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, incarnation)) = known
            && now.since(at) < INCARNATION_KNOWN
        {
            return Ok(incarnation);
        }
        let sql = format!("SELECT {}", schema::LIFE);
        let incarnation: Option<Incarnation> = read!(self, |connection| async {
            let found = columns::optional_text_at(&connection.one(&sql, &[]).await?, 0)?;
            if found.is_some() {
                return Ok(found);
            }
            // Somebody emptied the marks, or put a dump back: another life, which nobody began.
            schema::begin_life(connection.client()).await?;
            columns::optional_text_at(&connection.one(&sql, &[]).await?, 0)
        })?;
        let incarnation = incarnation.ok_or_else(|| StoreError::new("the store's life cannot be told"))?;
        *self.incarnation.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, incarnation.clone()));
        Ok(incarnation)
    }

    async fn mark(
        &self,
        challenge: &ChallengeId,
        incarnation: &Incarnation,
        until: Timestamp,
    ) -> Result<FirstUse, MarkError> {
        let marked = self.marks.mark(challenge, incarnation, until).await;
        if matches!(marked, Err(MarkError::Stale)) {
            // The next challenge must name the new one.
            *self.incarnation.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        marked
    }
}
