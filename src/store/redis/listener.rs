//! Hears the hints of all replicas, on a connection of its own that is made anew when it is lost.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use redis::aio::PubSub;

use super::link::DEADLINE;
use super::target::Target;
use crate::store::Hint;
use crate::store::hint::Hints;

/// How often a silent connection is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(15);
/// Between attempts to connect. The log is read each second without any hint.
const RETRY: Duration = Duration::from_secs(1);

/// Never ends by itself.
pub(super) async fn listen(first: PubSub, target: Arc<Target>, channel: String, hints: Arc<Hints>) {
    let mut subscribed = first;
    loop {
        relay(subscribed, &hints).await;
        tracing::warn!("hints are not heard for now: the connection to {} was lost", target.address);
        subscribed = loop {
            match target.subscribe(&channel).await {
                Ok(subscribed) => break subscribed,
                Err(reason) => tracing::debug!("no connection for hints to {}: {reason}", target.address),
            }
            tokio::time::sleep(RETRY).await;
        };
        tracing::info!("hints are heard again from {}", target.address);
        // It may have grown while nobody heard of it.
        hints.send(Hint::LogGrew);
    }
}

/// Passes hints on until the connection is lost.
async fn relay(subscribed: PubSub, hints: &Hints) {
    let (mut ask, mut messages) = subscribed.split();
    let mut ping = tokio::time::interval(PING_EVERY);
    loop {
        tokio::select! {
            message = messages.next() => {
                let Some(message) = message else { return };
                match serde_json::from_slice(message.get_payload_bytes()) {
                    Ok(hint) => hints.send(hint),
                    // Of a later version, perhaps.
                    Err(error) => tracing::debug!("a hint that nobody understands: {error}"),
                }
            }
            _ = ping.tick() => {
                if !matches!(tokio::time::timeout(DEADLINE, ask.ping::<redis::Value>()).await, Ok(Ok(_))) {
                    return;
                }
            }
        }
    }
}
