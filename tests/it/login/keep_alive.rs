//! A connection that is kept, as browsers and proxies keep theirs: one request behind the other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::ORIGIN;
use super::http::{Answer, Call};

pub(crate) struct KeptConnection(TcpStream);

impl KeptConnection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        TcpStream::connect(address).await.map(Self)
    }

    /// Sends a request and reads the whole answer.
    pub(crate) async fn ask(&mut self, call: &Call) -> io::Result<Answer> {
        self.send(&call.bytes("keep-alive")).await?;
        self.answer().await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// The next answer, to the end that its length announces.
    pub(crate) async fn answer(&mut self) -> io::Result<Answer> {
        let (mut raw, mut wanted) = (Vec::new(), None);
        while wanted.is_none_or(|length| raw.len() < length) {
            if self.0.read_buf(&mut raw).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let head = raw.windows(4).position(|end| end == b"\r\n\r\n");
            wanted = wanted.or_else(|| Some(head? + 4 + length(&raw[..head?])));
        }
        Ok(Answer::parse(&raw))
    }

    /// Whether nothing more comes.
    pub(crate) async fn is_over(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 1]).await, Ok(0))
    }
}

/// Asks for a challenge as fast as it is answered until it is told to end, on connections that it keeps: how often it was
/// answered, and what else came of it.
pub(crate) async fn hurry(address: SocketAddr, over: Arc<AtomicBool>) -> (usize, Vec<String>) {
    let (mut answered, mut lost) = (0, Vec::new());
    let mut kept = None;
    while !over.load(SeqCst) {
        let call = Call::new("POST", "/v1/challenge").header("Origin", ORIGIN).json(&json!({}));
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => KeptConnection::open(address).await.expect("accepted"),
        };
        match connection.ask(&call).await {
            Ok(answer) if answer.status == 200 => {
                answered += 1;
                kept = (!closes(&answer)).then_some(connection);
            }
            other => lost.push(format!("{other:?}")),
        }
    }
    (answered, lost)
}

fn length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    length.unwrap_or(0)
}

/// Whether the server keeps the connection no longer.
pub(crate) fn closes(answer: &Answer) -> bool {
    answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}
