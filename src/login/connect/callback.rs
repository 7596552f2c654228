//! `GET /v1/connect/{name}/callback`: a browser is back from the provider.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{AppendHeaders, IntoResponse, Response};

use super::arrival::{self, Arrival};
use super::begin::{Pending, redirect_uri};
use super::return_to::ReturnTo;
use super::{ConfiguredConnector, call, find, page};
use crate::connectors::{Identified, Returned};
use crate::crypto::{self, Secret, equal_digests};
use crate::login::answer::Refusal;
use crate::login::cookie::Cookie;
use crate::login::path::Path;
use crate::login::settings::Current;
use crate::login::state::Shared;
use crate::protocol::base64url;
use crate::store::{LinkRefusal, SessionKey, SessionLookup};

/// More parameters than any provider sends.
const MAX_PARAMETERS: usize = 32;

type Parameters = BTreeMap<String, Secret<String>>;

/// Takes what the browser brought back. What fails before it is known where the browser came from ends on a page of this
/// server; everything else where the sign-in began.
pub(in crate::login) async fn callback(
    State(server): State<Shared>,
    settings: Current,
    name: Result<Path<String>, Refusal>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let way = match name.and_then(|Path(name)| find(&settings, &name)) {
        Ok(way) => way,
        Err(refusal) => return page::failed(refusal, &settings),
    };
    let (pending, parameters) = match take(&server, way, &headers, &uri).await {
        Ok(taken) => taken,
        Err(refusal) => return page::failed(refusal, &settings),
    };
    // The origins may have been changed meanwhile.
    let Some((return_to, origin)) = ReturnTo::admit(pending.return_to.as_str(), &settings) else {
        return page::failed(Refusal::SignInExpired, &settings);
    };
    let arrival = Arrival { server: &server, settings: &settings, way, origin, headers: &headers };
    match finish(&arrival, &pending, &parameters).await {
        Ok(cookies) => (AppendHeaders(cookies), return_to.go()).into_response(),
        Err(refusal) => return_to.go_with(refusal),
    }
}

async fn finish(
    arrival: &Arrival<'_>,
    pending: &Pending,
    parameters: &Parameters,
) -> Result<Vec<(header::HeaderName, axum::http::HeaderValue)>, Refusal> {
    let Arrival { server, way, .. } = arrival;
    let returned = Returned {
        parameters,
        kept: &pending.kept,
        redirect_uri: &redirect_uri(server, way),
        now: server.clock.timestamp(),
    };
    let identified = call(server, way, "finish", way.connector.finish(&returned)).await?;
    match pending.link {
        Some(session) => link(arrival, session, &identified).await,
        None => arrival.sign_in(&identified).await,
    }
}

/// Links an identity to the account of the session that wanted it. It must be this browser's, still.
async fn link(
    arrival: &Arrival<'_>,
    session: SessionKey,
    identified: &Identified,
) -> Result<Vec<(header::HeaderName, axum::http::HeaderValue)>, Refusal> {
    let server = arrival.server;
    let own = Cookie::Session.read(arrival.headers).map(|id| SessionKey::of(&id));
    if own != Some(session) {
        tracing::warn!("refused to link an identity: another session than the one that wanted it");
        return Err(Refusal::NoSession);
    }
    let SessionLookup::Open(session) = server.store.use_session(session).await? else {
        return Err(Refusal::NoSession);
    };
    let (account, identity) = (&session.account.profile.account, arrival::identity(arrival.way, identified)?);
    match server.store.link_identity(account, identity, arrival::details(identified)).await? {
        Ok(()) => {}
        Err(LinkRefusal::Taken) => return Err(Refusal::IdentityTaken),
        Err(LinkRefusal::NoAccount | LinkRefusal::Disabled) => return Err(Refusal::AccessRefused),
    }
    let subject = session.account.subject.as_str();
    tracing::info!(subject, connector = arrival.way.name.as_str(), "linked an identity");
    Ok(vec![(header::SET_COOKIE, Cookie::PreLogin.delete())])
}

/// Takes the note of the state, once, and looks whether it is this connector's and this browser's.
async fn take(
    server: &Shared,
    way: &ConfiguredConnector,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<(Pending, Parameters), Refusal> {
    let refused = |why: &str| {
        tracing::warn!(connector = way.name.as_str(), "refused an answer: {why}");
        Refusal::SignInExpired
    };
    let mut parameters = parse(uri).ok_or_else(|| refused("a parameter stands twice, or there are too many"))?;
    let state = parameters.remove("state").ok_or_else(|| refused("no state"))?;
    let state = base64url::decode_array::<32>(state.expose()).map_err(|_| refused("state is none of ours"))?;
    let note =
        server.store.take_note(&Pending::key(&state)).await?.ok_or_else(|| refused("no such state, or no more"))?;
    let pending: Pending = serde_json::from_str(note.as_str()).map_err(|error| {
        tracing::error!("a note cannot be read: {error}");
        Refusal::Unavailable
    })?;
    if pending.connector != way.name.as_str() {
        return Err(refused("the state is of another connector"));
    }
    let began = base64url::decode_array::<32>(&pending.browser).unwrap_or_default();
    let cookie = Cookie::PreLogin.read(headers).ok_or_else(|| refused("no pre-login cookie"))?;
    if !equal_digests(&crypto::sha256(&[cookie.expose()]), &began) {
        return Err(refused("the state is of another browser"));
    }
    Ok((pending, parameters))
}

/// The parameters of an address, each at most once.
pub(super) fn parse(uri: &Uri) -> Option<Parameters> {
    let mut parameters = Parameters::new();
    for (name, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        let twice = parameters.insert(name.into_owned(), Secret::new(value.into_owned())).is_some();
        if twice || parameters.len() > MAX_PARAMETERS {
            return None;
        }
    }
    Some(parameters)
}
