//! `POST /v1/logout` (protocol section 6.5): ends this session, or all of the account's; and says where the browser goes to log
//! out at the provider too, where one signed the person in and the page asks for it.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::answer::Refusal;
use super::body::JsonBody;
use super::caller::{PageCall, SigningOut};
use super::cookie::Cookie;
use super::settings::Current;
use super::state::Shared;
use crate::protocol::json as closed;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    everywhere: bool,
    /// Where the provider that signed the person in sends the browser back to, once it has logged out there too.
    #[serde(default, deserialize_with = "closed::present")]
    return_to: Option<String>,
}

#[cfg(feature = "connectors")]
#[derive(serde::Serialize)]
struct Elsewhere {
    logout_url: String,
}

/// Ends sessions and takes the cookie.
pub(super) async fn log_out(
    State(server): State<Shared>,
    settings: Current,
    _: PageCall,
    SigningOut(session): SigningOut,
    headers: HeaderMap,
    JsonBody(asked): JsonBody<Asked>,
) -> Result<Response, Refusal> {
    #[cfg(feature = "connectors")]
    if let Some(back) = &asked.return_to {
        // Before anything ends: whoever may not go back there has not logged out.
        super::connect::require_return_to(back, &settings)?;
    }
    let account = &session.account.profile.account;
    if asked.everywhere {
        server.store.sign_out_account(account, Some(session.key)).await?;
    } else {
        server.store.end_session(account, session.key).await?;
    }
    tracing::info!(subject = session.account.subject.as_str(), everywhere = asked.everywhere, "logged out");
    let cookie = [(header::SET_COOKIE, Cookie::Session.delete())];
    #[cfg(feature = "connectors")]
    if let Some(back) = &asked.return_to {
        let id = Cookie::Session.read(&headers);
        let session = (session.key, id.as_ref());
        if let Some(logout_url) = super::connect::log_out_at_provider(&server, &settings, session, back).await? {
            let body = super::answer::json(StatusCode::OK, &Elsewhere { logout_url });
            return Ok((cookie, body).into_response());
        }
    }
    #[cfg(not(feature = "connectors"))]
    let _ = (settings, headers, asked.return_to);
    Ok((StatusCode::NO_CONTENT, cookie).into_response())
}
