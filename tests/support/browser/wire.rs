//! JSON commands, replies and events over one WebSocket: the shape that the Chrome DevTools Protocol and WebDriver
//! BiDi have in common.
//!
//! The socket lives on a thread with a runtime of its own, not on the runtime of the test that launched the browser:
//! so one browser in a `static` can serve many `#[tokio::test]` functions, each of which has its own runtime.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// How long any single command may take; generous, because only a hung browser meets it.
pub(super) const CALL_DEADLINE: Duration = Duration::from_secs(30);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;
type Listener = Box<dyn Fn(&Value) + Send>;

/// The browser answered a command with an error.
#[derive(Debug)]
pub(super) struct Refused {
    method: &'static str,
    pub(super) message: String,
}

impl Refused {
    pub(super) fn new(method: &'static str, message: String) -> Self {
        Self { method, message }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "the browser refused {}: {}", self.method, self.message)
    }
}

impl std::error::Error for Refused {}

enum Order {
    Call { method: &'static str, message: Value, reply: oneshot::Sender<Result<Value, Refused>> },
    Listen { key: String, listener: Listener },
}

/// One connection to a browser; clones share it.
#[derive(Clone)]
pub(super) struct Wire(mpsc::UnboundedSender<Order>);

impl Wire {
    /// Connects to a debugging address the browser announced.
    pub(super) async fn connect(address: &str) -> anyhow::Result<Self> {
        let (orders, order_queue) = mpsc::unbounded_channel();
        let (connected, connecting) = oneshot::channel();
        let url = address.to_owned();
        std::thread::Builder::new().name("browser-wire".into()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(connected.send(Err(error.into()))),
            };
            runtime.block_on(async move {
                match timeout(CALL_DEADLINE, connect_async(&url)).await {
                    Ok(Ok((socket, _response))) => {
                        let _ = connected.send(Ok(()));
                        pump(socket, order_queue).await;
                    }
                    Ok(Err(error)) => drop(connected.send(Err(error.into()))),
                    Err(elapsed) => drop(connected.send(Err(elapsed.into()))),
                }
            });
        })?;
        let outcome: anyhow::Result<()> = connecting.await.context("the connecting thread ended")?;
        outcome.with_context(|| format!("cannot connect to the browser at {address}"))?;
        Ok(Self(orders))
    }

    /// Sends a command and awaits its reply, at most [`CALL_DEADLINE`].
    pub(super) async fn call(&self, method: &'static str, params: Value) -> anyhow::Result<Value> {
        self.request(method, json!({ "method": method, "params": params }), CALL_DEADLINE).await
    }

    /// Sends a whole message (all but its id) and awaits the reply, at most `deadline`.
    pub(super) async fn request(
        &self,
        method: &'static str,
        message: Value,
        deadline: Duration,
    ) -> anyhow::Result<Value> {
        let answer = self.post(method, message);
        match timeout(deadline, answer).await {
            Ok(Ok(outcome)) => Ok(outcome?),
            Ok(Err(_closed)) => Err(anyhow!("the browser closed the connection before it answered {method}")),
            Err(_) => Err(anyhow!("the browser did not answer {method} within {deadline:?}")),
        }
    }

    /// Sends a command and lets the reply go, for use where nothing can be awaited (`Drop`).
    pub(super) fn tell(&self, method: &'static str, params: &Value) {
        drop(self.post(method, json!({ "method": method, "params": params })));
    }

    /// Calls `listener` for every event of the DevTools session or browsing context `key`.
    pub(super) fn listen(&self, key: &str, listener: impl Fn(&Value) + Send + 'static) {
        let _ = self.0.send(Order::Listen { key: key.to_owned(), listener: Box::new(listener) });
    }

    fn post(&self, method: &'static str, message: Value) -> oneshot::Receiver<Result<Value, Refused>> {
        let (reply, answer) = oneshot::channel();
        // When the connection is gone, `reply` is dropped with the order and the caller sees that.
        let _ = self.0.send(Order::Call { method, message, reply });
        answer
    }
}

/// Moves messages until the browser or the last [`Wire`] is gone.
async fn pump(mut socket: Socket, mut orders: mpsc::UnboundedReceiver<Order>) {
    let mut pending = HashMap::new();
    let mut listeners: HashMap<String, Listener> = HashMap::new();
    let mut last_id = 0_u64;
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Call { method, mut message, reply }) => {
                    last_id += 1;
                    message["id"] = last_id.into();
                    pending.insert(last_id, (method, reply));
                    if socket.send(Message::text(message.to_string())).await.is_err() {
                        return;
                    }
                }
                Some(Order::Listen { key, listener }) => drop(listeners.insert(key, listener)),
                None => return,
            },
            frame = socket.next() => {
                let Some(Ok(frame)) = frame else { return };
                // Pings and the like are empty or no JSON, and nobody's.
                let parsed = frame.to_text().ok().and_then(|text| serde_json::from_str(text).ok());
                let mut message: Value = parsed.unwrap_or_default();
                if let Some((method, reply)) = message["id"].as_u64().and_then(|id| pending.remove(&id)) {
                    let outcome = match refusal(&message) {
                        Some(message) => Err(Refused { method, message }),
                        None => Ok(message["result"].take()),
                    };
                    let _ = reply.send(outcome);
                } else if let Some(listener) = event_key(&message).and_then(|key| listeners.get(key)) {
                    listener(&message);
                }
            }
        }
    }
}

/// The error of a reply: an object in DevTools, a code beside a message in BiDi.
fn refusal(message: &Value) -> Option<String> {
    match &message["error"] {
        Value::Null => None,
        Value::String(code) => Some(format!("{code}: {}", message["message"].as_str().unwrap_or_default())),
        error => Some(error["message"].as_str().map_or_else(|| error.to_string(), str::to_owned)),
    }
}

/// Whom an event is about: a DevTools session, or a BiDi browsing context.
fn event_key(message: &Value) -> Option<&str> {
    let params = &message["params"];
    [&message["sessionId"], &params["source"]["context"], &params["context"]].into_iter().find_map(Value::as_str)
}

/// The string at a place of a reply where the protocol has one.
pub(super) fn string(value: &Value) -> anyhow::Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("expected a string from the browser, got {value}"))
}
