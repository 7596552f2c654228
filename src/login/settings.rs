//! What a login server was told: what stays for as long as it runs, and what a reload changes.

use std::convert::Infallible;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::FromRequestParts;
use axum::http::Extensions;
use axum::http::request::Parts;

use super::config::{ConfigFault, LoginConfig};
#[cfg(feature = "connectors")]
use super::connect::ConfiguredConnector;
use super::state::{Shared, State};
use crate::crypto::{self, Algorithm, Secret};
use crate::protocol::issuer::Issuer;
use crate::protocol::origin::{AllowedOrigins, Origin};
use crate::store::Lifetimes;

/// What stays: challenges, tokens and agents name the issuer, and everything is routed by its path.
#[derive(Debug)]
pub(super) struct Fixed {
    pub(super) issuer: Issuer,
    pub(super) algorithm: Algorithm,
    development: bool,
    pub(super) connections: u32,
    links: u32,
}

impl Fixed {
    pub(super) fn of(config: &LoginConfig) -> Self {
        let LoginConfig { issuer, algorithm, development, limits, .. } = config;
        let (connections, links) = (limits.connections, limits.links);
        Self { issuer: issuer.clone(), algorithm: *algorithm, development: *development, connections, links }
    }
}

/// What a reload changes.
#[derive(Debug)]
pub(super) struct Settings {
    /// The origins as they were listed.
    pub(super) listed: Vec<Origin>,
    pub(super) origins: AllowedOrigins,
    pub(super) ports: Vec<u16>,
    pub(super) wss_ports: Vec<u16>,
    /// SHA-256 of the service key, which is not kept: what compares needs no more.
    pub(super) service_key: Option<[u8; 32]>,
    /// The same of what opens `POST /v1/token`.
    pub(super) token_key: Option<[u8; 32]>,
    pub(super) token_audience: String,
    pub(super) lifetimes: Lifetimes,
    #[cfg(feature = "connectors")]
    pub(super) connectors: Vec<ConfiguredConnector>,
}

impl From<LoginConfig> for Settings {
    fn from(config: LoginConfig) -> Self {
        let digest = |key: &Secret<String>| crypto::sha256(&[key.expose().as_bytes()]);
        let service_key = config.service_key.as_ref().map(digest);
        Self {
            origins: config.origins.iter().cloned().collect(),
            listed: config.origins,
            ports: config.ports,
            wss_ports: config.wss_ports,
            service_key,
            token_key: config.token_key.as_ref().map(digest).or(service_key),
            token_audience: config.token_audience,
            lifetimes: config.lifetimes,
            #[cfg(feature = "connectors")]
            connectors: config.connectors,
        }
    }
}

/// The settings as they are now.
#[derive(Debug)]
pub(super) struct CurrentSettings(RwLock<Current>);

impl CurrentSettings {
    pub(super) fn new(config: LoginConfig) -> Self {
        Self(RwLock::new(config.into()))
    }

    pub(super) fn get(&self) -> Current {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, config: LoginConfig) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config.into();
    }
}

/// The settings that one request sees, from its beginning to its end.
#[derive(Debug, Clone)]
pub(super) struct Current(Arc<Settings>);

impl Current {
    /// Those that `envelope` gave the request.
    pub(super) fn of(extensions: &Extensions, server: &State) -> Self {
        extensions.get().cloned().unwrap_or_else(|| server.settings.get())
    }
}

impl Deref for Current {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.0
    }
}

impl From<LoginConfig> for Current {
    fn from(config: LoginConfig) -> Self {
        Self(Arc::new(config.into()))
    }
}

impl FromRequestParts<Shared> for Current {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, server: &Shared) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions, server))
    }
}

/// Something in a configuration that a running login server does not take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NeedsRestart {
    /// Another issuer.
    Issuer,
    /// Development, or no longer.
    Development,
    /// Another algorithm of the challenge keys.
    Algorithm,
    /// Another number of connections.
    Connections,
    /// Another number of links.
    Links,
}

impl fmt::Display for NeedsRestart {
    /// The entry.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Issuer => "issuer",
            Self::Development => "development",
            Self::Algorithm => "algorithm",
            Self::Connections => "limits.connections",
            Self::Links => "limits.links",
        })
    }
}

impl State {
    /// Takes a configuration over as far as that goes, or, where anything is wrong with it, not at all.
    pub(super) async fn reload(self: &Shared, mut config: LoginConfig) -> Result<Vec<NeedsRestart>, Vec<ConfigFault>> {
        let stays = &self.config;
        let differing = [
            (config.issuer != stays.issuer, NeedsRestart::Issuer),
            (config.development != stays.development, NeedsRestart::Development),
            (config.algorithm != stays.algorithm, NeedsRestart::Algorithm),
            (config.limits.connections != stays.connections, NeedsRestart::Connections),
            (config.limits.links != stays.links, NeedsRestart::Links),
        ];
        let waiting = differing.into_iter().filter_map(|(differs, entry)| differs.then_some(entry)).collect();
        // It must be sound for the next start, and so must what is taken over now beside what stays.
        let mut faults = config.faults();
        config.issuer.clone_from(&stays.issuer);
        config.development = stays.development;
        for fault in config.faults() {
            if !faults.contains(&fault) {
                faults.push(fault);
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        self.limiter.change(&config.limits);
        #[cfg(feature = "connectors")]
        self.backgrounds.attend(Arc::downgrade(self), &config.connectors);
        self.settings.set(config);
        self.look_for_keys().await;
        Ok(waiting)
    }
}
