//! Sessions that are to be opened, each with what entitles to it.

use std::fmt;

use super::{Account, ConnectorName, DeviceRecord, DisplayName, Generation, Lifetimes, SessionKey};
use crate::protocol::id::{DeviceId, Epoch, Subject, TokenId};
use crate::protocol::origin::Origin;
use crate::protocol::statement::UserVerification;
use crate::verify::Redeemed;

/// An approval that a device signed, in which everything is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    /// The device that signed.
    pub device: DeviceId,
    /// Its epoch, as the approval says.
    pub epoch: Epoch,
    /// The origin of the page that waits.
    pub origin: Origin,
    /// How the person agreed.
    pub uv: UserVerification,
    /// The approval's own name, for the audit record only.
    pub id: TokenId,
}

/// Who says who somebody is, where no device signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Voucher {
    /// A browser in which the person was signed in approved it.
    Approval,
    /// Another system signed the person in.
    Connector(ConnectorName),
}

impl fmt::Display for Voucher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approval => f.write_str(NewSession::APPROVAL),
            Self::Connector(connector) => write!(f, "connector:{connector}"),
        }
    }
}

/// A person whom something else than a device's signature vouches for. Whoever makes one has verified it all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// The account, by the name that no other account ever has.
    pub subject: Subject,
    /// The account's generation when the person was verified ([`Account::generation`]). Signed out everywhere since, the
    /// account does not let this one in.
    pub generation: Generation,
    /// Who says so.
    pub by: Voucher,
    /// The origin of the page that signs in.
    pub origin: Origin,
    /// How well the person was verified.
    pub uv: UserVerification,
    /// A name of this one sign-in, for the audit record only.
    pub id: TokenId,
}

/// What a session to be opened stands on.
#[derive(Debug)]
pub(super) enum Grounds {
    /// What a device signed.
    Device {
        /// The device.
        device: DeviceId,
        /// Its epoch then.
        epoch: Epoch,
    },
    /// An account alone.
    Account {
        /// The account.
        subject: Subject,
        /// Its generation then.
        generation: Generation,
    },
}

/// A session to be opened: by a redeemed token, an approval, or a connector's word.
#[derive(Debug)]
pub struct NewSession {
    pub(super) key: SessionKey,
    pub(super) grounds: Grounds,
    pub(super) origin: Origin,
    pub(super) method: String,
    pub(super) uv: UserVerification,
    pub(super) lifetimes: Lifetimes,
    pub(super) replaces: Option<SessionKey>,
    pub(super) browser: Option<DisplayName>,
    id: TokenId,
}

impl NewSession {
    /// The method of sessions that an agent's token opened.
    pub const AGENT: &'static str = "agent";
    /// The method of sessions that were approved elsewhere.
    pub const APPROVAL: &'static str = "approval";

    /// The session that a redeemed token opens.
    #[must_use]
    pub fn redeemed(redeemed: &Redeemed, key: SessionKey, lifetimes: Lifetimes) -> Self {
        let approved = Approved {
            device: redeemed.device().clone(),
            epoch: redeemed.epoch(),
            origin: redeemed.origin().clone(),
            uv: redeemed.user_verification(),
            id: *redeemed.token(),
        };
        Self { method: Self::AGENT.to_owned(), ..Self::approved(approved, key, lifetimes) }
    }

    /// The session that an approval opens which a device signed. It ends with the device's rights and with its epoch.
    #[must_use]
    pub fn approved(approved: Approved, key: SessionKey, lifetimes: Lifetimes) -> Self {
        let Approved { device, epoch, origin, uv, id } = approved;
        let (grounds, method) = (Grounds::Device { device, epoch }, Self::APPROVAL.to_owned());
        Self { key, grounds, origin, method, uv, lifetimes, replaces: None, browser: None, id }
    }

    /// The session of a person whom somebody vouches for. It has no device, and ends with the account's rights alone.
    #[must_use]
    pub fn vouched(vouched: Vouched, key: SessionKey, lifetimes: Lifetimes) -> Self {
        let Vouched { subject, generation, by, origin, uv, id } = vouched;
        let (grounds, method) = (Grounds::Account { subject, generation }, by.to_string());
        Self { key, grounds, origin, method, uv, lifetimes, replaces: None, browser: None, id }
    }

    /// Says in which browser, as the person's list of sessions shows it.
    #[must_use]
    pub fn in_browser(mut self, browser: Option<DisplayName>) -> Self {
        self.browser = browser;
        self
    }

    /// Ends the browser's former session in the same step.
    #[must_use]
    pub fn replacing(mut self, former: Option<SessionKey>) -> Self {
        self.replaces = former;
        self
    }

    /// The device, where there is one.
    pub(super) const fn device(&self) -> Option<&DeviceId> {
        match &self.grounds {
            Grounds::Device { device, .. } => Some(device),
            Grounds::Account { .. } => None,
        }
    }

    /// The device's epoch.
    pub(super) const fn epoch(&self) -> Epoch {
        match &self.grounds {
            Grounds::Device { epoch, .. } => *epoch,
            Grounds::Account { .. } => Epoch(0),
        }
    }

    /// Whether the device, as it is now, may open it.
    pub(super) fn is_good_with(&self, device: &DeviceRecord) -> bool {
        device.revoked_at.is_none() && device.epoch <= self.epoch() && self.is_good_for(&device.account)
    }

    /// Whether it may be opened for the account, as it is now.
    pub(super) fn is_good_for(&self, account: &Account) -> bool {
        let as_it_was = match &self.grounds {
            Grounds::Device { .. } => true,
            Grounds::Account { subject, generation } => {
                *subject == account.subject && account.generation <= *generation
            }
        };
        as_it_was && !account.disabled && self.uv >= account.minimum_uv
    }

    /// What is written to the audit record.
    pub(super) fn detail(&self) -> String {
        format!("origin={} method={} token={}", self.origin, self.method, self.id)
    }
}
