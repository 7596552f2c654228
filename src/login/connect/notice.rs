//! `POST /v1/connect/{name}/logout-notice`: a provider says that somebody logged out there (OpenID Connect Back-Channel
//! Logout 1.0).

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{ConfiguredConnector, call, find, provider_session};
use crate::connectors::LoggedOut;
use crate::crypto::Secret;
use crate::login::answer::Refusal;
use crate::login::body;
use crate::login::caller::AgentCall;
use crate::login::path::Path;
use crate::login::settings::Current;
use crate::login::state::Shared;
use crate::store::{Identity, NoteKey, NoteKind, NoteValue};

/// Longest notice in bytes.
const MAX_LEN: usize = 24 * 1024;
/// A notice counts once for at least as long as its token does, in seconds.
const LIFE: u64 = 3600;

const KIND: NoteKind = NoteKind::new("connect-notice");

/// Ends the sessions that the notice is about. 200 also where there are none.
pub(in crate::login) async fn notice(
    State(server): State<Shared>,
    settings: Current,
    _: AgentCall,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, Refusal> {
    let way = find(&settings, &name)?;
    let body = body::read(request, "application/x-www-form-urlencoded", MAX_LEN).await?;
    let mut tokens = form_urlencoded::parse(&body).filter(|(name, _)| name == "logout_token");
    let (Some((_, token)), None) = (tokens.next(), tokens.next()) else { return Err(Refusal::BadRequest) };
    let token = Secret::new(token.into_owned());
    let said = call(&server, way, "logged_out", way.connector.logged_out(&token, server.clock.timestamp())).await;
    let said = said.map_err(|refusal| match refusal {
        Refusal::ProviderUnavailable | Refusal::Unsupported => refusal,
        _ => Refusal::BadRequest,
    })?;
    let once = NoteKey::of(KIND, format!("{}\0{}", way.name, said.notice).as_bytes());
    let used = NoteValue::try_from("used".to_owned()).map_err(|_| Refusal::Unavailable)?;
    if server.store.note(&once).await?.is_some() {
        tracing::warn!(connector = way.name.as_str(), "refused: a notice that was given before");
        return Err(Refusal::BadRequest);
    }
    // Used only behind its work: where that fails the provider may say it again. Twice at once it ends the same.
    end(&server, way, &said).await?;
    server.store.keep_note(&once, used, server.clock.timestamp().plus(LIFE)).await?;
    tracing::info!(connector = way.name.as_str(), "logged out at the provider");
    Ok(StatusCode::OK.into_response())
}

/// The one session that the notice names; where it names none, or none that is remembered, everything that the connector
/// opened for that person.
async fn end(server: &Shared, way: &ConfiguredConnector, said: &LoggedOut) -> Result<(), Refusal> {
    if let Some(session) = &said.session
        && provider_session::end(server, way, &said.tenant, session).await?
    {
        return Ok(());
    }
    let Some(id) = &said.id else { return Ok(()) };
    let identity = Identity::new(way.name.clone(), &said.tenant, id).map_err(|_| Refusal::BadRequest)?;
    let Some((account, _)) = server.store.identity(&identity).await? else { return Ok(()) };
    provider_session::end_all(server, way, &account.profile.account).await
}
