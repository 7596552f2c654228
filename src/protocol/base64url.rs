//! Base64url without padding, and no other spelling of the same bytes (protocol section 1, RFC 4648 section 5).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::crypto::Secret;

/// The text is not the one base64url spelling of any bytes: padding, white space, a foreign letter, or non-zero
/// trailing bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not strict base64url")]
pub struct NotBase64Url;

/// Encodes without padding.
#[must_use]
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Encodes without padding at the end of a text.
pub fn push(text: &mut String, bytes: impl AsRef<[u8]>) {
    URL_SAFE_NO_PAD.encode_string(bytes, text);
}

/// Decodes, refusing every spelling but the canonical one.
///
/// # Errors
/// [`NotBase64Url`] for anything that [`encode`] could not have written.
pub fn decode(text: &str) -> Result<Vec<u8>, NotBase64Url> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| NotBase64Url)
}

/// Decodes exactly `N` bytes. Most of what has a fixed length is a secret, so no other copy is left behind.
///
/// # Errors
/// [`NotBase64Url`] for anything that [`encode`] could not have written from `N` bytes.
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], NotBase64Url> {
    let bytes = Secret::new(decode(text)?);
    bytes.expose().as_slice().try_into().map_err(|_| NotBase64Url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_only() {
        assert_eq!(decode("AA").as_deref(), Ok(&[0_u8][..]));
        for other in ["AA==", "AB", "A", " AA", "AA\n", "+/", "A A", "é"] {
            assert_eq!(decode(other), Err(NotBase64Url), "{other:?}");
        }
        assert!(decode_array::<2>("AAA").is_ok());
        assert!(decode_array::<2>("AA").is_err());
    }
}
