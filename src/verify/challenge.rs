//! The issuer's own challenge, come back: read closed, since this issuer wrote every byte of it.

use serde::{Deserialize, Serialize};

use super::Fault;
use crate::crypto::{KeyId, PublicKey};
use crate::protocol::id::{ChallengeId, Incarnation, Sid};
use crate::protocol::issuer::{Issuer, LoginUrl};
use crate::protocol::origin::Origin;
use crate::protocol::statement::{Audience, Challenge, Statement, Unverified};
use crate::protocol::time::Timestamp;

/// The public keys that this issuer's challenges may be signed with: one, or two during a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChallengeKeys(Vec<PublicKey>);

impl ChallengeKeys {
    /// The given keys and no others.
    #[must_use]
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Self(keys.into_iter().collect())
    }

    /// The keys, as they were given.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.0
    }

    fn find(&self, id: KeyId) -> Option<&PublicKey> {
        self.0.iter().find(|key| key.id() == id)
    }

    /// Verifies that the challenge is this issuer's.
    pub(super) fn verify(&self, compact: &str) -> Result<Challenge, Fault> {
        let unverified = Unverified::<Own>::parse(compact).map_err(Fault::Challenge)?;
        let key = self.find(unverified.key_id()).ok_or(Fault::ChallengeKey)?;
        unverified.verify(key).map(|own| own.0).map_err(Fault::Challenge)
    }
}

/// A challenge that has exactly the members that this version writes.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Own(#[serde(with = "Closed")] Challenge);

impl Statement for Own {
    const TYP: &'static str = Challenge::TYP;

    fn is_consistent(&self) -> bool {
        self.0.is_consistent()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Challenge", deny_unknown_fields)]
struct Closed {
    iss: Issuer,
    aud: Audience,
    org: Origin,
    jti: ChallengeId,
    sid: Sid,
    iat: Timestamp,
    exp: Timestamp,
    rdm: LoginUrl,
    inc: Incarnation,
}
