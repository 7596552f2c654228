//! The little of RFC 6455 that a page's end needs: masked text out, short unmasked frames in.

/// What kind of frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Binary,
    Ping,
    Close,
    Other,
}

/// A frame at the front of some bytes.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    pub(crate) payload: &'a [u8],
    /// Bytes that it takes, with its header.
    pub(crate) len: usize,
}

impl<'a> Frame<'a> {
    /// The frame that the bytes begin with, where all of it is there.
    pub(crate) fn first(bytes: &'a [u8]) -> Option<Self> {
        let (head, short) = (*bytes.first()?, *bytes.get(1)?);
        let (header, payload_len) = match short & 0x7f {
            126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
            127 => {
                let long: [u8; 8] = bytes.get(2..10)?.try_into().ok()?;
                (10, usize::try_from(u64::from_be_bytes(long)).ok()?)
            }
            len => (2, usize::from(len)),
        };
        let kind = match head & 0x0f {
            1 => Kind::Text,
            2 => Kind::Binary,
            8 => Kind::Close,
            9 => Kind::Ping,
            _ => Kind::Other,
        };
        let payload = bytes.get(header..header + payload_len)?;
        Some(Self { kind, payload, len: header + payload_len })
    }
}

/// A masked frame with this payload.
pub(crate) fn masked(kind: Kind, payload: &[u8]) -> Vec<u8> {
    // RFC 6455 section 5.3 asks for an unpredictable mask because of proxies; there is none here.
    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let opcode = match kind {
        Kind::Text | Kind::Other => 0x81,
        Kind::Binary => 0x82,
        Kind::Ping => 0x8a,
        Kind::Close => 0x88,
    };
    let mut frame = Vec::with_capacity(payload.len() + 8);
    frame.push(opcode);
    match u16::try_from(payload.len()).expect("short messages") {
        len @ 0..126 => frame.push(0x80 | len.to_le_bytes()[0]),
        len => {
            frame.push(0x80 | 126);
            frame.extend(len.to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}
