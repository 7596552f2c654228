//! `GET /healthz` and `/readyz`: whether the process lives, and whether it can do its work and will go on doing it.

use axum::extract::State;

use super::answer::Refusal;
use super::state::Shared;

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// The store answers too, and the server is not about to stop.
pub(super) async fn ready(State(server): State<Shared>) -> Result<&'static str, Refusal> {
    if server.is_leaving() {
        return Err(Refusal::Unavailable);
    }
    server.store.ping().await?;
    Ok("ready\n")
}
