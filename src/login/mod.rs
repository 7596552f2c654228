//! The login server (protocol section 6): issues challenges, verifies what agents sign, keeps web sessions.
//!
//! [`LoginServer`] is a set of HTTP calls over a [`crate::store::Store`]. It can be merged into an application's own
//! [`axum::Router`], or [`run`](LoginServer::run) by itself. Each call is one file; who may make it is said by the
//! extractors in `caller`, what it may say by `body`, and every error leaves as one fixed body from `answer`.
//!
//! It never logs a body, a query, a cookie or a token, and never trusts a header that a proxy might or might not set:
//! its own address is the configured issuer, and the caller's is the connection's unless a configured proxy says more.

mod account_page;
mod address;
mod admin;
mod answer;
mod approval;
mod body;
mod browser;
mod bus;
mod caller;
mod challenge;
mod config;
#[cfg(feature = "connectors")]
mod connect;
mod cookie;
mod devices;
mod envelope;
mod events;
mod health;
mod keys;
mod limits;
mod link;
mod links;
mod logout;
mod metadata;
mod metered;
mod metrics;
mod oauth;
mod openapi;
mod path;
mod presence;
mod redeem;
mod same_site;
pub mod sdk;
pub mod serve;
mod session;
mod sessions;
mod settings;
mod sign_outs;
mod state;
mod tail;
mod tickets;
mod token;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{delete, get, post};
use tokio::net::TcpListener;

pub use address::TrustedProxies;
pub use config::{ConfigFault, LoginConfig, SERVICE_KEY_MIN_LEN};
#[cfg(feature = "connectors")]
pub use connect::{ConfiguredConnector, NewAccounts};
pub use limits::RateLimits;
pub use serve::{DRAIN_GRACE, ServeError};
pub use settings::NeedsRestart;
pub use state::StartError;

use crate::clock::Clock;
use crate::store::SharedStore;
use answer::Refusal;
use state::{Shared, State};

/// How long links have to say goodbye once no HTTP connection is left.
const LINK_GRACE: Duration = Duration::from_secs(2);

/// A login server: configured, with its store and its keys, listening on nothing yet.
#[derive(Debug, Clone)]
pub struct LoginServer(Shared);

impl LoginServer {
    /// Makes a login server: loads or makes the challenge keys. In the background it follows the store's log of sign-outs and
    /// does what its connectors do beside their calls, for as long as there is a clone of it.
    ///
    /// # Errors
    /// [`StartError`] with everything that is wrong with the configuration, or what is wrong with the keys or the store.
    pub async fn start(config: LoginConfig, store: SharedStore, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        State::start(config, store, clock).await.map(Self)
    }

    /// Goes on with another configuration, from the next request on: origins, ports, the service key, the audience of access
    /// tokens, limits and trusted proxies, and the lifetimes of the sessions that are opened from now on. New challenge
    /// keys are looked for at once. What needs a restart is returned, and stays as it is.
    ///
    /// # Errors
    /// Everything that is wrong with the configuration, by itself or beside what stays. Nothing changes then.
    pub async fn reload(&self, config: LoginConfig) -> Result<Vec<NeedsRestart>, Vec<ConfigFault>> {
        self.0.reload(config).await
    }

    /// Says on `/readyz` that the server is about to stop, and closes each HTTP/1.1 connection behind its next answer.
    /// Everything goes on being answered: a balancer that looks there sends its requests elsewhere in time.
    pub fn leave(&self) {
        self.0.leave();
    }

    /// Its calls, under the issuer's path. It has no fallback, so that it can be merged with other routes.
    ///
    /// Limits by address need the caller's: serve the whole with
    /// [`into_make_service_with_connect_info::<SocketAddr>()`](Router::into_make_service_with_connect_info), or by
    /// [`serve::serve`], which says it by itself.
    pub fn router(&self) -> Router {
        let base = self.0.config.issuer.path();
        let at = |path: &str| format!("{base}{path}");
        // RFC 8414 section 3.1 puts the well-known part before the issuer's path; some clients put it behind.
        let discovery =
            [format!("/.well-known/oauth-authorization-server{base}"), at("/.well-known/oauth-authorization-server")];
        let twice = if base.is_empty() { &discovery[..1] } else { &discovery[..] };
        let router =
            twice.iter().fold(Router::new(), |router, path| router.route(path, get(metadata::authorization_server)));
        #[cfg(feature = "connectors")]
        let router = router
            .route(&at("/v1/connectors"), get(connect::list))
            .route(&at("/v1/connect/{connector}"), get(connect::begin))
            .route(&at("/v1/connect/{connector}/callback"), get(connect::callback))
            .route(&at("/v1/connect/{connector}/code"), post(connect::code))
            .route(&at("/v1/connect/{connector}/page"), post(connect::page_configuration))
            .route(&at("/v1/connect/{connector}/link"), post(connect::link))
            .route(&at("/v1/connect/{connector}/frame"), post(connect::frame))
            .route(&at("/v1/connect/{connector}/logout-notice"), post(connect::notice))
            .route(&at("/v1/connect/{connector}/events"), post(connect::event))
            .route(&at("/v1/identities"), get(connect::own_identities))
            .route(&at("/v1/identities/{identity}"), delete(connect::unlink))
            .route(
                &at("/v1/accounts/{account}/identities"),
                get(connect::administered_identities).put(connect::put_identity),
            )
            .route(&at("/v1/accounts/{account}/identities/{identity}"), delete(connect::remove_identity));
        router
            .route(&at("/.well-known/loopkey.json"), get(metadata::metadata))
            .route(&at("/.well-known/jwks.json"), get(metadata::jwks))
            .route(&at("/v1/challenge"), post(challenge::issue))
            .route(&at("/v1/presence"), post(presence::prove))
            .route(&at("/v1/login"), post(redeem::redeem))
            .route(&at("/v1/session"), get(session::show))
            .route(&at("/v1/session/events"), get(events::stream))
            .route(&at("/v1/sessions"), get(sessions::list))
            .route(&at("/v1/sessions/{session}"), delete(sessions::end))
            .route(&at("/v1/token"), post(token::exchange))
            .route(&at("/v1/logout"), post(logout::log_out))
            .route(&at("/v1/devices"), get(devices::list).post(devices::enrol))
            .route(&at("/v1/devices/{device}"), delete(devices::revoke))
            .route(&at("/v1/enrolment-tickets"), post(tickets::issue))
            .route(&at("/v1/sign-outs"), post(sign_outs::sign_out))
            .route(&at("/v1/link"), get(link::link))
            .route(&at("/v1/orders"), post(approval::open))
            .route(&at("/v1/orders/events"), get(approval::stream))
            .route(&at("/v1/orders/qr.svg"), get(approval::picture))
            .route(&at("/v1/orders/finish"), post(approval::finish))
            .route(&at("/v1/orders/cancel"), post(approval::cancel))
            .route(&at("/v1/approvals"), post(approval::post_statement))
            .route(&at("/v1/approvals/scan"), post(approval::scan))
            .route(&at("/v1/approvals/decide"), post(approval::decide))
            .route(&at("/v1/accounts"), get(admin::accounts::list))
            .route(
                &at("/v1/accounts/{account}"),
                get(admin::accounts::show).patch(admin::accounts::change).delete(admin::accounts::erase),
            )
            .route(&at("/v1/accounts/{account}/sign-out"), post(admin::accounts::sign_out))
            .route(&at("/v1/accounts/{account}/devices"), get(admin::devices::list))
            .route(&at("/v1/accounts/{account}/devices/{device}"), delete(admin::devices::revoke))
            .route(&at("/v1/organisations/{organisation}/sign-out"), post(admin::organisations::sign_out))
            .route(&at("/v1/challenge-keys"), post(admin::keys::rotate))
            .route(&at("/v1/audit"), get(admin::audit::list))
            .route(&at("/healthz"), get(health::alive))
            .route(&at("/readyz"), get(health::ready))
            .route(&at("/metrics"), get(metrics::show))
            .route(&at("/openapi.json"), get(openapi::show))
            .route(&at("/sdk/{file}"), get(sdk::file))
            .route(&at("/q"), get(approval::page))
            .route(&at("/sdk/approve/{file}"), get(approval::file))
            .route(&at("/account"), get(account_page::page))
            .route(&at("/sdk/account/{file}"), get(account_page::file))
            .method_not_allowed_fallback(async || Refusal::MethodNotAllowed)
            .layer(axum::middleware::from_fn_with_state(Arc::clone(&self.0), envelope::wrap))
            .with_state(Arc::clone(&self.0))
    }

    /// Ends the event streams and the links, which would otherwise keep a stopping server from draining. [`LoginServer::run`] does it
    /// by itself; who serves the [`LoginServer::router`] otherwise calls it when it stops.
    pub fn close(&self) {
        self.0.leave();
        self.0.closing.send_replace(true);
    }

    /// Answers its calls, and nothing else, on the given listeners until `shutdown` completes, then drains for
    /// [`DRAIN_GRACE`] at most.
    ///
    /// # Errors
    /// [`ServeError`] where a listener fails for good.
    pub async fn run(
        self,
        listeners: Vec<TcpListener>,
        tls: Option<Arc<rustls::ServerConfig>>,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ServeError> {
        let unknown = Router::new()
            .fallback(async || Refusal::NotFound)
            .layer(axum::middleware::from_fn_with_state(Arc::clone(&self.0), envelope::wrap));
        let router = self.router().merge(unknown);
        let stop = async {
            shutdown.await;
            self.close();
        };
        let served = serve::serve(router, listeners, tls, self.0.config.connections, stop).await;
        // Their connections are not HTTP's any more.
        self.0.links.drained(LINK_GRACE).await;
        self.0.end_background().await;
        served
    }
}
