//! The calls that a sign-in makes: the code for tokens (OpenID Connect Core section 3.1.3, RFC 6749 section 4.1.3), and, where
//! it is wanted, the userinfo (section 5.3) and a refreshed token later (section 12).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde::Deserialize;

use super::OidcSettings;
use super::provider::Configuration;
use super::verify::Profile;
use crate::connectors::Guarded;
use crate::connectors::fault::{ConnectFault, Fault};
use crate::crypto::Secret;

/// What is exchanged.
pub(super) struct Exchange<'a> {
    pub(super) code: &'a Secret<String>,
    pub(super) verifier: &'a str,
    pub(super) redirect_uri: &'a str,
}

/// What the provider gave. Has no `Debug`: all of it is secret.
#[derive(Deserialize)]
pub(super) struct Tokens {
    /// Always there after a code; after a refresh perhaps.
    pub(super) id_token: Option<String>,
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    token_type: String,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
}

/// Exchanges a code. Once: a code whose fate is unknown is never sent again.
pub(super) async fn exchange(
    http: &Guarded,
    found: &Configuration,
    settings: &OidcSettings,
    exchange: &Exchange<'_>,
) -> Result<Tokens, ConnectFault> {
    let form = [
        ("grant_type", "authorization_code"),
        ("code", exchange.code.expose().as_str()),
        ("redirect_uri", exchange.redirect_uri),
        ("code_verifier", exchange.verifier),
    ];
    call(http, found, settings, &form).await
}

/// Refreshes. The provider may give another refresh token with it, and from then on the former one may count no more.
pub(super) async fn refresh(
    http: &Guarded,
    found: &Configuration,
    settings: &OidcSettings,
    token: &str,
) -> Result<Tokens, ConnectFault> {
    call(http, found, settings, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

async fn call(
    http: &Guarded,
    found: &Configuration,
    settings: &OidcSettings,
    form: &[(&str, &str)],
) -> Result<Tokens, ConnectFault> {
    let answer = http.send(request(http, found, settings, form)?).await?;
    if answer.status != 200 {
        let said: Option<Refusal> = answer.json().ok();
        return Err(of_status(answer.status, said.as_ref().map(|refusal| refusal.error.as_str())));
    }
    let tokens: Tokens = answer.json().map_err(|_| misbehaved("the token endpoint's answer is none"))?;
    if !tokens.token_type.eq_ignore_ascii_case("bearer") {
        return Err(misbehaved("the access token is of another type than Bearer"));
    }
    Ok(tokens)
}

fn request(
    http: &Guarded,
    found: &Configuration,
    settings: &OidcSettings,
    parameters: &[(&str, &str)],
) -> Result<reqwest::RequestBuilder, ConnectFault> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(parameters);
    let mut request = http.request(Method::POST, &found.token_endpoint)?;
    match &settings.client_secret {
        Some(secret) if found.posts_secret() => {
            form.append_pair("client_id", &settings.client_id).append_pair("client_secret", secret.expose());
        }
        Some(secret) => request = request.header("authorization", basic(&settings.client_id, secret)),
        None => drop(form.append_pair("client_id", &settings.client_id)),
    }
    Ok(request
        .header("content-type", "application/x-www-form-urlencoded")
        .header("accept", "application/json")
        .body(form.finish()))
}

/// RFC 6749 section 2.3.1: both are form-encoded before they are joined.
fn basic(id: &str, secret: &Secret<String>) -> String {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let joined = Secret::new(format!("{}:{}", encoded(id), encoded(secret.expose())));
    format!("Basic {}", STANDARD.encode(joined.expose()))
}

/// What the userinfo says. It must be of the very person of the ID token (section 5.3.2).
pub(super) async fn userinfo(
    http: &Guarded,
    found: &Configuration,
    tokens: &Tokens,
    subject: &str,
) -> Result<Profile, ConnectFault> {
    #[derive(Deserialize)]
    struct Said {
        sub: String,
        #[serde(flatten)]
        profile: Profile,
    }
    let endpoint = found.userinfo_endpoint.as_deref();
    let missing = || ConnectFault::new(Fault::Misconfigured, "the provider has no userinfo: set userinfo = false");
    let request = http.request(Method::GET, endpoint.ok_or_else(missing)?)?;
    let bearer = Secret::new(format!("Bearer {}", tokens.access_token));
    let answer = http.send(request.header("authorization", bearer.expose())).await?;
    if answer.status != 200 {
        return Err(of_status(answer.status, None));
    }
    let said: Said = answer.json().map_err(|_| misbehaved("the userinfo is none"))?;
    if said.sub == subject { Ok(said.profile) } else { Err(misbehaved("the userinfo is of another person")) }
}

fn misbehaved(reason: &str) -> ConnectFault {
    ConnectFault::new(Fault::Misbehaved, reason)
}

/// What an answer of the token endpoint means (RFC 6749 section 5.2).
fn of_status(status: u16, error: Option<&str>) -> ConnectFault {
    let fault = match (status, error) {
        (_, Some("invalid_grant")) => Fault::Code,
        (429, _) => Fault::Busy,
        (500.., _) | (_, Some("temporarily_unavailable" | "server_error")) => Fault::Unavailable,
        (400..=403, Some(_)) | (401, None) => Fault::Misconfigured,
        _ => Fault::Misbehaved,
    };
    ConnectFault::new(fault, format_args!("the provider answers {status} {}", error.unwrap_or_default()))
}

/// What an error in the browser's answer means (RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6). Its
/// description is anybody's text: nobody sees it.
pub(super) fn refused(error: &str) -> ConnectFault {
    let fault = match error {
        "access_denied"
        | "login_required"
        | "consent_required"
        | "interaction_required"
        | "account_selection_required" => Fault::Refused,
        "server_error" | "temporarily_unavailable" => Fault::Unavailable,
        "invalid_request" | "unauthorized_client" | "unsupported_response_type" | "invalid_scope" => {
            Fault::Misconfigured
        }
        _ => Fault::Misbehaved,
    };
    ConnectFault::new(fault, format_args!("the provider sent the browser back with {error}"))
}
