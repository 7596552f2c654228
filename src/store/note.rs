//! Notes: what one flow remembers between two requests (a sign-in that went elsewhere, an order that waits for approval).
//!
//! A note is found by a secret of which the store has the digest alone. It lives for minutes (what connectors keep, for longer),
//! and of several writers one wins. It may be forgotten early, say when the store fails over, and then the person begins anew; never is one given out
//! twice by [`take_note`](super::Store::take_note). Whoever reads the database reads notes: nothing may stand in one that
//! signs somebody in by itself.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::crypto;
use crate::protocol::base64url;
use crate::protocol::time::Timestamp;

/// Longest note in bytes.
pub const NOTE_MAX_LEN: usize = 4096;

/// Not a note, or not the name of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadNote {
    /// Longer than [`NOTE_MAX_LEN`], or with a zero byte in it.
    #[error("a note has at most 4096 bytes, none of them zero")]
    Value,
    /// Not a key.
    #[error("this is no note's key")]
    Key,
}

/// What a note is for. Keys of two kinds are never the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NoteKind(&'static str);

impl NoteKind {
    /// A kind, to be made as a constant.
    ///
    /// # Panics
    /// Where the name is not 1 to 32 characters of a-z, 0-9 and hyphens; of a constant, when it is compiled.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        assert!(is_kind(name.as_bytes()), "a kind of note has 1 to 32 characters: a-z, 0-9 and hyphens");
        Self(name)
    }
}

const fn is_kind(name: &[u8]) -> bool {
    let mut at = 0;
    while at < name.len() {
        if !matches!(name[at], b'a'..=b'z' | b'0'..=b'9' | b'-') {
            return false;
        }
        at += 1;
    }
    1 <= at && at <= 32
}

/// Where a note is: its kind, and the SHA-256 digest of its secret. It may itself stand in another note, or in a hint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NoteKey(String);

impl NoteKey {
    /// The key of the note of a secret.
    #[must_use]
    pub fn of(kind: NoteKind, secret: &[u8]) -> Self {
        Self(format!("{}:{}", kind.0, base64url::encode(crypto::sha256(&[secret]))))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NoteKey {
    type Error = BadNote;

    fn try_from(text: String) -> Result<Self, BadNote> {
        let digest = text.split_once(':').filter(|(kind, _)| is_kind(kind.as_bytes())).map(|(_, digest)| digest);
        let sound = digest.is_some_and(|digest| base64url::decode_array::<32>(digest).is_ok());
        if sound { Ok(Self(text)) } else { Err(BadNote::Key) }
    }
}

impl From<NoteKey> for String {
    fn from(key: NoteKey) -> Self {
        key.0
    }
}

/// What a note says: text of at most [`NOTE_MAX_LEN`] bytes. It does not show, since a flow's secrets may be in it.
#[derive(Clone, PartialEq, Eq)]
pub struct NoteValue(String);

impl NoteValue {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NoteValue {
    type Error = BadNote;

    fn try_from(text: String) -> Result<Self, BadNote> {
        let sound = text.len() <= NOTE_MAX_LEN && !text.contains('\0');
        sound.then_some(Self(text)).ok_or(BadNote::Value)
    }
}

impl std::str::FromStr for NoteValue {
    type Err = BadNote;

    fn from_str(text: &str) -> Result<Self, BadNote> {
        Self::try_from(text.to_owned())
    }
}

impl From<NoteValue> for String {
    fn from(value: NoteValue) -> Self {
        value.0
    }
}

impl fmt::Debug for NoteValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoteValue(…)")
    }
}

/// Which writing of a note it is. Drawn at random each time, so that a note that was forgotten and kept anew is not taken
/// for the former one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoteVersion(pub(super) u64);

impl NoteVersion {
    /// Of 48 bits: every engine's numbers hold it.
    pub(super) fn fresh() -> Self {
        Self(crypto::random::<6>().into_iter().fold(0, |number, byte| number << 8 | u64::from(byte)))
    }
}

/// A note as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// What it says.
    pub value: NoteValue,
    /// What whoever changes it must name.
    pub version: NoteVersion,
    /// When it is forgotten.
    pub until: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_a_kind_and_a_digest_and_is_read_back() {
        let key = NoteKey::of(NoteKind::new("flow"), b"secret");
        assert_ne!(key, NoteKey::of(NoteKind::new("order"), b"secret"));
        assert_ne!(key, NoteKey::of(NoteKind::new("flow"), b"secret2"));
        assert!(!key.as_str().contains("secret"));
        assert_eq!(NoteKey::try_from(key.as_str().to_owned()), Ok(key.clone()));
        let digest = key.as_str().trim_start_matches("flow:").to_owned();
        for bad in [digest.clone(), format!(":{digest}"), format!("Flow:{digest}"), format!("flow:{digest}x")] {
            assert_eq!(NoteKey::try_from(bad.clone()), Err(BadNote::Key), "{bad}");
        }
        assert!(is_kind(&[b'a'; 32]) && !is_kind(&[b'a'; 33]) && !is_kind(b"") && !is_kind(b"a_b"));
    }

    #[test]
    fn a_value_is_bounded_and_does_not_show() {
        assert!(NoteValue::try_from("x".repeat(NOTE_MAX_LEN)).is_ok());
        assert_eq!(NoteValue::try_from("x".repeat(NOTE_MAX_LEN + 1)), Err(BadNote::Value));
        assert_eq!(NoteValue::try_from("a\0".to_owned()), Err(BadNote::Value));
        assert!(!format!("{:?}", NoteValue::try_from("verifier".to_owned())).contains("verifier"));
    }
}
