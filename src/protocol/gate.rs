//! The one place that admits a connection (protocol section 3). Nothing of WebSocket runs before it, and nothing after it
//! can be reached without the proof that it returns.

use super::base64url;
use super::bridge::{self, Delivery};
use super::head::{BadHead, RequestHead};
use super::host::HostSet;
use super::message::SUBPROTOCOL;
use super::origin::{AdmittedOrigin, AllowedOrigins};
use super::peer::{OwnUser, StrangePeer};

/// The answer to everything that is not admitted, to the byte and whatever the reason.
pub const REFUSAL: &[u8] = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// Why a connection was refused. For the log and `loopkey doctor`; the peer never learns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The head.
    #[error(transparent)]
    Head(#[from] BadHead),
    /// The head did not come in time.
    #[error("the request head did not arrive in time")]
    SlowHead,
    /// On the TLS port: no TLS, or the browser did not take the certificate.
    #[error("the TLS handshake did not come to its end")]
    Handshake,
    /// Not exactly one `Host`, or another one.
    #[error("the Host header is not this agent's address")]
    Host,
    /// No such target.
    #[error("the request target is none of the agent's")]
    Target,
    /// Not exactly one `Origin`, or none on the list.
    #[error("the Origin header is not exactly one allowed origin")]
    Origin,
    /// `Sec-Fetch-*` says that the request is of another kind.
    #[error("the request is of another kind than its target")]
    Fetch,
    /// Not a WebSocket upgrade for this subprotocol.
    #[error("the request is no upgrade to {SUBPROTOCOL}")]
    Upgrade,
    /// The first frame of a bridge's socket is none, or its key is not of a page that waits for its socket.
    #[error("the bridge's first frame is not the one of a page that this agent has just delivered")]
    Bridge,
    /// Another user of the computer.
    #[error(transparent)]
    Peer(#[from] StrangePeer),
    /// The person blocked the origin.
    #[error("the person has blocked this origin (see `loopkey grants`)")]
    Blocked,
    /// One connection too many.
    #[error("too many connections")]
    Limit,
}

impl Refused {
    /// One word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Head(_) => "head",
            Self::SlowHead => "slow_head",
            Self::Handshake => "handshake",
            Self::Host => "host",
            Self::Target => "target",
            Self::Origin => "origin",
            Self::Fetch => "fetch",
            Self::Upgrade => "upgrade",
            Self::Bridge => "bridge",
            Self::Peer(_) => "peer",
            Self::Blocked => "blocked",
            Self::Limit => "limit",
        }
    }
}

/// What a connection was admitted to. Only [`Gate::admit`] makes one.
#[derive(Debug)]
pub struct Admitted {
    peer: OwnUser,
    purpose: Purpose,
}

/// What an admitted connection asked for, and who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To become a page's socket.
    Socket {
        /// The page's origin.
        origin: AdmittedOrigin,
        /// `Sec-WebSocket-Key`, for the answer.
        key: String,
    },
    /// To know that an agent is here.
    Probe {
        /// The page's origin.
        origin: AdmittedOrigin,
    },
    /// To show the bridge: a page of the agent's own, which names nobody (protocol section 8).
    BridgePage,
    /// The bridge's script.
    BridgeScript,
    /// To become a bridge's socket. Whose bridge it is, its first frame says: see [`Gate::admit_opener`].
    BridgeSocket {
        /// `Sec-WebSocket-Key`, for the answer.
        key: String,
    },
}

impl Admitted {
    /// The peer's user.
    #[must_use]
    pub const fn peer(&self) -> OwnUser {
        self.peer
    }

    /// What it asked for.
    #[must_use]
    pub const fn purpose(&self) -> &Purpose {
        &self.purpose
    }
}

/// The gate of one listening port.
#[derive(Debug, Clone)]
pub struct Gate {
    hosts: HostSet,
    /// The bridge is at home at one address of the plain port alone: no content security policy can name `[::1]`, and whoever can use
    /// TLS here needs no bridge.
    bridge_host: Option<String>,
    origins: AllowedOrigins,
}

impl Gate {
    /// A gate for pages of these origins on this port.
    #[must_use]
    pub fn new(port: u16, origins: AllowedOrigins) -> Self {
        Self { hosts: HostSet::for_port(port), bridge_host: Some(bridge::host(port)), origins }
    }

    /// The same for a port that speaks TLS, where the host may also be `localhost`, and no bridge is.
    #[must_use]
    pub fn secure(port: u16, origins: AllowedOrigins) -> Self {
        Self { hosts: HostSet::for_secure_port(port), bridge_host: None, origins }
    }

    /// Where this port's bridge is at home, as its `Host` says it.
    #[must_use]
    pub fn bridge_host(&self) -> Option<&str> {
        self.bridge_host.as_deref()
    }

    /// Admits a head whose peer was looked up already.
    ///
    /// # Errors
    /// [`Refused`] for the first thing that is not as it must be.
    pub fn admit(&self, head: &RequestHead, peer: OwnUser) -> Result<Admitted, Refused> {
        if !head.only("host").is_some_and(|host| self.hosts.has(host)) {
            return Err(Refused::Host);
        }
        let purpose = match head.target() {
            "/bridge" | "/bridge.js" | "/v1/bridge" => self.admit_to_bridge(head)?,
            target => self.admit_page(head, target)?,
        };
        Ok(Admitted { peer, purpose })
    }

    fn admit_page(&self, head: &RequestHead, target: &str) -> Result<Purpose, Refused> {
        let origin = head.only("origin").and_then(|origin| self.origins.admit(origin)).ok_or(Refused::Origin)?;
        match target {
            "/v1" => {
                require_fetch(head, &[b"websocket"], &[b"websocket", b"empty"])?;
                Ok(Purpose::Socket { origin, key: upgrade_key(head).ok_or(Refused::Upgrade)? })
            }
            "/v1/probe" => {
                require_no_upgrade(head)?;
                require_fetch(head, &[b"cors"], &[b"empty"])?;
                Ok(Purpose::Probe { origin })
            }
            _ => Err(Refused::Target),
        }
    }

    /// The bridge's three targets. A document that a person navigates to has no `Origin`, and neither has its script; a
    /// socket always has.
    fn admit_to_bridge(&self, head: &RequestHead) -> Result<Purpose, Refused> {
        let home = self.bridge_host().ok_or(Refused::Target)?.as_bytes();
        if head.only("host") != Some(home) {
            return Err(Refused::Host);
        }
        let own = |origin: &[u8]| origin.strip_prefix(b"http://") == Some(home);
        let mut origins = head.all("origin");
        let origin = (origins.next(), origins.next());
        match head.target() {
            "/bridge" => {
                require(origin == (None, None), Refused::Origin)?;
                require_no_upgrade(head)?;
                // A frame's destination is `iframe`: the bridge is a window of its own or nothing.
                require_fetch(head, &[b"navigate"], &[b"document"])?;
                Ok(Purpose::BridgePage)
            }
            "/bridge.js" => {
                require(origin == (None, None) || matches!(origin, (Some(o), None) if own(o)), Refused::Origin)?;
                require_no_upgrade(head)?;
                require_fetch(head, &[b"no-cors", b"cors"], &[b"script"])?;
                // For no other page, which could learn from it that an agent is here.
                require(head.all("sec-fetch-site").all(|site| site == b"same-origin"), Refused::Fetch)?;
                Ok(Purpose::BridgeScript)
            }
            _ => {
                require(matches!(origin, (Some(o), None) if own(o)), Refused::Origin)?;
                require_fetch(head, &[b"websocket"], &[b"websocket", b"empty"])?;
                Ok(Purpose::BridgeSocket { key: upgrade_key(head).ok_or(Refused::Upgrade)? })
            }
        }
    }

    /// Admits the origin of the page that opened a bridge, by the same list as the origin of any other page. What a bridge
    /// says of it counts only for a bridge that this agent delivered.
    #[must_use]
    pub fn admit_opener(&self, _: &Delivery, origin: &str) -> Option<AdmittedOrigin> {
        self.origins.admit(origin.as_bytes())
    }
}

fn require(holds: bool, otherwise: Refused) -> Result<(), Refused> {
    if holds { Ok(()) } else { Err(otherwise) }
}

fn require_no_upgrade(head: &RequestHead) -> Result<(), Refused> {
    require(head.all("upgrade").next().is_none(), Refused::Upgrade)
}

/// `Sec-Fetch-Mode` and `-Dest` can only veto: Chromium sends neither with a WebSocket, Firefox sends `empty` for it.
fn require_fetch(head: &RequestHead, modes: &[&[u8]], destinations: &[&[u8]]) -> Result<(), Refused> {
    let passes = |name, allowed: &[&[u8]]| head.all(name).all(|value| allowed.contains(&value));
    require(passes("sec-fetch-mode", modes) && passes("sec-fetch-dest", destinations), Refused::Fetch)
}

/// The key of a valid upgrade (RFC 6455 section 4.2.1).
fn upgrade_key(head: &RequestHead) -> Option<String> {
    let upgrade = head.only("upgrade")?.eq_ignore_ascii_case(b"websocket");
    let connection = list_has(head, "connection", |token| token.eq_ignore_ascii_case("upgrade"));
    let version = head.only("sec-websocket-version")? == b"13";
    let subprotocol = list_has(head, "sec-websocket-protocol", |token| token == SUBPROTOCOL);
    let key = head.only("sec-websocket-key").filter(|key| base64url::is_standard_of_16(key))?;
    let key = std::str::from_utf8(key).ok()?;
    (upgrade && connection && version && subprotocol).then(|| key.to_owned())
}

fn list_has(head: &RequestHead, name: &str, matches: impl Fn(&str) -> bool) -> bool {
    head.all(name)
        .filter_map(|value| std::str::from_utf8(value).ok())
        .flat_map(|value| value.split(','))
        .any(|token| matches(token.trim_matches([' ', '\t'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPGRADE: &str = "GET /v1 HTTP/1.1\r\nHost: 127.0.0.1:28970\r\nConnection: keep-alive, Upgrade\r\n\
        Upgrade: websocket\r\nOrigin: https://app.example.com\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: other, loopkey.1\r\n\r\n";
    const PROBE: &str = "GET /v1/probe HTTP/1.1\r\nHost: [::1]:28970\r\nOrigin: https://app.example.com\r\n\
        Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n\r\n";

    fn admit(head: &str) -> Result<Admitted, Refused> {
        let gate = Gate::new(28970, AllowedOrigins::from_iter(["https://app.example.com".parse().expect("origin")]));
        let head = RequestHead::parse(head.as_bytes())?.expect("complete");
        gate.admit(&head, OwnUser::taken_on_trust())
    }

    #[test]
    fn each_reason_has_a_word_of_its_own() {
        let peer = Refused::Peer(StrangePeer::NoRow);
        let (head, host) = (Refused::Head(BadHead::Syntax), Refused::Host);
        let (target, origin, fetch) = (Refused::Target, Refused::Origin, Refused::Fetch);
        assert_eq!(Refused::Handshake.word(), "handshake");
        let others = [Refused::SlowHead, Refused::Upgrade, Refused::Blocked, Refused::Limit, Refused::Bridge];
        let words = [head, host, target, origin, fetch, peer].map(Refused::word);
        assert_eq!(words, ["head", "host", "target", "origin", "fetch", "peer"]);
        assert_eq!(others.map(Refused::word), ["slow_head", "upgrade", "blocked", "limit", "bridge"]);
    }

    #[test]
    fn a_page_and_a_probe_are_admitted() {
        let socket = admit(UPGRADE).expect("admitted");
        let Purpose::Socket { origin, key } = socket.purpose() else { panic!("{socket:?}") };
        assert_eq!((origin.origin().as_str(), key.as_str()), ("https://app.example.com", "dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(matches!(admit(PROBE).expect("admitted").purpose(), Purpose::Probe { .. }));
        let with_fetch = UPGRADE.replace("Origin:", "Sec-Fetch-Mode: websocket\r\nSec-Fetch-Dest: empty\r\nOrigin:");
        assert!(admit(&with_fetch).is_ok());
    }

    /// By its name only where TLS has shown whose name it is.
    #[test]
    fn localhost_is_a_host_of_the_secure_gate_alone() {
        let origins = || AllowedOrigins::from_iter(["https://app.example.com".parse().expect("origin")]);
        let head = UPGRADE.replace("127.0.0.1:28970", "localhost:28970");
        let head = RequestHead::parse(head.as_bytes()).expect("sound").expect("complete");
        assert!(Gate::secure(28970, origins()).admit(&head, OwnUser::taken_on_trust()).is_ok());
        let refused = Gate::new(28970, origins()).admit(&head, OwnUser::taken_on_trust());
        assert_eq!(refused.err(), Some(Refused::Host));
        let refused = Gate::secure(28971, origins()).admit(&head, OwnUser::taken_on_trust());
        assert_eq!(refused.err(), Some(Refused::Host), "another port");
    }

    #[test]
    fn no_bridge_is_behind_tls() {
        let origins = AllowedOrigins::from_iter(["https://app.example.com".parse().expect("origin")]);
        let gate = Gate::secure(28970, origins);
        for target in ["/bridge", "/bridge.js", "/v1/bridge"] {
            let head = format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1:28970\r\n\r\n");
            let head = RequestHead::parse(head.as_bytes()).expect("sound").expect("complete");
            assert_eq!(gate.admit(&head, OwnUser::taken_on_trust()).err(), Some(Refused::Target), "{target}");
        }
    }

    /// One change a row; each must turn the admitted head into a refused one, for the reason given.
    #[test]
    fn every_condition_is_needed() {
        for (from, to, reason) in [
            ("Host: 127.0.0.1:28970\r\n", "", Refused::Host),
            ("Host: 127.0.0.1:28970", "Host: evil.example:28970", Refused::Host),
            ("Host: 127.0.0.1:28970", "Host: localhost:28970", Refused::Host),
            ("Host: 127.0.0.1:28970", "Host: 127.0.0.1:28970\r\nHost: 127.0.0.1:28970", Refused::Host),
            ("Origin: https://app.example.com\r\n", "", Refused::Origin),
            ("Origin: https://app.example.com", "Origin: null", Refused::Origin),
            ("Origin: https://app.example.com", "Origin: https://app.example.com ", Refused::Head(BadHead::Syntax)),
            ("Origin: https://app.example.com", "Origin: \thttps://app.example.com", Refused::Head(BadHead::Syntax)),
            ("Origin: https://app.example.com", "Origin: http://app.example.com", Refused::Origin),
            (
                "Origin: https://app.example.com",
                "Origin: https://app.example.com\r\nOrigin: https://app.example.com",
                Refused::Origin,
            ),
            ("Origin: https://app.example.com", "Origin: https://app.example.com, null", Refused::Origin),
            ("GET /v1 ", "GET /v1/ ", Refused::Target),
            ("GET /v1 ", "GET /v1?x ", Refused::Target),
            ("GET /v1 ", "GET http://127.0.0.1:28970/v1 ", Refused::Target),
            ("GET /v1 ", "GET /%761 ", Refused::Target),
            ("Origin:", "Sec-Fetch-Mode: cors\r\nOrigin:", Refused::Fetch),
            ("Origin:", "Sec-Fetch-Dest: document\r\nOrigin:", Refused::Fetch),
            ("Version: 13", "Version: 8", Refused::Upgrade),
            ("Sec-WebSocket-Version: 13\r\n", "", Refused::Upgrade),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j", Refused::Upgrade),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZR==", Refused::Upgrade),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j-Q==", Refused::Upgrade),
            ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", Refused::Upgrade),
            ("other, loopkey.1", "loopkey.2", Refused::Upgrade),
            ("other, loopkey.1", "Loopkey.1", Refused::Upgrade),
            ("Sec-WebSocket-Protocol: other, loopkey.1\r\n", "", Refused::Upgrade),
            ("Upgrade: websocket", "Upgrade: h2c", Refused::Upgrade),
            ("keep-alive, Upgrade", "keep-alive", Refused::Upgrade),
        ] {
            assert_eq!(admit(&UPGRADE.replace(from, to)).err(), Some(reason), "{from:?} -> {to:?}");
        }
        assert_eq!(admit(&PROBE.replace("cors", "no-cors")).err(), Some(Refused::Fetch));
        assert_eq!(admit(&UPGRADE.replace("/v1 ", "/v1/probe ")).err(), Some(Refused::Upgrade));
    }

    const WINDOW: &str = "GET /bridge HTTP/1.1\r\nHost: 127.0.0.1:28970\r\nSec-Fetch-Site: cross-site\r\n\
        Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\r\n";
    const SCRIPT: &str = "GET /bridge.js HTTP/1.1\r\nHost: 127.0.0.1:28970\r\nSec-Fetch-Site: same-origin\r\n\
        Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: script\r\n\r\n";

    fn bridge_socket() -> String {
        UPGRADE.replace("/v1 ", "/v1/bridge ").replace("https://app.example.com", "http://127.0.0.1:28970")
    }

    #[test]
    fn a_bridge_is_admitted_in_its_three_parts() {
        let purpose = |head: &str| admit(head).map(|admitted| admitted.purpose().clone());
        assert_eq!(purpose(WINDOW), Ok(Purpose::BridgePage));
        assert_eq!(purpose(SCRIPT), Ok(Purpose::BridgeScript));
        let module = SCRIPT.replace("no-cors", "cors").replace("Host:", "Origin: http://127.0.0.1:28970\r\nHost:");
        assert_eq!(purpose(&module), Ok(Purpose::BridgeScript));
        let bare = |head: &str| {
            format!("{}Host: 127.0.0.1:28970\r\n\r\n", head.split_inclusive("\r\n").next().expect("a line"))
        };
        assert_eq!(purpose(&bare(WINDOW)), Ok(Purpose::BridgePage), "browsers that send no Sec-Fetch");
        assert_eq!(purpose(&bare(SCRIPT)), Ok(Purpose::BridgeScript));
        let key = "dGhlIHNhbXBsZSBub25jZQ==".into();
        assert_eq!(purpose(&bridge_socket()), Ok(Purpose::BridgeSocket { key }));
    }

    /// As [`every_condition_is_needed`], for the bridge.
    #[test]
    fn every_condition_of_a_bridge_is_needed() {
        let with = |line: &str| format!("{line}\r\nHost:");
        for (from, to, reason) in [
            ("127.0.0.1", "[::1]", Refused::Host),
            ("127.0.0.1", "localhost", Refused::Host),
            ("127.0.0.1:28970", "evil.example:28970", Refused::Host),
            ("127.0.0.1:28970", "127.0.0.1:28971", Refused::Host),
            ("Host:", &with("Host: 127.0.0.1:28970"), Refused::Host),
            ("/bridge ", "/bridge? ", Refused::Origin),
            ("/bridge ", "/bridge/ ", Refused::Origin),
            ("Host:", &with("Origin: http://127.0.0.1:28970"), Refused::Origin),
            ("Host:", &with("Origin: https://app.example.com"), Refused::Origin),
            ("Host:", &with("Origin: null"), Refused::Origin),
            ("Host:", &with("Upgrade: websocket"), Refused::Upgrade),
            ("navigate", "cors", Refused::Fetch),
            ("navigate", "no-cors", Refused::Fetch),
            ("document", "iframe", Refused::Fetch),
            ("document", "empty", Refused::Fetch),
            ("document", "object", Refused::Fetch),
            ("document", "document\r\nSec-Fetch-Dest: iframe", Refused::Fetch),
        ] {
            assert_eq!(admit(&WINDOW.replace(from, to)).err(), Some(reason), "{from:?} -> {to:?}");
        }
        for (from, to, reason) in [
            ("127.0.0.1", "[::1]", Refused::Host),
            ("Host:", &with("Origin: https://app.example.com"), Refused::Origin),
            ("Host:", &with("Origin: null"), Refused::Origin),
            ("Host:", &with("Origin: http://127.0.0.1:28971"), Refused::Origin),
            ("Host:", &with("Origin: http://127.0.0.1:28970\r\nOrigin: http://127.0.0.1:28970"), Refused::Origin),
            ("Host:", &with("Upgrade: websocket"), Refused::Upgrade),
            ("same-origin", "cross-site", Refused::Fetch),
            ("same-origin", "same-site", Refused::Fetch),
            ("same-origin", "none", Refused::Fetch),
            ("no-cors", "navigate", Refused::Fetch),
            ("script", "document", Refused::Fetch),
        ] {
            let head =
                SCRIPT.replacen("/bridge.js", "/bridge.JS", 1).replace(from, to).replace("/bridge.JS", "/bridge.js");
            assert_eq!(admit(&head).err(), Some(reason), "{from:?} -> {to:?}");
        }
        for (from, to, reason) in [
            ("Host: 127.0.0.1", "Host: [::1]", Refused::Host),
            ("127.0.0.1", "[::1]", Refused::Host),
            ("Origin: http://127.0.0.1:28970\r\n", "", Refused::Origin),
            ("Origin: http://127.0.0.1:28970", "Origin: https://app.example.com", Refused::Origin),
            ("Origin: http://127.0.0.1:28970", "Origin: http://[::1]:28970", Refused::Origin),
            ("Origin: http://127.0.0.1:28970", "Origin: http://127.0.0.1:28971", Refused::Origin),
            ("Origin: http://127.0.0.1:28970", "Origin: https://127.0.0.1:28970", Refused::Origin),
            ("Origin: http://127.0.0.1:28970", "Origin: http://localhost:28970", Refused::Origin),
            ("Origin: http://127.0.0.1:28970", "Origin: 127.0.0.1:28970", Refused::Origin),
            ("Origin: http://127.0.0.1:28970", "Origin: http://127.0.0.1:28970/", Refused::Origin),
            ("Origin: http://127.0.0.1:28970", "Origin: null", Refused::Origin),
            ("Origin:", "Origin: http://127.0.0.1:28970\r\nOrigin:", Refused::Origin),
            ("Origin:", "Sec-Fetch-Mode: navigate\r\nOrigin:", Refused::Fetch),
            ("Origin:", "Sec-Fetch-Dest: document\r\nOrigin:", Refused::Fetch),
            ("loopkey.1", "loopkey.2", Refused::Upgrade),
            ("Version: 13", "Version: 8", Refused::Upgrade),
        ] {
            assert_eq!(admit(&bridge_socket().replacen(from, to, 1)).err(), Some(reason), "{from:?} -> {to:?}");
        }
        // What is the bridge's is no page's, and the other way round.
        assert_eq!(admit(&bridge_socket().replace("/v1/bridge", "/v1")).err(), Some(Refused::Origin));
        assert_eq!(admit(&bridge_socket().replace("/v1/bridge", "/v1/probe")).err(), Some(Refused::Origin));
    }
}
