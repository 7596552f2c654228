//! What comes out of verification: a token that may be redeemed, one that was, and a proved presence.

use super::mark::FirstUse;
use super::{Device, Fault, LOGIN_CHALLENGE_AGE_SECONDS, MARK_MARGIN_SECONDS};
use crate::protocol::id::{ChallengeId, DeviceId, Epoch, Incarnation, Seq, Sid, Subject, TokenId};
use crate::protocol::origin::Origin;
use crate::protocol::state::PresenceState;
use crate::protocol::statement::{Challenge, Login, Presence, UserVerification};
use crate::protocol::time::Timestamp;

/// A login token in which everything is right. Whether it was used before only the single-use store can say.
#[derive(Debug)]
pub struct Redeemable {
    mark: ChallengeId,
    incarnation: Incarnation,
    until: Timestamp,
    login: Login,
    device: DeviceId,
}

impl Redeemable {
    pub(super) fn new(login: Login, challenge: &Challenge, device: &Device) -> Self {
        Self {
            mark: challenge.jti,
            incarnation: challenge.inc.clone(),
            until: challenge.iat.plus(LOGIN_CHALLENGE_AGE_SECONDS + MARK_MARGIN_SECONDS),
            login,
            device: device.id.clone(),
        }
    }

    /// What to mark as used: the challenge's `jti`, never anything that the token's bytes could vary.
    #[must_use]
    pub const fn mark(&self) -> &ChallengeId {
        &self.mark
    }

    /// The life of the single-use store in which alone the mark counts.
    #[must_use]
    pub const fn incarnation(&self) -> &Incarnation {
        &self.incarnation
    }

    /// How long the mark must be kept.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// The device that signed.
    #[must_use]
    pub const fn device(&self) -> &DeviceId {
        &self.device
    }

    /// Redeems the token with the mark that was taken for it.
    ///
    /// # Errors
    /// [`Fault::ForeignMark`] where the mark is another challenge's.
    pub fn redeem(self, first: FirstUse) -> Result<Redeemed, Fault> {
        if *first.challenge() != self.mark {
            return Err(Fault::ForeignMark);
        }
        // Spent: one mark opens one session.
        drop(first);
        Ok(Redeemed { login: self.login, device: self.device })
    }
}

/// A login token that was redeemed for the first and only time: what a session may be opened for.
#[derive(Debug)]
pub struct Redeemed {
    login: Login,
    device: DeviceId,
}

impl Redeemed {
    /// The person who signs in.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        &self.login.sub
    }

    /// The device that signed.
    #[must_use]
    pub const fn device(&self) -> &DeviceId {
        &self.device
    }

    /// The device's epoch at that time.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.login.epo
    }

    /// How the person agreed.
    #[must_use]
    pub const fn user_verification(&self) -> UserVerification {
        self.login.uv
    }

    /// When the person agreed, by the issuer's clock.
    #[must_use]
    pub const fn agreed_at(&self) -> Timestamp {
        self.login.iat
    }

    /// The origin of the page that signs in.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.login.org
    }

    /// The browser that signs in.
    #[must_use]
    pub const fn sid(&self) -> &Sid {
        &self.login.sid
    }

    /// The token's own name, for the audit record.
    #[must_use]
    pub const fn token(&self) -> &TokenId {
        &self.login.jti
    }
}

/// A presence proof in which everything is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proved {
    /// The person whom the device belongs to.
    pub subject: Subject,
    /// The device that signed.
    pub device: DeviceId,
    /// The device's epoch.
    pub epoch: Epoch,
    /// How the person stands to the client.
    pub presence: PresenceState,
    /// The number of that state.
    pub seq: Seq,
    /// The challenge that it answers.
    pub challenge: ChallengeId,
}

impl Proved {
    pub(super) fn new(presence: &Presence, device: &Device) -> Self {
        Self {
            subject: presence.sub.clone(),
            device: device.id.clone(),
            epoch: presence.epo,
            presence: presence.pst,
            seq: presence.seq,
            challenge: presence.nonce,
        }
    }
}
