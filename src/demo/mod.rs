//! Everything on one computer: a site with its login server, an agent, and a simulated desktop client that speaks to the
//! agent over the real control socket. Nothing in it is a mock-up but the client's window.

mod agent;
mod assets;
mod beside;
mod client;
mod client_page;
mod desk;
#[doc(hidden)]
pub mod dingtalk;
mod people;
mod site;
mod view;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::{Clock, SystemClock};
use crate::crypto::{self, Secret};
use crate::login::{ConfiguredConnector, LoginConfig, LoginServer};
use crate::protocol::base64url;
use crate::protocol::issuer::Issuer;
use crate::protocol::limits::DEFAULT_PORTS;
use crate::protocol::state::PresenceState;
use crate::store::{self, StoreUrl};

pub use beside::Beside;

/// More than the tabs of one person.
const CONNECTIONS: u32 = 1024;

/// Where the demo is to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The site and its login server.
    pub site: u16,
    /// The simulated client's window.
    pub client: u16,
    /// Where pages look for the agent.
    pub agent: Vec<u16>,
    /// The agent's control socket; in the demo's own folder where none is named.
    pub control: Option<PathBuf>,
}

impl Default for Places {
    fn default() -> Self {
        Self { site: 28980, client: 28981, agent: DEFAULT_PORTS.to_vec(), control: None }
    }
}

/// A demo that is up.
pub struct Demo {
    places: Places,
    site: Running,
    window: Running,
    client: Arc<client::Client>,
    service_key: Secret<String>,
    connectors: Vec<ConfiguredConnector>,
    dingtalk: Option<dingtalk::FakeDingTalk>,
    /// Device keys and the embedded store; gone with the demo.
    folder: tempfile::TempDir,
}

impl Demo {
    /// Starts everything; when this returns, the person is signed in to the client and both pages answer.
    ///
    /// # Errors
    /// Where a port is taken or a folder cannot be made.
    pub async fn start(places: Places) -> anyhow::Result<Self> {
        Self::start_with(places, Beside::default()).await
    }

    /// As [`Demo::start`], with more beside the agent.
    ///
    /// # Errors
    /// As [`Demo::start`].
    pub async fn start_with(places: Places, beside: Beside) -> anyhow::Result<Self> {
        let Beside { browser, mut connectors, dingtalk } = beside;
        let folder = tempfile::Builder::new().prefix("loopkey-demo-").tempdir()?;
        let service_key = Secret::new(base64url::encode(crypto::random::<32>()));
        let issuer = issuer(&places)?;
        let dingtalk = if dingtalk {
            let (fake, connector) = beside::dingtalk(&issuer).await?;
            connectors.push(connector);
            Some(fake)
        } else {
            None
        };
        let site = start_site(&places, folder.path(), &service_key, &connectors).await?;
        let listeners = bind(places.client).await?;
        let agent = agent::AgentSlot::new(folder.path(), &places, &issuer, browser);
        let client = Arc::new(client::Client::new(agent, issuer, service_key.clone())?);
        client.start().await?;
        let router = client_page::router(Arc::clone(&client), places.client);
        let closing = Arc::clone(&client);
        let window = Running::start(router, listeners, move || closing.close());
        Ok(Self { places, site, window, client, service_key, connectors, dingtalk, folder })
    }

    /// Restarts the site and its login server, as a deployment does: accounts, devices and sessions stay; challenges that
    /// are about must be fetched anew.
    ///
    /// # Errors
    /// Where the port cannot be taken again.
    pub async fn restart_login_server(&mut self) -> anyhow::Result<()> {
        self.site.stop().await;
        self.site = start_site(&self.places, self.folder.path(), &self.service_key, &self.connectors).await?;
        Ok(())
    }

    /// The site's address.
    #[must_use]
    pub fn site_url(&self) -> String {
        format!("http://localhost:{}", self.places.site)
    }

    /// The simulated client's address.
    #[must_use]
    pub fn client_url(&self) -> String {
        format!("http://localhost:{}", self.places.client)
    }

    /// The simulated DingTalk, where there is one.
    #[doc(hidden)]
    #[must_use]
    pub fn dingtalk(&self) -> Option<&dingtalk::FakeDingTalk> {
        self.dingtalk.as_ref()
    }

    /// Says how the person stands, as the buttons of the client's window do.
    ///
    /// # Errors
    /// Where the agent is stopped or nobody is signed in.
    pub async fn set_presence(&self, presence: PresenceState) -> anyhow::Result<()> {
        self.client.set_presence(presence).await
    }

    /// The agent's control socket.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        agent::control(&self.places, self.folder.path())
    }

    /// Stops the agent alone, as a crash or an update does.
    pub async fn stop_agent(&self) {
        self.client.stop_agent().await;
    }

    /// Starts the agent again, and the person signs in to the client as before.
    ///
    /// # Errors
    /// Where the port cannot be taken again.
    pub async fn start_agent(&self) -> anyhow::Result<()> {
        self.client.start_agent().await
    }

    /// Stops everything and removes what it kept.
    pub async fn stop(mut self) {
        self.client.stop_agent().await;
        self.window.stop().await;
        self.site.stop().await;
    }
}

fn issuer(places: &Places) -> anyhow::Result<Issuer> {
    Ok(format!("http://localhost:{}", places.site).parse()?)
}

async fn start_site(
    places: &Places,
    folder: &Path,
    service_key: &Secret<String>,
    connectors: &[ConfiguredConnector],
) -> anyhow::Result<Running> {
    let listeners = bind(places.site).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = store::open(&StoreUrl::Embedded(folder.join("login")), Arc::clone(&clock)).await?;
    let mut config = LoginConfig::new(issuer(places)?);
    config.ports.clone_from(&places.agent);
    config.development = true;
    config.service_key = Some(service_key.clone());
    config.connectors = connectors.to_vec();
    let server = LoginServer::start(config, store, clock).await?;
    let router = server.router().merge(site::router(places, connectors));
    Ok(Running::start(router, listeners, move || server.close()))
}

/// Both loopback addresses, since `localhost` means one or the other.
async fn bind(port: u16) -> anyhow::Result<Vec<TcpListener>> {
    let taken = |error: io::Error| {
        anyhow::anyhow!(
            "port {port} cannot be used ({error}): is another demo running? stop it, or choose other ports (--site-port, \
             --client-port and --agent-port)"
        )
    };
    let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(taken)?;
    let mut listeners = vec![v4];
    match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        Ok(v6) => listeners.push(v6),
        Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {}
        Err(error) => return Err(taken(error)),
    }
    Ok(listeners)
}

/// A web server that is up.
struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    /// `close` ends whatever would keep the server from draining.
    fn start(router: axum::Router, listeners: Vec<TcpListener>, close: impl FnOnce() + Send + 'static) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.wait_for(|stop| *stop).await;
                close();
            };
            if let Err(error) = crate::login::serve::serve(router, listeners, None, CONNECTIONS, shutdown).await {
                tracing::error!(%error, "a page of the demo is gone");
            }
        });
        Self { stop, task }
    }

    async fn stop(&mut self) {
        self.stop.send_replace(true);
        let _ = (&mut self.task).await;
    }
}
