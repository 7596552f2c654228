//! The Redis engine, for Redis 7 or later and Valkey: several login servers share one primary.
//!
//! An operation is one Lua script, so it is atomic, and its entries of the audit record and of the log of withdrawals are
//! in the same step. The numbers that rights are judged by are compared by our clock; what expires by the server's is
//! housekeeping, with a margin.
//!
//! What survives: nothing that the server had not yet passed on when it was lost. With `replicas` = N a write that takes
//! rights away or gives some is acknowledged only when N replicas have it. Single use does not rest on that: after each
//! restart, promotion or loss of data the store has another incarnation, and the log another life.

mod inspect;
mod keys;
mod link;
mod listener;
mod marks;
mod rows;
mod scripts;
mod store;
mod target;
#[cfg(all(test, unix))]
pub(super) mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use redis::{FromRedisValue, Script};
use serde_json::{Value, json};
use tokio::task::JoinSet;

pub use inspect::RedisRefused;

use super::hint::Hints;
use super::sealed::Sealer;
use super::{Cursor, Shared, StoreError, Tail};
use crate::clock::Clock;
use crate::protocol::time::Timestamp;
use crate::store::TAIL_MAX_LEN;
use link::{DEADLINE, Link};
use marks::Marks;
use target::Target;

/// Version of what is written. A later one is refused.
const SCHEMA: u32 = 1;

/// How much longer than they count sessions and tickets are kept, in seconds: their end is decided by our clock, and the
/// server's may run ahead.
const KEPT_MARGIN_SECONDS: u64 = 3600;

/// The Redis engine. Dropping it ends its connections.
#[derive(Debug)]
pub struct Redis {
    target: Arc<Target>,
    /// For reads and marks: a write that waits for replicas must not hold them up.
    calls: Link,
    /// For writes.
    writes: Link,
    replicas: u8,
    clock: Arc<dyn Clock>,
    channel: String,
    marks: Marks,
    sealer: Sealer,
    has_keys: AtomicBool,
    hints: Arc<Hints>,
    _listener: JoinSet<()>,
}

impl Redis {
    /// Opens the store of a server that can keep what is promised of it.
    ///
    /// # Errors
    /// [`RedisRefused`] where it cannot, or does not answer.
    pub async fn open(shared: &Shared, clock: Arc<dyn Clock>) -> Result<Self, RedisRefused> {
        let secret = shared.options.sealing_secret.as_ref().ok_or(RedisRefused::NoSecret)?;
        let replicas = shared.options.replicas;
        let target = Arc::new(Target::new(shared)?);
        let (mut connection, driver) = target.connect().await.map_err(|reason| target.unreachable(reason))?;
        let fit = inspect::fit(&mut connection, replicas);
        let fit = tokio::time::timeout(DEADLINE, fit).await;
        driver.abort();
        fit.map_err(|_| target.unreachable("no answer".to_owned()))??;
        // Channels are the whole server's, keys are the database's.
        let channel = format!("{}hints:{}", scripts::PREFIX, target.database());
        let subscribed = target.subscribe(&channel).await.map_err(|reason| target.unreachable(reason))?;
        let (hints, mut listener) = (Arc::<Hints>::default(), JoinSet::new());
        listener.spawn(listener::listen(subscribed, Arc::clone(&target), channel.clone(), Arc::clone(&hints)));
        let store = Self {
            calls: Link::new(Arc::clone(&target)),
            writes: Link::new(Arc::clone(&target)),
            target,
            replicas,
            clock,
            channel,
            marks: Marks::default(),
            sealer: Sealer::new(secret),
            has_keys: AtomicBool::new(false),
            hints,
            _listener: listener,
        };
        store.check_schema().await?;
        store.check_clock().await?;
        store.open_keys().await?;
        Ok(store)
    }

    async fn check_schema(&self) -> Result<(), RedisRefused> {
        let found = self.read(&scripts::START, json!({ "schema": SCHEMA })).await;
        let found: String = found.map_err(|error: StoreError| self.target.unreachable(error.to_string()))?;
        if found.parse() == Ok(SCHEMA) { Ok(()) } else { Err(RedisRefused::Schema { found, known: SCHEMA }) }
    }

    async fn check_clock(&self) -> Result<(), RedisRefused> {
        let theirs = self.read(&scripts::PING, json!({})).await;
        let theirs = theirs.map_err(|error: StoreError| self.target.unreachable(error.to_string()))?;
        inspect::judge_clock(Timestamp(theirs), self.clock.timestamp())
    }

    /// Runs a script that gives or takes nothing: it reads, or notes what may get lost.
    async fn read<T: FromRedisValue + Send>(&self, script: &Script, told: Value) -> Result<T, StoreError> {
        let call = scripts::call(script, self.clock.timestamp(), &self.channel, told);
        Ok(marks::invoke(&self.calls, DEADLINE, &call).await?)
    }

    /// Runs a script that writes, and waits until as many replicas have it as were promised.
    async fn write<T: FromRedisValue + Send>(&self, script: &Script, told: Value) -> Result<T, StoreError> {
        let call = scripts::call(script, self.clock.timestamp(), &self.channel, told);
        let written = self.writes.call(DEADLINE, async |live| {
            let outcome = call.invoke_async(&mut live.connection()).await?;
            if self.replicas > 0 {
                live.acknowledged(self.replicas).await?;
            }
            Ok(outcome)
        });
        Ok(written.await?)
    }

    /// The log after a place, and a place that nobody was at where its end alone is wanted.
    async fn log(&self, life: &str, seq: u64) -> Result<Tail, StoreError> {
        let fresh = marks::fresh_life();
        let told = json!({ "life": life, "seq": rows::integer(seq), "limit": TAIL_MAX_LEN, "fresh": fresh });
        let (life, last, found): (String, u64, Option<Vec<String>>) = self.read(&scripts::LOG, told).await?;
        let Some(found) = found else { return Ok(Tail::Lost(Cursor { life, seq: last })) };
        let seq = seq + u64::try_from(found.len()).expect("a count of entries fits");
        let entry = |text: &String| serde_json::from_str(text).map_err(StoreError::new);
        let entries = found.iter().map(entry).collect::<Result<_, _>>()?;
        Ok(Tail::Entries(entries, Cursor { life, seq }))
    }
}
