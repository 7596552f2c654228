//! `POST /v1/login` (protocol section 6.4): a login token becomes a session, once.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde::Deserialize;

use super::answer::Refusal;
use super::body::JsonBody;
use super::browser;
use super::caller::CountedPageCall;
use super::cookie::{Cookie, CookieSecret};
use super::settings::Current;
use super::state::Shared;
use crate::crypto::KeyId;
use crate::protocol::id::Subject;
use crate::protocol::origin::Origin;
use crate::protocol::statement::Login;
use crate::store::{DeviceRecord, Lifetimes, NewSession, SessionKey};
use crate::verify::mark::MarkError;
use crate::verify::{Expectations, Presented, Redeemable, Redeemed};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Posted {
    challenge: String,
    token: String,
    /// The person on the card that was clicked. Kept as text: a subject that cannot be one is a fault of the token.
    subject: String,
}

/// What somebody presents to be redeemed.
pub(super) struct Given<'a> {
    pub(super) challenge: &'a str,
    pub(super) token: &'a str,
    pub(super) subject: &'a str,
    /// The origin of the page, as its own request named it.
    pub(super) origin: &'a Origin,
    /// The pre-login cookie's secret, as the browser sent it.
    pub(super) cookie: Option<&'a CookieSecret>,
}

/// Redeems a token: opens a session.
pub(super) async fn redeem(
    State(server): State<Shared>,
    settings: Current,
    page: CountedPageCall,
    headers: HeaderMap,
    JsonBody(posted): JsonBody<Posted>,
) -> Result<Response, Refusal> {
    let cookie = Cookie::PreLogin.read(&headers);
    let (challenge, token, subject) = (&posted.challenge, &posted.token, &posted.subject);
    let given = Given { challenge, token, subject, origin: page.origin(), cookie: cookie.as_ref() };
    let (redeemed, _) = redeem_once(&server, &given).await?;
    open_session(&server, &redeemed, settings.lifetimes, &headers).await
}

/// Protocol section 6.4 up to the mark, for whoever presents a token. Every fault of it is the same answer, and the mark
/// comes last, so that nobody but the one browser that may redeem a challenge can use it up. The key is the device's.
pub(super) async fn redeem_once(server: &Shared, given: &Given<'_>) -> Result<(Redeemed, KeyId), Refusal> {
    let (redeemable, key) = verify(server, given).await?;
    Ok((take_mark(server, redeemable).await?, key))
}

/// Logs why a token is refused, once, and answers what every refused token is answered with.
pub(super) fn refuse(device: Option<&str>, cause: &dyn std::error::Error) -> Refusal {
    tracing::warn!(device, "refused a login token: {cause}");
    Refusal::InvalidToken
}

async fn verify(server: &Shared, given: &Given<'_>) -> Result<(Redeemable, KeyId), Refusal> {
    let presented = Presented::<Login>::parse(given.challenge, given.token).map_err(|fault| refuse(None, &fault))?;
    let device = server.store.device(presented.key_id()).await?;
    let keys = server.keys.get();
    let expected = Expectations {
        issuer: &server.config.issuer,
        challenge_keys: &keys.public,
        origin: given.origin,
        cookie: given.cookie,
        now: server.clock.timestamp(),
    };
    let subject: Subject = given.subject.parse().map_err(|bad| refuse(None, &bad))?;
    let known = device.as_ref().map(DeviceRecord::for_verification);
    let id = device.as_ref().map(|device| device.id.as_str());
    let redeemable = presented.verify(known.as_ref(), &expected, &subject).map_err(|fault| refuse(id, &fault))?;
    // Before the mark: what is one too many now is still good in a moment.
    let mark = *redeemable.mark();
    server.limiter.sound_statement(presented.key_id(), &subject, mark, server.clock.now())?;
    Ok((redeemable, presented.key_id()))
}

async fn take_mark(server: &Shared, redeemable: Redeemable) -> Result<Redeemed, Refusal> {
    let (jti, inc, until) = (redeemable.mark(), redeemable.incarnation(), redeemable.until());
    match server.store.mark(jti, inc, until).await {
        Ok(first) => {
            let device = redeemable.device().clone();
            redeemable.redeem(first).map_err(|fault| refuse(Some(device.as_str()), &fault))
        }
        Err(MarkError::Used) => Err(refuse(Some(redeemable.device().as_str()), &MarkError::Used)),
        Err(MarkError::Stale) => {
            tracing::info!(device = redeemable.device().as_str(), "{}", MarkError::Stale);
            Err(Refusal::StaleChallenge)
        }
        Err(MarkError::Unavailable) => {
            tracing::error!("{}", MarkError::Unavailable);
            Err(Refusal::Unavailable)
        }
    }
}

async fn open_session(
    server: &Shared,
    redeemed: &Redeemed,
    lifetimes: Lifetimes,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let (id, session_cookie) = Cookie::Session.issue();
    let former = Cookie::Session.read(headers).map(|id| SessionKey::of(&id));
    let session = NewSession::redeemed(redeemed, SessionKey::of(&id), lifetimes);
    let session = session.replacing(former).in_browser(browser::of(headers));
    let device = redeemed.device().as_str();
    let account = server.store.open_session(session).await?.map_err(|withdrawn| refuse(Some(device), &withdrawn))?;
    tracing::info!(device, subject = account.subject.as_str(), "signed in");
    let cookies = [(header::SET_COOKIE, Cookie::PreLogin.delete()), (header::SET_COOKIE, session_cookie)];
    Ok((StatusCode::NO_CONTENT, AppendHeaders(cookies)).into_response())
}
