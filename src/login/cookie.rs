//! The cookies (protocol sections 6 and 8). Their values are secrets and go nowhere but into digests.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::crypto::{self, Secret};
use crate::protocol::base64url;

/// A cookie's secret: 32 random bytes.
pub(super) type CookieSecret = Secret<[u8; 32]>;

/// One of the cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cookie {
    /// Before login: ties a challenge to the browser that fetched it.
    PreLogin,
    /// After login.
    Session,
    /// While another device is asked to let this browser in.
    Order,
}

impl Cookie {
    const fn name(self) -> &'static str {
        match self {
            Self::PreLogin => "__Host-loopkey_pre",
            Self::Session => "__Host-loopkey_session",
            Self::Order => "__Host-loopkey_order",
        }
    }

    /// The cookie's secret. Two of one name count as none: a neighbour may have planted one of them.
    pub(super) fn read(self, headers: &HeaderMap) -> Option<CookieSecret> {
        let mut values = headers
            .get_all(header::COOKIE)
            .iter()
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
            .filter_map(|pair| {
                let pair = pair.trim_ascii_start();
                // The name as bytes: nothing is trimmed, folded or decoded that a browser might see otherwise.
                pair.strip_prefix(self.name().as_bytes())?.strip_prefix(b"=")
            });
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        base64url::decode_array(std::str::from_utf8(value).ok()?).ok().map(Secret::new)
    }

    /// A fresh secret, and the header that gives it to the browser.
    pub(super) fn issue(self) -> (CookieSecret, HeaderValue) {
        let secret = Secret::new(crypto::random());
        let value = Secret::new(base64url::encode(secret.expose()));
        let header = self.header(value.expose(), "");
        (secret, header)
    }

    /// The header that takes the cookie from the browser.
    pub(super) fn delete(self) -> HeaderValue {
        self.header("", "; Max-Age=0")
    }

    fn header(self, value: &str, end: &str) -> HeaderValue {
        let text = format!("{}={value}; HttpOnly; Secure; SameSite=Lax; Path=/{end}", self.name());
        let mut header = HeaderValue::try_from(text).expect("base64url and fixed words are a header");
        header.set_sensitive(true);
        header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::try_from(*line).expect("header"));
        }
        Cookie::PreLogin.read(&headers).is_some()
    }

    #[test]
    fn exactly_one_of_exactly_that_name() {
        let a = format!("__Host-loopkey_pre={}", base64url::encode([1; 32]));
        let b = format!("__Host-loopkey_pre={}", base64url::encode([2; 32]));
        assert!(read(&[&a]));
        assert!(read(&[&format!("x=1; {a}; y=2")]));
        assert!(read(&["x=1", &a]), "HTTP/2 may split the header");
        assert!(!read(&[]));
        assert!(!read(&[&format!("{a}; {b}")]));
        assert!(!read(&[&format!("{a}; {a}")]));
        assert!(!read(&[&a, &b]));
        assert!(!read(&[&a.replace("__Host", "__host")]));
        assert!(!read(&[&a.replace("_pre=", "_pre =")]));
        assert!(!read(&[&format!("x{a}")]));
        assert!(!read(&[&format!("{a}=")]));
        assert!(!read(&["__Host-loopkey_pre="]));
        assert!(!read(&["__Host-loopkey_pre=short"]));
    }

    #[test]
    fn the_attributes_are_the_protocols() {
        let (secret, header) = Cookie::Session.issue();
        let value = base64url::encode(secret.expose());
        assert_eq!(header, format!("__Host-loopkey_session={value}; HttpOnly; Secure; SameSite=Lax; Path=/"));
        assert!(!format!("{header:?}").contains(&value));
        assert_eq!(Cookie::PreLogin.delete(), "__Host-loopkey_pre=; HttpOnly; Secure; SameSite=Lax; Path=/; Max-Age=0");
    }
}
