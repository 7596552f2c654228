//! The login server over real sockets: one server a test, on a port of its own, with a clock that the test moves.

mod admin;
mod approval;
mod backends;
pub(crate) mod browser;
mod challenge;
pub(crate) mod device;
mod draining;
mod enrolment;
pub(crate) mod failing;
pub(crate) mod http;
mod keep_alive;
mod link;
#[cfg(target_os = "linux")]
mod link_memory;
mod link_rare;
pub(crate) mod logs;
mod metrics;
#[cfg(unix)]
mod nginx;
mod openapi;
mod own_sessions;
mod pages;
mod presence;
pub(crate) mod program;
mod public;
mod redeem;
mod reload;
#[cfg(all(unix, feature = "redis", feature = "postgres"))]
mod replicas;
mod restored;
mod rotation;
mod sessions;
mod sign_outs;
mod stopping;
mod tls;
mod token;
mod without_device;

use std::net::SocketAddr;
use std::sync::Arc;

use loopkey::clock::ManualClock;
use loopkey::crypto::Secret;
use loopkey::login::{LoginConfig, LoginServer, RateLimits};
use loopkey::protocol::time::UnixMillis;
use loopkey::store::{SharedStore, StoreUrl};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use browser::Browser;
use http::{Answer, Call};

use crate::support::trace;

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://app.example.com/loopkey";
pub(crate) const ORIGIN: &str = "https://app.example.com";
pub(crate) const SERVICE_KEY: &str = "a service key of some length";

/// A running login server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: SharedStore,
    pub(crate) login: LoginServer,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(UnixMillis(NOW * 1000)))
}

pub(crate) fn config() -> LoginConfig {
    let mut config = LoginConfig::new(ISSUER.parse().expect("issuer"));
    config.origins.push("https://www.example.com".parse().expect("origin"));
    config.service_key = Some(Secret::new(SERVICE_KEY.to_owned()));
    config.limits = no_limits();
    config
}

/// More than any test asks for, whose clock stands still: the limits have tests of their own.
pub(crate) fn no_limits() -> RateLimits {
    RateLimits {
        address_per_minute: u32::MAX,
        device_per_minute: u32::MAX,
        account_per_minute: u32::MAX,
        challenge_per_minute: u32::MAX,
        wrong_keys_per_minute: u32::MAX,
        connections: u32::MAX,
        links: u32::MAX,
        trusted_proxies: Vec::new(),
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        let clock = clock();
        let store = loopkey::store::open(&StoreUrl::Memory, clock.clone()).await.expect("store");
        Self::start_with(store, clock).await
    }

    pub(crate) async fn start_with(store: SharedStore, clock: Arc<ManualClock>) -> Self {
        Self::start_configured(config(), store, clock).await
    }

    /// A server with the limits of its own configuration.
    pub(crate) async fn start_limited(limits: RateLimits) -> Self {
        let clock = clock();
        let store = loopkey::store::open(&StoreUrl::Memory, clock.clone()).await.expect("store");
        Self::start_configured(LoginConfig { limits, ..config() }, store, clock).await
    }

    pub(crate) async fn start_configured(config: LoginConfig, store: SharedStore, clock: Arc<ManualClock>) -> Self {
        trace::start();
        trace::note(SERVICE_KEY);
        let server = LoginServer::start(config, Arc::clone(&store), clock.clone()).await.expect("server");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let address = listener.local_addr().expect("address");
        let (stop, stopped) = oneshot::channel::<()>();
        let login = server.clone();
        let task = tokio::spawn(async move {
            let shutdown = async { drop(stopped.await) };
            server.run(vec![listener], None, shutdown).await.expect("served");
        });
        Self { address, clock, store, login, stop: Some(stop), task }
    }

    /// Stops it and waits until it has.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        self.task.await.expect("no panic");
    }

    /// A browser without cookies on a page of the issuer's own origin.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.address, ORIGIN)
    }

    /// A call without an origin, as agents and backends make it.
    pub(crate) async fn machine(&self, method: &str, path: &str, body: serde_json::Value) -> Answer {
        machine(self.address, method, path, body).await
    }

    /// A call of the application's own backend.
    pub(crate) async fn backend(&self, path: &str, body: serde_json::Value) -> Answer {
        backend(self.address, path, body).await
    }
}

async fn machine(address: SocketAddr, method: &str, path: &str, body: serde_json::Value) -> Answer {
    Call::new(method, path).json(&body).send(address).await
}

async fn backend(address: SocketAddr, path: &str, body: serde_json::Value) -> Answer {
    let key = format!("Bearer {SERVICE_KEY}");
    Call::new("POST", path).header("Authorization", &key).json(&body).send(address).await
}
