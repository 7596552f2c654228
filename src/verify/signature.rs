//! The signature of a device's statement, at the same cost whether or not the device is known.

use std::sync::LazyLock;

use super::Fault;
use crate::crypto::{Algorithm, PublicKey, Signer as _, SoftwareKey};
use crate::protocol::statement::{BadStatement, Statement, Unverified};

/// Keys whose private halves nobody has.
fn dummies() -> &'static [PublicKey; 2] {
    static DUMMIES: LazyLock<[PublicKey; 2]> = LazyLock::new(|| {
        [Algorithm::Es256, Algorithm::Ed25519].map(|algorithm| {
            let (key, _) = SoftwareKey::generate(algorithm).expect("the operating system gives random bytes");
            key.public().clone()
        })
    });
    &DUMMIES
}

/// `alg`, signature, claims, with the key that the statement's `kid` was found to name. Where there is none, or one of
/// another algorithm, a dummy costs what a known key with a bad signature would have: time does not tell which devices
/// are enrolled.
///
/// # Errors
/// [`Fault`] for the first thing that is wrong.
pub fn verify_signature<S: Statement>(statement: &Unverified<'_, S>, key: Option<&PublicKey>) -> Result<S, Fault> {
    let verified = key.map_or(Err(Fault::UnknownKey), |key| Ok(statement.verify(key)?));
    if matches!(verified, Err(Fault::UnknownKey | Fault::Statement(BadStatement::Algorithm))) {
        // Refused before any arithmetic. Only the dummy of the header's own algorithm gets as far as that.
        for dummy in dummies() {
            let _ = std::hint::black_box(statement.verify(dummy).is_ok());
        }
    }
    verified
}
