//! `GET /healthz` and `/readyz`: whether the process lives, and whether it can do its work and will go on doing it.

use std::sync::atomic::Ordering;

use axum::extract::State;

use super::answer::Refusal;
use super::state::Shared;

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// The store answers too, sign-outs elsewhere are heard of, and the server is not about to stop.
pub(super) async fn ready(State(server): State<Shared>) -> Result<&'static str, Refusal> {
    if server.is_leaving() || server.metrics.log_readable.get() == 0 {
        return Err(Refusal::Unavailable);
    }
    // One asks the store, and what it says counts for all who came before the question: a ping may be a write, and
    // everybody may ask.
    let seen = server.pings.load(Ordering::SeqCst);
    let mut answered = server.pinged.lock().await;
    if *answered <= seen {
        let number = server.pings.fetch_add(1, Ordering::SeqCst) + 1;
        server.store.ping().await?;
        *answered = number;
    }
    Ok("ready\n")
}
