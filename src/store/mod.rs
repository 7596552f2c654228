//! What a login server remembers: accounts, devices, sessions, the audit record, and single-use marks.
//!
//! [`Store`] speaks of what happens ("enrol this key with that ticket"), not of rows: each operation is atomic in
//! whatever engine is behind it, and what must happen together is one operation. Where an engine does not answer, the
//! caller gets [`StoreError`] and answers 503; nothing here guesses.
//!
//! Secrets (session ids, enrolment tickets) reach the store as SHA-256 digests only: who reads the database can sign in
//! as nobody.
//!
//! Engines: [`embedded`] (SQLite in a folder, or in memory). Every engine must pass the same suite, `suite.rs`.

mod account;
mod audit;
mod avatar;
mod device;
pub mod embedded;
mod keys;
mod open;
mod picture;
mod session;
#[cfg(test)]
mod suite;
mod text;

use std::sync::Arc;

use async_trait::async_trait;

pub use account::{Account, AccountChange, AccountId, BadAccountId, Profile};
pub use audit::{AuditEntry, AuditRecord, Audited};
pub use avatar::{AVATAR_MAX_LEN, AVATAR_MAX_PIXELS, Avatar, BadAvatar};
pub use device::{DeviceRecord, EnrolRefusal, Enrolled, TICKET_LIFE_SECONDS, TicketHash, Ticketed};
pub use keys::{ChallengeSigners, rotate_challenge_key};
pub use open::{OpenError, StoreUrl, open};
pub use session::{
    EndReason, EndedSession, Lifetimes, NewSession, OpenRefusal, Opened, Session, SessionKey, SessionLookup,
};
pub use text::{BadText, DISPLAY_NAME_MAX_LEN, DisplayName};

use crate::crypto::{Algorithm, KeyId, PublicKey};
use crate::protocol::id::{ChallengeId, DeviceId, Epoch, Incarnation, Subject};
use crate::protocol::time::Timestamp;
use crate::verify::mark::{FirstUse, MarkError};

/// The engine did not answer, or nobody knows what it did. The caller answers 503 and assumes nothing.
#[derive(Debug, thiserror::Error)]
#[error("the store is out of reach: {0}")]
pub struct StoreError(#[from] Box<dyn std::error::Error + Send + Sync>);

impl StoreError {
    /// Wraps an engine's own error.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// The outcome of an operation that may also be refused for a reason of the domain.
pub type Refusable<T, R> = Result<Result<T, R>, StoreError>;

/// What a login server remembers. Every operation may fail with [`StoreError`].
#[async_trait]
#[expect(clippy::missing_errors_doc, reason = "said once above")]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Whether the engine answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// The keys that challenges are signed with; makes the first one. Called once, at start; may block.
    fn challenge_signers(&self, algorithm: Algorithm) -> Result<ChallengeSigners, StoreError>;

    /// Records what an application's backend says of an account, makes the account where it is new, and keeps an
    /// enrolment ticket for it for [`TICKET_LIFE_SECONDS`]. Nothing where the account is disabled.
    async fn issue_ticket(&self, ticket: TicketHash, profile: Profile) -> Result<Option<Ticketed>, StoreError>;

    /// An account by the backend's name for it.
    async fn account(&self, account: &AccountId) -> Result<Option<Account>, StoreError>;

    /// An account by its subject.
    async fn account_of(&self, subject: &Subject) -> Result<Option<Account>, StoreError>;

    /// Changes what an administrator decides about an account. Disabling ends its sessions, which are returned;
    /// nothing where there is no such account.
    async fn change_account(
        &self,
        account: &AccountId,
        change: AccountChange,
    ) -> Result<Option<Vec<EndedSession>>, StoreError>;

    /// Consumes the ticket and enrols the key, in one step. A ticket is consumed by the first enrolment that presents
    /// it, also by one that is then refused.
    async fn enrol(&self, ticket: TicketHash, key: PublicKey, name: DisplayName) -> Refusable<Enrolled, EnrolRefusal>;

    /// The device with the given key, revoked or not.
    async fn device(&self, key: KeyId) -> Result<Option<DeviceRecord>, StoreError>;

    /// An account's active devices, oldest first.
    async fn devices(&self, account: &AccountId) -> Result<Vec<DeviceRecord>, StoreError>;

    /// Revokes one of an account's devices and ends its sessions, which are returned; nothing where the account has no
    /// such active device.
    async fn revoke_device(
        &self,
        account: &AccountId,
        device: &DeviceId,
    ) -> Result<Option<Vec<EndedSession>>, StoreError>;

    /// Raises a device's epoch and ends its sessions below it, which are returned. An epoch that is not above the stored
    /// one changes nothing.
    async fn raise_epoch(&self, device: &DeviceId, epoch: Epoch) -> Result<Vec<EndedSession>, StoreError>;

    /// Opens a session, raising the device's epoch to the session's. Refused where the device or account lost its rights
    /// since the token was verified.
    async fn open_session(&self, session: NewSession) -> Refusable<Opened, OpenRefusal>;

    /// Looks a session up and notes that it is in use.
    async fn use_session(&self, session: SessionKey) -> Result<SessionLookup, StoreError>;

    /// Looks a session up without prolonging it.
    async fn look_at_session(&self, session: SessionKey) -> Result<SessionLookup, StoreError>;

    /// Ends one session. Whether there was one.
    async fn end_session(&self, session: SessionKey) -> Result<bool, StoreError>;

    /// Ends all the sessions of an account, which are returned.
    async fn end_sessions_of(&self, account: &AccountId) -> Result<Vec<EndedSession>, StoreError>;

    /// Appends to the audit record. The operations above write their own entries with what they do.
    async fn record(&self, record: AuditRecord) -> Result<(), StoreError>;

    /// The newest entries of the audit record, newest first.
    async fn audit_tail(&self, entries: u32) -> Result<Vec<AuditEntry>, StoreError>;

    /// The single-use store's current life (protocol section 6.9).
    async fn incarnation(&self) -> Result<Incarnation, StoreError>;

    /// Marks a challenge used until the given time at least, if the incarnation is still the one given: one atomic
    /// operation.
    async fn mark(
        &self,
        challenge: &ChallengeId,
        incarnation: &Incarnation,
        until: Timestamp,
    ) -> Result<FirstUse, MarkError>;
}

/// A store as the login server holds it.
pub type SharedStore = Arc<dyn Store>;
