//! `GET /healthz` and `/readyz`: whether the process lives, and whether it can do its work.

use axum::extract::State;

use super::answer::Refusal;
use super::state::Shared;

/// The process answers.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// The store answers too.
pub(super) async fn ready(State(server): State<Shared>) -> Result<&'static str, Refusal> {
    server.store.ping().await?;
    Ok("ready\n")
}
