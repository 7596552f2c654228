//! Digests and tags that other people's interfaces ask for. Nothing of our own is built on them: no statement, no cookie, no key.

use std::fmt::Write as _;

use ring::{digest, hmac};

/// SHA-1 in lower-case hex. For signatures of other systems that never moved on; it proves nothing to us.
#[must_use]
pub fn sha1_hex(text: &str) -> String {
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref())
}

/// SHA-256 in lower-case hex.
#[must_use]
pub fn sha256_hex(text: &str) -> String {
    hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

/// HMAC-SHA-256 of a message under a key that is text.
#[must_use]
pub fn hmac_sha256(key: &str, message: &str) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let mut tag = [0; 32];
    tag.copy_from_slice(hmac::sign(&key, message.as_bytes()).as_ref());
    tag
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4 and RFC 4231 (case 2).
    #[test]
    fn they_are_what_everybody_computes() {
        assert_eq!(sha1_hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        let tag = hmac_sha256("Jefe", "what do ya want for nothing?");
        assert_eq!(hex(&tag), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}
