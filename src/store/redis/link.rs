//! A connection that many tasks share, made anew when it is lost.
//!
//! Nothing is sent a second time: what becomes of a call whose connection is lost nobody knows, and whoever asked is told
//! so. But a connection that is known to be lost is not used, so a server that was away costs one error at most.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::inspect;
use super::scripts::PREFIX;
use super::target::{self, Target};
use crate::store::StoreError;

/// Longest time for any call but a mark. After it the connection is not trusted any more.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// How long the server's replicas have for a write.
const ACKNOWLEDGE_MILLISECONDS: u32 = 1000;
/// Between attempts to connect: the first wait doubles up to the last.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(2);

/// Why a call came to nothing, or nobody knows to what.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("no connection to {0}")]
    Down(Down),
    #[error("no answer within {} ms", .0.as_millis())]
    Deadline(Duration),
    #[error("{0}")]
    Server(#[from] RedisError),
    #[error("the server is not used: {0}")]
    Unfit(String),
    #[error("{had} of {wanted} replicas have the write: nobody knows whether it would outlive a failover")]
    Unacknowledged { had: u8, wanted: u8 },
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        Self::new(fault)
    }
}

/// There is no connection, and when the next attempt is due.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{target}: {reason}", target = target.address)]
pub(super) struct Down {
    target: Arc<Target>,
    reason: Arc<str>,
    failures: u32,
    retry_at: Instant,
}

/// A connection that was made.
pub(super) struct Live {
    connection: MultiplexedConnection,
    driver: AbortHandle,
    condemned: AtomicBool,
    /// Numbers the writes that were answered on this connection.
    written: AtomicU64,
    waited: tokio::sync::Mutex<Waited>,
}

/// What is known of the writes of a connection, by their numbers.
#[derive(Default)]
struct Waited {
    /// The replicas have those up to here.
    acknowledged: u64,
    /// For those up to here it was waited, and for the last of them in vain: so many replicas had them.
    given_up: (u64, u8),
}

impl Live {
    pub(super) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    /// Waits until the replicas have everything that was written and answered before. A crowd shares one wait, and what
    /// comes of it.
    pub(super) async fn acknowledged(&self, wanted: u8) -> Result<(), Fault> {
        let mine = self.written.fetch_add(1, Ordering::SeqCst) + 1;
        let mut waited = self.waited.lock().await;
        if waited.acknowledged >= mine {
            return Ok(());
        }
        let (in_vain, had) = waited.given_up;
        if in_vain >= mine {
            return Err(Fault::Unacknowledged { had, wanted });
        }
        let upto = self.written.load(Ordering::SeqCst);
        // `WAIT` speaks of the last write of the connection that it is sent on. A script that found its work done, by a
        // former try of which nobody knows whether the replicas have it, wrote nothing: this write comes after that one.
        let mut wait = redis::pipe();
        wait.cmd("SET").arg(format!("{PREFIX}written")).arg(upto);
        wait.cmd("WAIT").arg(wanted).arg(ACKNOWLEDGE_MILLISECONDS);
        let (_, had): (String, u8) = wait.query_async(&mut self.connection()).await?;
        if had < wanted {
            waited.given_up = (upto, had);
            return Err(Fault::Unacknowledged { had, wanted });
        }
        waited.acknowledged = upto;
        Ok(())
    }

    fn is_alive(&self) -> bool {
        !self.driver.is_finished() && !self.condemned.load(Ordering::Relaxed)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

type Attempt = Shared<BoxFuture<'static, Result<Arc<Live>, Down>>>;

/// The way to a connection.
pub(super) struct Link {
    target: Arc<Target>,
    current: Mutex<Attempt>,
}

impl Link {
    pub(super) fn new(target: Arc<Target>) -> Self {
        Self { current: Mutex::new(attempt(Arc::clone(&target), 0)), target }
    }

    /// Calls on the connection within the deadline, connecting included.
    pub(super) async fn call<T, W>(
        &self,
        deadline: Duration,
        call: impl FnOnce(Arc<Live>) -> W + Send,
    ) -> Result<T, Fault>
    where
        W: Future<Output = Result<T, Fault>> + Send,
    {
        let ends = Instant::now() + deadline;
        let live = match tokio::time::timeout_at(ends, self.live()).await {
            Ok(live) => live.map_err(Fault::Down)?,
            Err(_) => return Err(Fault::Deadline(deadline)),
        };
        let outcome = match tokio::time::timeout_at(ends, call(Arc::clone(&live))).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Fault::Deadline(deadline)),
        };
        // A server that hangs, a path that swallows packets, a primary that became a replica: look for it anew.
        let condemned = match &outcome {
            Err(Fault::Deadline(after)) => *after >= DEADLINE,
            Err(Fault::Unfit(_)) => true,
            Err(Fault::Server(error)) => error.is_unrecoverable_error() || is_elsewhere(error),
            _ => false,
        };
        if condemned {
            live.condemned.store(true, Ordering::Relaxed);
        }
        outcome
    }

    /// Looks whether the server is still fit. Where it is not, nothing is called until a later connection finds it so.
    pub(super) async fn check(&self) -> Result<(), Fault> {
        self.call(DEADLINE, async |live| inspect::still_fit(&mut live.connection()).await.map_err(Fault::Unfit)).await
    }

    async fn live(&self) -> Result<Arc<Live>, Down> {
        loop {
            let live = self.attempt().await?;
            // It may have been made long ago, for somebody who did not wait for it.
            if live.is_alive() {
                return Ok(live);
            }
        }
    }

    /// The attempt that everybody waits for, or the connection that it made.
    fn attempt(&self) -> Attempt {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = match current.peek() {
            Some(Ok(live)) if !live.is_alive() => Some(0),
            Some(Err(down)) if down.retry_at <= Instant::now() => Some(down.failures),
            _ => None,
        };
        if let Some(failures) = failures {
            *current = attempt(Arc::clone(&self.target), failures);
        }
        current.clone()
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Link").field(&self.target).finish()
    }
}

/// Whether another server is the primary now, or this one is not ready yet.
fn is_elsewhere(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, MasterDown, ReadOnly};
    matches!(error.kind(), ErrorKind::Server(ReadOnly | BusyLoading | MasterDown))
}

/// Begins to connect, in a task of its own: whoever gives up waiting does not end it for the others.
fn attempt(target: Arc<Target>, failures: u32) -> Attempt {
    let connecting = tokio::spawn({
        let target = Arc::clone(&target);
        async move {
            // Everybody waits for this attempt: one without an end would hold up all of them for good.
            target::within_timeout(async {
                let (connection, driver) = target.connect().await?;
                let live = Live {
                    connection,
                    driver,
                    condemned: AtomicBool::new(false),
                    written: AtomicU64::new(0),
                    waited: tokio::sync::Mutex::default(),
                };
                // A name may lead to another server than at the start.
                inspect::still_fit(&mut live.connection()).await?;
                Ok(Arc::new(live))
            })
            .await
        }
    });
    let down = move |reason: String| {
        let wait = FIRST_RETRY.saturating_mul(1 << failures.min(10)).min(LAST_RETRY);
        Down { target, reason: reason.into(), failures: failures + 1, retry_at: Instant::now() + wait }
    };
    async move {
        match connecting.await {
            Ok(Ok(live)) => Ok(live),
            Ok(Err(reason)) => Err(down(reason)),
            Err(_) => Err(down("the connecting task ended".to_owned())),
        }
    }
    .boxed()
    .shared()
}
