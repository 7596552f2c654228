//! `/.well-known/loopkey.json`: what an issuer says of itself (protocol section 6.1).

use serde::{Deserialize, Serialize};

use super::issuer::{Issuer, LinkUrl};
use super::origin::Origin;

/// The scheme that wakes an agent (protocol section 8).
pub const WAKE_SCHEME: &str = "loopkey";
/// The one address of that scheme. It carries nothing, and whoever opens it may only have the agent started.
pub const WAKE_LINK: &str = "loopkey:wake";

/// An issuer's metadata. It may grow: members that this version does not know are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the members are the calls of protocol section 6, by their names there")]
pub struct Metadata {
    pub issuer: Issuer,
    pub jwks_uri: String,
    pub challenge_endpoint: String,
    pub presence_endpoint: String,
    pub login_endpoint: String,
    pub session_endpoint: String,
    pub logout_endpoint: String,
    pub events_endpoint: String,
    pub enrolment_endpoint: String,
    /// An issuer without a link has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_endpoint: Option<LinkUrl>,
    /// The ports where pages look for an agent, in order.
    pub ports: Vec<u16>,
    /// The ports where agents with a certificate speak TLS, in order: for browsers that refuse plain sockets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wss_ports: Vec<u16>,
    /// The origins whose pages may call this login server.
    pub origins: Vec<Origin>,
    /// [`WAKE_SCHEME`].
    pub scheme: String,
}

impl Metadata {
    /// The metadata of a login server that answers under `issuer`.
    #[must_use]
    pub fn of(issuer: &Issuer, ports: Vec<u16>, wss_ports: Vec<u16>, origins: Vec<Origin>) -> Self {
        Self {
            issuer: issuer.clone(),
            jwks_uri: issuer.endpoint("/.well-known/jwks.json"),
            challenge_endpoint: issuer.endpoint("/v1/challenge"),
            presence_endpoint: issuer.endpoint("/v1/presence"),
            login_endpoint: issuer.login_url().to_string(),
            session_endpoint: issuer.endpoint("/v1/session"),
            logout_endpoint: issuer.endpoint("/v1/logout"),
            events_endpoint: issuer.endpoint("/v1/session/events"),
            enrolment_endpoint: issuer.endpoint("/v1/devices"),
            link_endpoint: Some(issuer.link_url()),
            ports,
            wss_ports,
            origins,
            scheme: WAKE_SCHEME.to_owned(),
        }
    }
}
