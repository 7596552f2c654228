//! `GET /v1/connect/{name}`: a browser leaves for the provider. `POST /v1/connect/{name}/link`: the same for somebody who is
//! signed in already, and wants to sign in so too from now on. `POST …/frame`: the same for a page that shows the provider's
//! page in a frame.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::return_to::{ReturnTo, redirect};
use super::{ConfiguredConnector, call, find, page};
use crate::connectors::Beginning;
use crate::crypto;
use crate::login::answer::{Refusal, json};
use crate::login::body::JsonBody;
use crate::login::caller::{CountedPageCall, SignedIn};
use crate::login::cookie::Cookie;
use crate::login::path::Path;
use crate::login::settings::Current;
use crate::login::state::Shared;
use crate::protocol::base64url;
use crate::store::{NoteKey, NoteKind, NoteValue, SessionKey};

/// How long somebody may take at the provider, in seconds.
const LIFE: u64 = 600;

const KIND: NoteKind = NoteKind::new("connect");

/// A sign-in that was begun, until the browser is back.
#[derive(Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) connector: String,
    /// SHA-256 of the pre-login cookie's secret, in base64url: the one browser in which the answer counts.
    pub(super) browser: String,
    pub(super) return_to: ReturnTo,
    pub(super) kept: BTreeMap<String, String>,
    /// The session whose account the identity is to be linked to, where somebody links one.
    pub(super) link: Option<SessionKey>,
}

impl Pending {
    pub(super) fn key(state: &[u8; 32]) -> NoteKey {
        NoteKey::of(KIND, state)
    }
}

/// Where the provider sends browsers back to.
pub(super) fn redirect_uri(server: &Shared, way: &ConfiguredConnector) -> String {
    server.config.issuer.endpoint(&format!("/v1/connect/{}/callback", way.name))
}

/// A person's own navigation, counted against the caller's address: a foreign page that sends a browser here would sign its
/// visitor in to whatever account the provider knows, unasked.
#[derive(Debug)]
pub(in crate::login) struct Navigation;

impl FromRequestParts<Shared> for Navigation {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Refusal> {
        if parts.headers.get_all("sec-fetch-site").iter().any(|site| site == "cross-site") {
            tracing::warn!("refused: a cross-site navigation to a provider");
            return Err(Refusal::Forbidden);
        }
        server.limiter.page(parts, server.clock.now())?;
        Ok(Self)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::login) struct Asked {
    return_to: String,
}

/// Sends a browser to the provider. A person sees what is refused: it is said on a page.
pub(in crate::login) async fn begin(
    State(server): State<Shared>,
    settings: Current,
    admitted: Result<Navigation, Refusal>,
    name: Result<Path<String>, Refusal>,
    headers: HeaderMap,
    uri: axum::http::Uri,
) -> Response {
    let name = admitted.and(name);
    let way = match name.and_then(|Path(name)| find(&settings, &name)) {
        Ok(way) => way,
        Err(refusal) => return page::failed(refusal, &settings),
    };
    let asked = Query::<Asked>::try_from_uri(&uri).ok();
    let Some((return_to, _)) = asked.and_then(|Query(asked)| ReturnTo::admit(&asked.return_to, &settings)) else {
        tracing::warn!("refused: return_to is no page of a listed origin");
        return page::failed(Refusal::BadRequest, &settings);
    };
    let leaving = Leaving { return_to: return_to.clone(), link: None, embedded: false };
    match start(&server, way, &headers, leaving).await {
        Ok(started) => started.with_cookie(redirect(&started.location)),
        Err(refusal) => return_to.go_with(refusal),
    }
}

/// `POST …/link`: where a page sends its browser so that the person links an identity.
pub(in crate::login) async fn link(
    State(server): State<Shared>,
    settings: Current,
    _: CountedPageCall,
    SignedIn(session): SignedIn,
    Path(name): Path<String>,
    headers: HeaderMap,
    JsonBody(asked): JsonBody<Asked>,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Where<'a> {
        location: &'a str,
    }
    let way = find(&settings, &name)?;
    let (return_to, _) = ReturnTo::require(&asked.return_to, &settings)?;
    let leaving = Leaving { return_to, link: Some(session.key), embedded: false };
    let started = start(&server, way, &headers, leaving).await?;
    Ok(started.with_cookie(json(StatusCode::OK, &Where { location: &started.location })))
}

/// `POST …/frame`: what a page's frame shows, whom it may hear, and where the browser goes then.
pub(in crate::login) async fn frame(
    State(server): State<Shared>,
    settings: Current,
    _: CountedPageCall,
    Path(name): Path<String>,
    headers: HeaderMap,
    JsonBody(asked): JsonBody<Asked>,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Frame<'a> {
        location: &'a str,
        frame_origin: &'a str,
        redirect_uri: &'a str,
    }
    let way = find(&settings, &name)?;
    let frame_origin = way.connector.frame_origin().ok_or(Refusal::Unsupported)?;
    let (return_to, _) = ReturnTo::require(&asked.return_to, &settings)?;
    let started = start(&server, way, &headers, Leaving { return_to, link: None, embedded: true }).await?;
    let redirect_uri = &redirect_uri(&server, way);
    Ok(started.with_cookie(json(StatusCode::OK, &Frame { location: &started.location, frame_origin, redirect_uri })))
}

/// How somebody leaves.
struct Leaving {
    return_to: ReturnTo,
    /// The session whose account an identity is to be linked to.
    link: Option<SessionKey>,
    /// The provider's page is in a frame.
    embedded: bool,
}

struct Started {
    location: String,
    /// Where the browser had no pre-login cookie.
    cookie: Option<HeaderValue>,
}

impl Started {
    fn with_cookie(&self, mut response: Response) -> Response {
        if let Some(cookie) = &self.cookie {
            response.headers_mut().insert(header::SET_COOKIE, cookie.clone());
        }
        response
    }
}

async fn start(
    server: &Shared,
    way: &ConfiguredConnector,
    headers: &HeaderMap,
    leaving: Leaving,
) -> Result<Started, Refusal> {
    let Leaving { return_to, link, embedded } = leaving;
    let (secret, cookie) = match Cookie::PreLogin.read(headers) {
        Some(secret) => (secret, None),
        None => {
            let (secret, header) = Cookie::PreLogin.issue();
            (secret, Some(header))
        }
    };
    let state = crypto::random::<32>();
    let text = base64url::encode(state);
    let beginning = Beginning { state: &text, redirect_uri: &redirect_uri(server, way), embedded };
    let begun = call(server, way, "begin", way.connector.begin(&beginning)).await?;
    let browser = base64url::encode(crypto::sha256(&[secret.expose()]));
    let connector = way.name.as_str().to_owned();
    let pending = Pending { connector, browser, return_to, kept: begun.kept, link };
    let value = serde_json::to_string(&pending).expect("texts by name are JSON");
    let Ok(value) = NoteValue::try_from(value) else {
        tracing::error!(connector = way.name.as_str(), "what the connector wants kept is too long");
        return Err(Refusal::Unavailable);
    };
    let until = server.clock.timestamp().plus(LIFE);
    if !server.store.keep_note(&Pending::key(&state), value, until).await? {
        return Err(Refusal::Unavailable);
    }
    Ok(Started { location: begun.location, cookie })
}
