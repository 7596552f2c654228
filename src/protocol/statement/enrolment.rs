//! E: the enrolment. The new key vouches for itself; the ticket says whose it is.

use serde::{Deserialize, Serialize};

use super::jwk::Jwk;
use super::{BadStatement, Statement, Unverified};
use crate::crypto::PublicKey;
use crate::protocol::id::EnrolmentTicket;
use crate::protocol::issuer::Issuer;

/// Longest name of a device, in bytes.
pub const DEVICE_NAME_MAX_LEN: usize = 128;

/// Claims of an enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The issuer.
    pub aud: Issuer,
    /// The enrolment ticket.
    pub nonce: EnrolmentTicket,
    /// The public half of the key that signs this.
    pub jwk: Jwk,
    /// Shown to the person in the list of devices. At most [`DEVICE_NAME_MAX_LEN`] bytes.
    pub name: String,
}

impl Statement for Enrolment {
    const TYP: &'static str = "loopkey-enrolment+jwt";

    fn is_consistent(&self) -> bool {
        self.name.len() <= DEVICE_NAME_MAX_LEN
    }
}

/// Verifies an enrolment against the key that it carries, which is refused where it is small-order, non-canonical or off
/// the curve.
///
/// # Errors
/// [`BadStatement`] for the first thing that is wrong; a bad key is [`BadStatement::Claims`].
pub fn verify_enrolment(compact: &str) -> Result<(Enrolment, PublicKey), BadStatement> {
    let unverified = Unverified::<Enrolment>::parse(compact)?;
    let key = PublicKey::from_jwk(&unverified.claims()?.jwk).map_err(|_| BadStatement::Claims)?;
    Ok((unverified.verify(&key)?, key))
}
