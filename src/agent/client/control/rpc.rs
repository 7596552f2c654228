//! JSON-RPC 2.0 over a stream, one object a line, both sides calling and being called (protocol section 9).

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::{FutureExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::{mpsc, oneshot};

use super::fault::FaultCode;
use crate::protocol::json;

/// Longest line in bytes, in either direction: a profile with a picture of 64 KiB, in base64, and some room.
const LINE_MAX_LEN: usize = 256 * 1024;
/// Messages that may wait in either direction; then whoever sends waits too.
const QUEUE_LEN: usize = 32;
/// Calls of one peer that are under way; the next is taken when one of them is answered.
const MAX_UNDER_WAY: usize = 32;

/// An error as it travels: a number of JSON-RPC, words for a person, and our own code for a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    /// The JSON-RPC error number.
    pub code: i64,
    /// What is wrong, and the cure.
    pub message: String,
    /// `{"code": "…"}`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<ErrorData>,
}

/// A program's view of an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorData {
    /// One of a closed set of codes.
    pub code: String,
}

impl RpcError {
    /// The method could not do what it was asked to.
    #[must_use]
    pub fn failed(code: &str, message: impl Into<String>) -> Self {
        Self { code: -32000, message: message.into(), data: Some(ErrorData { code: code.to_owned() }) }
    }

    pub(super) fn method_not_found(method: &str) -> Self {
        Self { code: -32601, message: format!("there is no method {method:?}"), data: None }
    }

    pub(super) fn invalid_params(reason: impl std::fmt::Display) -> Self {
        Self { code: -32602, message: format!("invalid params: {reason}"), data: None }
    }

    fn disconnected() -> Self {
        Self::failed("disconnected", "the other side has closed the connection")
    }
}

#[derive(Serialize)]
struct Outgoing<'a> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a RpcError>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(default)]
    id: Option<Value>,
    method: String,
    #[serde(default, deserialize_with = "json::without_duplicates")]
    params: Value,
}

/// A call or notification of the other side.
#[derive(Debug)]
pub struct Incoming {
    /// Its number; `None` for a notification, which has no answer.
    pub id: Option<Value>,
    /// The method.
    pub method: String,
    /// Its parameters; `null` where there are none.
    pub params: Value,
}

/// The calls that wait for an answer, by number.
type Waiting = HashMap<u64, oneshot::Sender<Result<Value, RpcError>>>;

/// Speaks to the other side of a connection. Cheap to clone; the connection ends with the last one and its driver.
#[derive(Clone)]
pub struct Peer {
    lines: mpsc::Sender<String>,
    waiting: Arc<Mutex<Waiting>>,
    next: Arc<AtomicU64>,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Peer")
    }
}

impl Peer {
    /// Calls a method and waits for its result. Dropping the future forgets the call.
    ///
    /// # Errors
    /// [`RpcError`] of the other side, or that it is gone.
    pub async fn call(&self, method: &str, params: &Value) -> Result<Value, RpcError> {
        self.call_numbered(method, params).1.await
    }

    /// As [`Peer::call`], and the number that the other side knows the call by.
    pub fn call_numbered(
        &self,
        method: &str,
        params: &Value,
    ) -> (u64, impl Future<Output = Result<Value, RpcError>> + use<>) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = Value::from(number);
        let line = encode(&Outgoing { id: Some(&id), method: Some(method), params: Some(params), ..EMPTY });
        let (answer, answered) = oneshot::channel();
        let peer = self.clone();
        let future = async move {
            peer.lock().insert(number, answer);
            let _forget = Forget { peer: &peer, number };
            peer.lines.send(line).await.map_err(|_| RpcError::disconnected())?;
            answered.await.map_err(|_| RpcError::disconnected())?
        };
        (number, future)
    }

    /// Tells the other side something, where there is room in the queue: a notification may be missed.
    pub fn notify(&self, method: &str, params: &Value) {
        let _ = self.lines.try_send(encode(&Outgoing { method: Some(method), params: Some(params), ..EMPTY }));
    }

    /// Answers a call. A result that goes into no line is an error: the other side would hang up on it.
    pub async fn answer(&self, id: &Value, result: Result<Value, RpcError>) {
        let refuse = |error: &RpcError| encode(&Outgoing { id: Some(id), error: Some(error), ..EMPTY });
        let line = match &result {
            Ok(value) => encode(&Outgoing { id: Some(id), result: Some(value), ..EMPTY }),
            Err(error) => refuse(error),
        };
        let line = if line.len() <= LINE_MAX_LEN {
            line
        } else {
            refuse(&FaultCode::TooLong.because(format_args!("the answer is longer than {LINE_MAX_LEN} bytes")))
        };
        let _ = self.lines.send(line).await;
    }

    /// Whether the connection is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lines.is_closed()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Forget<'a> {
    peer: &'a Peer,
    number: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.peer.lock().remove(&self.number);
    }
}

const EMPTY: Outgoing<'static> =
    Outgoing { jsonrpc: "2.0", id: None, method: None, params: None, result: None, error: None };

fn encode(message: &Outgoing<'_>) -> String {
    let mut line = serde_json::to_string(message).expect("messages have string keys and finite numbers only");
    line.push('\n');
    line
}

/// Opens a connection over a stream: what to speak with, what comes in, and the future that drives both until either side
/// closes.
pub fn open<S: AsyncRead + AsyncWrite + Send + 'static>(
    stream: S,
) -> (Peer, mpsc::Receiver<Incoming>, impl Future<Output = ()> + Send) {
    let (lines, mut to_send) = mpsc::channel::<String>(QUEUE_LEN);
    let (incoming, received) = mpsc::channel(QUEUE_LEN);
    let peer = Peer { lines, waiting: Arc::default(), next: Arc::new(AtomicU64::new(1)) };
    let (reader, mut writer) = tokio::io::split(stream);
    let weak = (peer.lines.downgrade(), Arc::clone(&peer.waiting));
    let driver = async move {
        let (lines, waiting) = weak;
        let writing = async {
            let mut is_heard = true;
            while let Some(line) = to_send.recv().await {
                // Nothing reaches whoever hangs up, but what they have said before is still read.
                is_heard = is_heard && writer.write_all(line.as_bytes()).await.is_ok();
            }
            let _ = writer.shutdown().await;
        };
        let reading = async {
            let mut reader = BufReader::new(reader);
            loop {
                let mut line = Vec::new();
                match (&mut reader).take(LINE_MAX_LEN as u64).read_until(b'\n', &mut line).await {
                    Ok(read) if read > 0 && line.ends_with(b"\n") => {}
                    _ => break,
                }
                match read_line(&line) {
                    Read::Call(call) => {
                        if incoming.send(call).await.is_err() {
                            break;
                        }
                    }
                    Read::Answer(number, result) => {
                        let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                        if let Some(answer) = waiting.remove(&number) {
                            let _ = answer.send(result);
                        }
                    }
                    Read::Nothing => {}
                    Read::Fault(id, error) => {
                        let line = encode(&Outgoing { id: Some(&id), error: Some(&error), ..EMPTY });
                        let Some(lines) = lines.upgrade() else { break };
                        if lines.send(line).await.is_err() {
                            break;
                        }
                    }
                }
            }
        };
        futures::future::select(Box::pin(writing), Box::pin(reading)).await;
        // Whoever still waits learns that there will be no answer.
        waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
    };
    (peer, received, driver)
}

enum Read {
    Call(Incoming),
    Answer(u64, Result<Value, RpcError>),
    Fault(Value, RpcError),
    /// An answer that means nothing here. It is never answered: two sides could go on so for ever.
    Nothing,
}

fn read_line(line: &[u8]) -> Read {
    let invalid = || Read::Fault(Value::Null, RpcError { code: -32600, message: "invalid request".into(), data: None });
    let Ok(call) = json::parse_object::<Line<'_>>(line) else {
        // No call; an answer, at best.
        return match serde_json::from_slice::<Value>(line) {
            Ok(value) if value.get("result").is_some() || value.get("error").is_some() => read_answer(&value),
            Ok(_) => invalid(),
            Err(_) => Read::Fault(Value::Null, RpcError { code: -32700, message: "not JSON".into(), data: None }),
        };
    };
    let id_is_sound = call.id.as_ref().is_none_or(|id| id.is_string() || id.is_u64() || id.is_i64());
    if call.jsonrpc != "2.0" || !id_is_sound {
        return invalid();
    }
    Read::Call(Incoming { id: call.id, method: call.method, params: call.params })
}

fn read_answer(value: &Value) -> Read {
    let number = value.get("id").and_then(Value::as_u64);
    let error = value.get("error").map(|error| serde_json::from_value::<RpcError>(error.clone()));
    match (number, value.get("result"), error) {
        (Some(number), Some(result), None) => Read::Answer(number, Ok(result.clone())),
        (Some(number), None, Some(Ok(error))) => Read::Answer(number, Err(error)),
        _ => Read::Nothing,
    }
}

/// Waits for calls and answers each with `serve`, at most 32 at a time, until the connection ends. Of what came before the end
/// each call is begun; one that has to wait for something then is given up.
pub async fn serve<F, Fut>(peer: &Peer, mut incoming: mpsc::Receiver<Incoming>, serve: F)
where
    F: Fn(Incoming) -> Fut,
    Fut: Future<Output = Option<(Value, Result<Value, RpcError>)>>,
{
    let mut answers = futures::stream::FuturesUnordered::new();
    loop {
        tokio::select! {
            call = incoming.recv(), if answers.len() < MAX_UNDER_WAY => match call {
                Some(call) => answers.push(serve(call)),
                None => {
                    while let Some(Some(_)) = answers.next().now_or_never() {}
                    break;
                }
            },
            Some(answer) = answers.next() => {
                if let Some((id, result)) = answer {
                    peer.answer(&id, result).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whichever of the end and the calls is looked at first, which is left to chance.
    #[tokio::test]
    async fn what_was_said_before_the_end_is_begun() {
        for _ in 0..64 {
            let (peer, _, _driver) = open(tokio::io::empty());
            let (incoming, received) = mpsc::channel(QUEUE_LEN);
            for _ in 0..3 {
                let call = Incoming { id: None, method: "note".into(), params: Value::Null };
                incoming.try_send(call).expect("room");
            }
            drop(incoming);
            let begun = AtomicU64::new(0);
            serve(&peer, received, async |_| {
                begun.fetch_add(1, Ordering::Relaxed);
                std::future::pending().await
            })
            .await;
            assert_eq!(begun.into_inner(), 3);
        }
    }

    #[tokio::test]
    async fn both_sides_call_each_other() {
        let (left, right) = tokio::io::duplex(4096);
        let (a, mut a_in, a_driver) = open(left);
        let (b, b_in, b_driver) = open(right);
        tokio::spawn(a_driver);
        tokio::spawn(b_driver);
        tokio::spawn(async move {
            serve(&b, b_in, |call| {
                let b = b.clone();
                async move {
                    b.notify("note", &Value::Null);
                    let result = if call.method == "double" {
                        Ok(Value::from(call.params.as_u64().unwrap_or(0) * 2))
                    } else {
                        Err(RpcError::method_not_found(&call.method))
                    };
                    call.id.map(|id| (id, result))
                }
            })
            .await;
        });
        assert_eq!(a.call("double", &Value::from(21)).await, Ok(Value::from(42)));
        assert_eq!(a.call("other", &Value::Null).await.map_err(|e| e.code), Err(-32601));
        assert_eq!(a_in.recv().await.map(|n| (n.id, n.method)), Some((None, "note".into())));
    }

    #[tokio::test]
    async fn faults_are_answered_and_a_lost_peer_is_noticed() {
        let (left, right) = tokio::io::duplex(4096);
        let (peer, _incoming, driver) = open(left);
        let driver = tokio::spawn(driver);
        let (reader, mut writer) = tokio::io::split(right);
        let mut lines = BufReader::new(reader).lines();
        for (line, code) in [
            ("{", -32700),
            ("[]", -32600),
            (r#"{"jsonrpc":"1.0","id":1,"method":"m"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","extra":1}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":1,"a":2}}"#, -32600),
        ] {
            writer.write_all(format!("{line}\n").as_bytes()).await.expect("written");
            let answer = lines.next_line().await.expect("read").expect("a line");
            assert!(answer.contains(&code.to_string()), "{line}: {answer}");
        }
        // Nothing that looks like an answer is answered.
        writer
            .write_all(b"{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":1,\"message\":\"m\"}}\n")
            .await
            .expect("written");
        writer.write_all(b"{\"result\":1,\"error\":2}\n").await.expect("written");
        let (_, call) = peer.call_numbered("m", &Value::Null);
        let call = tokio::spawn(call);
        assert!(lines.next_line().await.expect("read").expect("a line").contains(r#""method":"m""#));
        drop((lines, writer));
        assert_eq!(call.await.expect("joined"), Err(RpcError::disconnected()));
        driver.await.expect("the driver ends");
    }

    #[tokio::test]
    async fn so_many_calls_are_under_way_and_the_next_waits_for_an_answer() {
        let (left, _right) = tokio::io::duplex(4096);
        let (peer, _incoming, driver) = open(left);
        tokio::spawn(driver);
        let (calls, incoming) = mpsc::channel(2 * MAX_UNDER_WAY);
        for id in 0..2 * MAX_UNDER_WAY {
            let call = Incoming { id: Some(Value::from(id)), method: "wait".into(), params: Value::Null };
            calls.send(call).await.expect("room");
        }
        drop(calls);
        let (started, mut taken) = mpsc::unbounded_channel();
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let waits = Arc::clone(&gate);
        let serving = tokio::spawn(async move {
            serve(&peer, incoming, |call| {
                let _ = started.send(call.id);
                let gate = Arc::clone(&waits);
                async move {
                    gate.acquire().await.expect("open").forget();
                    None
                }
            })
            .await;
        });
        for _ in 0..MAX_UNDER_WAY {
            taken.recv().await.expect("taken");
        }
        // Whatever could run has run: one thread has them all.
        tokio::task::yield_now().await;
        assert_eq!(taken.try_recv().ok(), None, "one too many");
        gate.add_permits(1);
        assert_eq!(taken.recv().await, Some(Some(Value::from(MAX_UNDER_WAY))));
        tokio::task::yield_now().await;
        assert_eq!(taken.try_recv().ok(), None, "one too many");
        gate.add_permits(2 * MAX_UNDER_WAY);
        serving.await.expect("it ends with the calls");
    }

    #[tokio::test]
    async fn an_answer_that_is_too_long_for_a_line_is_an_error_and_the_connection_goes_on() {
        let (left, right) = tokio::io::duplex(4096);
        let (a, _a_in, a_driver) = open(left);
        let (b, b_in, b_driver) = open(right);
        tokio::spawn(a_driver);
        tokio::spawn(b_driver);
        tokio::spawn(async move {
            serve(&b, b_in, |call| async move {
                let len = usize::try_from(call.params.as_u64().unwrap_or(0)).unwrap_or(0);
                call.id.map(|id| (id, Ok(Value::from("x".repeat(len)))))
            })
            .await;
        });
        let frame = r#"{"jsonrpc":"2.0","id":1,"result":""}"#.len() + 1;
        let longest = LINE_MAX_LEN - frame;
        assert_eq!(a.call("m", &Value::from(longest)).await.map(|x| x.as_str().map(str::len)), Ok(Some(longest)));
        let error = a.call("m", &Value::from(longest + 1)).await.expect_err("too long");
        assert_eq!(error.data.map(|data| data.code).as_deref(), Some("too_long"));
        assert_eq!(a.call("m", &Value::from(1)).await, Ok(Value::from("x")));
    }
}
