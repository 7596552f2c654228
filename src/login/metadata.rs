//! What the issuer says of itself (protocol section 6.1).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use serde::Serialize;

use super::answer::json;
use super::settings::Current;
use super::state::Shared;
use super::token::GRANT_TYPE;
use crate::crypto::{Algorithm, KeyId, PublicKey};
use crate::protocol::issuer::Issuer;
use crate::protocol::metadata::Metadata;
use crate::protocol::statement::jwk::Jwk;

/// `GET /.well-known/loopkey.json`
pub(super) async fn metadata(State(server): State<Shared>, settings: Current) -> Response {
    let (ports, wss_ports) = (settings.ports.clone(), settings.wss_ports.clone());
    json(StatusCode::OK, &Metadata::of(&server.config.issuer, ports, wss_ports, settings.listed.clone()))
}

#[derive(Serialize)]
struct Published {
    keys: Vec<Key>,
}

/// A key as the usual JWT libraries look for it (RFC 7517 section 4): found by its name, for one algorithm and one use.
#[derive(Serialize)]
struct Key {
    #[serde(flatten)]
    key: Jwk,
    kid: KeyId,
    alg: Algorithm,
    r#use: &'static str,
}

impl From<&PublicKey> for Key {
    fn from(key: &PublicKey) -> Self {
        Self { key: key.to_jwk(), kid: key.id(), alg: key.algorithm(), r#use: "sig" }
    }
}

/// `GET /.well-known/jwks.json`: the challenge keys, two during a rotation.
pub(super) async fn jwks(State(server): State<Shared>) -> Response {
    json(StatusCode::OK, &Published { keys: server.keys.get().public.keys().iter().map(Key::from).collect() })
}

/// What OAuth clients look for (RFC 8414 section 2).
#[derive(Serialize)]
struct AuthorizationServer<'a> {
    issuer: &'a Issuer,
    jwks_uri: String,
    token_endpoint: String,
    grant_types_supported: [&'static str; 1],
    /// There is no authorization endpoint.
    response_types_supported: [&'static str; 0],
    token_endpoint_auth_methods_supported: [&'static str; 1],
}

/// `GET /.well-known/oauth-authorization-server`
pub(super) async fn authorization_server(State(server): State<Shared>) -> Response {
    let issuer = &server.config.issuer;
    let metadata = AuthorizationServer {
        issuer,
        jwks_uri: issuer.endpoint("/.well-known/jwks.json"),
        token_endpoint: issuer.endpoint("/v1/token"),
        grant_types_supported: [GRANT_TYPE],
        response_types_supported: [],
        token_endpoint_auth_methods_supported: ["client_secret_basic"],
    };
    json(StatusCode::OK, &metadata)
}
