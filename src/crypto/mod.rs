//! Keys, signatures, digests and random bytes: the only room that names `ring`.
//!
//! Two algorithms and no choice between them at verification time: the stored key says which one it is, and a
//! statement whose header disagrees is refused before any arithmetic (protocol section 5).

#[cfg(feature = "connectors")]
pub mod cbc;
pub mod digests;
mod drawn;
mod foreign;
mod seal;

pub use drawn::Drawn;
pub use foreign::{ForeignAlgorithm, ForeignKey};
pub use seal::{BrokenSeal, SealingKey};

use std::fmt;

use ring::rand::SecureRandom as _;
use ring::signature::{self, KeyPair as _};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::protocol::statement::jwk::Jwk;
use crate::protocol::{base64url, json};

/// Signature algorithms, by their registered names (RFC 7518 section 3.4, RFC 9864).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(remote = "Self")]
pub enum Algorithm {
    /// ECDSA with P-256 and SHA-256: the default, because every verifier, TPM and secure enclave speaks it.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519. The older name `EdDSA` is refused.
    #[serde(rename = "Ed25519")]
    Ed25519,
}

json::words_only!(Algorithm);

impl Algorithm {
    /// Each of them.
    pub const ALL: [Self; 2] = [Self::Es256, Self::Ed25519];

    /// Its registered name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Ed25519 => "Ed25519",
        }
    }
}

/// A public key that no signature should ever be checked against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Wrong length, or an encoding that another one stands for.
    #[error("the public key is not in its canonical encoding")]
    Encoding,
    /// The coordinates are those of no point of the curve.
    #[error("the public key is not a point of the curve")]
    OffCurve,
    /// An Ed25519 point of small order: one constant signature would verify for many messages.
    #[error("the public key has small order")]
    SmallOrder,
}

/// The signature does not belong to the message and the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct BadSignature;

/// The key could not be used for signing, or the operating system gave no random bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot sign: {0}")]
pub struct SignError(pub String);

/// RFC 7638 thumbprint of a public key: how a statement's `kid` names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 32]);

base64url::fixed_text!(KeyId);

impl KeyId {
    /// The thumbprint's 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::str::FromStr for KeyId {
    type Err = base64url::NotBase64Url;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        base64url::decode_array(text).map(Self)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        base64url::with_encoded(&self.0, |text| f.write_str(text))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A public key that passed the checks of its algorithm when it was loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: Algorithm,
    /// Uncompressed point (65 bytes) for P-256, the 32-byte encoding for Ed25519.
    point: Vec<u8>,
    id: KeyId,
}

impl PublicKey {
    /// Loads a key from its JWK.
    ///
    /// # Errors
    /// [`BadKey`] where the key is small-order, non-canonical or, for P-256, off the curve. An Ed25519 key off the
    /// curve is found at its first signature, which enrolment demands.
    pub fn from_jwk(jwk: &Jwk) -> Result<Self, BadKey> {
        let key = Self::enrolled(jwk)?;
        if key.algorithm == Algorithm::Es256 {
            require_on_p256(&key.point)?;
        }
        Ok(key)
    }

    /// As [`PublicKey::from_jwk`], for a key that passed it before: from a verifier's own store, for every statement that
    /// names it. Whether a P-256 point is on the curve is left to the verification of each signature, where ring looks at
    /// it again; to look by itself costs as much as a signature, and would tell by time which keys are enrolled.
    ///
    /// # Errors
    /// [`BadKey`] where the key is small-order or non-canonical.
    pub fn enrolled(jwk: &Jwk) -> Result<Self, BadKey> {
        let (algorithm, point) = match jwk {
            Jwk::P256 { x, y } => (Algorithm::Es256, [&[4][..], x, y].concat()),
            Jwk::Ed25519 { x } => (Algorithm::Ed25519, x.to_vec()),
        };
        Self::from_point(algorithm, point)
    }

    fn from_point(algorithm: Algorithm, point: Vec<u8>) -> Result<Self, BadKey> {
        if algorithm == Algorithm::Ed25519 {
            require_sound_ed25519(&point)?;
        }
        let mut key = Self { algorithm, point, id: KeyId([0; 32]) };
        key.id = KeyId(sha256(&[key.jwk()?.thumbprint_input().as_bytes()]));
        Ok(key)
    }

    /// The key as a JWK with its required members only.
    ///
    /// # Errors
    /// [`BadKey::Encoding`] where the stored point has the wrong length.
    fn jwk(&self) -> Result<Jwk, BadKey> {
        let coordinate = |range: std::ops::Range<usize>| {
            self.point.get(range).and_then(|c| c.try_into().ok()).ok_or(BadKey::Encoding)
        };
        match self.algorithm {
            Algorithm::Es256 => Ok(Jwk::P256 { x: coordinate(1..33)?, y: coordinate(33..65)? }),
            Algorithm::Ed25519 => Ok(Jwk::Ed25519 { x: coordinate(0..32)? }),
        }
    }

    /// The key as a JWK with its required members only.
    #[must_use]
    pub fn to_jwk(&self) -> Jwk {
        self.jwk().expect("the point's length was checked when the key was made")
    }

    /// The algorithm that every signature of this key uses.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// RFC 7638 thumbprint.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// Verifies a signature in its JWS form (RFC 7518 section 3.4: 64 bytes, `r ‖ s`; RFC 8037 for Ed25519).
    ///
    /// # Errors
    /// [`BadSignature`], whatever is wrong.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        #[cfg(test)]
        VERIFICATIONS.set(VERIFICATIONS.get() + 1);
        let algorithm: &'static dyn signature::VerificationAlgorithm = match self.algorithm {
            Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
            Algorithm::Ed25519 => &signature::ED25519,
        };
        signature::UnparsedPublicKey::new(algorithm, &self.point).verify(message, signature).map_err(|_| BadSignature)
    }
}

// How many signatures this thread has verified: so a test can tell that two refusals cost the same work.
#[cfg(test)]
thread_local!(pub(crate) static VERIFICATIONS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) });

/// ring checks a P-256 point by itself only when it agrees on a key with it.
fn require_on_p256(point: &[u8]) -> Result<(), BadKey> {
    use ring::agreement;
    let ephemeral = agreement::EphemeralPrivateKey::generate(&agreement::ECDH_P256, &ring::rand::SystemRandom::new())
        .map_err(|_| BadKey::OffCurve)?;
    let peer = agreement::UnparsedPublicKey::new(&agreement::ECDH_P256, point);
    agreement::agree_ephemeral(ephemeral, &peer, |_| ()).map_err(|_| BadKey::OffCurve)
}

/// The field prime of Ed25519, little-endian: encodings of `y` at or above it stand for a smaller one.
const ED25519_PRIME: [u8; 32] = {
    let mut prime = [0xff; 32];
    prime[0] = 0xed;
    prime[31] = 0x7f;
    prime
};

/// The `y` of the points of order 8, little-endian (RFC 8032 curve; Chalkias, Garillot, Nikolaenko 2020, table 1).
const ED25519_ORDER_EIGHT: [[u8; 32]; 2] = [
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// ring verifies against small-order points, for which one constant signature fits many messages.
fn require_sound_ed25519(point: &[u8]) -> Result<(), BadKey> {
    let mut y: [u8; 32] = point.try_into().map_err(|_| BadKey::Encoding)?;
    y[31] &= 0x7f;
    if y.iter().rev().ge(ED25519_PRIME.iter().rev()) {
        return Err(BadKey::Encoding);
    }
    let mut one = [0; 32];
    one[0] = 1;
    let mut minus_one = ED25519_PRIME;
    minus_one[0] -= 1;
    let small = y == [0; 32] || y == one || y == minus_one || ED25519_ORDER_EIGHT.contains(&y);
    if small { Err(BadKey::SmallOrder) } else { Ok(()) }
}

/// Something that signs with one key: software here; a keychain, TPM or secure enclave elsewhere.
pub trait Signer: Send + Sync {
    /// The public half.
    fn public(&self) -> &PublicKey;

    /// Signs in the JWS form of the key's algorithm.
    ///
    /// # Errors
    /// [`SignError`] where the key's home refuses or is out of reach.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// A private key held in this process.
pub struct SoftwareKey {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Es256(Box<signature::EcdsaKeyPair>),
    Ed25519(Box<signature::Ed25519KeyPair>),
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareKey").field("id", &self.public.id).finish_non_exhaustive()
    }
}

impl SoftwareKey {
    /// Makes a new key pair and returns it with its PKCS#8 document.
    ///
    /// # Errors
    /// [`SignError`] where the operating system gives no random bytes.
    pub fn generate(algorithm: Algorithm) -> Result<(Self, Secret<Vec<u8>>), SignError> {
        let rng = ring::rand::SystemRandom::new();
        let document = match algorithm {
            Algorithm::Es256 => {
                signature::EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &rng)
            }
            Algorithm::Ed25519 => signature::Ed25519KeyPair::generate_pkcs8(&rng),
        }
        .map_err(|_| SignError("the system gave no random bytes".into()))?;
        let document = Secret::new(document.as_ref().to_vec());
        Ok((Self::from_pkcs8(algorithm, document.expose())?, document))
    }

    /// Loads a key pair from its PKCS#8 document.
    ///
    /// # Errors
    /// [`SignError`] where the document is not one of that algorithm.
    pub fn from_pkcs8(algorithm: Algorithm, document: &[u8]) -> Result<Self, SignError> {
        let unusable = |_| SignError("the private key cannot be read".into());
        let (pair, point) = match algorithm {
            Algorithm::Es256 => {
                let pair = signature::EcdsaKeyPair::from_pkcs8(
                    &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                    document,
                    &ring::rand::SystemRandom::new(),
                )
                .map_err(unusable)?;
                let point = pair.public_key().as_ref().to_vec();
                (Pair::Es256(Box::new(pair)), point)
            }
            Algorithm::Ed25519 => {
                let pair = signature::Ed25519KeyPair::from_pkcs8(document).map_err(unusable)?;
                let point = pair.public_key().as_ref().to_vec();
                (Pair::Ed25519(Box::new(pair)), point)
            }
        };
        let public = PublicKey::from_point(algorithm, point).map_err(|bad| SignError(bad.to_string()))?;
        Ok(Self { pair, public })
    }
}

impl Signer for SoftwareKey {
    fn public(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.pair {
            Pair::Es256(pair) => pair
                .sign(&ring::rand::SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SignError("the system gave no random bytes".into())),
            Pair::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

/// SHA-256 of the parts, one after the other.
#[must_use]
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// Whether two digests are equal, in time that does not depend on where they differ.
#[must_use]
pub fn equal_digests(a: &[u8; 32], b: &[u8; 32]) -> bool {
    a.as_slice().ct_eq(b).into()
}

/// Random bytes of the operating system.
///
/// # Panics
/// Where the operating system has none to give: nothing here can go on safely without them.
#[must_use]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    ring::rand::SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

/// HMAC-SHA-256 (RFC 2104) of the parts, one after the other, under a key that several places know.
#[must_use]
pub fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = ring::hmac::Context::with_key(&ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut tag = [0; 32];
    tag.copy_from_slice(context.sign().as_ref());
    tag
}

/// An HMAC-SHA-256 key that never leaves this process.
pub struct MacKey(ring::hmac::Key);

impl MacKey {
    /// A fresh random key.
    #[must_use]
    pub fn random() -> Self {
        let value = Secret::new(random::<32>());
        Self(ring::hmac::Key::new(ring::hmac::HMAC_SHA256, value.expose()))
    }

    /// The tag over the parts, each preceded by its length so that no two lists of parts share one.
    #[must_use]
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut tag = [0; 32];
        tag.copy_from_slice(self.context(parts).sign().as_ref());
        tag
    }

    /// Verifies a tag made by [`MacKey::tag`], in constant time.
    ///
    /// # Errors
    /// [`BadSignature`] where it is not the tag of these parts.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> Result<(), BadSignature> {
        let mut message = Vec::new();
        for part in parts {
            message.extend_from_slice(&(part.len() as u64).to_be_bytes());
            message.extend_from_slice(part);
        }
        ring::hmac::verify(&self.0, &message, tag).map_err(|_| BadSignature)
    }

    fn context(&self, parts: &[&[u8]]) -> ring::hmac::Context {
        let mut context = ring::hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey([redacted])")
    }
}

/// A value that never shows itself in a log, an error or a `Debug`, and is overwritten when it goes. Not comparable: the
/// time that `==` takes would say where two secrets differ; compare digests with [`equal_digests`].
#[derive(Clone)]
pub struct Secret<T: zeroize::Zeroize>(T);

impl<T: zeroize::Zeroize> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for the one call that needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }

    /// The value, to be changed in place.
    pub(crate) const fn expose_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: zeroize::Zeroize> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<T: zeroize::Zeroize> Drop for Secret<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Overwritten is what the types allow: not what ring keeps inside a key, nor what a buffer of the network held.
    #[test]
    fn a19_a_secret_is_overwritten_when_it_goes() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static OVERWRITTEN: AtomicUsize = AtomicUsize::new(0);
        #[derive(Clone)]
        struct Watched;
        impl zeroize::Zeroize for Watched {
            fn zeroize(&mut self) {
                OVERWRITTEN.fetch_add(1, Ordering::Relaxed);
            }
        }
        let secret = Secret::new(Watched);
        let copy = secret.clone();
        drop(secret);
        assert_eq!(OVERWRITTEN.load(Ordering::Relaxed), 1);
        drop(copy);
        assert_eq!(OVERWRITTEN.load(Ordering::Relaxed), 2, "each copy by itself");
    }

    fn ed25519(encoded: [u8; 32]) -> Result<PublicKey, BadKey> {
        PublicKey::from_jwk(&Jwk::Ed25519 { x: encoded })
    }

    #[test]
    fn small_order_and_non_canonical_ed25519_keys_are_refused() {
        let mut encodings: Vec<[u8; 32]> = ED25519_ORDER_EIGHT.to_vec();
        for low in [0_u8, 1] {
            let mut y = [0; 32];
            y[0] = low;
            encodings.push(y);
        }
        // -1, and the second spellings of 0 and 1.
        for low in [0xec, 0xed, 0xee] {
            let mut y = ED25519_PRIME;
            y[0] = low;
            encodings.push(y);
        }
        for mut encoded in encodings {
            assert!(ed25519(encoded).is_err(), "{encoded:02x?}");
            encoded[31] |= 0x80;
            assert!(ed25519(encoded).is_err(), "{encoded:02x?} with the sign bit");
        }
    }

    #[test]
    fn a_p256_point_off_the_curve_is_refused() {
        let (key, _) = SoftwareKey::generate(Algorithm::Es256).expect("key");
        let Jwk::P256 { x, mut y } = key.public().to_jwk() else { panic!("P-256") };
        assert!(PublicKey::from_jwk(&Jwk::P256 { x, y }).is_ok());
        y[31] ^= 1;
        assert_eq!(PublicKey::from_jwk(&Jwk::P256 { x, y }), Err(BadKey::OffCurve));
    }

    /// A key that got into a store without being looked at verifies nothing.
    #[test]
    fn a_point_off_the_curve_is_refused_at_each_verification_too() {
        let (key, _) = SoftwareKey::generate(Algorithm::Es256).expect("key");
        let Jwk::P256 { x, y } = key.public().to_jwk() else { panic!("P-256") };
        let signature = key.sign(b"message").expect("signature");
        let verify = |y| {
            PublicKey::enrolled(&Jwk::P256 { x, y })
                .and_then(|key| key.verify(b"message", &signature).map_err(|_| BadKey::OffCurve))
        };
        assert_eq!(verify(y), Ok(()));
        let mut off = y;
        off[31] ^= 1;
        assert_eq!(verify(off), Err(BadKey::OffCurve));
        assert_eq!(verify([0xff; 32]), Err(BadKey::OffCurve));
    }

    #[test]
    fn both_algorithms_sign_what_they_verify_and_nothing_else() {
        for algorithm in [Algorithm::Es256, Algorithm::Ed25519] {
            let (key, document) = SoftwareKey::generate(algorithm).expect("key");
            let again = SoftwareKey::from_pkcs8(algorithm, document.expose()).expect("same key");
            assert_eq!(key.public(), again.public());
            let signature = again.sign(b"message").expect("signature");
            assert_eq!(signature.len(), 64);
            assert_eq!(key.public().verify(b"message", &signature), Ok(()));
            assert_eq!(key.public().verify(b"massage", &signature), Err(BadSignature));
        }
    }

    #[test]
    fn secrets_do_not_show() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".to_owned())), "[redacted]");
        assert!(!format!("{:?}", SoftwareKey::generate(Algorithm::Es256).expect("key").0).contains("pair"));
    }

    #[test]
    fn tags_bind_the_boundaries_between_parts() {
        let key = MacKey::random();
        let tag = key.tag(&[b"ab", b"c"]);
        assert!(key.verify(&[b"ab", b"c"], &tag).is_ok());
        assert!(key.verify(&[b"a", b"bc"], &tag).is_err());
        assert!(equal_digests(&tag, &tag) && !equal_digests(&tag, &key.tag(&[b"abc"])));
    }
}
