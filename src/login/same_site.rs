//! Which origins may be of one site with the issuer's, so that its cookies reach their calls.

use std::net::Ipv4Addr;

use crate::protocol::origin::Origin;

/// Whether two origins are of one site: same scheme, and hosts that are equal or share a registrable domain.
///
/// Browsers ask the public-suffix list; this asks a stricter rule, so that nothing is accepted at start that a browser
/// would then treat as foreign. Addresses and single labels (`localhost`) must be equal, any port. Other hosts must end
/// in the same two labels, or the same three where the last two look like a country's suffix: two letters after at most
/// three (`co.uk`, `com.cn`).
pub(super) fn is_same_site(one: &Origin, other: &Origin) -> bool {
    if one.is_insecure() != other.is_insecure() {
        return false;
    }
    one.host() == other.host()
        || registrable(one.host()).is_some_and(|domain| registrable(other.host()) == Some(domain))
}

/// The shortest end of a host name that one party has registered, as far as that can be told without a list.
fn registrable(host: &str) -> Option<&str> {
    if host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok() {
        return None;
    }
    let labels: Vec<&str> = host.rsplit('.').collect();
    let country = labels.len() >= 2 && labels[0].len() == 2 && labels[1].len() <= 3;
    let needed = if country { 3 } else { 2 };
    let kept: usize = labels.get(..needed)?.iter().map(|label| label.len()).sum();
    Some(&host[host.len() - kept - (needed - 1)..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(one: &str, other: &str) -> bool {
        let (one, other) = (one.parse().expect("origin"), other.parse().expect("origin"));
        assert_eq!(is_same_site(&one, &other), is_same_site(&other, &one), "symmetric");
        is_same_site(&one, &other)
    }

    #[test]
    fn one_site() {
        assert!(same("https://app.example.com", "https://app.example.com:8443"));
        assert!(same("https://login.example.com", "https://www.example.com"));
        assert!(same("https://example.com", "https://a.b.example.com"));
        assert!(same("https://app.example.co.uk", "https://www.example.co.uk"));
        assert!(same("http://localhost:28980", "http://localhost:3000"));
        assert!(same("https://10.0.0.7", "https://10.0.0.7:444"));
    }

    #[test]
    fn two_sites() {
        assert!(!same("https://app.example.com", "https://app.example.org"));
        assert!(!same("https://example.com", "https://notexample.com"));
        assert!(!same("https://one.co.uk", "https://two.co.uk"));
        assert!(!same("https://one.com.cn", "https://two.com.cn"));
        assert!(!same("http://localhost:28980", "http://127.0.0.1:28980"));
        assert!(!same("http://localhost", "https://localhost"));
        assert!(!same("https://10.0.0.7", "https://11.0.0.7"));
        assert!(!same("https://[2001:db8::1]", "https://[2001:db8::2]"));
        assert!(!same("https://intranet", "https://wiki"));
    }
}
