//! What the issuer says of itself (protocol section 6.1).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::json;
use super::state::Shared;
use crate::crypto::PublicKey;
use crate::protocol::metadata::Metadata;
use crate::protocol::statement::jwk::JwkSet;

/// `GET /.well-known/loopkey.json`
pub(super) async fn metadata(State(server): State<Shared>) -> Response {
    let config = &server.config;
    json(StatusCode::OK, &Metadata::of(&config.issuer, config.ports.clone(), config.origins.clone()))
}

/// `GET /.well-known/jwks.json`: the challenge keys, two during a rotation.
pub(super) async fn jwks(State(server): State<Shared>) -> Response {
    json(StatusCode::OK, &JwkSet(server.keys.get().public.keys().iter().map(PublicKey::to_jwk).collect()))
}
