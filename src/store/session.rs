//! Web sessions. Their ids are secrets of the browser; the store knows digests.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Account, DisplayName, Generation};
use crate::crypto::{self, Secret};
use crate::protocol::base64url;
use crate::protocol::id::{BadId, DeviceId, Epoch};
use crate::protocol::origin::Origin;
use crate::protocol::time::Timestamp;

/// A session as the store keeps it: the SHA-256 digest of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionKey(pub(super) [u8; 32]);

impl SessionKey {
    /// The digest of a session's id.
    #[must_use]
    pub fn of(id: &Secret<[u8; 32]>) -> Self {
        Self(crypto::sha256(&[id.expose()]))
    }
}

impl std::str::FromStr for SessionKey {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        base64url::decode_array(text).map(Self).map_err(|_| BadId("session"))
    }
}

impl TryFrom<String> for SessionKey {
    type Error = BadId;

    fn try_from(text: String) -> Result<Self, BadId> {
        text.parse()
    }
}

impl From<SessionKey> for String {
    fn from(key: SessionKey) -> Self {
        base64url::encode(key.0)
    }
}

/// How long sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// From the sign-in, whatever happens.
    pub absolute: Duration,
    /// From the last use.
    pub idle: Duration,
}

impl Default for Lifetimes {
    /// Twelve hours, two hours without use: signing in again is one click.
    fn default() -> Self {
        Self { absolute: Duration::from_secs(12 * 3600), idle: Duration::from_secs(2 * 3600) }
    }
}

/// Why a session was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenRefusal {
    /// After the person was verified the device or the account lost its rights, the device signed out, the account was
    /// signed out everywhere, or the account came to ask for a stronger verification of the person.
    #[error("the device or account lost its rights meanwhile")]
    Withdrawn,
}

/// Why a session is over; what its pages are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// The person logged out of it.
    LoggedOut,
    /// The person logged out everywhere, from another browser, or an administrator did it.
    LoggedOutEverywhere,
    /// The person signed out of the client, or another did sign in to it.
    SignedOut,
    /// The device was revoked.
    Revoked,
    /// The account was disabled.
    Disabled,
    /// The account was erased.
    Erased,
    /// Its time was over.
    Expired,
    /// For another reason, or one that nobody remembers.
    Ended,
}

impl EndReason {
    /// The reason as the pages' events carry it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoggedOut => "logged_out",
            Self::LoggedOutEverywhere => "logged_out_everywhere",
            Self::SignedOut => "signed_out",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            // Nobody but the administrator needs to know.
            Self::Disabled | Self::Erased | Self::Ended => "ended",
        }
    }
}

/// An open session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Which one.
    pub key: SessionKey,
    /// Who is signed in.
    pub account: Account,
    /// The device that signed in, where one did.
    pub device: Option<DeviceId>,
    /// That device's name.
    pub device_name: Option<DisplayName>,
    /// The device's epoch at the sign-in; 0 where there is none.
    pub epoch: Epoch,
    /// The account's generation at the sign-in.
    pub generation: Generation,
    /// Its organisation's.
    pub organisation_generation: Generation,
    /// The browser, as the person's list of sessions shows it.
    pub browser: Option<DisplayName>,
    /// The origin of the page that signed in.
    pub origin: Origin,
    /// How the person signed in: `agent`, `approval`, `connector:NAME`.
    pub method: String,
    /// When.
    pub signed_in_at: Timestamp,
    /// When it ends, if it is used until then.
    pub expires_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used: Timestamp,
}

/// What became of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionLookup {
    /// It is open.
    Open(Box<Session>),
    /// It is over, or never was.
    Over(EndReason),
}

impl SessionLookup {
    /// The session, where it is open.
    #[must_use]
    pub fn open(self) -> Option<Session> {
        match self {
            Self::Open(session) => Some(*session),
            Self::Over(_) => None,
        }
    }
}

/// A session as an engine keeps it, with what it is judged by.
pub(super) struct KeptSession {
    pub(super) session: Session,
    /// How long it may go unused.
    pub(super) idle_seconds: u64,
    /// The device's epoch now; 0 where the session has none.
    pub(super) device_epoch: Epoch,
    /// Where the session has a device.
    pub(super) device_revoked: bool,
    /// The organisation's generation now.
    pub(super) organisation_generation: Generation,
}

impl KeptSession {
    /// Whether the session still counts. Decided on each use, so that no order in which sign-outs and sign-ins arrive lets
    /// one survive.
    pub(super) fn judge(self, now: Timestamp) -> SessionLookup {
        let session = self.session;
        let idle_end = session.last_used.plus(self.idle_seconds);
        let over = if self.device_revoked {
            Some(EndReason::Revoked)
        } else if self.device_epoch > session.epoch {
            Some(EndReason::SignedOut)
        } else if session.account.disabled {
            Some(EndReason::Disabled)
        } else if session.account.generation > session.generation
            || self.organisation_generation > session.organisation_generation
        {
            Some(EndReason::LoggedOutEverywhere)
        } else if now >= session.expires_at || now >= idle_end {
            Some(EndReason::Expired)
        } else {
            None
        };
        over.map_or_else(|| SessionLookup::Open(Box::new(session)), SessionLookup::Over)
    }
}

/// How much later a use must be than the noted one to be noted, in seconds: a page that asks each second costs no write
/// each second.
pub(super) const USE_GRANULARITY_SECONDS: u64 = 60;
