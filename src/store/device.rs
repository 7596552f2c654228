//! Devices and the tickets that enrol them.

use super::{Account, DisplayName};
use crate::crypto::{self, PublicKey};
use crate::protocol::id::{DeviceId, EnrolmentTicket, Epoch, Subject};
use crate::protocol::time::Timestamp;
use crate::verify;

/// How long an enrolment ticket is valid, in seconds (protocol section 5).
pub const TICKET_LIFE_SECONDS: u64 = 300;

/// An enrolment ticket as the store keeps it: its SHA-256 digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TicketHash(pub(super) [u8; 32]);

impl TicketHash {
    /// The digest of a ticket.
    #[must_use]
    pub fn of(ticket: &EnrolmentTicket) -> Self {
        Self(crypto::sha256(&[ticket.as_bytes()]))
    }
}

/// The answer to a request for a ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticketed {
    /// The account's subject.
    pub subject: Subject,
    /// When the ticket stops being accepted.
    pub expires_at: Timestamp,
}

/// A device that was just enrolled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// The new device.
    pub device: DeviceId,
    /// Its first epoch.
    pub epoch: Epoch,
    /// Whose it is.
    pub account: Account,
}

/// Why a key was not enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnrolRefusal {
    /// The ticket is unknown, was used, or has expired.
    #[error("the ticket is unknown, used or expired")]
    Ticket,
    /// The ticket's account was disabled meanwhile.
    #[error("the account is disabled")]
    Disabled,
    /// The key is enrolled already, for whomever.
    #[error("the key is enrolled already")]
    DuplicateKey,
}

/// An enrolled device with the account it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    /// The issuer's name for it.
    pub id: DeviceId,
    /// Its public key.
    pub key: PublicKey,
    /// Shown to the person.
    pub name: DisplayName,
    /// Whose it is.
    pub account: Account,
    /// The highest epoch that its statements have carried.
    pub epoch: Epoch,
    /// The epoch that it is asked to go to, where its account was signed out everywhere. Told over the link; a token of a
    /// lower one is not refused for it.
    pub asked_epoch: Epoch,
    /// When it was enrolled.
    pub enrolled_at: Timestamp,
    /// When its rights were taken away, if they were.
    pub revoked_at: Option<Timestamp>,
}

impl DeviceRecord {
    /// What the verifier needs of it.
    #[must_use]
    pub fn for_verification(&self) -> verify::Device {
        verify::Device {
            id: self.id.clone(),
            key: self.key.clone(),
            subject: self.account.subject.clone(),
            revoked: self.revoked_at.is_some(),
            account_disabled: self.account.disabled,
            epoch: self.epoch,
            minimum_uv: self.account.minimum_uv,
        }
    }
}
