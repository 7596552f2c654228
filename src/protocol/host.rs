//! The values of `Host` that mean this agent (protocol section 3, point 2). Anything else is DNS rebinding or a mistake.

use std::net::IpAddr;

/// The spellings of one listening port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSet(Vec<String>);

impl HostSet {
    /// The hosts of an agent that listens on `port` of both loopback addresses.
    #[must_use]
    pub fn for_port(port: u16) -> Self {
        Self(vec![format!("127.0.0.1:{port}"), format!("[::1]:{port}")])
    }

    /// The same for a port that speaks TLS. There `localhost` is admitted too: a foreign name that is made to point here has no
    /// certificate, and a browser says nothing before it has seen one.
    #[must_use]
    pub fn for_secure_port(port: u16) -> Self {
        let mut hosts = Self::for_port(port);
        hosts.0.push(format!("localhost:{port}"));
        hosts
    }

    /// Whether the header is one of them, byte for byte.
    #[must_use]
    pub fn has(&self, header: &[u8]) -> bool {
        self.0.iter().any(|host| host.as_bytes() == header)
    }
}

/// Whether the address is one that an agent may be reached at.
#[must_use]
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_loopback_in_either_family_and_nothing_else() {
        for (address, loopback) in [
            ("127.0.0.1", true),
            ("127.8.9.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("10.0.0.1", false),
            ("::ffff:10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(address.parse().expect("address")), loopback, "{address}");
        }
    }

    #[test]
    fn two_spellings_and_no_third() {
        let hosts = HostSet::for_port(28970);
        assert!(hosts.has(b"127.0.0.1:28970") && hosts.has(b"[::1]:28970"));
        for other in [
            "",
            "127.0.0.1",
            "localhost:28970",
            "localhost.:28970",
            "0.0.0.0:28970",
            "127.1:28970",
            "2130706433:28970",
            "127.0.0.1:28971",
            "[::ffff:127.0.0.1]:28970",
            "user@127.0.0.1:28970",
            "evil.example",
            "127.0.0.1:28970 ",
            "[0:0:0:0:0:0:0:1]:28970",
            "127.0.0.1:028970",
        ] {
            assert!(!hosts.has(other.as_bytes()), "{other:?}");
        }
    }

    #[test]
    fn a_third_spelling_where_tls_is_spoken_and_no_fourth() {
        let hosts = HostSet::for_secure_port(28972);
        for host in ["127.0.0.1:28972", "[::1]:28972", "localhost:28972"] {
            assert!(hosts.has(host.as_bytes()), "{host}");
        }
        for other in [
            "localhost",
            "localhost.:28972",
            "LOCALHOST:28972",
            "x.localhost:28972",
            "localhost:28970",
            "evil.example:28972",
        ] {
            assert!(!hosts.has(other.as_bytes()), "{other}");
        }
    }
}
