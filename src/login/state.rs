//! What every call of the login server shares.

use std::sync::Arc;

use tokio::sync::watch;

use super::bus::Bus;
use super::config::{ConfigFault, LoginConfig};
use super::limits::Limiter;
use crate::clock::Clock;
use crate::crypto;
use crate::protocol::origin::AllowedOrigins;
use crate::store::{ChallengeSigners, EndedSession, SharedStore, StoreError};
use crate::verify::ChallengeKeys;

/// Why a login server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used. One line a fault.
    #[error("{}", lines(.0))]
    Config(Vec<ConfigFault>),
    /// The challenge keys cannot be used.
    #[error("challenge keys: {0}")]
    Keys(#[source] StoreError),
}

fn lines(faults: &[ConfigFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The login server's state, as its calls see it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) config: LoginConfig,
    pub(super) store: SharedStore,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) origins: AllowedOrigins,
    pub(super) signers: ChallengeSigners,
    pub(super) challenge_keys: ChallengeKeys,
    /// SHA-256 of the service key, which is not kept: what compares needs no more.
    pub(super) service_key: Option<[u8; 32]>,
    pub(super) limiter: Limiter,
    pub(super) bus: Arc<Bus>,
    /// True once the server stops: event streams end then.
    pub(super) closing: watch::Sender<bool>,
}

/// The state, shared.
pub(super) type Shared = Arc<State>;

impl State {
    pub(super) fn new(
        mut config: LoginConfig,
        store: SharedStore,
        clock: Arc<dyn Clock>,
    ) -> Result<Shared, StartError> {
        let faults = config.faults();
        if !faults.is_empty() {
            return Err(StartError::Config(faults));
        }
        let signers = store.challenge_signers(config.algorithm).map_err(StartError::Keys)?;
        Ok(Arc::new(Self {
            origins: config.origins.iter().cloned().collect(),
            challenge_keys: signers.public(),
            service_key: config.service_key.take().map(|key| crypto::sha256(&[key.expose().as_bytes()])),
            limiter: Limiter::new(&config.limits),
            bus: Arc::default(),
            closing: watch::Sender::new(false),
            config,
            store,
            clock,
            signers,
        }))
    }

    /// Tells the pages of sessions that ended.
    pub(super) fn tell_ended(&self, ended: &[EndedSession]) {
        for session in ended {
            self.bus.end(session.key, session.reason);
        }
    }
}
