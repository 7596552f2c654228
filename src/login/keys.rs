//! The challenge keys of a running server: asked for anew every now and then, so that a rotation needs no restart.

use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::time::Duration;

use super::state::State;
use crate::store::ChallengeSigners;
use crate::verify::ChallengeKeys;

/// Between two looks at the store; a new key is published for longer than this before it signs.
const REFRESH: Duration = Duration::from_secs(30);

/// The keys as they are now.
#[derive(Debug)]
pub(super) struct Keys {
    pub(super) signers: ChallengeSigners,
    pub(super) public: ChallengeKeys,
}

impl From<ChallengeSigners> for Keys {
    fn from(signers: ChallengeSigners) -> Self {
        Self { public: signers.public(), signers }
    }
}

/// The keys, which change.
#[derive(Debug)]
pub(super) struct CurrentKeys(RwLock<Arc<Keys>>);

impl CurrentKeys {
    pub(super) fn new(signers: ChallengeSigners) -> Self {
        Self(RwLock::new(Arc::new(signers.into())))
    }

    pub(super) fn get(&self) -> Arc<Keys> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, signers: ChallengeSigners) {
        let keys = Keys::from(signers);
        if keys.public != self.get().public {
            tracing::info!(published = keys.public.keys().len(), "the challenge keys changed");
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }
}

/// Looks for new keys until the server is gone.
pub(super) async fn refresh(server: Weak<State>) {
    loop {
        tokio::time::sleep(REFRESH).await;
        let Some(server) = server.upgrade() else { return };
        server.look_for_keys().await;
    }
}

impl State {
    /// Takes the keys over as the store has them now.
    pub(super) async fn look_for_keys(&self) {
        match self.store.challenge_signers(self.config.algorithm).await {
            Ok(signers) => self.keys.set(signers),
            Err(error) => tracing::warn!("the challenge keys stay as they are: {error}"),
        }
    }
}
