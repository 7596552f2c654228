//! The one place that admits a connection (protocol section 3). Nothing of WebSocket runs before it, and nothing after it
//! can be reached without the proof that it returns.

use super::base64url;
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
            Self::Peer(_) => "peer",
            Self::Blocked => "blocked",
            Self::Limit => "limit",
        }
    }
}

/// What a connection was admitted to. Only [`Gate::admit`] makes one.
#[derive(Debug)]
pub struct Admitted {
    origin: AdmittedOrigin,
    peer: OwnUser,
    purpose: Purpose,
}

/// What an admitted connection asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To become a page's socket.
    Socket {
        /// `Sec-WebSocket-Key`, for the answer.
        key: String,
    },
    /// To know that an agent is here.
    Probe,
}

impl Admitted {
    /// The page's origin.
    #[must_use]
    pub const fn origin(&self) -> &AdmittedOrigin {
        &self.origin
    }

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
    origins: AllowedOrigins,
}

impl Gate {
    /// A gate for pages of these origins on this port.
    #[must_use]
    pub fn new(port: u16, origins: AllowedOrigins) -> Self {
        Self { hosts: HostSet::for_port(port), origins }
    }

    /// The same for a port that speaks TLS, where the host may also be `localhost`.
    #[must_use]
    pub fn secure(port: u16, origins: AllowedOrigins) -> Self {
        Self { hosts: HostSet::for_secure_port(port), origins }
    }

    /// Admits a head whose peer was looked up already.
    ///
    /// # Errors
    /// [`Refused`] for the first thing that is not as it must be.
    pub fn admit(&self, head: &RequestHead, peer: OwnUser) -> Result<Admitted, Refused> {
        if !head.only("host").is_some_and(|host| self.hosts.has(host)) {
            return Err(Refused::Host);
        }
        let origin = head.only("origin").and_then(|origin| self.origins.admit(origin)).ok_or(Refused::Origin)?;
        let purpose = match head.target() {
            "/v1" => {
                require_fetch(head, &[b"websocket"], &[b"websocket", b"empty"])?;
                Purpose::Socket { key: upgrade_key(head).ok_or(Refused::Upgrade)? }
            }
            "/v1/probe" => {
                if head.all("upgrade").next().is_some() {
                    return Err(Refused::Upgrade);
                }
                require_fetch(head, &[b"cors"], &[b"empty"])?;
                Purpose::Probe
            }
            _ => return Err(Refused::Target),
        };
        Ok(Admitted { origin, peer, purpose })
    }
}

/// `Sec-Fetch-Mode` and `-Dest` can only veto: Chromium sends neither with a WebSocket, Firefox sends `empty` for it.
fn require_fetch(head: &RequestHead, modes: &[&[u8]], destinations: &[&[u8]]) -> Result<(), Refused> {
    let passes = |name, allowed: &[&[u8]]| head.all(name).all(|value| allowed.contains(&value));
    if passes("sec-fetch-mode", modes) && passes("sec-fetch-dest", destinations) { Ok(()) } else { Err(Refused::Fetch) }
}

/// The key of a valid upgrade (RFC 6455 section 4.2.1).
fn upgrade_key(head: &RequestHead) -> Option<String> {
    let upgrade = head.only("upgrade")?.eq_ignore_ascii_case(b"websocket");
    let connection = list_has(head, "connection", |token| token.eq_ignore_ascii_case("upgrade"));
    let version = head.only("sec-websocket-version")? == b"13";
    let subprotocol = list_has(head, "sec-websocket-protocol", |token| token == SUBPROTOCOL);
    let key = std::str::from_utf8(head.only("sec-websocket-key")?).ok()?;
    // Standard base64 of 16 bytes: 22 letters and "==".
    let letters = key.strip_suffix("==")?.replace('+', "-").replace('/', "_");
    let sound = base64url::decode_array::<16>(&letters).is_ok() && !key.contains(['-', '_']);
    (upgrade && connection && version && subprotocol && sound).then(|| key.to_owned())
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
        let others = [Refused::SlowHead, Refused::Upgrade, Refused::Blocked, Refused::Limit];
        let words = [head, host, target, origin, fetch, peer].map(Refused::word);
        assert_eq!(words, ["head", "host", "target", "origin", "fetch", "peer"]);
        assert_eq!(others.map(Refused::word), ["slow_head", "upgrade", "blocked", "limit"]);
    }

    #[test]
    fn a_page_and_a_probe_are_admitted() {
        let socket = admit(UPGRADE).expect("admitted");
        assert_eq!(*socket.purpose(), Purpose::Socket { key: "dGhlIHNhbXBsZSBub25jZQ==".into() });
        assert_eq!(socket.origin().origin().as_str(), "https://app.example.com");
        assert_eq!(*admit(PROBE).expect("admitted").purpose(), Purpose::Probe);
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
}
