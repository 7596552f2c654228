//! Issuers: the public base URL of a login server, and the addresses that follow from it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::json;
use super::origin::{BadOrigin, Origin, require_serialized};

/// What is wrong with a text that should be an issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadIssuer {
    /// The part up to the path is not an origin.
    #[error(transparent)]
    Origin(#[from] BadOrigin),
    /// Ends with a slash.
    #[error("an issuer has no slash at its end: remove it")]
    TrailingSlash,
    /// A query, a fragment, an empty or dotted segment, or a letter that a URL would have to escape.
    #[error("an issuer's path has plain segments only (letters, digits, - . _ ~), no query and no fragment")]
    Path,
}

/// A login server's public base URL without a trailing slash, compared byte for byte.
/// Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Issuer(Arc<str>);

json::as_text!(Issuer);

impl Issuer {
    /// The issuer as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The origin under which the issuer lives.
    ///
    /// # Panics
    /// Never: the constructor parsed the same text.
    #[must_use]
    pub fn origin(&self) -> Origin {
        let (origin, _) = split(&self.0);
        origin.parse().expect("the issuer's origin was parsed when the issuer was made")
    }

    /// The path under which the issuer's calls live: empty, or starting with a slash and not ending with one.
    #[must_use]
    pub fn path(&self) -> &str {
        split(&self.0).1
    }

    /// The address of one of its calls; `path` starts with a slash.
    #[must_use]
    pub fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// Where login tokens are redeemed: a challenge's `rdm` (protocol section 6).
    #[must_use]
    pub fn login_url(&self) -> LoginUrl {
        LoginUrl(self.endpoint(LOGIN_PATH))
    }

    /// Where agents link up: the issuer with `ws` or `wss` (protocol section 6).
    #[must_use]
    pub fn link_url(&self) -> LinkUrl {
        LinkUrl(self.endpoint("/v1/link").replacen("http", "ws", 1))
    }
}

/// Splits at the first slash after the authority.
fn split(text: &str) -> (&str, &str) {
    let authority = text.find("://").map_or(0, |at| at + 3);
    match text[authority..].find('/') {
        Some(at) => text.split_at(authority + at),
        None => (text, ""),
    }
}

impl std::str::FromStr for Issuer {
    type Err = BadIssuer;

    fn from_str(text: &str) -> Result<Self, BadIssuer> {
        let (origin, path) = split(text);
        require_serialized(origin)?;
        if path.ends_with('/') {
            return Err(BadIssuer::TrailingSlash);
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        let segment = |s: &str| !s.is_empty() && s != "." && s != ".." && s.bytes().all(plain);
        if path.is_empty() || path[1..].split('/').all(segment) { Ok(Self(text.into())) } else { Err(BadIssuer::Path) }
    }
}

impl std::fmt::Display for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// The one address that redeems a login token: a challenge's `rdm`, a token's `aud`. Compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LoginUrl(String);

/// Where an issuer redeems login tokens.
const LOGIN_PATH: &str = "/v1/login";

impl LoginUrl {
    /// Whether it is where this issuer redeems, byte for byte.
    #[must_use]
    pub fn is_login_of(&self, issuer: &Issuer) -> bool {
        self.0.strip_prefix(issuer.as_str()) == Some(LOGIN_PATH)
    }
}

impl std::fmt::Display for LoginUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where agents link up: the metadata's `link_endpoint`, the `aud` of L. Compared byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LinkUrl(String);

impl LinkUrl {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is on the issuer's own origin, with `ws` for `http` and `wss` for `https`.
    #[must_use]
    pub fn is_of(&self, issuer: &Issuer) -> bool {
        let origin = issuer.origin().as_str().replacen("http", "ws", 1);
        self.0.strip_prefix(&origin).is_some_and(|path| path.starts_with('/'))
    }
}

impl std::fmt::Display for LinkUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_an_origin_and_a_plain_path() {
        let issuer: Issuer = "https://app.example.com/loopkey".parse().expect("issuer");
        assert_eq!(issuer.origin().as_str(), "https://app.example.com");
        assert_eq!(issuer.path(), "/loopkey");
        assert_eq!(issuer.login_url().to_string(), "https://app.example.com/loopkey/v1/login");
        assert_eq!(issuer.link_url().as_str(), "wss://app.example.com/loopkey/v1/link");
        let local: Issuer = "http://localhost:28980".parse().expect("issuer");
        assert_eq!((local.path(), local.link_url().as_str()), ("", "ws://localhost:28980/v1/link"));
        let short: Issuer = "https://a.b/c/d".parse().expect("issuer");
        assert_eq!((short.origin().as_str(), short.path()), ("https://a.b", "/c/d"));
        assert_eq!((short.as_str(), short.to_string().as_str()), ("https://a.b/c/d", "https://a.b/c/d"));
    }

    #[test]
    fn a_link_is_on_the_issuers_own_origin() {
        let issuer: Issuer = "https://app.example.com/loopkey".parse().expect("issuer");
        assert!(issuer.link_url().is_of(&issuer) && LinkUrl("wss://app.example.com/other".into()).is_of(&issuer));
        for foreign in [
            "ws://app.example.com/loopkey/v1/link",
            "https://app.example.com/loopkey/v1/link",
            "wss://app.example.com",
            "wss://app.example.com.evil.test/v1/link",
            "wss://app.example.com:444/v1/link",
            "wss://app.example.com@evil.test/v1/link",
            "",
        ] {
            assert!(!LinkUrl(foreign.to_owned()).is_of(&issuer), "{foreign}");
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for (text, fault) in [
            ("https://app.example.com/", BadIssuer::TrailingSlash),
            ("https://app.example.com/a/", BadIssuer::TrailingSlash),
            ("https://app.example.com/a//b", BadIssuer::Path),
            ("https://app.example.com/../b", BadIssuer::Path),
            ("https://app.example.com/./b", BadIssuer::Path),
            ("https://app.example.com/a?b", BadIssuer::Path),
            ("https://app.example.com/a#b", BadIssuer::Path),
            ("https://app.example.com/%61", BadIssuer::Path),
            ("https://APP.example.com/a", BadIssuer::Origin(BadOrigin::UpperCase)),
            ("app.example.com", BadIssuer::Origin(BadOrigin::Scheme)),
        ] {
            assert_eq!(text.parse::<Issuer>(), Err(fault), "{text}");
        }
    }
}
