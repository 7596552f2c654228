//! Challenge keys in a shared store: sealed under a secret that every replica has and the store has not.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::keys::MadeKey;
use crate::crypto::{Algorithm, BrokenSeal, SealingKey, Secret, SoftwareKey};
use crate::protocol::base64url;
use crate::protocol::time::Timestamp;

/// A challenge key as it is stored, under a number.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SealedKey {
    pub(super) algorithm: Algorithm,
    made_at: Timestamp,
    sealed: String,
}

/// Makes and opens stored challenge keys.
#[derive(Debug)]
pub(super) struct Sealer(SealingKey);

impl Sealer {
    pub(super) fn new(secret: &Secret<String>) -> Self {
        Self(SealingKey::derive(secret, "challenge keys"))
    }

    /// A new key for that number.
    pub(super) fn make(&self, number: u64, algorithm: Algorithm, made_at: Timestamp) -> Result<SealedKey, StoreError> {
        let (_, document) = SoftwareKey::generate(algorithm).map_err(StoreError::new)?;
        let sealed = base64url::encode(self.0.seal(document.expose(), &about(number, algorithm, made_at)));
        Ok(SealedKey { algorithm, made_at, sealed })
    }

    /// The key of that number. The seal vouches for everything that was stored of it.
    pub(super) fn open(&self, number: u64, stored: &SealedKey) -> Result<MadeKey, BrokenSeal> {
        let SealedKey { algorithm, made_at, sealed } = stored;
        let sealed = base64url::decode(sealed).map_err(|_| BrokenSeal)?;
        let document = self.0.open(&sealed, &about(number, *algorithm, *made_at))?;
        let key = SoftwareKey::from_pkcs8(*algorithm, document.expose()).map_err(|_| BrokenSeal)?;
        Ok(MadeKey { made_at: *made_at, key: Arc::new(key) })
    }
}

fn about(number: u64, algorithm: Algorithm, made_at: Timestamp) -> Vec<u8> {
    format!("{number} {algorithm:?} {}", made_at.0).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(secret: &str) -> Sealer {
        Sealer::new(&Secret::new(secret.to_owned()))
    }

    #[test]
    fn a_stored_key_is_opened_as_what_it_was_made_and_nothing_else() {
        let ours = sealer("ours");
        let stored = || -> SealedKey {
            let text = r#"{"algorithm":"ES256","made_at":7,"sealed":""}"#;
            serde_json::from_str(text).expect("as it is stored")
        };
        assert!(ours.open(1, &stored()).is_err(), "nothing in it");
        let made = ours.make(1, Algorithm::Es256, Timestamp(7)).expect("made");
        assert_eq!(ours.open(1, &made).expect("opened").made_at, Timestamp(7));
        assert!(ours.open(2, &made).is_err(), "under another number");
        assert!(sealer("theirs").open(1, &made).is_err(), "with another secret");
        let earlier = SealedKey { made_at: Timestamp(6), ..stored() };
        assert!(ours.open(1, &SealedKey { sealed: made.sealed.clone(), ..earlier }).is_err(), "made earlier");
        assert!(ours.open(1, &SealedKey { sealed: made.sealed, ..stored() }).is_ok(), "untouched");
    }
}
