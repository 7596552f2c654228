//! Web sessions. Their ids are secrets of the browser; the store knows digests.

use std::time::Duration;

use super::{Account, DisplayName};
use crate::crypto::{self, Secret};
use crate::protocol::id::{DeviceId, Epoch, TokenId};
use crate::protocol::origin::Origin;
use crate::protocol::time::Timestamp;
use crate::verify::Redeemed;

/// A session as the store keeps it: the SHA-256 digest of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey(pub(super) [u8; 32]);

impl SessionKey {
    /// The digest of a session's id.
    #[must_use]
    pub fn of(id: &Secret<[u8; 32]>) -> Self {
        Self(crypto::sha256(&[id.expose()]))
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

/// A session to be opened. Only a redeemed token makes one (and, later, a connector's own proof).
#[derive(Debug)]
pub struct NewSession {
    pub(super) key: SessionKey,
    pub(super) device: DeviceId,
    pub(super) epoch: Epoch,
    pub(super) origin: Origin,
    pub(super) method: &'static str,
    pub(super) lifetimes: Lifetimes,
    pub(super) replaces: Option<SessionKey>,
    pub(super) token: TokenId,
}

impl NewSession {
    /// The method of sessions that an agent's token opened.
    pub const AGENT: &'static str = "agent";

    /// The session that a redeemed token opens.
    #[must_use]
    pub fn redeemed(redeemed: &Redeemed, key: SessionKey, lifetimes: Lifetimes) -> Self {
        Self {
            key,
            device: redeemed.device().clone(),
            epoch: redeemed.epoch(),
            origin: redeemed.origin().clone(),
            method: Self::AGENT,
            lifetimes,
            replaces: None,
            token: *redeemed.token(),
        }
    }

    /// Ends the browser's former session in the same step.
    #[must_use]
    pub fn replacing(mut self, former: Option<SessionKey>) -> Self {
        self.replaces = former;
        self
    }
}

/// A session that was just opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The account that is signed in.
    pub account: Account,
    /// Sessions that ended by it.
    pub ended: Vec<EndedSession>,
}

/// Why a session was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenRefusal {
    /// The device or the account lost its rights, or the device signed out, after the token was verified.
    #[error("the device or account lost its rights meanwhile")]
    Withdrawn,
}

/// A session that ended as part of something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedSession {
    /// Which one.
    pub key: SessionKey,
    /// Why.
    pub reason: EndReason,
}

/// Why a session is over; what its pages are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The person logged out of it.
    LoggedOut,
    /// The person logged out everywhere, from another browser.
    LoggedOutEverywhere,
    /// The person signed out of the client, or another did sign in to it.
    SignedOut,
    /// The device was revoked.
    Revoked,
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
            Self::Ended => "ended",
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
    /// The device that signed in.
    pub device: DeviceId,
    /// That device's name.
    pub device_name: DisplayName,
    /// The device's epoch at the sign-in.
    pub epoch: Epoch,
    /// The origin of the page that signed in.
    pub origin: Origin,
    /// How the person signed in.
    pub method: String,
    /// When.
    pub signed_in_at: Timestamp,
    /// When it ends, if it is used until then.
    pub expires_at: Timestamp,
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
