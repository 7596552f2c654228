//! Where a request comes from: the connection's other end, or what a trusted proxy says of it.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::extract::ConnectInfo;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// A network whose machines are proxies in front of the login server, such as `127.0.0.1` or `10.0.0.0/8`. Their
/// `X-Forwarded-For` is believed; nobody else's is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustedProxies(IpNet);

/// The text is no network of proxies. The message says what to write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadNetwork {
    /// Neither an address nor a network.
    #[error("must be an address or a network, such as \"127.0.0.1\" or \"10.0.0.0/8\"")]
    Form,
    /// An address with the length of a network.
    #[error("is an address within a network: write {0} for the network, or leave out the length")]
    HostBits(IpNet),
    /// The whole Internet.
    #[error("would believe every address whatever it says; name the proxies in front of the login server")]
    Everything,
}

impl FromStr for TrustedProxies {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let alone = text.parse::<IpAddr>().map(IpNet::from);
        let network = alone.or_else(|_| text.parse::<IpNet>()).map_err(|_| BadNetwork::Form)?;
        if network != network.trunc() {
            return Err(BadNetwork::HostBits(network.trunc()));
        }
        if network.prefix_len() == 0 { Err(BadNetwork::Everything) } else { Ok(Self(network)) }
    }
}

/// What is counted as one caller: an IPv4 address, or an IPv6 network of 64 bits, which is what one subscriber gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    V4([u8; 4]),
    V6([u8; 8]),
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => IpAddr::from(*address).fmt(f),
            Self::V6(network) => {
                let mut address = [0; 16];
                address[..8].copy_from_slice(network);
                write!(f, "{}/64", IpAddr::from(address))
            }
        }
    }
}

impl From<IpAddr> for Caller {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => Self::V6(*address.octets().first_chunk().expect("an IPv6 address has 16 bytes")),
        }
    }
}

/// Who sent a request, as far as that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// This address.
    Known(IpAddr),
    /// This address, and it says that it forwards for others without being a trusted proxy.
    Forwarding(IpAddr),
    /// Whoever serves the router did not say.
    Unknown,
}

impl Source {
    pub(super) fn of(parts: &Parts, trusted: &[TrustedProxies]) -> Self {
        match parts.extensions.get::<ConnectInfo<SocketAddr>>() {
            Some(ConnectInfo(peer)) => Self::behind(peer.ip().to_canonical(), &parts.headers, trusted),
            None => Self::Unknown,
        }
    }

    /// Each proxy appends the address that it was called from, so the list is true from its end as far as the proxies
    /// are trusted: what the first untrusted one put before it is anybody's word.
    fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[TrustedProxies]) -> Self {
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.0.contains(&address));
        if !is_trusted(peer) {
            return if headers.contains_key(FORWARDED_FOR) { Self::Forwarding(peer) } else { Self::Known(peer) };
        }
        let mut nearest = peer;
        for hop in headers.get_all(FORWARDED_FOR).iter().rev().flat_map(|line| line.as_bytes().rsplit(|b| *b == b',')) {
            // What is no address was not written by a proxy that appends addresses: nothing before it counts either.
            let Some(address) = std::str::from_utf8(hop).ok().and_then(parse_hop) else { break };
            nearest = address;
            if !is_trusted(address) {
                break;
            }
        }
        Self::Known(nearest)
    }
}

/// An address, with or without a port: some proxies write one.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let address = text.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn source(peer: &str, lines: &[&str]) -> Source {
        let trusted = ["127.0.0.1", "10.0.0.0/8", "fd00::/8"].map(|text| text.parse().expect("a network"));
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::try_from(*line).expect("a header"));
        }
        Source::behind(peer.parse().expect("an address"), &headers, &trusted)
    }

    fn known(address: &str) -> Source {
        Source::Known(address.parse().expect("an address"))
    }

    #[test]
    fn the_nearest_address_that_is_no_proxy_counts() {
        assert_eq!(source("203.0.113.9", &[]), known("203.0.113.9"));
        assert_eq!(source("127.0.0.1", &[]), known("127.0.0.1"));
        assert_eq!(source("127.0.0.1", &["203.0.113.9"]), known("203.0.113.9"));
        assert_eq!(source("127.0.0.1", &["198.51.100.1, 203.0.113.9"]), known("203.0.113.9"));
        assert_eq!(source("127.0.0.1", &["203.0.113.9, 10.1.2.3"]), known("203.0.113.9"));
        assert_eq!(source("127.0.0.1", &["198.51.100.1", "203.0.113.9 , 10.1.2.3"]), known("203.0.113.9"));
        assert_eq!(source("10.9.9.9", &["203.0.113.9:51234,[fd00::7]:443"]), known("203.0.113.9"));
        assert_eq!(source("127.0.0.1", &["::ffff:203.0.113.9"]), known("203.0.113.9"));
        assert_eq!(source("fd00::1", &["2001:db8:1:2:3::4"]), known("2001:db8:1:2:3::4"));
        assert_eq!(source("127.0.0.1", &["10.0.0.1, 10.0.0.2"]), known("10.0.0.1"), "all of them proxies");
    }

    #[test]
    fn nobody_else_is_believed() {
        let forged = source("203.0.113.9", &["198.51.100.1"]);
        assert_eq!(forged, Source::Forwarding("203.0.113.9".parse().expect("an address")));
        for nonsense in ["unknown", "", "198.51.100.1, evil", "198.51.100.1, _hidden", "198.51.100.1,,"] {
            assert_eq!(source("127.0.0.1", &[nonsense]), known("127.0.0.1"), "{nonsense:?}");
        }
        assert_eq!(source("127.0.0.1", &["198.51.100.1, junk, 10.0.0.2"]), known("10.0.0.2"));
    }

    #[test]
    fn an_ipv6_subscriber_is_one_caller() {
        let caller = |text: &str| Caller::from(text.parse::<IpAddr>().expect("an address"));
        assert!(caller("2001:db8:1:2::1") == caller("2001:db8:1:2:ffff::9"));
        assert!(caller("2001:db8:1:2::1") != caller("2001:db8:1:3::1"));
        assert!(caller("203.0.113.9") != caller("203.0.113.8"));
        assert!(caller("::ffff:203.0.113.9") == caller("203.0.113.9"));
        assert_eq!(caller("2001:db8:1:2::1").to_string(), "2001:db8:1:2::/64");
        assert_eq!(caller("203.0.113.9").to_string(), "203.0.113.9");
    }

    #[test]
    fn a_network_that_cannot_be_meant_is_refused() {
        let fault = |text: &str| text.parse::<TrustedProxies>().expect_err("a fault").to_string();
        assert!(fault("proxy.example.com").contains("such as"));
        assert!(fault("10.0.0.1/8").contains("write 10.0.0.0/8"));
        assert!(fault("0.0.0.0/0").contains("every address"));
        assert!(fault("::/0").contains("every address"));
    }
}
