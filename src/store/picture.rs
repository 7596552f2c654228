//! How large a picture says it is. A few bytes can unpack to gigabytes in every browser that shows them.

/// Width and height in pixels by the picture's own header; nothing where it cannot be read.
pub(super) fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some((be32(bytes, 16)?, be32(bytes, 20)?)),
        [0xff, 0xd8, ..] => jpeg(bytes),
        [b'R', b'I', b'F', b'F', ..] => webp(bytes),
        _ => None,
    }
}

/// The segments up to the frame header: markers SOF0 to SOF15 but DHT, JPG and DAC (ITU T.81, table B.1).
fn jpeg(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    loop {
        let marker = *bytes.get(at + 1)?;
        match (*bytes.get(at)?, marker) {
            // A marker may be padded with more of the same.
            (0xff, 0xff) => at += 1,
            (0xff, 0xc0..=0xcf) if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                return Some((be16(bytes, at + 7)?, be16(bytes, at + 5)?));
            }
            // Without a length.
            (0xff, 0x01 | 0xd0..=0xd9) => at += 2,
            (0xff, _) => at += 2 + usize::try_from(be16(bytes, at + 2)?).ok()?,
            _ => return None,
        }
    }
}

/// The three kinds of WebP (RFC 9649, section 2): extended, lossless, lossy.
fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    let le = |at: usize, len: usize| {
        let part = bytes.get(at..at + len)?;
        Some(part.iter().rev().fold(0_u32, |value, byte| value << 8 | u32::from(*byte)))
    };
    match bytes.get(12..16)? {
        b"VP8X" => Some((le(24, 3)? + 1, le(27, 3)? + 1)),
        b"VP8L" => le(21, 4).map(|bits| ((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1)),
        b"VP8 " => Some((le(26, 2)? & 0x3fff, le(28, 2)? & 0x3fff)),
        _ => None,
    }
}

fn be16(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes).map(u32::from)
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32) -> Vec<u8> {
        [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &width.to_be_bytes()[..], &height.to_be_bytes()].concat()
    }

    fn webp_of(kind: &[u8], rest: &[u8]) -> Vec<u8> {
        [b"RIFF\0\0\0\0WEBP", kind, &[0; 4], rest].concat()
    }

    #[test]
    fn each_kind_says_its_size() {
        assert_eq!(dimensions(&png(640, 480)), Some((640, 480)));
        let app0 = [0xff, 0xe0, 0, 4, 0, 0];
        for frame in [0xc0, 0xc1, 0xc2, 0xcf] {
            let start = [0xff, frame, 0, 11, 8, 0x01, 0xe0, 0x02, 0x80, 1];
            assert_eq!(dimensions(&[&[0xff, 0xd8][..], &app0, &[0xff], &start].concat()), Some((640, 480)));
        }
        assert_eq!(dimensions(&webp_of(b"VP8X", &[0, 0, 0, 0, 0x7f, 0x02, 0, 0xdf, 0x01, 0])), Some((640, 480)));
        let bits: u32 = 639 | 479 << 14;
        assert_eq!(dimensions(&webp_of(b"VP8L", &[&[0x2f][..], &bits.to_le_bytes()].concat())), Some((640, 480)));
        assert_eq!(
            dimensions(&webp_of(b"VP8 ", &[0, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01])),
            Some((640, 480))
        );
    }

    #[test]
    fn whatever_is_cut_off_says_none() {
        let whole =
            [png(1, 1), webp_of(b"VP8 ", &[0; 10]), vec![0xff, 0xd8, 0xff, 0xe0, 0, 4, 0, 0, 0xff, 0xc0, 0, 11, 8]];
        for picture in whole {
            for len in 0..picture.len().min(23) {
                let _ = dimensions(&picture[..len]);
            }
        }
        assert_eq!(dimensions(&[0xff, 0xd8, 0xff, 0xda, 0, 0]), None, "a segment that does not even hold its length");
        assert_eq!(dimensions(b"<svg/>"), None);
    }
}
