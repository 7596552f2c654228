//! What every call of the login server shares.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::bus::Bus;
use super::config::{ConfigFault, LoginConfig};
#[cfg(feature = "connectors")]
use super::connect::Backgrounds;
use super::keys::{self, CurrentKeys};
use super::limits::Limiter;
use super::links::Links;
use super::metered::Metered;
use super::metrics::Metrics;
use super::settings::{CurrentSettings, Fixed};
use super::tail;
use crate::clock::Clock;
use crate::store::{SharedStore, StoreError};

/// Why a login server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration cannot be used. One line a fault.
    #[error("{}", lines(.0))]
    Config(Vec<ConfigFault>),
    /// The challenge keys cannot be used.
    #[error("challenge keys: {0}")]
    Keys(#[source] StoreError),
    /// The store does not answer.
    #[error("{0}")]
    Store(#[from] StoreError),
}

fn lines(faults: &[ConfigFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// The login server's state, as its calls see it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) config: Fixed,
    pub(super) settings: CurrentSettings,
    pub(super) store: SharedStore,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) keys: CurrentKeys,
    pub(super) limiter: Limiter,
    pub(super) bus: Arc<Bus>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) links: Arc<Links>,
    /// True once it is known that the server stops: balancers shall send nobody here any more.
    leaving: AtomicBool,
    /// True once the server stops: event streams and links end then.
    pub(super) closing: watch::Sender<bool>,
    /// How often the store was pinged, and which ping it answered last.
    pub(super) pings: AtomicU64,
    pub(super) pinged: tokio::sync::Mutex<u64>,
    /// What goes on in the background; it ends with the state, or when it is taken out and shut down.
    background: Mutex<JoinSet<()>>,
    /// And what the connectors do there.
    #[cfg(feature = "connectors")]
    pub(super) backgrounds: Backgrounds,
}

/// The state, shared.
pub(super) type Shared = Arc<State>;

impl State {
    pub(super) async fn start(
        config: LoginConfig,
        store: SharedStore,
        clock: Arc<dyn Clock>,
    ) -> Result<Shared, StartError> {
        let faults = config.faults();
        if !faults.is_empty() {
            return Err(StartError::Config(faults));
        }
        let metrics = Arc::new(Metrics::new(clock.timestamp().0));
        let store: SharedStore = Arc::new(Metered::new(store, Arc::clone(&metrics), Arc::clone(&clock)));
        let signers = store.challenge_signers(config.algorithm).await.map_err(StartError::Keys)?;
        // Before anybody can listen: nothing that happens from now on is missed.
        let cursor = store.log_end().await?;
        let server = Arc::new(Self {
            keys: CurrentKeys::new(signers),
            limiter: Limiter::new(&config.limits),
            bus: Arc::default(),
            metrics,
            links: Arc::new(Links::new(config.limits.links)),
            leaving: AtomicBool::new(false),
            closing: watch::Sender::new(false),
            config: Fixed::of(&config),
            settings: CurrentSettings::new(config),
            store,
            clock,
            pings: AtomicU64::new(0),
            pinged: tokio::sync::Mutex::default(),
            background: Mutex::default(),
            #[cfg(feature = "connectors")]
            backgrounds: Backgrounds::default(),
        });
        let mut background = JoinSet::new();
        background.spawn(tail::follow(Arc::downgrade(&server), cursor));
        background.spawn(keys::refresh(Arc::downgrade(&server)));
        *server.background() = background;
        #[cfg(feature = "connectors")]
        server.backgrounds.attend(Arc::downgrade(&server), &server.settings.get().connectors);
        Ok(server)
    }

    /// Has balancers send nobody here any more.
    pub(super) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Has something done beside a call; it ends with the server, done or not.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut background = self.background();
        // What is done is forgotten, so that they do not grow in number.
        while background.try_join_next().is_some() {}
        background.spawn(work);
    }

    /// Ends what goes on in the background and waits for it, so that nothing holds the store any more.
    pub(super) async fn end_background(&self) {
        let mut background = std::mem::take(&mut *self.background());
        background.shutdown().await;
        #[cfg(feature = "connectors")]
        self.backgrounds.end().await;
    }

    fn background(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.background.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::protocol::time::UnixMillis;
    use crate::store::StoreUrl;

    #[tokio::test]
    async fn what_is_done_beside_calls_ends_with_the_server_and_is_forgotten_once_done() {
        let clock = Arc::new(ManualClock::at(UnixMillis(1_800_000_000_000)));
        let store = crate::store::open(&StoreUrl::Memory, clock.clone()).await.expect("a store");
        let config = LoginConfig::new("https://app.example.com".parse().expect("an issuer"));
        let server = State::start(config, store, clock).await.expect("a server");
        let (own, held) = (server.background().len(), Arc::new(()));
        for _ in 0..8 {
            server.spawn(async {});
            tokio::task::yield_now().await;
        }
        assert!(server.background().len() <= own + 2, "{}", server.background().len());
        let work = Arc::clone(&held);
        server.spawn(async move {
            std::future::pending::<()>().await;
            drop(work);
        });
        assert_eq!(Arc::strong_count(&held), 2);
        server.end_background().await;
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
