//! A WebSocket as the driver wants it: small buffers, counted fragments, a bounded queue, one close.
//!
//! The library reads. What is said goes through the [`Outlet`], which the publisher of states writes to as well.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{FutureExt as _, SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::outlet::{Outlet, QueueFull};
use crate::protocol::bridge::relayed;
use crate::protocol::code::CloseCode;
use crate::protocol::framing::{FragmentCounter, TooManyFragments};
use crate::protocol::limits::{MESSAGE_MAX_LEN, SEND_QUEUE_MAX_LEN};
use crate::protocol::state::Published;
use crate::protocol::text_frame::{TextFrame, put_header};

/// How long a closing socket waits for the page's own close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The library makes its read buffer in full for each socket, so it is small; longer messages still fit. `open` is by far the
/// longest message of most sockets, and comes first.
const OPENING_BUFFER_LEN: usize = 1024;
/// What a page says while it waits is an answer to a ping.
const WAITING_BUFFER_LEN: usize = 128;

/// What came from the page.
#[derive(Debug)]
pub(in crate::agent) enum Event {
    Text(Utf8Bytes),
    Binary,
    Control,
    /// Everything that was queued is on its way.
    Sent,
    /// The page says goodbye, with this code, or 1002 where its own was none that may be sent.
    Goodbye(Option<u16>),
    /// The connection is gone.
    Gone,
    /// The page broke a rule that is the wire's to watch.
    Broken(CloseCode),
}

/// One WebSocket on the agent's side.
pub(in crate::agent) struct Wire<S> {
    /// Made when something is to be read.
    socket: Option<WebSocketStream<Reader<S>>>,
    outlet: Arc<Outlet<S>>,
    /// How many messages the library has handed out, control frames among them.
    messages: u64,
    /// What is sent is for a page behind a bridge.
    bridged: bool,
    owes_pong: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    /// Takes over a connection. The answer to its upgrade goes out in one piece with what is said first.
    pub(in crate::agent) fn new(stream: S, answer: String) -> Self {
        let outlet = Arc::new(Outlet::new(stream, answer.into_bytes()));
        Self { socket: None, outlet, messages: 0, bridged: false, owes_pong: false }
    }

    fn socket(&mut self) -> &mut WebSocketStream<Reader<S>> {
        self.socket.get_or_insert_with(|| {
            let reader = Reader { outlet: Arc::clone(&self.outlet), fragments: FragmentCounter::default() };
            socket(reader, OPENING_BUFFER_LEN)
        })
    }

    /// Gives back the room that the first message took, which the library would keep: most sockets wait from here on.
    /// Nothing is done where the library may hold more than that message.
    pub(in crate::agent) fn wait_from_here_on(&mut self) {
        let Some(fragments) = self.socket.as_ref().map(|socket| &socket.get_ref().fragments) else { return };
        if self.messages == 1 && fragments.whole_frames() == Some(1) {
            let reader = Reader { outlet: Arc::clone(&self.outlet), fragments: fragments.clone() };
            self.socket = Some(socket(reader, WAITING_BUFFER_LEN));
        }
    }

    /// From here on what is sent is for the page that opened this bridge.
    pub(in crate::agent) const fn relay(&mut self) {
        self.bridged = true;
    }

    /// What the publisher of states writes to.
    pub(in crate::agent) const fn outlet(&self) -> &Arc<Outlet<S>> {
        &self.outlet
    }

    /// Queues a text message for the page; `Err` where too much waits already.
    pub(in crate::agent) fn send(&self, text: &str) -> Result<(), CloseCode> {
        if self.bridged { self.say(&relayed(text)) } else { self.say(text) }
    }

    /// As [`Wire::send`], for a text that is framed.
    pub(in crate::agent) fn send_frame(&self, frame: &TextFrame) -> Result<(), CloseCode> {
        if self.bridged { self.say(&relayed(frame.text())) } else { full(self.outlet.queue(&[frame.as_bytes()])) }
    }

    /// As [`Wire::send`], for a state; one that the page is told already is not said again.
    pub(in crate::agent) fn send_state(&self, published: &Published) -> Result<(), CloseCode> {
        if !self.bridged {
            return full(self.outlet.queue_state(published, &[published.frame.as_bytes()]));
        }
        let relayed = relayed(published.frame.text());
        full(put_header(relayed.len(), |header| self.outlet.queue_state(published, &[header, relayed.as_bytes()])))
    }

    /// Queues a text message for whoever is at the other end: the page, or the bridge itself.
    pub(in crate::agent) fn say(&self, text: &str) -> Result<(), CloseCode> {
        full(put_header(text.len(), |header| self.outlet.queue(&[header, text.as_bytes()])))
    }

    /// Has what is queued leave as far as the system takes it. Any fault, and any rest, is the next event's.
    pub(in crate::agent) fn flush(&self) {
        let _ = self.outlet.poll_flush(&mut Context::from_waker(futures::task::noop_waker_ref()));
    }

    /// The next thing from the page; what is queued goes out meanwhile. Safe to drop and call again.
    pub(in crate::agent) async fn event(&mut self) -> Event {
        poll_fn(|cx| {
            // The library keeps the answer to a ping until it is asked for it. Whoever pings too much gets none.
            if std::mem::take(&mut self.owes_pong)
                && let Poll::Ready(Err(error)) = self.socket().poll_flush_unpin(cx)
            {
                return Poll::Ready(event_of(&error));
            }
            if self.outlet.has_unsent() {
                match self.outlet.poll_flush(cx) {
                    Poll::Ready(Ok(())) => return Poll::Ready(Event::Sent),
                    Poll::Ready(Err(_)) => return Poll::Ready(Event::Gone),
                    Poll::Pending => {}
                }
            }
            let message = std::task::ready!(self.socket().poll_next_unpin(cx));
            self.messages += 1;
            Poll::Ready(match message {
                None => Event::Gone,
                Some(Ok(Message::Close(frame))) => Event::Goodbye(frame.map(|frame| frame.code.into())),
                Some(Ok(Message::Text(text))) => Event::Text(text),
                Some(Ok(Message::Binary(_))) => Event::Binary,
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {
                    self.owes_pong = true;
                    Event::Control
                }
                Some(Err(error)) => event_of(&error),
            })
        })
        .await
    }

    /// Answers the page's goodbye with the same code and no reason, and waits a moment for the page to hang up.
    pub(in crate::agent) async fn answer_goodbye(self, code: Option<u16>) {
        let answer = async {
            // The library would answer with a reason of its own, or the page's.
            let queued = match code.map(u16::to_be_bytes) {
                Some([high, low]) => self.outlet.queue_control(&[0x88, 2, high, low]),
                None => self.outlet.queue_control(&[0x88, 0]),
            };
            if queued.is_ok() && self.flushed().await.is_ok() {
                self.hang_up().await;
            }
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, answer).await;
    }

    /// Closes with a code and no reason, and gives the page a moment to hear it.
    pub(in crate::agent) async fn close(mut self, code: CloseCode) {
        let frame = CloseFrame { code: code.number().into(), reason: Utf8Bytes::from_static("") };
        let goodbye = async {
            // After a broken frame the library still writes, but reads no more: what the page goes on sending is drained
            // below it, because a reset would take the close frame away from the page.
            if self.socket().close(Some(frame)).await.is_ok() && self.flushed().await.is_ok() {
                while self.socket().next().await.is_some_and(|message| message.is_ok()) {}
            }
            self.hang_up().await;
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, goodbye).await;
    }

    async fn flushed(&self) -> io::Result<()> {
        poll_fn(|cx| self.outlet.poll_flush(cx)).await
    }

    async fn hang_up(&self) {
        if poll_fn(|cx| self.outlet.poll_shutdown(cx)).await.is_ok() {
            drain(&mut Rest(&self.outlet)).await;
        }
    }
}

fn socket<S: AsyncRead + AsyncWrite + Unpin>(reader: Reader<S>, read_buffer_len: usize) -> WebSocketStream<Reader<S>> {
    let config = WebSocketConfig::default()
        .read_buffer_size(read_buffer_len)
        .write_buffer_size(0)
        .max_write_buffer_size(SEND_QUEUE_MAX_LEN)
        .max_message_size(Some(MESSAGE_MAX_LEN))
        .max_frame_size(Some(MESSAGE_MAX_LEN));
    let made = WebSocketStream::from_raw_socket(reader, Role::Server, Some(config)).now_or_never();
    made.expect("it is a future by its form alone")
}

/// Reads and forgets until the other side closes; the caller bounds the time.
pub(in crate::agent) async fn drain(stream: &mut (impl AsyncRead + Unpin)) {
    let mut waste = [0; 1024];
    while stream.read(&mut waste).await.is_ok_and(|read| read > 0) {}
}

fn full(queued: Result<(), QueueFull>) -> Result<(), CloseCode> {
    queued.map_err(|QueueFull| CloseCode::OverLimit)
}

fn event_of(error: &Error) -> Event {
    match error {
        Error::Io(io) if is::<TooManyFragments>(io) => Event::Broken(CloseCode::Unexpected),
        Error::Io(io) if is::<QueueFull>(io) => Event::Broken(CloseCode::OverLimit),
        Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_) => Event::Gone,
        Error::Capacity(_) => Event::Broken(CloseCode::TooBig),
        Error::Utf8(_) => Event::Broken(CloseCode::InvalidUtf8),
        Error::WriteBufferFull(_) => Event::Broken(CloseCode::OverLimit),
        _ => Event::Broken(CloseCode::ProtocolError),
    }
}

/// Whether a fault of ours was carried through the library.
fn is<E: std::error::Error + 'static>(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<E>())
}

/// The stream as the library has it: what it reads is counted by fragments, what it writes is queued.
struct Reader<S> {
    outlet: Arc<Outlet<S>>,
    fragments: FragmentCounter,
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Reader<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        std::task::ready!(self.outlet.poll_read(cx, buf))?;
        Poll::Ready(self.fragments.take(&buf.filled()[before..]).map_err(io::Error::other))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Reader<S> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.outlet.queue_control(buf).map(|()| buf.len()).map_err(io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outlet.poll_shutdown(cx)
    }
}

/// What still comes once nothing is said any more.
struct Rest<'a, S>(&'a Outlet<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Rest<'_, S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A socket whose page has room for one byte and does not read.
    fn unread() -> (Wire<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (page, agent) = tokio::io::duplex(1);
        (Wire::new(agent, String::new()), page)
    }

    /// A message that takes so many bytes on the wire.
    fn message(frame_len: usize) -> String {
        // RFC 6455 section 5.2: two bytes of header, and two more for lengths over 125.
        "x".repeat(frame_len - if frame_len > 127 { 4 } else { 2 })
    }

    /// A masked text frame.
    fn said(text: &str) -> Vec<u8> {
        let len = u16::try_from(text.len()).expect("short").to_be_bytes();
        [&[0x81, 0xfe], &len[..], &[0; 4], text.as_bytes()].concat()
    }

    /// However a page's messages come: in one piece, each by itself, or cut in the middle.
    #[tokio::test]
    async fn giving_room_back_loses_nothing_of_what_the_page_says() {
        let [first, second] = ["a".repeat(900), "b".repeat(900)];
        let bytes = [said(&first), said(&second)].concat();
        for cut in [0, 1, 907, 908, 909, 1000, bytes.len()] {
            let (mut page, agent) = tokio::io::duplex(4096);
            let mut wire = Wire::new(agent, String::new());
            tokio::io::AsyncWriteExt::write_all(&mut page, &bytes[..cut]).await.expect("written");
            let mut heard = Vec::new();
            if cut >= 908 {
                let Event::Text(text) = wire.event().await else { panic!("a text") };
                heard.push(text.to_string());
            }
            wire.wait_from_here_on();
            tokio::io::AsyncWriteExt::write_all(&mut page, &bytes[cut..]).await.expect("written");
            while heard.len() < 2 {
                let Event::Text(text) = wire.event().await else { panic!("a text") };
                heard.push(text.to_string());
            }
            assert_eq!(heard, [first.clone(), second.clone()], "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn sixty_four_kilobytes_wait_for_a_page_that_does_not_read_and_not_a_byte_more() {
        assert_eq!(SEND_QUEUE_MAX_LEN, 65_536);
        let (mut wire, mut page) = unread();
        // One byte of the first message is on its way at once.
        assert_eq!(wire.send(&message(1025)), Ok(()));
        for _ in 0..63 {
            assert_eq!(wire.send(&message(1024)), Ok(()));
        }
        assert!(wire.outlet.has_unsent());
        assert_eq!(wire.send(&message(2)), Err(CloseCode::OverLimit), "64 KiB wait already");
        // The page reads them, and it goes on.
        let reading = tokio::spawn(async move {
            let mut all = vec![0; 65 * 1024];
            while page.read(&mut all).await.is_ok_and(|read| read > 0) {}
        });
        assert!(matches!(wire.event().await, Event::Sent));
        assert_eq!(wire.send(&message(1024)), Ok(()));
        drop(wire);
        reading.await.expect("read to the end");
    }
}
