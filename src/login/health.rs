//! `GET /healthz` and `/readyz`: whether the process lives, and whether it can do its work and will go on doing it.

use std::time::Duration;

use axum::extract::State;

use super::answer::Refusal;
use super::state::Shared;

/// How long the store's answer is believed.
const PING_REMEMBERED: Duration = Duration::from_secs(1);

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// The store answers too, sign-outs elsewhere are heard of, and the server is not about to stop.
pub(super) async fn ready(State(server): State<Shared>) -> Result<&'static str, Refusal> {
    if server.is_leaving() || server.metrics.log_readable.get() == 0 {
        return Err(Refusal::Unavailable);
    }
    // One asks the store, the others wait for what it says: a ping may be a write, and everybody may ask.
    let mut answered = server.pinged.lock().await;
    let now = server.clock.now();
    if answered.is_none_or(|at| now.since(at) >= PING_REMEMBERED) {
        *answered = None;
        server.store.ping().await?;
        *answered = Some(now);
    }
    Ok("ready\n")
}
