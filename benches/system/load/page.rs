//! One page's side of a socket, without the socket: bytes in, bytes out, and what they meant.

use anyhow::{Context as _, bail};

use super::frame::{Frame, Kind, masked};
use crate::spec::Exchange;

/// What a page opens with.
#[derive(Debug, Clone)]
pub(crate) enum Opening {
    Challenge(String),
    Ticket { ticket: String, seq: u64 },
}

/// What the page waits for.
#[derive(Debug)]
enum Expects {
    Answer,
    Hello,
    Ready,
    /// Whatever is pushed.
    Live,
}

/// What a chunk of bytes brought.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Seen {
    /// The page is open now.
    pub(crate) ready: bool,
    /// States that came.
    pub(crate) states: u32,
    /// The length of the last of them, in bytes of text.
    pub(crate) state_len: usize,
}

/// One page.
#[derive(Debug)]
pub(crate) struct Page {
    expects: Expects,
    exchange: Exchange,
    opening: Option<Opening>,
    /// What is not a whole frame yet.
    rest: Vec<u8>,
    /// What `ready` said; empty where nobody needs it.
    pub(crate) ready: Vec<u8>,
}

impl Page {
    pub(crate) const fn new(exchange: Exchange, opening: Opening) -> Self {
        Self { expects: Expects::Answer, exchange, opening: Some(opening), rest: Vec::new(), ready: Vec::new() }
    }

    /// Takes in a chunk; what is to be said goes to `out`.
    pub(crate) fn take(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> anyhow::Result<Seen> {
        let mut seen = Seen::default();
        if self.rest.is_empty() {
            let used = self.read(chunk, out, &mut seen)?;
            if used < chunk.len() {
                self.rest = chunk[used..].to_vec();
            }
        } else {
            let mut bytes = std::mem::take(&mut self.rest);
            bytes.extend_from_slice(chunk);
            let used = self.read(&bytes, out, &mut seen)?;
            if used < bytes.len() {
                bytes.drain(..used);
                self.rest = bytes;
            }
        }
        Ok(seen)
    }

    /// Returns how many bytes were whole messages.
    fn read(&mut self, bytes: &[u8], out: &mut Vec<u8>, seen: &mut Seen) -> anyhow::Result<usize> {
        let mut used = 0;
        if matches!(self.expects, Expects::Answer) {
            let Some(end) = find(bytes, b"\r\n\r\n") else { return Ok(0) };
            if !bytes.starts_with(b"HTTP/1.1 101 ") {
                bail!("no upgrade: {}", String::from_utf8_lossy(&bytes[..end]));
            }
            used = end + 4;
            self.expects = match self.exchange {
                Exchange::UpgradeOnly => {
                    seen.ready = true;
                    Expects::Live
                }
                Exchange::Loopkey | Exchange::Nats => Expects::Hello,
            };
        }
        while let Some(frame) = Frame::first(&bytes[used..]) {
            used += frame.len;
            self.hear(&frame, out, seen)?;
        }
        Ok(used)
    }

    fn hear(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>, seen: &mut Seen) -> anyhow::Result<()> {
        match (frame.kind, self.exchange) {
            (Kind::Close, _) => {
                let code = frame.payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                bail!("the server closed the socket with {code:?}");
            }
            (Kind::Ping, _) => out.extend(masked(Kind::Ping, frame.payload)),
            (_, Exchange::Nats) => self.hear_nats(frame, out, seen),
            (Kind::Text, _) => self.hear_text(frame.payload, out, seen)?,
            _ => {}
        }
        Ok(())
    }

    fn hear_text(&mut self, text: &[u8], out: &mut Vec<u8>, seen: &mut Seen) -> anyhow::Result<()> {
        match self.expects {
            Expects::Answer => bail!("a frame before the upgrade"),
            Expects::Hello => {
                let nonce = member(text, "nonce").context("a hello with a nonce")?;
                let open = match self.opening.take().context("one hello")? {
                    Opening::Challenge(challenge) => {
                        format!(r#"{{"type":"open","nonce":"{nonce}","challenge":"{challenge}"}}"#)
                    }
                    Opening::Ticket { ticket, seq } => {
                        format!(r#"{{"type":"open","nonce":"{nonce}","resume":"{ticket}","seq":{seq}}}"#)
                    }
                };
                out.extend(masked(Kind::Text, open.as_bytes()));
                self.expects = Expects::Ready;
            }
            Expects::Ready => {
                self.ready = text.to_vec();
                self.expects = Expects::Live;
                seen.ready = true;
            }
            Expects::Live if text.starts_with(br#"{"type":"state""#) => {
                seen.states += 1;
                seen.state_len = text.len();
            }
            Expects::Live if text.starts_with(br#"{"type":"ping""#) => {
                out.extend(masked(Kind::Text, br#"{"type":"pong"}"#));
            }
            Expects::Live => {}
        }
        Ok(())
    }

    /// NATS speaks its own protocol inside of binary frames, several of its messages in one, and says PING once in a while.
    fn hear_nats(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>, seen: &mut Seen) {
        let mut text = frame.payload;
        while let Some(end) = find(text, b"\r\n") {
            let line = &text[..end];
            text = &text[end + 2..];
            if line.starts_with(b"INFO") {
                let begin = b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\nSUB s 1\r\nPING\r\n";
                out.extend(masked(Kind::Binary, begin));
            } else if line.starts_with(b"PONG") {
                self.expects = Expects::Live;
                seen.ready = true;
            } else if line.starts_with(b"PING") {
                out.extend(masked(Kind::Binary, b"PONG\r\n"));
            } else if line.starts_with(b"MSG") {
                // What follows is the message, whose own lines begin with none of these words.
                seen.states += 1;
                seen.state_len = text.len().saturating_sub(2);
            }
        }
    }

    /// How to open the next socket instead of this one, where `ready` had a ticket.
    pub(crate) fn ticket(&self) -> Option<Opening> {
        let ticket = member(&self.ready, "resume")?.to_owned();
        let at = find(&self.ready, br#""seq":"#)? + 6;
        let digits = self.ready[at..].iter().take_while(|byte| byte.is_ascii_digit());
        let seq = digits.fold(0, |seq, digit| seq * 10 + u64::from(digit - b'0'));
        Some(Opening::Ticket { ticket, seq })
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// The text of a member, where it is plain.
fn member<'a>(text: &'a [u8], name: &str) -> Option<&'a str> {
    let start = find(text, format!(r#""{name}":""#).as_bytes())? + name.len() + 4;
    let len = text[start..].iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(&text[start..start + len]).ok()
}
