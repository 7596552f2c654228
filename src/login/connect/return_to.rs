//! Where a browser goes when a sign-in is over: a page of a listed origin, and nothing that only looks like one.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::login::answer::Refusal;
use crate::login::settings::Settings;
use crate::protocol::origin::Origin;

/// Longest accepted address in bytes.
const MAX_LEN: usize = 1024;

/// The address of a page: origin and path, visible ASCII, without a fragment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ReturnTo(String);

impl ReturnTo {
    /// The address, where its origin is listed; and the origin.
    ///
    /// An origin as it is listed has neither path nor slash at its end. So what follows it decides: only a slash ends the
    /// authority of an address, and nothing that another host could be hidden behind comes before one.
    pub(super) fn admit(text: &str, settings: &Settings) -> Option<(Self, Origin)> {
        let sound = text.len() <= MAX_LEN && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'#'));
        let origin = settings.listed.iter().find(|origin| {
            text.strip_prefix(origin.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        origin.filter(|_| sound).map(|origin| (Self(text.to_owned()), origin.clone()))
    }

    /// As [`ReturnTo::admit`], for a page's call.
    pub(super) fn require(text: &str, settings: &Settings) -> Result<(Self, Origin), Refusal> {
        Self::admit(text, settings).ok_or_else(|| {
            tracing::warn!("refused: return_to is no page of a listed origin");
            Refusal::BadRequest
        })
    }

    /// The address.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Sends the browser there.
    pub(super) fn go(&self) -> Response {
        redirect(&self.0)
    }

    /// Sends the browser there with what went wrong, in the fragment: no server sees it, and no log.
    pub(super) fn go_with(&self, refusal: Refusal) -> Response {
        redirect(&format!("{}#loopkey_error={}", self.0, refusal.code()))
    }
}

/// Sends a browser somewhere, by GET. The address may hold a secret of the flow: it is given to nobody as a referrer.
pub(super) fn redirect(to: &str) -> Response {
    let Ok(mut location) = HeaderValue::try_from(to) else { return Refusal::ProviderMisbehaved.into_response() };
    location.set_sensitive(true);
    let referrer = (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location), referrer]).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::LoginConfig;

    #[test]
    fn only_pages_of_listed_origins() {
        let mut config = LoginConfig::new("https://app.example.com/loopkey".parse().expect("an issuer"));
        config.origins.push("https://www.example.com:8443".parse().expect("an origin"));
        let settings = Settings::from(config);
        let admitted = |text: &str| ReturnTo::admit(text, &settings).map(|(_, origin)| origin.as_str().to_owned());
        for (text, origin) in [
            ("https://app.example.com", "https://app.example.com"),
            ("https://app.example.com/", "https://app.example.com"),
            ("https://app.example.com/docs?q=1&next=%2Fa", "https://app.example.com"),
            ("https://app.example.com//evil.example", "https://app.example.com"),
            ("https://www.example.com:8443/x", "https://www.example.com:8443"),
        ] {
            assert_eq!(admitted(text).as_deref(), Some(origin), "{text}");
        }
        for text in [
            "",
            "/",
            "//app.example.com/",
            "https://app.example.com.evil.example/",
            "https://app.example.com@evil.example/",
            "https://app.example.com:8443/",
            "https://app.example.com:443/",
            "https://app.example.com?x=/",
            "https://app.example.com\\@evil.example/",
            "https://app.example.com/\\evil",
            "https://app.example.com/#fragment",
            "https://app.example.com/ x",
            "https://app.example.com/\r\nset-cookie: x",
            "https://app.example.com/\tx",
            "https://app.example.com/é",
            "http://app.example.com/",
            "HTTPS://app.example.com/",
            "https://APP.example.com/",
            "https://www.example.com/",
            "javascript:alert(1)",
            "data:text/html,x",
            &format!("https://app.example.com/{}", "x".repeat(MAX_LEN)),
        ] {
            assert_eq!(admitted(text), None, "{text}");
        }
    }
}
