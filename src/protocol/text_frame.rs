//! A text message as the agent's side puts it on the wire: unmasked, in one frame (RFC 6455 section 5.2).

use std::sync::Arc;

/// A text frame that is encoded once and sent to many.
#[derive(Clone, PartialEq, Eq)]
pub struct TextFrame(Arc<[u8]>);

impl TextFrame {
    /// Frames a text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut bytes = Vec::with_capacity(header_len(text.len()) + text.len());
        put_header(text.len(), |header| bytes.extend_from_slice(header));
        bytes.extend_from_slice(text.as_bytes());
        Self(bytes.into())
    }

    /// The frame, header and all.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text in it.
    #[must_use]
    pub fn text(&self) -> &str {
        let header = match self.0[1] {
            126 => 4,
            127 => 10,
            _ => 2,
        };
        std::str::from_utf8(&self.0[header..]).expect("made of a text")
    }
}

/// Shows what it says and not how it is framed.
impl std::fmt::Debug for TextFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TextFrame").field(&self.text()).finish()
    }
}

/// How many bytes stand before a text of this length.
#[must_use]
pub const fn header_len(text_len: usize) -> usize {
    match text_len {
        0..126 => 2,
        126..65_536 => 4,
        _ => 10,
    }
}

/// Hands out what stands before a text of this length.
pub fn put_header<T>(text_len: usize, put: impl FnOnce(&[u8]) -> T) -> T {
    const FINAL_TEXT: u8 = 0x81;
    let long = (text_len as u64).to_be_bytes();
    match header_len(text_len) {
        2 => put(&[FINAL_TEXT, long[7]]),
        4 => put(&[FINAL_TEXT, 126, long[6], long[7]]),
        _ => {
            let [a, b, c, d, e, f, g, h] = long;
            put(&[FINAL_TEXT, 127, a, b, c, d, e, f, g, h])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_length_is_framed_and_read_back() {
        for (len, header) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (65_535, &[0x81, 126, 0xff, 0xff]),
            (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let text = "x".repeat(len);
            let frame = TextFrame::new(&text);
            assert_eq!(frame.as_bytes(), [header, text.as_bytes()].concat());
            assert_eq!((frame.text(), header_len(len)), (text.as_str(), header.len()));
        }
        assert_eq!(format!("{:?}", TextFrame::new("{}")), "TextFrame(\"{}\")");
    }
}
