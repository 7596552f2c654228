//! A client that says exactly the bytes it is told to.

use std::time::Duration;

use loopkey::protocol::gate::REFUSAL;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::timeout;

/// How long a test waits for something that must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A TCP connection without any manners.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    /// Connects to the agent on `127.0.0.1`.
    pub(crate) async fn connect(port: u16) -> Self {
        Self::connect_to(("127.0.0.1", port)).await
    }

    pub(crate) async fn connect_to(address: impl ToSocketAddrs) -> Self {
        let stream = TcpStream::connect(address).await.expect("connected");
        stream.set_nodelay(true).expect("no delay");
        Self(stream)
    }

    /// Sends bytes; the other side may have closed already.
    pub(crate) async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.0.write_all(bytes.as_ref()).await;
    }

    /// Everything until the other side closes or resets.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        let mut all = Vec::new();
        // A connection that is closed on unread bytes is reset; what came before counts.
        let _ = timeout(PATIENCE, self.0.read_to_end(&mut all)).await.expect("the other side closes");
        all
    }

    /// Sends an upgrade and reads the answer's head.
    ///
    /// # Panics
    /// Where the agent does not upgrade.
    pub(crate) async fn upgraded(port: u16, origin: &str) -> Self {
        let mut raw = Self::connect(port).await;
        raw.say(upgrade(port, origin)).await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = timeout(PATIENCE, raw.0.read_u8()).await.expect("an answer").expect("an answer");
            head.push(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        raw
    }

    /// The next frame: its first byte and its payload; `None` at the end.
    pub(crate) async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let reading = async {
            let first = self.0.read_u8().await.ok()?;
            let len = match self.0.read_u8().await.ok()? {
                126 => u64::from(self.0.read_u16().await.ok()?),
                127 => self.0.read_u64().await.ok()?,
                short => u64::from(short),
            };
            let mut payload = vec![0; usize::try_from(len).expect("a length")];
            self.0.read_exact(&mut payload).await.ok()?;
            Some((first, payload))
        };
        timeout(PATIENCE, reading).await.expect("a frame or the end")
    }

    /// The close code that the agent ends with, and that nothing follows it; `None` where it just ended.
    pub(crate) async fn closed(mut self) -> Option<u16> {
        loop {
            let (first, payload) = self.frame().await?;
            if first == 0x88 {
                assert_eq!(payload.len(), 2, "the reason is always empty");
                assert_eq!(self.rest().await, b"", "nothing follows a close frame");
                return Some(u16::from_be_bytes([payload[0], payload[1]]));
            }
        }
    }
}

/// A sound upgrade of a page of that origin.
pub(crate) fn upgrade(port: u16, origin: &str) -> String {
    format!(
        "GET /v1 HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {origin}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: loopkey.1\r\n\r\n"
    )
}

/// Sends a head to the agent and demands the one refusal, to the byte.
pub(crate) async fn expect_refusal(port: u16, head: impl AsRef<[u8]>) {
    let head = head.as_ref();
    let mut raw = Raw::connect(port).await;
    raw.say(head).await;
    let answer = raw.rest().await;
    let shown = String::from_utf8_lossy(&head[..head.len().min(200)]);
    assert_eq!(String::from_utf8_lossy(&answer), String::from_utf8_lossy(REFUSAL), "{shown:?}");
}

/// A frame as a browser sends it: masked, with the first byte as given.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x11, 0x22, 0x33, 0x44];
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..126 => frame.push(0x80 | short as u8),
        middle @ 126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// One whole text message.
pub(crate) fn text(text: &str) -> Vec<u8> {
    masked(0x81, text.as_bytes())
}
