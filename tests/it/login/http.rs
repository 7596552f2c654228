//! HTTP/1.1 by hand: tests send exactly the bytes they mean, and compare exactly the bytes they get.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::trace;

const BASE: &str = "/loopkey";

/// How long a test waits for an answer, or for an event.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request to be sent.
#[derive(Clone)]
pub(crate) struct Call {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Call {
    /// A call below the issuer's path.
    pub(crate) fn new(method: &str, path: &str) -> Self {
        Self::at(method, &format!("{BASE}{path}"))
    }

    /// A call of any target.
    pub(crate) fn at(method: &str, target: &str) -> Self {
        Self { method: method.into(), target: target.into(), headers: Vec::new(), body: None }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(crate) fn bytes(&self, connection: &str) -> Vec<u8> {
        self.note_secrets();
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name == "Host") {
            head.push_str("Host: app.example.com\r\n");
        }
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = &self.body {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str(&format!("Connection: {connection}\r\n\r\n"));
        [head.as_bytes(), self.body.as_deref().unwrap_or_default()].concat()
    }

    fn note_secrets(&self) {
        for (name, value) in &self.headers {
            match name.as_str() {
                "Cookie" => trace::note_cookies(value),
                "Authorization" => trace::note(value.rsplit(' ').next().unwrap_or_default()),
                _ => {}
            }
        }
        trace::note_message(&String::from_utf8_lossy(self.body.as_deref().unwrap_or_default()));
    }

    /// Sends it and reads the whole answer.
    pub(crate) async fn send(&self, address: SocketAddr) -> Answer {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        // A server that refuses a large body stops reading it; its answer is there all the same.
        let _ = stream.write_all(&self.bytes("close")).await;
        let mut raw = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut raw)).await.expect("an end");
        Answer::parse(&raw)
    }

    /// The same to a server that may be killed meanwhile: nothing where its answer did not come.
    pub(crate) async fn try_send(&self, address: SocketAddr) -> Option<Answer> {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(&self.bytes("close")).await.ok()?;
        let mut raw = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut raw)).await.ok()?;
        raw.windows(4).any(|end| end == b"\r\n\r\n").then(|| Answer::parse(&raw))
    }

    /// Sends the head with a body that it does not announce.
    pub(crate) async fn send_raw(&self, address: SocketAddr, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let _ = stream.write_all(&[self.bytes("close").as_slice(), body].concat()).await;
        let mut raw = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut raw)).await.expect("an end");
        Answer::parse(&raw)
    }

    /// Sends it and leaves the answer open: for event streams.
    pub(crate) async fn open(&self, address: SocketAddr) -> Stream {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(&self.bytes("keep-alive")).await.expect("sent");
        Stream { stream, seen: String::new() }
    }
}

/// An answer, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, in the order in which they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn parse(raw: &[u8]) -> Self {
        let text = String::from_utf8(raw.to_vec()).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("an answer, not {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let headers = lines
            .map(|line| line.split_once(": ").expect("a header"))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let answer = Self { status: status.parse().expect("a number"), headers, body: body.to_owned() };
        answer.all("set-cookie").for_each(trace::note_cookies);
        trace::note_message(body);
        answer
    }

    /// The answer without the one header that says when it was given.
    pub(crate) fn undated(mut self) -> Self {
        self.headers.retain(|(name, _)| name != "date");
        self
    }

    pub(crate) fn header<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.all(name);
        let value = values.next();
        assert!(values.next().is_none(), "one {name} only: {:?}", self.headers);
        value
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("JSON, not {self:?}"))
    }

    /// Asserts one of the fixed error bodies.
    #[track_caller]
    pub(crate) fn expect_error(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, self.body.as_str()),
            (status, format!(r#"{{"error":"{code}"}}"#).as_str()),
            "{self:?}"
        );
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
    }
}

/// An answer that goes on.
pub(crate) struct Stream {
    stream: TcpStream,
    seen: String,
}

impl Stream {
    /// Reads until the text has come.
    pub(crate) async fn until(&mut self, text: &str) {
        let read = async {
            while !self.seen.contains(text) {
                assert!(self.read().await, "the stream ended before {text:?}: {}", self.seen);
            }
        };
        // Shorter than the server's own look at the session: what it does not tell at once does not count.
        assert!(tokio::time::timeout(PATIENCE, read).await.is_ok(), "{text:?} did not come: {}", self.seen);
    }

    /// Reads to the end of the answer's last chunk and returns all that came.
    pub(crate) async fn rest(mut self) -> String {
        let read = async { while !self.seen.ends_with("0\r\n\r\n") && self.read().await {} };
        assert!(tokio::time::timeout(PATIENCE, read).await.is_ok(), "the stream goes on: {}", self.seen);
        self.seen
    }

    async fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = self.stream.read(&mut buffer).await.expect("readable");
        self.seen.push_str(std::str::from_utf8(&buffer[..read]).expect("text"));
        read > 0
    }
}
