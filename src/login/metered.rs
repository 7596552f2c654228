//! A store whose operations are timed and counted. Changes nothing of what they do.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast;

use super::metrics::Metrics;
use crate::clock::Clock;
use crate::crypto::{Algorithm, KeyId, PublicKey};
use crate::protocol::id::{ChallengeId, DeviceId, Epoch, Incarnation, Subject};
use crate::protocol::time::Timestamp;
use crate::store::{
    Account, AccountChange, AccountId, Actor, AuditEntry, AuditRecord, ChallengeSigners, Cursor, Details, DeviceRecord,
    DisplayName, EnrolRefusal, Enrolled, Hint, Identity, LinkRefusal, LinkedIdentity, NewSession, Note, NoteKey,
    NoteValue, NoteVersion, OpenRefusal, OrganisationId, Profile, Refusable, Session, SessionKey, SessionLookup,
    SharedStore, Store, StoreError, Tail, TicketHash, Ticketed,
};
use crate::verify::mark::{FirstUse, MarkError};

/// A store with a stopwatch.
#[derive(Debug)]
pub(super) struct Metered {
    inner: SharedStore,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
}

impl Metered {
    pub(super) fn new(inner: SharedStore, metrics: Arc<Metrics>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, metrics, clock }
    }

    async fn timed<T, E>(&self, operation: &'static str, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let started = self.clock.now();
        let outcome = work.await;
        self.metrics.store_operation(operation, self.clock.now().since(started), outcome.is_err());
        outcome
    }
}

/// Passes operations on, timed.
macro_rules! timed {
    ($(fn $name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        /// Every operation, by the name that it is counted under.
        pub(super) const OPERATIONS: &[&str] = &[$(stringify!($name),)* "mark"];

        #[async_trait]
        impl Store for Metered {
            $(async fn $name(&self, $($argument: $type),*) -> $answer {
                self.timed(stringify!($name), self.inner.$name($($argument),*)).await
            })*

            fn hints(&self) -> broadcast::Receiver<Hint> {
                self.inner.hints()
            }

            async fn hint(&self, hint: Hint) {
                self.inner.hint(hint).await;
            }

            async fn mark(
                &self,
                challenge: &ChallengeId,
                incarnation: &Incarnation,
                until: Timestamp,
            ) -> Result<FirstUse, MarkError> {
                let started = self.clock.now();
                let outcome = self.inner.mark(challenge, incarnation, until).await;
                let failed = matches!(outcome, Err(MarkError::Unavailable));
                self.metrics.store_operation("mark", self.clock.now().since(started), failed);
                self.metrics.mark(&outcome);
                outcome
            }
        }
    };
}

timed! {
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
    fn withdrawals(after: &Cursor) -> Result<Tail, StoreError>;
    fn incarnation() -> Result<Incarnation, StoreError>;
}
