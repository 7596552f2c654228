//! `POST /v1/logout` (protocol section 6.5): ends this session, or all of the account's.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::answer::Refusal;
use super::body::JsonBody;
use super::caller::{PageCall, SignedIn};
use super::cookie::Cookie;
use super::state::Shared;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    everywhere: bool,
}

/// Ends sessions and takes the cookie.
pub(super) async fn log_out(
    State(server): State<Shared>,
    _: PageCall,
    SignedIn(session): SignedIn,
    JsonBody(asked): JsonBody<Asked>,
) -> Result<Response, Refusal> {
    let account = &session.account.profile.account;
    if asked.everywhere {
        server.store.sign_out_account(account, Some(session.key)).await?;
    } else {
        server.store.end_session(account, session.key).await?;
    }
    tracing::info!(subject = session.account.subject.as_str(), everywhere = asked.everywhere, "logged out");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, Cookie::Session.delete())]).into_response())
}
