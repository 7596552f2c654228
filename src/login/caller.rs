//! Who calls: a page of a listed origin, an agent or backend, or a browser that is signed in. Each is an extractor, so
//! that a call that needs one cannot go on without it.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};

use super::answer::Refusal;
use super::cookie::{Cookie, CookieSecret};
use super::settings::{Current, Settings};
use super::state::Shared;
use crate::crypto;
use crate::protocol::origin::{AdmittedOrigin, AllowedOrigins, Origin};
use crate::store::{Session, SessionKey, SessionLookup};

/// A call that changes something, from a page of a listed origin.
#[derive(Debug)]
pub(super) struct PageCall(AdmittedOrigin);

impl PageCall {
    /// The page's origin.
    pub(super) const fn origin(&self) -> &Origin {
        self.0.origin()
    }
}

impl FromRequestParts<Shared> for PageCall {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Refusal> {
        if parts.headers.get_all("sec-fetch-site").iter().any(|site| site == "cross-site") {
            tracing::warn!("refused: a cross-site call");
            return Err(Refusal::Forbidden);
        }
        listed_origin(&parts.headers, &Current::of(&parts.extensions, server).origins).map(Self).ok_or_else(|| {
            tracing::warn!("refused: no Origin of the list");
            Refusal::Forbidden
        })
    }
}

/// A page's call that costs something before anybody is known: counted against the caller's address. Only once the origin
/// is admitted, so that no foreign page can use up what its visitors' address may do.
#[derive(Debug)]
pub(super) struct CountedPageCall(PageCall);

impl CountedPageCall {
    /// The page's origin.
    pub(super) const fn origin(&self) -> &Origin {
        self.0.origin()
    }
}

impl FromRequestParts<Shared> for CountedPageCall {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Refusal> {
        let call = PageCall::from_request_parts(parts, server).await?;
        server.limiter.page(parts, server.clock.now())?;
        Ok(Self(call))
    }
}

/// The request's origin, where it names exactly one and that one is on the list.
pub(super) fn listed_origin(headers: &HeaderMap, list: &AllowedOrigins) -> Option<AdmittedOrigin> {
    let mut origins = headers.get_all(header::ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) => list.admit(origin.as_bytes()),
        _ => None,
    }
}

/// Agents and backends send no origin: pages may not make their calls, whatever origin they have.
pub(super) fn require_no_page(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(header::ORIGIN) {
        tracing::warn!("refused: a page made an agent's or backend's call");
        return Err(Refusal::Forbidden);
    }
    Ok(())
}

/// A call of an agent: not a page's, and counted against the caller's address.
#[derive(Debug)]
pub(super) struct AgentCall;

impl FromRequestParts<Shared> for AgentCall {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Refusal> {
        require_no_page(&parts.headers)?;
        server.limiter.agent(parts, server.clock.now())?;
        Ok(Self)
    }
}

/// A call of the application's own backend: not a page's, with the service key. Wrong keys are counted.
#[derive(Debug)]
pub(super) struct ServiceCall;

impl FromRequestParts<Shared> for ServiceCall {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Refusal> {
        require_no_page(&parts.headers)?;
        let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
        let given = match (values.next(), values.next()) {
            (Some(value), None) => bearer(value.as_bytes()),
            _ => None,
        };
        let settings = Current::of(&parts.extensions, server);
        if given.is_some_and(|given| is_service_key(&settings, given)) {
            return Ok(Self);
        }
        Err(refuse_service_key(parts, server))
    }
}

/// Whether somebody has the service key.
fn is_service_key(settings: &Settings, given: &[u8]) -> bool {
    is_key(settings.service_key.as_ref(), given)
}

/// Whether somebody has the key of the token endpoint.
pub(super) fn is_token_key(settings: &Settings, given: &[u8]) -> bool {
    is_key(settings.token_key.as_ref(), given)
}

/// Digests of both: their comparison takes the same time whatever their lengths.
fn is_key(own: Option<&[u8; 32]>, given: &[u8]) -> bool {
    own.is_some_and(|own| crypto::equal_digests(&crypto::sha256(&[given]), own))
}

/// Counts and logs a wrong service key.
pub(super) fn refuse_service_key(parts: &Parts, server: &Shared) -> Refusal {
    if let Err(refusal) = server.limiter.wrong_service_key(parts, server.clock.now()) {
        return refusal;
    }
    tracing::warn!("refused: not the service key");
    Refusal::Unauthorized
}

/// RFC 6750 section 2.1; the scheme's case does not matter (RFC 9110 section 11.1).
pub(super) fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

/// The session of the browser that calls. Where a provider opened it, and it is time for that, the provider is asked first
/// whether the person still may sign in: whatever the call is, it is no way around that.
#[derive(Debug)]
pub(super) struct SignedIn(pub(super) Session);

impl FromRequestParts<Shared> for SignedIn {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Refusal> {
        let (session, id) = own_session(&parts.headers, server).await?;
        #[cfg(feature = "connectors")]
        if !super::connect::recheck(server, &Current::of(&parts.extensions, server), &session, &id).await? {
            return Err(Refusal::NoSession);
        }
        #[cfg(not(feature = "connectors"))]
        let _ = id;
        Ok(Self(session))
    }
}

/// The session of a browser that leaves. Nobody is asked about it: what a provider says or does not say keeps no one in.
#[derive(Debug)]
pub(super) struct SigningOut(pub(super) Session);

impl FromRequestParts<Shared> for SigningOut {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Refusal> {
        Ok(Self(own_session(&parts.headers, server).await?.0))
    }
}

async fn own_session(headers: &HeaderMap, server: &Shared) -> Result<(Session, CookieSecret), Refusal> {
    let id = Cookie::Session.read(headers).ok_or(Refusal::NoSession)?;
    match server.store.use_session(SessionKey::of(&id)).await? {
        SessionLookup::Open(session) => Ok((*session, id)),
        SessionLookup::Over(_) => Err(Refusal::NoSession),
    }
}
