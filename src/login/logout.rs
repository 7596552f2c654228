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
use crate::store::EndReason;

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
    if asked.everywhere {
        let ended = server.store.end_sessions_of(&session.account.profile.account).await?;
        // Told once: the browser that asked has logged out, the others learn that it was done elsewhere.
        server.bus.end(session.key, EndReason::LoggedOut);
        server.tell_ended(&ended);
    } else if server.store.end_session(session.key).await? {
        server.bus.end(session.key, EndReason::LoggedOut);
    }
    tracing::info!(subject = session.account.subject.as_str(), everywhere = asked.everywhere, "logged out");
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, Cookie::Session.delete())]).into_response())
}
