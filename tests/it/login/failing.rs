//! A store that breaks on command.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use loopkey::crypto::{Algorithm, KeyId, PublicKey};
use loopkey::protocol::id::{ChallengeId, DeviceId, Epoch, Incarnation, Subject};
use loopkey::protocol::time::Timestamp;
use loopkey::store::{
    Account, AccountChange, AccountId, Actor, AuditEntry, AuditRecord, ChallengeSigners, Cursor, Details, DeviceRecord,
    DisplayName, EnrolRefusal, Enrolled, Hint, Identity, LinkRefusal, LinkedIdentity, NewSession, Note, NoteKey,
    NoteValue, NoteVersion, OpenRefusal, OrganisationId, Profile, Refusable, Session, SessionKey, SessionLookup,
    SharedStore, Store, StoreError, Tail, TicketHash, Ticketed,
};
use loopkey::verify::mark::{FirstUse, MarkError};
use tokio::sync::broadcast;

#[derive(Debug)]
pub(crate) struct FailingStore {
    inner: Mutex<SharedStore>,
    failing: Mutex<Option<&'static str>>,
    failures: AtomicUsize,
}

impl FailingStore {
    pub(crate) fn over(inner: SharedStore) -> Arc<Self> {
        Arc::new(Self { inner: Mutex::new(inner), failing: Mutex::new(None), failures: AtomicUsize::new(0) })
    }

    /// Breaks one operation.
    pub(crate) fn fail(&self, operation: &'static str) {
        *self.failing.lock().expect("not poisoned") = Some(operation);
    }

    pub(crate) fn recover(&self) {
        *self.failing.lock().expect("not poisoned") = None;
    }

    /// How often something failed on command.
    pub(crate) fn failures(&self) -> usize {
        self.failures.load(Ordering::SeqCst)
    }

    /// Has another store in this one's place from now on: it was restored from nothing, say.
    pub(crate) fn comes_back_as(&self, other: SharedStore) {
        *self.inner.lock().expect("not poisoned") = other;
    }

    fn inner(&self) -> SharedStore {
        self.inner.lock().expect("not poisoned").clone()
    }

    fn works(&self, operation: &str) -> Result<(), StoreError> {
        let broken = *self.failing.lock().expect("not poisoned") == Some(operation);
        if !broken {
            return Ok(());
        }
        self.failures.fetch_add(1, Ordering::SeqCst);
        Err(StoreError::new("broken on command"))
    }
}

/// Passes an operation on unless it is to fail.
macro_rules! pass_on {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Store for FailingStore {
            $(async fn $name(&self, $($argument: $type),*) -> $answer {
                self.works(stringify!($name))?;
                self.inner().$name($($argument),*).await
            })*

            async fn withdrawals(&self, after: &Cursor) -> Result<Tail, StoreError> {
                self.works("withdrawals")?;
                assert!(self.works("a reader of the log").is_ok(), "a fault of our own, on command");
                // As after a failover: the log goes on, and nobody knows what was in between.
                match self.works("log") {
                    Ok(()) => self.inner().withdrawals(after).await,
                    Err(_) => self.inner().log_end().await.map(Tail::Lost),
                }
            }

            fn hints(&self) -> broadcast::Receiver<Hint> {
                self.inner().hints()
            }

            async fn hint(&self, hint: Hint) {
                self.inner().hint(hint).await;
            }

            async fn mark(
                &self,
                challenge: &ChallengeId,
                incarnation: &Incarnation,
                until: Timestamp,
            ) -> Result<FirstUse, MarkError> {
                self.works("mark").map_err(|_| MarkError::Unavailable)?;
                self.inner().mark(challenge, incarnation, until).await
            }
        }
    };
}

pass_on! {
    fn ping() -> Result<(), StoreError>;
    fn challenge_signers(algorithm: Algorithm) -> Result<ChallengeSigners, StoreError>;
    fn rotate_challenge_key(algorithm: Algorithm) -> Result<(), StoreError>;
    fn issue_ticket(ticket: TicketHash, profile: Profile) -> Result<Option<Ticketed>, StoreError>;
    fn account(account: &AccountId) -> Result<Option<Account>, StoreError>;
    fn account_of(subject: &Subject) -> Result<Option<Account>, StoreError>;
    fn accounts(after: Option<&AccountId>, limit: u32) -> Result<Vec<Account>, StoreError>;
    fn change_account(account: &AccountId, change: AccountChange) -> Result<Option<Account>, StoreError>;
    fn erase_account(account: &AccountId) -> Result<bool, StoreError>;
    fn enrol(ticket: TicketHash, key: PublicKey, name: DisplayName) -> Refusable<Enrolled, EnrolRefusal>;
    fn device(key: KeyId) -> Result<Option<DeviceRecord>, StoreError>;
    fn devices(account: &AccountId) -> Result<Vec<DeviceRecord>, StoreError>;
    fn revoke_device(account: &AccountId, device: &DeviceId, by: Actor) -> Result<bool, StoreError>;
    fn raise_epoch(device: &DeviceId, epoch: Epoch) -> Result<bool, StoreError>;
    fn open_session(session: NewSession) -> Refusable<Account, OpenRefusal>;
    fn use_session(session: SessionKey) -> Result<SessionLookup, StoreError>;
    fn look_at_session(session: SessionKey) -> Result<SessionLookup, StoreError>;
    fn sessions(account: &AccountId) -> Result<Vec<Session>, StoreError>;
    fn end_session(account: &AccountId, session: SessionKey) -> Result<bool, StoreError>;
    fn sign_out_account(account: &AccountId, from: Option<SessionKey>) -> Result<bool, StoreError>;
    fn sign_out_organisation(organisation: &OrganisationId) -> Result<bool, StoreError>;
    fn link_identity(account: &AccountId, identity: Identity, details: Details) -> Refusable<(), LinkRefusal>;
    fn identity(identity: &Identity) -> Result<Option<(Account, LinkedIdentity)>, StoreError>;
    fn identities(account: &AccountId) -> Result<Vec<LinkedIdentity>, StoreError>;
    fn unlink_identity(account: &AccountId, identity: &Identity) -> Result<bool, StoreError>;
    fn adopt_identity(profile: Profile, identity: Identity, details: Details) -> Refusable<Account, LinkRefusal>;
    fn keep_note(note: &NoteKey, value: NoteValue, until: Timestamp) -> Result<bool, StoreError>;
    fn note(note: &NoteKey) -> Result<Option<Note>, StoreError>;
    fn change_note(
        note: &NoteKey,
        version: NoteVersion,
        value: NoteValue,
        until: Timestamp
    ) -> Result<bool, StoreError>;
    fn take_note(note: &NoteKey) -> Result<Option<NoteValue>, StoreError>;
    fn record(record: AuditRecord) -> Result<(), StoreError>;
    fn audit_tail(of: Option<&AccountId>, entries: u32) -> Result<Vec<AuditEntry>, StoreError>;
    fn log_end() -> Result<Cursor, StoreError>;
    fn incarnation() -> Result<Incarnation, StoreError>;
}
