//! Base64url without padding, and no other spelling of the same bytes (protocol section 1, RFC 4648 section 5).

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{NO_PAD, STANDARD};
use zeroize::Zeroize as _;

/// Many letters at a time, where the processor can and there are enough of them.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
static URL_SAFE_NO_PAD: LazyLock<base64::engine::Simd> = LazyLock::new(|| base64::engine::Simd::url_safe(NO_PAD));
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
static URL_SAFE_NO_PAD: LazyLock<base64::engine::GeneralPurpose> =
    LazyLock::new(|| base64::engine::GeneralPurpose::new(&base64::alphabet::URL_SAFE, NO_PAD));

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

/// Most bytes that [`decode_array`] and [`with_encoded`] take.
const FIXED_MAX_LEN: usize = 72;
/// Letters for as many bytes.
const FIXED_MAX_LETTERS: usize = FIXED_MAX_LEN / 3 * 4;

/// Decodes exactly `N` bytes, 72 at most. Most of what has a fixed length is a secret, so no other copy is left behind.
///
/// # Errors
/// [`NotBase64Url`] for anything that [`encode`] could not have written from `N` bytes.
pub fn decode_array<const N: usize>(text: &str) -> Result<[u8; N], NotBase64Url> {
    const { assert!(N <= FIXED_MAX_LEN, "it fits") };
    // No allocation: every identifier on the wire comes through here.
    let mut bytes = [0; FIXED_MAX_LEN];
    let decoded = match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
        Ok(len) => bytes[..len].try_into().map_err(|_| NotBase64Url),
        Err(_) => Err(NotBase64Url),
    };
    bytes.zeroize();
    decoded
}

/// Whether the text is standard base64, padding and all, of 16 bytes: a `Sec-WebSocket-Key` (RFC 6455 section 4.1).
#[must_use]
pub fn is_standard_of_16(text: &[u8]) -> bool {
    // The library wants room for whole groups of three.
    matches!(STANDARD.decode_slice(text, &mut [0; 18]), Ok(16))
}

/// Lends the text for `N` bytes, 72 at most, as [`encode`] would write it; no copy is left behind.
pub fn with_encoded<const N: usize, T>(bytes: &[u8; N], lend: impl FnOnce(&str) -> T) -> T {
    const { assert!(N <= FIXED_MAX_LEN, "it fits") };
    let mut letters = [0; FIXED_MAX_LETTERS];
    let len = URL_SAFE_NO_PAD.encode_slice(bytes, &mut letters).expect("there is room");
    let lent = lend(std::str::from_utf8(&letters[..len]).expect("base64 is ASCII"));
    letters.zeroize();
    lent
}

/// Has serde read and write an identifier of fixed length as its text.
macro_rules! fixed_text {
    ($name:ty) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::protocol::base64url::with_encoded(&self.0, |text| serializer.serialize_str(text))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::protocol::json::from_text(deserializer)
            }
        }
    };
}
pub(crate) use fixed_text;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_only() {
        assert_eq!(decode("AA").as_deref(), Ok(&[0_u8][..]));
        for other in ["AA==", "AB", "A", " AA", "AA\n", "+/", "A A", "é"] {
            assert_eq!(decode(other), Err(NotBase64Url), "{other:?}");
        }
        // Long texts go another way, by many letters at a time.
        let bytes: Vec<u8> = (0..150).map(|at| at as u8 ^ 0x5a).collect();
        let text = encode(&bytes);
        assert_eq!(text, base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes));
        assert_eq!(decode(&text), Ok(bytes));
        for at in 0..text.len() {
            for other in ["+", "/", "=", " ", "\n", ".", "\u{80}"] {
                let changed = [&text[..at], other, &text[at + 1..]].concat();
                assert_eq!(decode(&changed), Err(NotBase64Url), "{other:?} at {at}");
            }
        }
        for (bytes, wrong) in [(149, "B"), (148, "B")] {
            let text = encode(vec![0; bytes]);
            let changed = format!("{}{wrong}", &text[..text.len() - 1]);
            assert_eq!(decode(&changed), Err(NotBase64Url), "trailing bits behind {bytes} bytes");
        }
        assert!(decode_array::<2>("AAA").is_ok());
        assert!(decode_array::<2>("AA").is_err());
    }

    #[test]
    fn a_websocket_key_is_sixteen_bytes_of_standard_base64() {
        assert!(is_standard_of_16(b"dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(is_standard_of_16(b"+/+/+/+/+/+/+/+/+/+/+w=="));
        for other in [
            "",
            "dGhlIHNhbXBsZSBub25jZQ",
            "dGhlIHNhbXBsZSBub25jZQ=",
            "dGhlIHNhbXBsZSBub25jZQ===",
            "dGhlIHNhbXBsZSBub25jZR==",
            "-_-_-_-_-_-_-_-_-_-_-w==",
            "dGhlIHNhbXBsZSBub25j",
            "dGhlIHNhbXBsZSBub25jZQE=",
            "dGhlIHNhbXBsZSBub25jZQEC",
            "dGhlIHNhbXBsZSBub25jZQECAw==",
            " dGhlIHNhbXBsZSBub25jZQ==",
        ] {
            assert!(!is_standard_of_16(other.as_bytes()), "{other:?}");
        }
        assert!(!is_standard_of_16(&[b'A'; 8192]));
    }

    #[test]
    fn what_has_a_fixed_length_is_the_same_in_both_directions() {
        fn there_and_back<const N: usize>() {
            let bytes: [u8; N] = std::array::from_fn(|at| at as u8 ^ 0xa5);
            with_encoded(&bytes, |text| {
                assert_eq!(text, encode(bytes));
                assert_eq!(decode_array(text), Ok(bytes));
                assert_eq!(decode_array::<N>(&text[..text.len().saturating_sub(1)]).ok(), None, "a letter less");
                assert_eq!(decode_array::<N>(&format!("{text}A")).ok(), None, "a letter more");
            });
        }
        there_and_back::<1>();
        there_and_back::<32>();
        there_and_back::<65>();
        there_and_back::<FIXED_MAX_LEN>();
        for long in [97, 8192, 1 << 20] {
            assert_eq!(decode_array::<32>(&"A".repeat(long)), Err(NotBase64Url));
        }
        assert_eq!(decode_array::<0>(""), Ok([]));
    }

    #[test]
    fn serde_has_identifiers_as_strings_and_as_nothing_else() {
        use crate::protocol::id::TokenId;
        let id = TokenId::from_bytes([7; 16]);
        let text = encode([7; 16]);
        assert_eq!(serde_json::to_string(&id).expect("JSON"), format!("\"{text}\""));
        let escaped = text.replacen(&text[..1], &format!("\\u{:04x}", text.as_bytes()[0]), 1);
        for sound in [format!("\"{text}\""), format!("\"{escaped}\"")] {
            assert_eq!(serde_json::from_str::<TokenId>(&sound).ok(), Some(id), "{sound}");
        }
        assert_eq!(serde_json::from_value::<TokenId>(serde_json::Value::String(text)).ok(), Some(id));
        for other in ["7", "null", "[7]", "{}", "\"\"", "\"AA==\""] {
            assert!(serde_json::from_str::<TokenId>(other).is_err(), "{other}");
        }
    }
}
