//! A program on an agent's port that is no agent: it says what a test tells it to, with every politeness of the real one.

use std::sync::{Arc, Mutex};

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

/// What it answers to a page's message: frames, each sent as it is.
pub(crate) type Answer = dyn Fn(&Value) -> Vec<Value> + Send + Sync;

/// It answers probes and sockets of every origin until it is dropped.
pub(crate) struct FakeAgent {
    heard: Arc<Mutex<Vec<Value>>>,
    pushes: broadcast::Sender<Value>,
    task: JoinHandle<()>,
}

impl FakeAgent {
    /// Takes a port of 127.0.0.1.
    pub(crate) async fn listen(port: u16, answer: impl Fn(&Value) -> Vec<Value> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
        let (heard, answer, pushes) = (Arc::default(), Arc::new(answer), broadcast::Sender::new(64));
        let (ears, news) = (Arc::clone(&heard), pushes.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, heard) = (Arc::clone(&answer), Arc::clone(&ears));
                let pushes = news.subscribe();
                tokio::spawn(async move { serve(stream, &*answer, &heard, pushes).await });
            }
        });
        Self { heard, pushes, task }
    }

    /// Says something to every open socket.
    pub(crate) fn push(&self, frame: Value) {
        let _ = self.pushes.send(frame);
    }

    /// The types of the messages that pages sent, in order.
    pub(crate) fn heard(&self) -> Vec<String> {
        let heard = self.heard.lock().expect("unpoisoned");
        heard.iter().map(|message: &Value| message["type"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl Drop for FakeAgent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection; whatever goes wrong with it ends it.
async fn serve(
    mut stream: TcpStream,
    answer: &Answer,
    heard: &Mutex<Vec<Value>>,
    mut pushes: broadcast::Receiver<Value>,
) -> Option<()> {
    let head = peek_head(&stream).await?;
    if head.starts_with("GET /v1/probe ") {
        let origin = head.lines().find_map(|line| line.strip_prefix("Origin: ")).unwrap_or("null");
        let allow = format!(
            "HTTP/1.1 204 No Content\r\nAccess-Control-Allow-Origin: {origin}\r\nVary: Origin\r\n\
             Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(allow.as_bytes()).await.ok()?;
        return stream.shutdown().await.ok();
    }
    #[allow(clippy::result_large_err, reason = "the library's type")]
    let accept = |_: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        response.headers_mut().insert("Sec-WebSocket-Protocol", "loopkey.1".parse().expect("a header"));
        Ok(response)
    };
    let mut socket = tokio_tungstenite::accept_hdr_async(stream, accept).await.ok()?;
    let hello = json!({ "type": "hello", "v": 1, "nonce": "n".repeat(43) });
    socket.send(Message::text(hello.to_string())).await.ok()?;
    loop {
        let frames = tokio::select! {
            pushed = pushes.recv() => vec![pushed.ok()?],
            frame = socket.next() => {
                let Ok(text) = frame?.ok()?.into_text() else { continue };
                let Ok(message) = serde_json::from_str::<Value>(&text) else { continue };
                let frames = answer(&message);
                heard.lock().expect("unpoisoned").push(message);
                frames
            }
        };
        for frame in frames {
            socket.send(Message::text(frame.to_string())).await.ok()?;
        }
    }
}

/// The request's head, left in the stream.
async fn peek_head(stream: &TcpStream) -> Option<String> {
    let mut buffer = [0; 4096];
    loop {
        let read = stream.peek(&mut buffer).await.ok()?;
        let text = String::from_utf8_lossy(&buffer[..read]).into_owned();
        if read == 0 || text.contains("\r\n\r\n") {
            return (read > 0).then_some(text);
        }
        stream.readable().await.ok()?;
    }
}

/// A `ready` in which somebody is signed in, with a proof or without.
pub(crate) fn ready(epoch: u64, proof: Option<&str>) -> Value {
    let mut ready = json!({
        "type": "ready", "seq": epoch, "grants": ["presence", "login"], "state": state(epoch),
        "resume": "a ticket", "resumed": false,
    });
    if let Some(proof) = proof {
        ready["proof"] = proof.into();
    }
    ready
}

/// Somebody is signed in.
pub(crate) fn state(epoch: u64) -> Value {
    json!({ "presence": "signed_in", "since": 1, "epoch": epoch })
}
