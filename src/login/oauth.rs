//! OAuth 2.0's own manners at the token endpoint: form bodies, client authentication, error answers (RFC 6749).

use std::collections::HashMap;

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

use super::answer::{self, Refusal};
use super::body::{self, BODY_MAX_LEN};
use super::caller::{bearer, is_token_key, refuse_service_key, require_no_page};
use super::settings::Current;
use super::state::Shared;
use crate::crypto::Secret;

/// Longest `client_id` in bytes.
const CLIENT_ID_MAX_LEN: usize = 128;
/// The `client_id` of a backend that gives none.
const NAMELESS: &str = "backend";

/// Why there is no token (RFC 6749 section 5.2), or an answer that every call may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// Not the application's own backend.
    InvalidClient,
    /// A parameter is missing, there twice, or none: which, and what it must be.
    InvalidRequest(&'static str),
    /// Any fault of the login token.
    InvalidGrant,
    /// The challenge is of another incarnation of the single-use store.
    Stale,
    /// Another grant than the one that is given here.
    UnsupportedGrantType,
    /// Anything that is no matter of OAuth.
    Other(Refusal),
}

#[derive(Serialize)]
struct Said {
    error: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_description: Option<&'static str>,
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (error, error_description) = match self {
            Self::Other(refusal) => return refusal.into_response(),
            Self::InvalidClient => ("invalid_client", None),
            Self::InvalidRequest(what) => ("invalid_request", Some(what)),
            Self::InvalidGrant => ("invalid_grant", None),
            Self::Stale => ("invalid_grant", Some("stale_challenge: fetch a new challenge and ask once more")),
            Self::UnsupportedGrantType => ("unsupported_grant_type", None),
        };
        let status = if self == Self::InvalidClient { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST };
        let mut response = answer::json(status, &Said { error, error_description });
        if self == Self::InvalidClient {
            let challenge = HeaderValue::from_static("Basic realm=\"loopkey\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::InvalidToken => Self::InvalidGrant,
            Refusal::StaleChallenge => Self::Stale,
            Refusal::Unauthorized => Self::InvalidClient,
            other => Self::Other(other),
        }
    }
}

/// A call of the application's own backend as an OAuth client: its secret is the token key, or the service key where
/// there is none, by HTTP Basic with whatever name it gives itself (RFC 6749 section 2.3.1), or as a bearer.
#[derive(Debug)]
pub(super) struct ClientCall {
    /// The name that came with the secret.
    name: Option<String>,
}

impl FromRequestParts<Shared> for ClientCall {
    type Rejection = Denied;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Denied> {
        require_no_page(&parts.headers)?;
        let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(refuse_service_key(parts, server).into());
        };
        let settings = Current::of(&parts.extensions, server);
        if bearer(value.as_bytes()).is_some_and(|given| is_token_key(&settings, given)) {
            return Ok(Self { name: None });
        }
        match basic(value.as_bytes()) {
            // The standard has both parts encoded as in a form; many libraries send them as they are.
            Some((name, secret))
                if is_token_key(&settings, secret.expose().as_bytes())
                    || is_token_key(&settings, form_decoded(secret.expose()).expose().as_bytes()) =>
            {
                Ok(Self { name: Some(form_decoded(&name).expose().clone()) })
            }
            _ => Err(refuse_service_key(parts, server).into()),
        }
    }
}

impl ClientCall {
    /// What the client calls itself, here or in the form.
    pub(super) fn client_id(self, form: &Form) -> Result<String, Denied> {
        let id = match (self.name, form.get("client_id")) {
            (Some(name), Some(posted)) if name != posted => {
                return Err(Denied::InvalidRequest("client_id: differs from the one in the Authorization header"));
            }
            (Some(name), _) => name,
            (None, Some(posted)) => posted.to_owned(),
            (None, None) => NAMELESS.to_owned(),
        };
        let sound = (1..=CLIENT_ID_MAX_LEN).contains(&id.len()) && id.bytes().all(|b| matches!(b, b' '..=b'~'));
        if sound { Ok(id) } else { Err(Denied::InvalidRequest("client_id: 1 to 128 visible ASCII characters")) }
    }
}

/// RFC 7617 section 2.
fn basic(value: &[u8]) -> Option<(String, Secret<String>)> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let text = Secret::new(String::from_utf8(BASE64_STANDARD.decode(encoded).ok()?).ok()?);
    let (name, secret) = text.expose().split_once(':')?;
    Some((name.to_owned(), Secret::new(secret.to_owned())))
}

fn form_decoded(text: &str) -> Secret<String> {
    // As a whole value: an ampersand or an equals sign in it is a part of it.
    let escaped = text.replace('&', "%26").replace('=', "%3D");
    let mut pairs = form_urlencoded::parse(escaped.as_bytes());
    Secret::new(pairs.next().map(|(name, _)| name.into_owned()).unwrap_or_default())
}

/// The parameters of a form: each at most once, the empty ones as if they were not there (RFC 6749 section 3.2). Those that
/// nobody asks for are ignored.
#[derive(Debug)]
pub(super) struct Form(HashMap<String, Secret<String>>);

impl Form {
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.expose().as_str())
    }

    /// A parameter that must be there; `missing` says so.
    pub(super) fn required(&self, name: &str, missing: &'static str) -> Result<&str, Denied> {
        self.get(name).ok_or(Denied::InvalidRequest(missing))
    }
}

impl FromRequest<Shared> for Form {
    type Rejection = Denied;

    async fn from_request(request: Request, _: &Shared) -> Result<Self, Denied> {
        let bytes = body::read(request, "application/x-www-form-urlencoded", BODY_MAX_LEN).await?;
        let mut form = HashMap::new();
        for (name, value) in form_urlencoded::parse(&bytes).filter(|(_, value)| !value.is_empty()) {
            if form.insert(name.into_owned(), Secret::new(value.into_owned())).is_some() {
                return Err(Denied::InvalidRequest("a parameter is there twice"));
            }
        }
        Ok(Self(form))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_taken_apart() {
        let read = |value: &str| basic(value.as_bytes()).map(|(name, secret)| (name, secret.expose().clone()));
        let pair = |name: &str, secret: &str| Some((name.to_owned(), secret.to_owned()));
        assert_eq!(read("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), pair("Aladdin", "open sesame"));
        assert_eq!(read("basic YTpiOmM="), pair("a", "b:c"));
        for wrong in ["", "Basic", "Basic ", "Basic !!", "Basic YQ==", "Bearer YTpi", "BasicYTpi", "Basic /////w=="] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn credentials_may_be_encoded_as_in_a_form() {
        for (given, decoded) in [("a+b", "a b"), ("a%2Bb%3a", "a+b:"), ("a=b&c", "a=b&c"), ("", ""), ("100%", "100%")] {
            assert_eq!(form_decoded(given).expose(), decoded);
        }
    }
}
