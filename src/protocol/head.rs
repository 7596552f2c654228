//! The request head of a browser's connection, parsed strictly (protocol section 3, point 1).
//!
//! [`httparse`] knows the grammar; what it forgives (lone line feeds, folded lines, bodies, bytes after the head) is
//! refused here, because two readers of a lenient form can disagree about it.

use std::mem::MaybeUninit;

use memchr::{memchr, memchr_iter};

use super::limits::HEAD_MAX_LEN;

/// Headers that an honest browser's head may hold.
const MAX_HEADERS: usize = 100;

/// Why a head was refused. For the log only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadHead {
    /// Longer than [`HEAD_MAX_LEN`].
    #[error("the request head is too long")]
    TooLong,
    /// Not HTTP/1.1 by the strict reading.
    #[error("the request head is not strict HTTP/1.1")]
    Syntax,
    /// Another method than `GET`.
    #[error("the request method is not GET")]
    Method,
    /// A body, or bytes after the head.
    #[error("the request carries more than a head")]
    Excess,
}

/// One request head. Header values are kept as bytes: they are compared, never interpreted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestHead {
    target: String,
    /// Names, in lower case, and values, one after the other.
    text: Vec<u8>,
    /// Where in `text` each header's name ends, and its value.
    ends: Vec<(usize, usize)>,
}

impl RequestHead {
    /// Reads what has arrived so far; `None` where the head is not complete yet.
    ///
    /// # Errors
    /// [`BadHead`] as soon as the bytes cannot become an acceptable head any more.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, BadHead> {
        require_clean_lines(bytes)?;
        let mut storage = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut request = httparse::Request::new(&mut []);
        let parsed = request.parse_with_uninit_headers(bytes, &mut storage);
        let end = match parsed.map_err(|_| BadHead::Syntax)? {
            httparse::Status::Partial if bytes.len() >= HEAD_MAX_LEN => return Err(BadHead::TooLong),
            httparse::Status::Partial => return Ok(None),
            httparse::Status::Complete(end) => end,
        };
        if end > HEAD_MAX_LEN {
            return Err(BadHead::TooLong);
        }
        if end != bytes.len() {
            return Err(BadHead::Excess);
        }
        if request.version != Some(1) {
            return Err(BadHead::Syntax);
        }
        if request.method != Some("GET") {
            return Err(BadHead::Method);
        }
        let (mut text, mut ends) = (Vec::with_capacity(end), Vec::with_capacity(request.headers.len()));
        for header in request.headers.iter() {
            let start = text.len();
            text.extend_from_slice(header.name.as_bytes());
            text[start..].make_ascii_lowercase();
            let name_end = text.len();
            text.extend_from_slice(header.value);
            ends.push((name_end, text.len()));
        }
        let head = Self { target: request.path.unwrap_or_default().to_owned(), text, ends };
        if head.all("content-length").next().is_some() || head.all("transfer-encoding").next().is_some() {
            return Err(BadHead::Excess);
        }
        Ok(Some(head))
    }

    /// The request target, in whatever form it was sent.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Every value of a header, in order; `name` in lower case.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let headers = self.ends.iter().scan(0, |start, &(name_end, end)| {
            let header = (&self.text[*start..name_end], &self.text[name_end..end]);
            *start = end;
            Some(header)
        });
        headers.filter(move |(other, _)| *other == name.as_bytes()).map(|(_, value)| value)
    }

    /// The value of a header that stands exactly once.
    #[must_use]
    pub fn only<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        let mut values = self.all(name);
        values.next().filter(|_| values.next().is_none())
    }
}

/// Whether a header line has no blanks around its value but the one after the colon: [`httparse`] takes them away, and
/// values are compared byte for byte.
fn is_tight(line: &[u8]) -> bool {
    let value = memchr(b':', line).map_or(&[][..], |at| &line[at + 1..]);
    let value = value.strip_prefix(b" ").unwrap_or(value);
    let blank = |b: Option<&u8>| b.is_some_and(|b| matches!(b, b' ' | b'\t'));
    !blank(value.first()) && !blank(value.last())
}

/// Whether a line, or what has come of it, is no continuation of the one before and has no control byte in it.
fn is_clean(line: &[u8]) -> bool {
    let blank = line.first().is_some_and(|b| matches!(b, b' ' | b'\t'));
    // Every byte is looked at, so that the compiler takes many at a time.
    let control = line.iter().fold(false, |any, &b| any | (b < 0x20 && b != b'\t') | (b == 0x7f));
    !blank && !control
}

/// Lines end in CRLF and are clean, and headers are tight.
fn require_clean_lines(bytes: &[u8]) -> Result<(), BadHead> {
    let mut start = 0;
    for end in memchr_iter(b'\n', bytes) {
        let line = bytes[start..end].strip_suffix(b"\r").ok_or(BadHead::Syntax)?;
        let sound = if start == 0 { !line.is_empty() } else { is_tight(line) };
        if !sound || !is_clean(line) {
            return Err(BadHead::Syntax);
        }
        start = end + 1;
    }
    let begun = &bytes[start..];
    let begun = if start == 0 && begun.len() == 1 { begun } else { begun.strip_suffix(b"\r").unwrap_or(begun) };
    if is_clean(begun) { Ok(()) } else { Err(BadHead::Syntax) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_browsers_head() {
        let head = RequestHead::parse(b"GET /v1 HTTP/1.1\r\nHost: 127.0.0.1:28970\r\nX: a\r\nx:b\r\n\r\n");
        let head = head.expect("sound").expect("complete");
        assert_eq!((head.target(), head.only("host")), ("/v1", Some(&b"127.0.0.1:28970"[..])));
        assert_eq!((head.only("x"), head.all("x").count()), (None, 2));
        assert_eq!(RequestHead::parse(b"GET /v1 HTTP/1.1\r\nHost:"), Ok(None));
    }

    #[test]
    fn everything_else() {
        let long = format!("GET /v1 HTTP/1.1\r\nX: {}", "a".repeat(HEAD_MAX_LEN));
        let many = format!("GET /v1 HTTP/1.1\r\n{}\r\n", "X: a\r\n".repeat(130));
        let cases: [&[u8]; 26] = [
            b"GET /v1 HTTP/1.0\r\n\r\n",
            b"GET /v1\r\n",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"POST /v1 HTTP/1.1\r\n\r\n",
            b"OPTIONS /v1 HTTP/1.1\r\n\r\n",
            b"CONNECT a:1 HTTP/1.1\r\n\r\n",
            b"get /v1 HTTP/1.1\r\n\r\n",
            b"GET /v1 HTTP/1.1\nHost: a\n\n",
            b"GET /v1 HTTP/1.1\r\nHost: a\n\r\n",
            b"GET /v1 HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
            b"GET /v1 HTTP/1.1\r\nHost : a\r\n\r\n",
            b"GET /v1 HTTP/1.1\r\nHost: a\0b\r\n\r\n",
            b"GET /v1 HTTP/1.1\r\nHost: a\x7f\r\n\r\n",
            b"GET /v1 HTTP/1.1\r\nHost: a\x01\r\n\r\n",
            b"GET /v1 HTTP/1.1\r\nHost: a\r\r\n\r\n",
            b"GET /v1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET /v1 HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            b"GET /v1 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
            b"GET /v1 HTTP/1.1\r\n\r\n\x81\x80",
            b"\r\nGET /v1 HTTP/1.1\r\n\r\n",
            b" GET /v1 HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01",
            b"\xff\xfe\xfd\x00",
            b"GET /v1 HTTP/1.1\r\n: a\r\n\r\n",
            long.as_bytes(),
            many.as_bytes(),
        ];
        for bytes in cases {
            assert!(RequestHead::parse(bytes).is_err(), "{}", String::from_utf8_lossy(&bytes[..bytes.len().min(60)]));
        }
    }

    /// httparse refuses most of these as well; that is not relied upon.
    #[test]
    fn lines_are_clean_by_our_own_reading() {
        let whole = b"GET /v1 HTTP/1.1\r\nX: a\tb c\r\n\r\n";
        for sound in [&whole[..], b"", b"GET", b"a\r", b"a\r\n", b"\x80\xff", b"a\r\nb: ", b"a\r\nb: \r", b"a \r\n"] {
            assert_eq!(require_clean_lines(sound), Ok(()), "{sound:?}");
        }
        for bytes in [
            &b" GET"[..],
            b"\tGET",
            b"\r",
            b"\rGET",
            b"\r\nGET",
            b"\nGET",
            b"a\nb",
            b"a\rb",
            b"a\r\r\n",
            b"a\r\n b",
            b"a\r\n\tb",
            b"a\0",
            b"a\x01",
            b"a\x1f",
            b"a\x7f",
            b"a\r\nb:  c\r\n",
            b"a\r\nb: \tc\r\n",
            b"a\r\nb: c \r\n",
            b"a\r\nb: c\t\r\n",
        ] {
            assert_eq!(require_clean_lines(bytes), Err(BadHead::Syntax), "{bytes:?}");
        }
    }

    #[test]
    fn eight_kibibytes_and_not_one_byte_more() {
        let whole = |len: usize| {
            let (start, end) = ("GET /v1 HTTP/1.1\r\nX: ", "\r\n\r\n");
            format!("{start}{}{end}", "a".repeat(len - start.len() - end.len()))
        };
        let longest = whole(8192);
        assert!(matches!(RequestHead::parse(longest.as_bytes()), Ok(Some(_))));
        assert_eq!(RequestHead::parse(&longest.as_bytes()[..8191]), Ok(None));
        assert_eq!(RequestHead::parse(whole(8193).as_bytes()), Err(BadHead::TooLong));
        assert_eq!(RequestHead::parse(whole(9000).as_bytes()), Err(BadHead::TooLong));
        assert_eq!(RequestHead::parse(&whole(8200).as_bytes()[..8192]), Err(BadHead::TooLong));
    }

    proptest! {
        /// No byte string panics, and every prefix of a sound head is incomplete, never refused.
        #[test]
        fn total(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..60) {
            let _ = RequestHead::parse(&bytes);
            let sound = b"GET /v1/probe HTTP/1.1\r\nHost: 127.0.0.1:28970\r\nOrigin: https://a.example\r\n\r\n";
            prop_assert_eq!(RequestHead::parse(&sound[..cut]), Ok(None));
        }
    }
}
