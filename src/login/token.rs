//! `POST /v1/token` (RFC 7523): an application's backend redeems a login token for an access token, which it verifies with
//! whatever JWT library it has. The same order and the same single-use mark as `POST /v1/login`; no session is opened.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::answer::{Refusal, json};
use super::cookie::CookieSecret;
use super::oauth::{ClientCall, Denied, Form};
use super::redeem::{Given, redeem_once, refuse};
use super::settings::{Current, Settings};
use super::state::Shared;
use crate::crypto::{KeyId, Secret};
use crate::protocol::base64url;
use crate::protocol::statement::{self, ACCESS_LIFE_SECONDS, AccessToken, UserVerification};
use crate::store::{AuditRecord, Audited, DeviceRecord, OpenRefusal};
use crate::verify::Redeemed;

/// The one grant that there is (RFC 7523 section 8.1).
pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

#[derive(Serialize)]
struct Granted {
    access_token: String,
    token_type: &'static str,
    /// In seconds.
    expires_in: u64,
}

/// Exchanges a login token.
pub(super) async fn exchange(
    State(server): State<Shared>,
    settings: Current,
    client: ClientCall,
    form: Form,
) -> Result<Response, Denied> {
    if form.required("grant_type", "grant_type: is missing")? != GRANT_TYPE {
        return Err(Denied::UnsupportedGrantType);
    }
    let client_id = client.client_id(&form)?;
    let (redeemed, key) = redeem(&server, &settings, &form).await?;
    let device = standing(&server, &redeemed, key).await?;
    let detail = format!("jti={} client_id={client_id}", redeemed.token());
    let account = Some(device.account.profile.account.clone());
    let record = AuditRecord { what: Audited::TokenExchanged, account, device: Some(device.id.clone()), detail };
    server.store.record(record).await.map_err(Refusal::from)?;
    let access_token = sign(&server, &settings, &redeemed, &device, client_id)?;
    let subject = redeemed.subject().as_str();
    tracing::info!(device = device.id.as_str(), subject, "exchanged a login token for an access token");
    Ok(json(StatusCode::OK, &Granted { access_token, token_type: "Bearer", expires_in: ACCESS_LIFE_SECONDS }))
}

async fn redeem(server: &Shared, settings: &Settings, form: &Form) -> Result<(Redeemed, KeyId), Denied> {
    let origin = form.required("origin", "origin: the Origin header of the page's own request is missing")?;
    let origin =
        settings.origins.admit(origin.as_bytes()).ok_or(Denied::InvalidRequest("origin: is not on the list"))?;
    let cookie: CookieSecret =
        base64url::decode_array(form.required("pre_login", "pre_login: the value of the pre-login cookie is missing")?)
            .map(Secret::new)
            .map_err(|_| Denied::InvalidRequest("pre_login: is not the value of a pre-login cookie"))?;
    let given = Given {
        challenge: form.required("challenge", "challenge: is missing")?,
        token: form.required("assertion", "assertion: the login token is missing")?,
        subject: form.required("subject", "subject: is missing")?,
        origin: origin.origin(),
        cookie: Some(&cookie),
    };
    Ok(redeem_once(server, &given).await?)
}

/// The device as it is after the mark. A session is opened in one step with this look; a token is only as good as the
/// moment in which it is given, and lives for minutes.
async fn standing(server: &Shared, redeemed: &Redeemed, key: KeyId) -> Result<DeviceRecord, Refusal> {
    let withdrawn = || refuse(Some(redeemed.device().as_str()), &OpenRefusal::Withdrawn);
    let device = server.store.device(key).await?.ok_or_else(withdrawn)?;
    if device.revoked_at.is_some() || device.account.disabled || device.epoch > redeemed.epoch() {
        return Err(withdrawn());
    }
    if device.epoch < redeemed.epoch() {
        server.store.raise_epoch(&device.id, redeemed.epoch()).await?;
    }
    Ok(device)
}

fn sign(
    server: &Shared,
    settings: &Settings,
    redeemed: &Redeemed,
    device: &DeviceRecord,
    client_id: String,
) -> Result<String, Refusal> {
    let iat = server.clock.timestamp();
    let token = AccessToken {
        iss: server.config.issuer.clone(),
        sub: redeemed.subject().clone(),
        aud: settings.token_audience.clone(),
        account: device.account.profile.account.as_str().to_owned(),
        client_id,
        jti: *redeemed.token(),
        auth_time: redeemed.agreed_at(),
        amr: methods(redeemed.user_verification()).iter().map(|method| (*method).to_owned()).collect(),
        iat,
        exp: iat.plus(ACCESS_LIFE_SECONDS),
    };
    statement::sign(&token, server.keys.get().signers.current(iat)).map_err(|error| {
        tracing::error!("no access token: {error}");
        Refusal::Unavailable
    })
}

/// RFC 8176: the device proved its key; and, where it asked, a person was there. The click in a page is the page's word.
const fn methods(uv: UserVerification) -> &'static [&'static str] {
    match uv {
        UserVerification::Page => &["pop"],
        UserVerification::Prompt | UserVerification::Os => &["pop", "user"],
    }
}
