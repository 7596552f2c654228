//! A connection that is kept, as browsers and proxies keep theirs: one request behind the other.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

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

fn length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    length.unwrap_or(0)
}

/// Whether the server keeps the connection no longer.
pub(crate) fn closes(answer: &Answer) -> bool {
    answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}
