//! Sealing what is kept where others can read it: AES-256-GCM under a key derived from a secret that is kept elsewhere.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf;

use super::{Secret, random};

/// What was opened is not what was sealed: another key, another purpose, or changed meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the seal is broken: another secret, or changed since")]
pub struct BrokenSeal;

/// A key that seals and opens.
pub struct SealingKey(LessSafeKey);

impl SealingKey {
    /// The key that a secret gives for a purpose (HKDF-SHA-256, RFC 5869). The secret must hold at least 128 random bits:
    /// nothing here makes a password strong.
    #[must_use]
    pub fn derive(secret: &Secret<String>, purpose: &str) -> Self {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"loopkey-seal-1");
        let info = [purpose.as_bytes()];
        let derived = salt.extract(secret.expose().as_bytes());
        let key: UnboundKey = derived.expand(&info, &AES_256_GCM).expect("32 bytes are within HKDF's range").into();
        Self(LessSafeKey::new(key))
    }

    /// Seals a value, bound to what it is about: opening it as something else fails. The nonce is random: good for
    /// 2^32 values under one key (NIST SP 800-38D section 8.3).
    #[must_use]
    pub fn seal(&self, value: &[u8], about: &[u8]) -> Vec<u8> {
        let nonce = random::<NONCE_LEN>();
        let mut sealed = value.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(about), &mut sealed)
            .expect("a value is far below the cipher's limit");
        [nonce.as_slice(), &sealed].concat()
    }

    /// Opens what [`SealingKey::seal`] made.
    ///
    /// # Errors
    /// [`BrokenSeal`] where it was sealed under another secret, about something else, or changed.
    pub fn open(&self, sealed: &[u8], about: &[u8]) -> Result<Secret<Vec<u8>>, BrokenSeal> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(BrokenSeal)?;
        let mut value = Secret::new(sealed.to_vec());
        let opened = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(about), value.expose_mut());
        let length = opened.map_err(|_| BrokenSeal)?.len();
        value.expose_mut().truncate(length);
        Ok(value)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str, purpose: &str) -> SealingKey {
        SealingKey::derive(&Secret::new(secret.to_owned()), purpose)
    }

    #[test]
    fn what_was_sealed_is_opened_and_nothing_else() {
        let ours = key("a secret of some length", "keys");
        let sealed = ours.seal(b"value", b"1");
        assert_ne!(sealed, ours.seal(b"value", b"1"), "never the same twice");
        assert!(!sealed.windows(5).any(|window| window == b"value"));
        assert_eq!(ours.open(&sealed, b"1").expect("opened").expose(), b"value");
        assert_eq!(ours.open(&sealed, b"2").err(), Some(BrokenSeal), "about something else");
        assert_eq!(key("another secret", "keys").open(&sealed, b"1").err(), Some(BrokenSeal));
        assert_eq!(key("a secret of some length", "other").open(&sealed, b"1").err(), Some(BrokenSeal));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(ours.open(&changed, b"1").err(), Some(BrokenSeal), "byte {at}");
            assert_eq!(ours.open(&sealed[..at], b"1").err(), Some(BrokenSeal), "cut at {at}");
        }
    }
}
