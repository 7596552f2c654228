//! What a login server is told at its start, and everything that can be wrong with it.

#[cfg(feature = "connectors")]
use super::connect::ConfiguredConnector;
use super::limits::RateLimits;
use super::same_site::is_same_site;
use crate::crypto::{Algorithm, Secret};
use crate::protocol::issuer::Issuer;
use crate::protocol::limits::{DEFAULT_PORTS, MAX_PORTS, PORT_RANGE};
use crate::protocol::origin::Origin;
use crate::protocol::statement::AGENT_AUDIENCE;
use crate::store::{ConnectorName, Lifetimes};

/// Shortest accepted service key in bytes.
pub const SERVICE_KEY_MIN_LEN: usize = 16;

/// Longest `aud` of access tokens in bytes.
const AUDIENCE_MAX_LEN: usize = 256;

/// A login server's configuration.
#[derive(Debug, Clone)]
pub struct LoginConfig {
    /// Its public base address.
    pub issuer: Issuer,
    /// The origins of the pages that may call it: its own and same-site ones.
    pub origins: Vec<Origin>,
    /// Where pages look for an agent, in order.
    pub ports: Vec<u16>,
    /// Where agents with a certificate speak TLS; none unless it is configured.
    pub wss_ports: Vec<u16>,
    /// The bearer secret of the application's own backend. Without one nobody gets enrolment tickets.
    pub service_key: Option<Secret<String>>,
    /// The client secret at `POST /v1/token`; where there is none, the service key is. A backend that has this one alone can
    /// redeem what its pages post, and nothing else.
    pub token_key: Option<Secret<String>>,
    /// The `aud` of access tokens (`POST /v1/token`): what the application's backends call themselves.
    pub token_audience: String,
    /// Whether the issuer and the origins may be `http://` on loopback.
    pub development: bool,
    /// How long sessions live.
    pub lifetimes: Lifetimes,
    /// The algorithm of the challenge keys.
    pub algorithm: Algorithm,
    /// How often one address, device or challenge may call.
    pub limits: RateLimits,
    /// Providers that people can sign in with, in the order in which pages offer them.
    #[cfg(feature = "connectors")]
    pub connectors: Vec<ConfiguredConnector>,
}

impl LoginConfig {
    /// A login server for pages of the issuer's own origin, with every default.
    #[must_use]
    pub fn new(issuer: Issuer) -> Self {
        Self {
            origins: vec![issuer.origin()],
            token_audience: issuer.origin().as_str().to_owned(),
            issuer,
            ports: DEFAULT_PORTS.to_vec(),
            wss_ports: Vec::new(),
            service_key: None,
            token_key: None,
            development: false,
            lifetimes: Lifetimes::default(),
            algorithm: Algorithm::default(),
            limits: RateLimits::default(),
            #[cfg(feature = "connectors")]
            connectors: Vec::new(),
        }
    }

    /// Everything that is wrong with it; nothing where it can be used.
    #[must_use]
    pub fn faults(&self) -> Vec<ConfigFault> {
        let mut faults = Vec::new();
        let own = self.issuer.origin();
        if own.is_insecure() && !self.development {
            faults.push(ConfigFault::InsecureIssuer(self.issuer.clone()));
        }
        if self.origins.is_empty() {
            faults.push(ConfigFault::NoOrigins);
        }
        for origin in &self.origins {
            if origin.is_insecure() && !self.development {
                faults.push(ConfigFault::InsecureOrigin(origin.clone()));
            } else if !is_same_site(&own, origin) {
                faults.push(ConfigFault::ForeignOrigin { origin: origin.clone(), issuer: self.issuer.clone() });
            }
        }
        if self.ports.is_empty() || self.ports.len() > MAX_PORTS {
            faults.push(ConfigFault::PortCount(self.ports.len()));
        }
        if self.wss_ports.len() > MAX_PORTS {
            faults.push(ConfigFault::WssPortCount(self.wss_ports.len()));
        }
        let is_wrong = |port: &&u16| !PORT_RANGE.contains(port) || self.ports.contains(port);
        faults.extend(self.wss_ports.iter().filter(is_wrong).map(|port| ConfigFault::WssPort(*port)));
        faults.extend(self.ports.iter().filter(|port| !PORT_RANGE.contains(port)).map(|port| ConfigFault::Port(*port)));
        let is_short =
            |key: &Option<Secret<String>>| key.as_ref().is_some_and(|k| k.expose().len() < SERVICE_KEY_MIN_LEN);
        if is_short(&self.service_key) {
            faults.push(ConfigFault::ShortServiceKey);
        }
        if is_short(&self.token_key) {
            faults.push(ConfigFault::ShortTokenKey);
        }
        let visible = self.token_audience.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible
            || !(1..=AUDIENCE_MAX_LEN).contains(&self.token_audience.len())
            || self.token_audience == AGENT_AUDIENCE
        {
            faults.push(ConfigFault::TokenAudience);
        }
        if self.lifetimes.absolute.as_secs() == 0 || self.lifetimes.idle.as_secs() == 0 {
            faults.push(ConfigFault::Lifetime);
        }
        #[cfg(feature = "connectors")]
        for (at, way) in self.connectors.iter().enumerate() {
            if self.connectors[..at].iter().any(|other| other.name == way.name) {
                faults.push(ConfigFault::ConnectorTwice { at, name: way.name.clone() });
            }
        }
        faults
    }
}

/// One thing that is wrong with a configuration. Each message says how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigFault {
    /// The issuer is `http://` and this is no development.
    #[error("issuer {0}: http:// needs development = true; use https://")]
    InsecureIssuer(Issuer),
    /// An origin is `http://` and this is no development.
    #[error("origin {0}: http:// needs development = true; use https://")]
    InsecureOrigin(Origin),
    /// An origin is of another site: browsers would not send it the cookies.
    #[error(
        "origin {origin}: not of the same site as the issuer {issuer}; mount the login server under that site's own \
         origin instead"
    )]
    ForeignOrigin {
        /// The origin.
        origin: Origin,
        /// The issuer.
        issuer: Issuer,
    },
    /// There are no origins.
    #[error("origins: list at least the issuer's own origin")]
    NoOrigins,
    /// More ports for TLS than browsers put up with.
    #[error("wss_ports: list three at most, not {0}")]
    WssPortCount(usize),
    /// A port for TLS that is out of range, or that agents speak without TLS on.
    #[error("wss_ports: {0} is one of `ports`, or out of range: choose one from 10240 to 32767")]
    WssPort(u16),
    /// No ports, or more than browsers put up with.
    #[error("ports: list one to three, not {0}")]
    PortCount(usize),
    /// A port that browsers refuse or systems hand out.
    #[error("port {0}: choose one from 10240 to 32767")]
    Port(u16),
    /// The service key can be guessed.
    #[error("service key: use at least {SERVICE_KEY_MIN_LEN} bytes; openssl rand -hex 32 makes a good one")]
    ShortServiceKey,
    /// The key of the token endpoint can be guessed.
    #[error("token key: use at least {SERVICE_KEY_MIN_LEN} bytes; openssl rand -hex 32 makes a good one")]
    ShortTokenKey,
    /// The audience of access tokens is none, or the agents'.
    #[error(
        "token audience: use 1 to {AUDIENCE_MAX_LEN} visible letters, such as \"https://app.example.com\", and not \"{AGENT_AUDIENCE}\""
    )]
    TokenAudience,
    /// Sessions would end as they begin.
    #[error("session lifetimes: use at least one second")]
    Lifetime,
    /// Two connectors have one name.
    #[error("connector {name}: there is another one of that name; give each a name of its own")]
    ConnectorTwice {
        /// Which one of the list.
        at: usize,
        /// The name.
        name: ConnectorName,
    },
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn config(issuer: &str) -> LoginConfig {
        LoginConfig::new(issuer.parse().expect("issuer"))
    }

    #[test]
    fn the_defaults_are_sound() {
        assert_eq!(config("https://app.example.com/loopkey").faults(), []);
    }

    #[test]
    fn everything_wrong_is_said_at_once() {
        let mut wrong = config("http://localhost:28980");
        wrong.origins.push("https://evil.example.com".parse().expect("origin"));
        wrong.ports = vec![80, 28970, 28971, 28972];
        wrong.wss_ports = vec![28972, 28973, 40000, 28974];
        wrong.service_key = Some(Secret::new("hunter2".into()));
        wrong.token_key = Some(Secret::new("hunter22".into()));
        wrong.token_audience = AGENT_AUDIENCE.to_owned();
        wrong.lifetimes.idle = Duration::ZERO;
        let faults = wrong.faults();
        let count = |is: fn(&ConfigFault) -> bool| faults.iter().filter(|fault| is(fault)).count();
        assert_eq!(count(|f| matches!(f, ConfigFault::InsecureIssuer(_))), 1);
        assert_eq!(count(|f| matches!(f, ConfigFault::InsecureOrigin(_))), 1);
        assert_eq!(count(|f| matches!(f, ConfigFault::ForeignOrigin { .. })), 1);
        assert_eq!(count(|f| matches!(f, ConfigFault::PortCount(4))), 1);
        assert_eq!(count(|f| matches!(f, ConfigFault::Port(80))), 1);
        assert_eq!(count(|f| matches!(f, ConfigFault::WssPortCount(4))), 1);
        assert_eq!(count(|f| matches!(f, ConfigFault::WssPort(28972 | 40000))), 2);
        assert_eq!(count(|f| matches!(f, ConfigFault::ShortServiceKey)), 1);
        assert_eq!(count(|f| matches!(f, ConfigFault::ShortTokenKey)), 1);
        assert_eq!(count(|f| matches!(f, ConfigFault::Lifetime)), 1);
        assert_eq!(count(|f| matches!(f, ConfigFault::TokenAudience)), 1);
        assert!(!format!("{wrong:?} {faults:?}").contains("hunter2"));
        wrong.origins.clear();
        assert!(wrong.faults().contains(&ConfigFault::NoOrigins));
    }
}
