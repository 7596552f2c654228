//! Web origins in their serialized form (RFC 6454 section 6.2), and the list of those that are admitted.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::json;

/// Longest accepted origin in bytes: a host name of 253, a scheme and a port.
pub const ORIGIN_MAX_LEN: usize = 280;

/// What is wrong with a text that should be an origin. Each message says how to mend it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadOrigin {
    /// Neither `https://` nor, for development, `http://`.
    #[error("an origin starts with https://")]
    Scheme,
    /// `http://` is only for loopback hosts.
    #[error("http:// is accepted for localhost and 127.0.0.1 only, and only with development = true; use https://")]
    Insecure,
    /// Has something after the host and port.
    #[error("an origin ends after host and port: remove the slash and what follows it")]
    Path,
    /// Upper case, which browsers never send.
    #[error("write the origin in lower case, as browsers send it")]
    UpperCase,
    /// `*` is no host.
    #[error("there are no wildcards: list each origin by itself")]
    Wildcard,
    /// A name and password before the host.
    #[error("an origin has no user name: remove what stands before the @")]
    UserInfo,
    /// `example.com.`
    #[error("remove the dot at the end of the host")]
    TrailingDot,
    /// `:443` for https, `:80` for http.
    #[error("leave out the scheme's own port, as browsers do")]
    DefaultPort,
    /// No number from 1 to 65535, or one with leading zeros.
    #[error("the port is a number from 1 to 65535 without leading zeros")]
    Port,
    /// Not a host name in ASCII (for others, its punycode form), nor an address.
    #[error("the host is not a lower-case ASCII host name or IP address (for other scripts, write its xn-- form)")]
    Host,
}

/// A web origin exactly as a browser serializes it, so that equal origins are equal bytes.
/// Cheap to clone: it goes wherever its page goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(Arc<str>);

json::as_text!(Origin);

impl Origin {
    /// The origin as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the origin is `http://`, which [`Origin`] admits for loopback hosts only.
    #[must_use]
    pub fn is_insecure(&self) -> bool {
        self.0.starts_with("http://")
    }

    /// The host, without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        let authority = self.0.split_once("://").map_or(self.as_str(), |(_, rest)| rest);
        split_port(authority).0
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for Origin {
    type Err = BadOrigin;

    fn from_str(text: &str) -> Result<Self, BadOrigin> {
        require_serialized(text)?;
        Ok(Self(text.into()))
    }
}

/// Whether the text is an origin as a browser serializes it.
pub(super) fn require_serialized(text: &str) -> Result<(), BadOrigin> {
    if text.len() > ORIGIN_MAX_LEN {
        return Err(BadOrigin::Host);
    }
    let is_lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    let lower = if is_lower { Cow::Borrowed(text) } else { Cow::Owned(text.to_ascii_lowercase()) };
    let (authority, default_port, secure) = if let Some(rest) = lower.strip_prefix("https://") {
        (rest, 443, true)
    } else if let Some(rest) = lower.strip_prefix("http://") {
        (rest, 80, false)
    } else {
        return Err(BadOrigin::Scheme);
    };
    if authority.bytes().any(|b| matches!(b, b'@' | b'/' | b'?' | b'#' | b'*')) {
        return Err(match authority {
            _ if authority.contains('@') => BadOrigin::UserInfo,
            _ if authority.contains(['/', '?', '#']) => BadOrigin::Path,
            _ => BadOrigin::Wildcard,
        });
    }
    let (host, port) = split_port(authority);
    if host.ends_with('.') {
        return Err(BadOrigin::TrailingDot);
    }
    if !(is_host_name(host) || is_address(host)) {
        return Err(BadOrigin::Host);
    }
    if !is_lower {
        return Err(BadOrigin::UpperCase);
    }
    match port.map(parse_port) {
        Some(None) => return Err(BadOrigin::Port),
        Some(Some(port)) if port == default_port => return Err(BadOrigin::DefaultPort),
        _ => {}
    }
    if secure || matches!(host, "localhost" | "127.0.0.1") { Ok(()) } else { Err(BadOrigin::Insecure) }
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        // The colons of a bracketed address are not a port's.
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn parse_port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|digit| digit.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|_| is_plain)
}

/// Host names as browsers serialize them: dot-separated labels of letters, digits, hyphens and underscores, the last one
/// not a number (the URL standard would read that as an IPv4 address).
fn is_host_name(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
    };
    let numeric = |label: &str| {
        label.bytes().all(|b| b.is_ascii_digit())
            || label.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    host.len() <= 253 && host.split('.').all(label) && !host.rsplit('.').next().is_some_and(numeric)
}

fn is_address(host: &str) -> bool {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().is_ok_and(|address| serialized(address) == inner);
    }
    // The standard library takes four decimal numbers without leading zeros, and nothing else.
    host.parse::<Ipv4Addr>().is_ok()
}

/// An IPv6 address as browsers write it (URL standard, IPv6 serializer): in hexadecimal, also where the standard library
/// shows the IPv4 address inside.
fn serialized(address: Ipv6Addr) -> String {
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => format!("::ffff:{high:x}:{low:x}"),
        _ => address.to_string(),
    }
}

/// Proof that an origin is on the list. Only [`AllowedOrigins::admit`] makes one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AdmittedOrigin(Origin);

impl AdmittedOrigin {
    /// The origin that was admitted.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.0
    }
}

/// The origins whose pages may speak to the agent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedOrigins(BTreeSet<Origin>);

impl AllowedOrigins {
    /// Admits exactly the listed origins, byte for byte; there are no patterns (protocol section 3, point 3).
    #[must_use]
    pub fn admit(&self, header: &[u8]) -> Option<AdmittedOrigin> {
        let text = std::str::from_utf8(header).ok()?;
        self.0.iter().find(|allowed| allowed.as_str() == text).cloned().map(AdmittedOrigin)
    }
}

impl FromIterator<Origin> for AllowedOrigins {
    fn from_iter<I: IntoIterator<Item = Origin>>(origins: I) -> Self {
        Self(origins.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn serialized_origins_parse() {
        for sound in [
            "https://app.example.com",
            "https://app.example.com:8443",
            "https://xn--bcher-kva.example",
            "https://a_b.example",
            "https://10.0.0.7",
            "https://[2001:db8::1]:444",
            "https://[::ffff:7f00:1]",
            "https://[::ffff:0:0]",
            "http://localhost:28980",
            "http://127.0.0.1:8080",
            "http://localhost",
        ] {
            assert_eq!(sound.parse::<Origin>().as_ref().map(Origin::as_str), Ok(sound));
        }
    }

    #[test]
    fn each_wrong_spelling_gets_its_own_cure() {
        for (text, cure) in [
            ("", BadOrigin::Scheme),
            ("null", BadOrigin::Scheme),
            ("ftp://a.example", BadOrigin::Scheme),
            ("chrome-extension://abc", BadOrigin::Scheme),
            ("http://app.example.com", BadOrigin::Insecure),
            ("http://localhost.evil.example", BadOrigin::Insecure),
            ("http://127.0.0.2:80", BadOrigin::DefaultPort),
            ("http://[::1]:8080", BadOrigin::Insecure),
            ("https://app.example.com/", BadOrigin::Path),
            ("https://app.example.com/x", BadOrigin::Path),
            ("https://app.example.com?x", BadOrigin::Path),
            ("https://app.example.com#x", BadOrigin::Path),
            ("https://App.example.com", BadOrigin::UpperCase),
            ("HTTPS://app.example.com", BadOrigin::UpperCase),
            ("https://*.example.com", BadOrigin::Wildcard),
            ("https://*", BadOrigin::Wildcard),
            ("https://user@app.example.com", BadOrigin::UserInfo),
            ("https://app.example.com.", BadOrigin::TrailingDot),
            ("https://app.example.com:443", BadOrigin::DefaultPort),
            ("https://app.example.com:0", BadOrigin::Port),
            ("https://app.example.com:0443", BadOrigin::Port),
            ("https://app.example.com:", BadOrigin::Port),
            ("https://app.example.com:65536", BadOrigin::Port),
            ("https://app.example.com:+8443", BadOrigin::Port),
            ("https://127.0.0.01", BadOrigin::Host),
            ("https://010.0.0.1", BadOrigin::Host),
            ("https://127.1", BadOrigin::Host),
            ("https://1.2.3.4.5", BadOrigin::Host),
            ("https://", BadOrigin::Host),
            ("https://-a.example", BadOrigin::Host),
            ("https://a-.example", BadOrigin::Host),
            ("https://a..example", BadOrigin::Host),
            ("https://bücher.example", BadOrigin::Host),
            ("https://a example", BadOrigin::Host),
            ("https://127.1", BadOrigin::Host),
            ("https://0x7f000001", BadOrigin::Host),
            ("https://[::ffff:127.0.0.1", BadOrigin::Host),
            ("https://[0:0::1]", BadOrigin::Host),
            ("https://[::ffff:127.0.0.1]", BadOrigin::Host),
            ("https://[::ffff:0:0:0:0]", BadOrigin::Host),
            ("https://[2001:DB8::1]", BadOrigin::UpperCase),
            ("https://a%2eexample", BadOrigin::Host),
        ] {
            assert_eq!(text.parse::<Origin>(), Err(cure), "{text:?}");
        }
    }

    #[test]
    fn the_parts_of_an_origin() {
        for (text, host, insecure) in [
            ("https://app.example.com", "app.example.com", false),
            ("https://app.example.com:8443", "app.example.com", false),
            ("https://[2001:db8::1]", "[2001:db8::1]", false),
            ("https://[2001:db8::1]:444", "[2001:db8::1]", false),
            ("http://localhost:28980", "localhost", true),
        ] {
            let origin: Origin = text.parse().expect("origin");
            assert_eq!((origin.host(), origin.is_insecure(), origin.to_string().as_str()), (host, insecure, text));
        }
    }

    #[test]
    fn what_is_too_long_is_not_looked_at() {
        let fault = |len: usize| format!("https://a.example/{}", "x".repeat(len - 18)).parse::<Origin>();
        assert_eq!(fault(280), Err(BadOrigin::Path));
        assert_eq!(fault(281), Err(BadOrigin::Host));
        assert_eq!(fault(10_000), Err(BadOrigin::Host));
        let label = "a".repeat(63);
        let longest = format!("https://{label}.{label}.{label}.{}:65535", &label[..61]);
        assert!(longest.parse::<Origin>().is_ok(), "a host name of 253 bytes");
        let longer = format!("https://{label}.{label}.{label}.{}", &label[..62]);
        assert_eq!(longer.parse::<Origin>(), Err(BadOrigin::Host));
        assert_eq!(format!("https://{label}a.example").parse::<Origin>(), Err(BadOrigin::Host));
    }

    proptest! {
        /// Whatever is changed in an allowed origin, the result is not admitted.
        #[test]
        fn a_mutated_origin_is_never_admitted(at in 0_usize..30, byte in any::<u8>(), kind in 0..3) {
            let allowed = "https://app.example.com:8443";
            let list = AllowedOrigins::from_iter([allowed.parse().expect("origin")]);
            let mut mutated = allowed.as_bytes().to_vec();
            let at = at % mutated.len();
            match kind {
                0 => mutated[at] = byte,
                1 => mutated.insert(at, byte),
                _ => { mutated.remove(at); }
            }
            prop_assert_eq!(list.admit(&mutated).is_some(), mutated == allowed.as_bytes());
        }

        /// What parses is its own serialization; nothing panics.
        #[test]
        fn parsing_is_total(text in "\\PC{0,40}") {
            if let Ok(origin) = text.parse::<Origin>() {
                prop_assert_eq!(origin.as_str(), text.as_str());
            }
        }
    }
}
