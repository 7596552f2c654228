//! `/v1/sessions` (protocol section 6.6): the account's open sessions, for its person to see and to end.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::answer::{Refusal, json};
use super::caller::{PageCall, SignedIn};
use super::cookie::Cookie;
use super::path::Path;
use super::state::Shared;
use crate::protocol::id::DeviceId;
use crate::protocol::origin::Origin;
use crate::protocol::time::Timestamp;
use crate::store::{DisplayName, SessionKey};

#[derive(Serialize)]
struct Listed<'a> {
    sessions: Vec<Entry<'a>>,
}

/// Times are Unix seconds. The id is a digest: whoever has it can end the session with a session of the same account, and
/// do nothing else with it.
#[derive(Serialize)]
struct Entry<'a> {
    id: SessionKey,
    browser: Option<&'a str>,
    device: Option<&'a DeviceId>,
    device_name: Option<&'a str>,
    origin: &'a Origin,
    method: &'a str,
    signed_in_at: Timestamp,
    last_used: Timestamp,
    expires_at: Timestamp,
    /// Whether it is the one that asks.
    current: bool,
}

/// `GET`: the account's open sessions, the newest first.
pub(super) async fn list(State(server): State<Shared>, SignedIn(own): SignedIn) -> Result<Response, Refusal> {
    let sessions = server.store.sessions(&own.account.profile.account).await?;
    let entries = sessions.iter().map(|session| Entry {
        id: session.key,
        browser: session.browser.as_ref().map(DisplayName::as_str),
        device: session.device.as_ref(),
        device_name: session.device_name.as_ref().map(DisplayName::as_str),
        origin: &session.origin,
        method: &session.method,
        signed_in_at: session.signed_in_at,
        last_used: session.last_used,
        expires_at: session.expires_at,
        current: session.key == own.key,
    });
    Ok(json(StatusCode::OK, &Listed { sessions: entries.collect() }))
}

/// `DELETE`: ends one of the account's own sessions. Its own cookie goes with it.
pub(super) async fn end(
    State(server): State<Shared>,
    _: PageCall,
    SignedIn(own): SignedIn,
    Path(session): Path<String>,
) -> Result<Response, Refusal> {
    let session: SessionKey = session.parse().map_err(|_| Refusal::NotFound)?;
    if !server.store.end_session(&own.account.profile.account, session).await? {
        return Err(Refusal::NotFound);
    }
    let is_own = session == own.key;
    tracing::info!(subject = own.account.subject.as_str(), own = is_own, "ended a session");
    let cookie = is_own.then(|| [(header::SET_COOKIE, Cookie::Session.delete())]);
    Ok((StatusCode::NO_CONTENT, cookie.map(axum::http::HeaderMap::from_iter).unwrap_or_default()).into_response())
}
