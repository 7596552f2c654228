//! The other side, as whoever speaks to it has it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::error::RpcError;
use super::line::{self, Json};

/// The calls that wait for an answer, by number.
#[derive(Clone, Default)]
pub(super) struct Waiting(Arc<Mutex<HashMap<u64, Answer>>>);

type Answer = oneshot::Sender<Result<Value, RpcError>>;

impl Waiting {
    /// Hands an answer to whoever waits for it.
    pub(super) fn answered(&self, number: u64, result: Result<Value, RpcError>) {
        let waiting = self.lock().remove(&number);
        if let Some(answer) = waiting {
            let _ = answer.send(result);
        }
    }

    /// There will be no answers: whoever waits learns it.
    pub(super) fn clear(&self) {
        let waiting = std::mem::take(&mut *self.lock());
        drop(waiting);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Speaks to the other side of a connection. Cheap to clone; the connection ends with the last one.
#[derive(Clone)]
pub struct Peer {
    lines: mpsc::Sender<String>,
    waiting: Waiting,
    next: Arc<AtomicU64>,
}

impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Peer")
    }
}

impl Peer {
    pub(super) fn new(lines: mpsc::Sender<String>, waiting: Waiting) -> Self {
        Self { lines, waiting, next: Arc::new(AtomicU64::new(1)) }
    }

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
        let line = line::call(Some(number), method, params);
        let (answer, answered) = oneshot::channel();
        let peer = self.clone();
        let future = async move {
            peer.waiting.lock().insert(number, answer);
            let _forget = Forget { peer: &peer, number };
            peer.lines.send(line).await.map_err(|_| RpcError::disconnected())?;
            answered.await.map_err(|_| RpcError::disconnected())?
        };
        (number, future)
    }

    /// Tells the other side something, where there is room in the queue: a notification may be missed.
    pub fn notify(&self, method: &str, params: &Value) {
        let _ = self.lines.try_send(line::call(None, method, params));
    }

    /// Answers a call. A result that goes into no line is an error.
    pub async fn answer(&self, id: &Value, result: Result<Value, RpcError>) {
        let result = result.and_then(|value| Json::of(&value));
        let _ = self.lines.send(line::answer(id, result.as_ref())).await;
    }

    /// Whether the connection is over.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.lines.is_closed()
    }
}

struct Forget<'a> {
    peer: &'a Peer,
    number: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.peer.waiting.lock().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_that_is_given_up_is_forgotten() {
        let (lines, _to_send) = mpsc::channel(1);
        let waiting = Waiting::default();
        let peer = Peer::new(lines, waiting.clone());
        let mut call = Box::pin(peer.call("m", &Value::Null));
        assert!(futures::poll!(&mut call).is_pending() && !waiting.lock().is_empty());
        drop(call);
        assert!(waiting.lock().is_empty());
    }
}
