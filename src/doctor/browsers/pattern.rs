//! Chromium's patterns for sites, as far as people and policies write them: `https://app.example.com:443`, `[*.]example.com`,
//! `*`.

use crate::protocol::origin::Origin;

/// How closely a pattern fits: by its host, then the length of its domain, then whether it names scheme and port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Closeness {
    whole_host: bool,
    domain_len: usize,
    scheme: bool,
    port: bool,
}

/// Whether the pattern is for the origin, and how closely: the greater, the closer.
pub(super) fn closeness(pattern: &str, origin: &Origin) -> Option<Closeness> {
    if pattern == "*" {
        return Some(Closeness::default());
    }
    let (scheme, rest) = match pattern.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, pattern),
    };
    let (own_scheme, own) = origin.as_str().split_once("://")?;
    if scheme.is_some_and(|scheme| scheme != "*" && scheme != own_scheme) {
        return None;
    }
    let rest = rest.split('/').next().unwrap_or_default();
    let (host, port) = split_port(rest);
    let own_port = split_port(own).1.unwrap_or(if own_scheme == "https" { "443" } else { "80" });
    if port.is_some_and(|port| port != "*" && port != own_port) {
        return None;
    }
    let (whole_host, domain) = match host.strip_prefix("[*.]") {
        Some(domain) => (false, domain),
        None => (host != "*", host.trim_matches('*')),
    };
    let is_inside = || domain.is_empty() || origin.host().ends_with(&format!(".{domain}"));
    let fits = origin.host() == domain || !whole_host && is_inside();
    fits.then_some(Closeness { whole_host, domain_len: domain.len(), scheme: scheme.is_some(), port: port.is_some() })
}

/// Brackets of an IPv6 address, or of `[*.]`, hold no port.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    let inside = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[inside..].rsplit_once(':') {
        Some((_, port)) => (&authority[..authority.len() - port.len() - 1], Some(port)),
        None => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_for_the_origins_that_chromium_means() {
        let origin: Origin = "https://app.example.com".parse().expect("an origin");
        for (pattern, fits) in [
            ("https://app.example.com:443", true),
            ("https://app.example.com", true),
            ("https://[*.]example.com", true),
            ("https://[*.]example.com:443", true),
            ("[*.]app.example.com", true),
            ("app.example.com", true),
            ("*", true),
            ("*://app.example.com:*", true),
            ("https://app.example.com/", true),
            ("http://app.example.com:443", false),
            ("https://app.example.com:8443", false),
            ("https://example.com", false),
            ("[*.]ample.com", false),
            ("", false),
        ] {
            assert_eq!(closeness(pattern, &origin).is_some(), fits, "{pattern}");
        }
        let closer = |a, b| assert!(closeness(a, &origin) > closeness(b, &origin), "{a} is closer than {b}");
        closer("https://app.example.com:443", "https://[*.]example.com:443");
        closer("[*.]example.com", "*");
        let own: Origin = "http://127.0.0.1:28980".parse().expect("an origin");
        assert!(closeness("http://127.0.0.1:28980", &own).is_some());
        assert!(closeness("http://127.0.0.1:28981", &own).is_none());
    }
}
