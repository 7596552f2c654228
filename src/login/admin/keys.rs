//! `POST /v1/challenge-keys`: makes a new challenge key.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use crate::login::answer::{Refusal, json};
use crate::login::caller::ServiceCall;
use crate::login::state::Shared;
use crate::protocol::time::Timestamp;
use crate::store::ROTATION_LEAD_SECONDS;

#[derive(Serialize)]
struct Made {
    /// When it begins to sign; until then it is only published.
    signs_from: Timestamp,
}

/// Publishes a new key, which signs a little later. Nobody who signs in meanwhile notices.
pub(in crate::login) async fn rotate(State(server): State<Shared>, _: ServiceCall) -> Result<Response, Refusal> {
    let made_at = server.clock.timestamp();
    server.store.rotate_challenge_key(server.config.algorithm).await?;
    server.look_for_keys().await;
    tracing::info!("an administrator made a new challenge key");
    Ok(json(StatusCode::CREATED, &Made { signs_from: made_at.plus(ROTATION_LEAD_SECONDS) }))
}
