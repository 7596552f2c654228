//! A challenge and the statement that answers it, as somebody presents them.

use super::signature::verify_signature;
use super::{Device, Expectations, Fault, LOGIN_CHALLENGE_AGE_SECONDS, PRESENTED_MAX_LEN, Proved, Redeemable};
use crate::crypto::KeyId;
use crate::protocol::id::{ChallengeId, DeviceIssuer, Epoch, Sid, Subject};
use crate::protocol::issuer::Issuer;
use crate::protocol::limits::CHALLENGE_MAX_AGE_SECONDS;
use crate::protocol::origin::Origin;
use crate::protocol::statement::{BadStatement, Challenge, Login, Presence, Statement, Unverified};
use crate::protocol::time::Timestamp;

/// A challenge and a statement whose form and header are right, and of which nothing else is known.
#[derive(Debug)]
pub struct Presented<'a, S> {
    challenge: &'a str,
    statement: Unverified<'a, S>,
}

impl<'a, S: Statement> Presented<'a, S> {
    /// Takes both apart: size, three parts, strict base64url, header.
    ///
    /// # Errors
    /// [`Fault`] for the first thing that is wrong.
    pub fn parse(challenge: &'a str, statement: &'a str) -> Result<Self, Fault> {
        if challenge.len() > PRESENTED_MAX_LEN {
            return Err(Fault::Challenge(BadStatement::TooLong));
        }
        Ok(Self { challenge, statement: Unverified::parse(statement)? })
    }

    /// The key that is said to have signed: for looking the device up, not for trusting it.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.statement.key_id()
    }

    /// `alg`, signature, claims; with a dummy key where the device is unknown.
    fn verify_signature<'d>(&self, device: Option<&'d Device>) -> Result<(S, &'d Device), Fault> {
        let statement = verify_signature(&self.statement, device.map(|device| &device.key))?;
        Ok((statement, device.ok_or(Fault::UnknownKey)?))
    }
}

impl Presented<'_, Login> {
    /// Verifies a login token, all but the mark (protocol section 6.4). `posted` is the subject on the card that was
    /// clicked.
    ///
    /// # Errors
    /// [`Fault`] for the first thing that is wrong.
    pub fn verify(
        &self,
        device: Option<&Device>,
        expected: &Expectations<'_>,
        posted: &Subject,
    ) -> Result<Redeemable, Fault> {
        let (login, device) = self.verify_signature(device)?;
        let challenge = expected.verify_challenge(self.challenge, LOGIN_CHALLENGE_AGE_SECONDS)?;
        verify_bond(&login, &challenge, device, expected)?;
        if login.sub != *posted {
            return Err(Fault::PostedSubject);
        }
        verify_standing(&login, device)?;
        if login.uv < device.minimum_uv {
            return Err(Fault::UserVerification);
        }
        Ok(Redeemable::new(login, &challenge, device))
    }
}

impl Presented<'_, Presence> {
    /// Verifies a presence proof: as a login token up to device and epoch, with a younger challenge, and nothing is
    /// marked (protocol section 6.3).
    ///
    /// # Errors
    /// [`Fault`] for the first thing that is wrong.
    pub fn verify(&self, device: Option<&Device>, expected: &Expectations<'_>) -> Result<Proved, Fault> {
        let (presence, device) = self.verify_signature(device)?;
        let challenge = expected.verify_challenge(self.challenge, CHALLENGE_MAX_AGE_SECONDS)?;
        verify_bond(&presence, &challenge, device, expected)?;
        verify_standing(&presence, device)?;
        Ok(Proved::new(&presence, device))
    }
}

/// What login tokens and presence proofs have in common.
trait Answer {
    fn iss(&self) -> &DeviceIssuer;
    fn is_for(&self, issuer: &Issuer) -> bool;
    fn sub(&self) -> &Subject;
    fn org(&self) -> &Origin;
    fn nonce(&self) -> &ChallengeId;
    fn sid(&self) -> &Sid;
    fn epo(&self) -> Epoch;
    fn exp(&self) -> Timestamp;
}

macro_rules! answer {
    ($statement:ty, $is_for:expr) => {
        impl Answer for $statement {
            fn iss(&self) -> &DeviceIssuer {
                &self.iss
            }
            fn is_for(&self, issuer: &Issuer) -> bool {
                $is_for(self, issuer)
            }
            fn sub(&self) -> &Subject {
                &self.sub
            }
            fn org(&self) -> &Origin {
                &self.org
            }
            fn nonce(&self) -> &ChallengeId {
                &self.nonce
            }
            fn sid(&self) -> &Sid {
                &self.sid
            }
            fn epo(&self) -> Epoch {
                self.epo
            }
            fn exp(&self) -> Timestamp {
                self.exp
            }
        }
    };
}

// A token is for the one address that redeems it; the challenge's `rdm` was compared with the same address.
answer!(Login, |login: &Login, issuer: &Issuer| login.aud.is_login_of(issuer));
answer!(Presence, |presence: &Presence, issuer: &Issuer| presence.aud == *issuer);

/// `nonce`, `org`, `aud`, `iss`, then the browser, then the time.
fn verify_bond(
    answer: &impl Answer,
    challenge: &Challenge,
    device: &Device,
    expected: &Expectations<'_>,
) -> Result<(), Fault> {
    if *answer.nonce() != challenge.jti {
        return Err(Fault::Nonce);
    }
    if *answer.org() != challenge.org {
        return Err(Fault::Origin);
    }
    if !answer.is_for(expected.issuer) {
        return Err(Fault::Audience);
    }
    if answer.iss().0 != device.id {
        return Err(Fault::Issuer);
    }
    expected.verify_browser(challenge, answer.sid())?;
    if expected.now > answer.exp() { Err(Fault::Expired) } else { Ok(()) }
}

/// Whether the device may speak for the person now.
fn verify_standing(answer: &impl Answer, device: &Device) -> Result<(), Fault> {
    // The signature only proves the device: it must not sign in somebody else.
    if *answer.sub() != device.subject {
        return Err(Fault::Subject);
    }
    if device.revoked {
        return Err(Fault::Revoked);
    }
    if device.account_disabled {
        return Err(Fault::Disabled);
    }
    if answer.epo() < device.epoch { Err(Fault::Epoch) } else { Ok(()) }
}
