//! Pictures of people: an address that only a browser follows, or a small picture in the text itself.

use base64::Engine as _;

use super::picture::dimensions;
use crate::protocol::origin::Origin;

/// Largest picture in a `data:` address, in bytes after decoding (protocol section 6.6).
pub const AVATAR_MAX_LEN: usize = 64 * 1024;

/// Largest width and height of a picture in a `data:` address, in pixels: what a browser unpacks is four bytes for each.
pub const AVATAR_MAX_PIXELS: u32 = 2048;

const URL_MAX_LEN: usize = 2048;

/// Why a text is no avatar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAvatar {
    /// Neither `https:` nor `data:` with one of the three kinds.
    #[error("an avatar is an https address, or a data: address with a PNG, JPEG or WebP picture in base64")]
    Kind,
    /// The https address has no sound host, is too long, or holds characters that an address escapes.
    #[error("the avatar's address is not a plain https address of at most 2048 bytes")]
    Url,
    /// The base64 does not decode.
    #[error("the avatar's base64 is broken")]
    Encoding,
    /// More than [`AVATAR_MAX_LEN`] bytes.
    #[error("the avatar is larger than 64 KiB")]
    TooLarge,
    /// Wider or higher than [`AVATAR_MAX_PIXELS`].
    #[error("the avatar is wider or higher than 2048 pixels")]
    Dimensions,
    /// The picture is not of the kind that its address says.
    #[error("the avatar's bytes are not of the kind it names")]
    Content,
}

/// An avatar's address: `https:`, or `data:` with a PNG, JPEG or WebP of at most [`AVATAR_MAX_LEN`] bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Avatar(String);

impl Avatar {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What an engine reads back: it was sound when it was written.
    pub(super) const fn stored(text: String) -> Self {
        Self(text)
    }
}

impl TryFrom<String> for Avatar {
    type Error = BadAvatar;

    fn try_from(text: String) -> Result<Self, BadAvatar> {
        match text.strip_prefix("data:") {
            Some(data) => require_picture(data)?,
            None => require_https(&text)?,
        }
        Ok(Self(text))
    }
}

fn require_https(text: &str) -> Result<(), BadAvatar> {
    let rest = text.strip_prefix("https://").ok_or(BadAvatar::Kind)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or("");
    let plain = |b: u8| {
        b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'\\' | b'<' | b'>' | b'`' | b'{' | b'}' | b'|' | b'^')
    };
    let sound = text.len() <= URL_MAX_LEN
        && text.bytes().all(plain)
        && format!("https://{}", authority.to_ascii_lowercase()).parse::<Origin>().is_ok();
    if sound { Ok(()) } else { Err(BadAvatar::Url) }
}

fn require_picture(data: &str) -> Result<(), BadAvatar> {
    let (kind, base64) = data.split_once(";base64,").ok_or(BadAvatar::Kind)?;
    let has_magic: fn(&[u8]) -> bool = match kind {
        "image/png" => |bytes| bytes.starts_with(b"\x89PNG\r\n\x1a\n"),
        "image/jpeg" => |bytes| bytes.starts_with(&[0xff, 0xd8, 0xff]),
        "image/webp" => |bytes| bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"),
        _ => return Err(BadAvatar::Kind),
    };
    if base64.len() > AVATAR_MAX_LEN.div_ceil(3) * 4 {
        return Err(BadAvatar::TooLarge);
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64).map_err(|_| BadAvatar::Encoding)?;
    if bytes.len() > AVATAR_MAX_LEN {
        return Err(BadAvatar::TooLarge);
    }
    if !has_magic(&bytes) {
        return Err(BadAvatar::Content);
    }
    match dimensions(&bytes) {
        Some((width, height)) if width.max(height) > AVATAR_MAX_PIXELS => Err(BadAvatar::Dimensions),
        Some(_) => Ok(()),
        // Browsers forgive more than the reader here: what it cannot measure might be as large as it likes.
        None => Err(BadAvatar::Content),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(kind: &str, bytes: &[u8]) -> String {
        format!("data:{kind};base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes))
    }

    fn sized(len: usize) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        bytes.resize(len, 0);
        bytes
    }

    #[test]
    fn addresses_and_small_pictures() {
        for sound in [
            "https://cdn.example.com/a.png?s=64#x".to_owned(),
            data("image/png", &sized(100)),
            data("image/jpeg", b"\xff\xd8\xff\xc0\0\x11\x08\0\x40\0\x40"),
            data("image/webp", b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\x10\0\0\x9d\x01\x2a\x40\0\x40\0"),
            data("image/png", &sized(AVATAR_MAX_LEN)),
        ] {
            assert!(Avatar::try_from(sound.clone()).is_ok(), "{}", &sound[..40.min(sound.len())]);
        }
    }

    #[test]
    fn i154_a_picture_that_unpacks_to_gigabytes_is_refused() {
        let of = |width: u32, height: u32| {
            let bytes = [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], &width.to_be_bytes(), &height.to_be_bytes()].concat();
            Avatar::try_from(data("image/png", &bytes))
        };
        assert!(of(AVATAR_MAX_PIXELS, AVATAR_MAX_PIXELS).is_ok());
        for (width, height) in [(60_000, 60_000), (AVATAR_MAX_PIXELS + 1, 1), (1, u32::MAX)] {
            assert_eq!(of(width, height), Err(BadAvatar::Dimensions), "{width} x {height}");
        }
        // Decoders skip a stray byte between the segments, and find a frame of 65,535 pixels a side behind it.
        let astray = b"\xff\xd8\xff\xe0\0\x02\0\xff\xc0\0\x11\x08\xff\xff\xff\xff";
        assert_eq!(Avatar::try_from(data("image/jpeg", astray)), Err(BadAvatar::Content));
    }

    #[test]
    fn anything_else_is_refused() {
        for (text, fault) in [
            ("javascript:alert(1)".to_owned(), BadAvatar::Kind),
            ("http://cdn.example.com/a.png".to_owned(), BadAvatar::Kind),
            ("file:///etc/passwd".to_owned(), BadAvatar::Kind),
            ("https://".to_owned(), BadAvatar::Url),
            ("https://user@cdn.example.com/a".to_owned(), BadAvatar::Url),
            ("https://cdn.example.com/\"><script>".to_owned(), BadAvatar::Url),
            ("https://cdn.example.com/a b".to_owned(), BadAvatar::Url),
            (format!("https://cdn.example.com/{}", "a".repeat(2048)), BadAvatar::Url),
            (data("image/svg+xml", b"<svg/>"), BadAvatar::Kind),
            (data("text/html", b"<b>"), BadAvatar::Kind),
            ("data:image/png,abc".to_owned(), BadAvatar::Kind),
            ("data:image/png;base64,====".to_owned(), BadAvatar::Encoding),
            (data("image/png", b"<svg/>"), BadAvatar::Content),
            (data("image/png", &[0xff, 0xd8, 0xff]), BadAvatar::Content),
            (data("image/png", &sized(AVATAR_MAX_LEN + 1)), BadAvatar::TooLarge),
            (data("image/png", &sized(AVATAR_MAX_LEN + 100)), BadAvatar::TooLarge),
        ] {
            assert_eq!(Avatar::try_from(text.clone()), Err(fault), "{}", &text[..40.min(text.len())]);
        }
    }
}
