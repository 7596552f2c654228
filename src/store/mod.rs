//! What a login server remembers: accounts, devices, sessions, the audit record, and single-use marks.
//!
//! [`Store`] speaks of what happens ("enrol this key with that ticket"), not of rows: each operation is atomic in
//! whatever engine is behind it, and what must happen together is one operation. Where an engine does not answer, the
//! caller gets [`StoreError`] and answers 503; nothing here guesses.
//!
//! Secrets (session ids, enrolment tickets, what finds a note) reach the store as SHA-256 digests only: who reads the
//! database can sign in as nobody.
//!
//! Engines: [`embedded`] (SQLite in a folder, or in memory) and, each with the feature of its name, `postgres` and `redis`
//! (or Valkey). Every engine must pass the same suite, `suite.rs`.

mod account;
mod audit;
mod avatar;
mod device;
pub mod embedded;
mod hint;
mod identity;
mod keys;
mod new_session;
mod note;
mod open;
mod organisation;
mod picture;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod sealed;
mod session;
mod shared;
#[cfg(test)]
mod suite;
mod text;
#[cfg(feature = "redis")]
mod tls;
mod withdrawal;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::broadcast;

pub use account::{Account, AccountChange, AccountId, BadAccountId, Profile};
pub use audit::{Actor, AuditEntry, AuditRecord, Audited};
pub use avatar::{AVATAR_MAX_LEN, AVATAR_MAX_PIXELS, Avatar, BadAvatar};
pub use device::{DeviceRecord, EnrolRefusal, Enrolled, TICKET_LIFE_SECONDS, TicketHash, Ticketed};
pub use hint::Hint;
pub use identity::{BadIdentity, ConnectorName, Details, Identity, LinkRefusal, LinkedIdentity};
pub use keys::{ChallengeSigners, ROTATION_LEAD_SECONDS};
pub use new_session::{Approved, NewSession, Vouched, Voucher};
pub use note::{BadNote, NOTE_MAX_LEN, Note, NoteKey, NoteKind, NoteValue, NoteVersion};
pub use open::{OpenError, StoreUrl, open};
pub use organisation::{BadOrganisationId, OrganisationId};
pub use session::{EndReason, Lifetimes, OpenRefusal, Session, SessionKey, SessionLookup};
pub use shared::{Address, SEALING_SECRET_MIN_LEN, Shared, SharedOptions};
pub use text::{BadText, DISPLAY_NAME_MAX_LEN, DisplayName};
pub use withdrawal::{
    Cursor, Generation, Standing, TAIL_MAX_LEN, Tail, WITHDRAWALS_KEPT_SECONDS, Withdrawal, Withdrawn,
};

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

    /// What happened, without the words that every such error begins with: to be said to several callers.
    fn reason(&self) -> String {
        self.0.to_string()
    }
}

/// The outcome of an operation that may also be refused for a reason of the domain.
pub type Refusable<T, R> = Result<Result<T, R>, StoreError>;

/// What a login server remembers. Every operation may fail with [`StoreError`].
///
/// What takes rights away writes a [`Withdrawal`] in the same step and then rings [`Hint::LogGrew`].
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Whether the engine answers, and takes writes.
    async fn ping(&self) -> Result<(), StoreError>;

    /// The keys that challenges are signed with; makes the first one. Asked at the start and every now and then after, so
    /// that a key that was made elsewhere is published before it signs.
    async fn challenge_signers(&self, algorithm: Algorithm) -> Result<ChallengeSigners, StoreError>;

    /// Makes a new challenge key. It is published at once and signs [`ROTATION_LEAD_SECONDS`] later; the one before stays
    /// published.
    async fn rotate_challenge_key(&self, algorithm: Algorithm) -> Result<(), StoreError>;

    /// Records what an application's backend says of an account, makes the account where it is new, and keeps an
    /// enrolment ticket for it for [`TICKET_LIFE_SECONDS`]. Nothing where the account is disabled.
    async fn issue_ticket(&self, ticket: TicketHash, profile: Profile) -> Result<Option<Ticketed>, StoreError>;

    /// An account by the backend's name for it.
    async fn account(&self, account: &AccountId) -> Result<Option<Account>, StoreError>;

    /// An account by its subject.
    async fn account_of(&self, subject: &Subject) -> Result<Option<Account>, StoreError>;

    /// Accounts in the order of the bytes of their names, from the one after the given.
    async fn accounts(&self, after: Option<&AccountId>, limit: u32) -> Result<Vec<Account>, StoreError>;

    /// Changes what an administrator decides about an account, and returns it; nothing where there is none. Disabling it,
    /// or moving it to another organisation, ends its sessions. A new name or picture rings [`Hint::ProfileChanged`].
    async fn change_account(&self, account: &AccountId, change: AccountChange) -> Result<Option<Account>, StoreError>;

    /// Erases an account with its devices, identities, tickets and sessions. Its lines of the audit record stay, under its
    /// subject alone. Whether there was one.
    async fn erase_account(&self, account: &AccountId) -> Result<bool, StoreError>;

    /// Consumes the ticket and enrols the key, in one step. A ticket is consumed by the first enrolment that presents
    /// it, also by one that is then refused.
    async fn enrol(&self, ticket: TicketHash, key: PublicKey, name: DisplayName) -> Refusable<Enrolled, EnrolRefusal>;

    /// The device with the given key, revoked or not.
    async fn device(&self, key: KeyId) -> Result<Option<DeviceRecord>, StoreError>;

    /// An account's active devices, oldest first.
    async fn devices(&self, account: &AccountId) -> Result<Vec<DeviceRecord>, StoreError>;

    /// Revokes one of an account's devices and ends its sessions. Whether the account had such an active device.
    async fn revoke_device(&self, account: &AccountId, device: &DeviceId, by: Actor) -> Result<bool, StoreError>;

    /// Raises a device's epoch and ends its sessions below it. Whether it rose: an epoch that is not above the stored one
    /// changes nothing.
    async fn raise_epoch(&self, device: &DeviceId, epoch: Epoch) -> Result<bool, StoreError>;

    /// Opens a session, raising the device's epoch to the session's where it has one. In the same step it looks once more
    /// at all that may have changed since the person was verified: the device, the account, and how well the account
    /// wants its person verified ([`OpenRefusal::Withdrawn`]).
    async fn open_session(&self, session: NewSession) -> Refusable<Account, OpenRefusal>;

    /// Looks a session up and notes that it is in use.
    async fn use_session(&self, session: SessionKey) -> Result<SessionLookup, StoreError>;

    /// Looks a session up without prolonging it.
    async fn look_at_session(&self, session: SessionKey) -> Result<SessionLookup, StoreError>;

    /// An account's open sessions, the newest first.
    async fn sessions(&self, account: &AccountId) -> Result<Vec<Session>, StoreError>;

    /// Ends one of an account's sessions. Whether the account had such a one.
    async fn end_session(&self, account: &AccountId, session: SessionKey) -> Result<bool, StoreError>;

    /// Signs an account out everywhere: ends its sessions, and asks its devices to sign out
    /// ([`DeviceRecord::asked_epoch`]). The person does it from a session, which is told that it logged out, before the
    /// others are told that it was done elsewhere; without one it was an administrator. Whether there is such an account.
    async fn sign_out_account(&self, account: &AccountId, from: Option<SessionKey>) -> Result<bool, StoreError>;

    /// Ends the sessions of everybody in an organisation. Whether anybody was ever put in it.
    async fn sign_out_organisation(&self, organisation: &OrganisationId) -> Result<bool, StoreError>;

    /// Links a person's identity elsewhere to an account. Linked again to the same account, its details are written anew
    /// and nothing else.
    async fn link_identity(
        &self,
        account: &AccountId,
        identity: Identity,
        details: Details,
    ) -> Refusable<(), LinkRefusal>;

    /// Whose identity it is, disabled or not.
    async fn identity(&self, identity: &Identity) -> Result<Option<(Account, LinkedIdentity)>, StoreError>;

    /// An account's identities, the oldest link first.
    async fn identities(&self, account: &AccountId) -> Result<Vec<LinkedIdentity>, StoreError>;

    /// Takes a link away. Whether the account had it. Sessions go on.
    async fn unlink_identity(&self, account: &AccountId, identity: &Identity) -> Result<bool, StoreError>;

    /// Makes an account for an identity that nobody has yet, and links it, in one step. An account that is there is never
    /// given to whoever comes with its name: unless this very identity is linked to it, that is [`LinkRefusal::Taken`].
    /// Where it is linked already, its details are written anew; the profile stays as it is.
    async fn adopt_identity(
        &self,
        profile: Profile,
        identity: Identity,
        details: Details,
    ) -> Refusable<Account, LinkRefusal>;

    /// Keeps a note until the given time. Whether it is kept: false where one is there.
    async fn keep_note(&self, note: &NoteKey, value: NoteValue, until: Timestamp) -> Result<bool, StoreError>;

    /// Reads a note.
    async fn note(&self, note: &NoteKey) -> Result<Option<Note>, StoreError>;

    /// Writes a note anew that nobody changed since it was read. Whether it was so: false where it is another version, or
    /// gone. Rings [`Hint::NoteChanged`].
    async fn change_note(
        &self,
        note: &NoteKey,
        version: NoteVersion,
        value: NoteValue,
        until: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Reads a note and forgets it, in one step: of several takers one gets it.
    async fn take_note(&self, note: &NoteKey) -> Result<Option<NoteValue>, StoreError>;

    /// Appends to the audit record. The operations above write their own entries with what they do.
    async fn record(&self, record: AuditRecord) -> Result<(), StoreError>;

    /// The newest entries of the audit record, of one account or of all, newest first.
    async fn audit_tail(&self, of: Option<&AccountId>, entries: u32) -> Result<Vec<AuditEntry>, StoreError>;

    /// The end of the log of withdrawals, from which whoever starts reads on.
    async fn log_end(&self) -> Result<Cursor, StoreError>;

    /// What the log holds after a place, [`TAIL_MAX_LEN`] entries at most.
    async fn withdrawals(&self, after: &Cursor) -> Result<Tail, StoreError>;

    /// Hints of every replica from now on, this one's too.
    fn hints(&self) -> broadcast::Receiver<Hint>;

    /// Gives a hint to every replica. Nobody learns where it did not get through.
    async fn hint(&self, hint: Hint);

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
