//! `POST /v1/challenge` (protocol section 6.2): a challenge for one page load or one click.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::answer::{Refusal, json};
use super::body::JsonBody;
use super::caller::CountedPageCall;
use super::cookie::Cookie;
use super::settings::Current;
use super::state::Shared;
use crate::crypto;
use crate::protocol::id::ChallengeId;
use crate::protocol::statement::{self, Audience, CHALLENGE_LIFE_SECONDS, Challenge};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {}

#[derive(Serialize)]
struct Issued<'a> {
    challenge: String,
    ports: &'a [u16],
}

/// Signs a challenge. Writes nothing to the store: whoever asks a million times fills nothing.
pub(super) async fn issue(
    State(server): State<Shared>,
    settings: Current,
    page: CountedPageCall,
    headers: HeaderMap,
    JsonBody(Asked {}): JsonBody<Asked>,
) -> Result<Response, Refusal> {
    let inc = server.store.incarnation().await?;
    let (secret, new_cookie) = match Cookie::PreLogin.read(&headers) {
        Some(secret) => (secret, None),
        None => {
            let (secret, header) = Cookie::PreLogin.issue();
            (secret, Some(header))
        }
    };
    let (issuer, iat) = (&server.config.issuer, server.clock.timestamp());
    let challenge = Challenge {
        iss: issuer.clone(),
        aud: Audience::Agent,
        org: page.origin().clone(),
        jti: ChallengeId::from_bytes(crypto::random()),
        sid: statement::sid(secret.expose()),
        iat,
        exp: iat.plus(CHALLENGE_LIFE_SECONDS),
        rdm: issuer.login_url(),
        inc,
    };
    let challenge = statement::sign(&challenge, server.keys.get().signers.current(iat)).map_err(|error| {
        tracing::error!("no challenge: {error}");
        Refusal::Unavailable
    })?;
    let mut response = json(StatusCode::OK, &Issued { challenge, ports: &settings.ports });
    if let Some(cookie) = new_cookie {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
