//! `POST /v1/presence` (protocol section 6.3): who is behind an agent's presence proof.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::answer::{Refusal, json};
use super::body::JsonBody;
use super::caller::CountedPageCall;
use super::cookie::Cookie;
use super::state::Shared;
use crate::protocol::id::Subject;
use crate::protocol::state::PresenceState;
use crate::protocol::statement::Presence;
use crate::store::{Account, Avatar, DeviceRecord, Hint};
use crate::verify::{Expectations, Fault, Presented};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Posted {
    challenge: String,
    proof: String,
}

#[derive(Serialize)]
struct Known<'a> {
    presence: PresenceState,
    account: Person<'a>,
}

/// A person as pages and agents show them.
#[derive(Serialize)]
pub(super) struct Person<'a> {
    subject: &'a Subject,
    name: &'a str,
    avatar: Option<&'a str>,
}

impl<'a> Person<'a> {
    pub(super) fn of(account: &'a Account) -> Self {
        Self {
            subject: &account.subject,
            name: account.profile.name.as_str(),
            avatar: account.profile.avatar.as_ref().map(Avatar::as_str),
        }
    }
}

/// Verifies a presence proof, and only then says who it is. Nothing is marked: a page may prove as often as it likes.
pub(super) async fn prove(
    State(server): State<Shared>,
    page: CountedPageCall,
    headers: HeaderMap,
    JsonBody(posted): JsonBody<Posted>,
) -> Result<Response, Refusal> {
    let refused = |device: Option<&DeviceRecord>, fault: Fault| {
        let device = device.map(|device| device.id.as_str());
        tracing::warn!(device, "refused a presence proof: {fault}");
        Refusal::InvalidProof
    };
    let presented =
        Presented::<Presence>::parse(&posted.challenge, &posted.proof).map_err(|fault| refused(None, fault))?;
    let device = server.store.device(presented.key_id()).await?;
    let cookie = Cookie::PreLogin.read(&headers);
    let keys = server.keys.get();
    let expected = Expectations {
        issuer: &server.config.issuer,
        challenge_keys: &keys.public,
        origin: page.origin(),
        cookie: cookie.as_ref(),
        now: server.clock.timestamp(),
    };
    let known = device.as_ref().map(DeviceRecord::for_verification);
    let proved = presented.verify(known.as_ref(), &expected).map_err(|fault| refused(device.as_ref(), fault))?;
    let Some(device) = device else { return Err(refused(None, Fault::UnknownKey)) };
    let (challenge, now) = (proved.challenge, server.clock.now());
    server.limiter.sound_statement(presented.key_id(), &proved.subject, challenge, now)?;
    if proved.epoch > device.epoch {
        server.store.raise_epoch(&device.id, proved.epoch).await?;
    }
    server.store.hint(Hint::Presence { device: device.id.clone(), presence: Some(proved.presence) }).await;
    Ok(json(StatusCode::OK, &Known { presence: proved.presence, account: Person::of(&device.account) }))
}
