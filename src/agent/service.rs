//! The agent as a whole: built, bound, run, and told things through its handle.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::stream::{self, Stream, StreamExt as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::audience::Ring;
use super::audit::{Audit, AuditError};
use super::core::{Core, Stop};
use super::handle::Handle;
use super::reported::Reported;
use super::settings::{AgentSettings, SettingFault};
use super::timers::Timers;
use crate::agent::client::control::{ControlError, ControlServer};
use crate::agent::door::census::Census;
use crate::agent::door::certificate::{Certificate, NoTls, WssFiles};
use crate::agent::door::doorman::Doorman;
use crate::agent::door::listener::{Accepted, BadInherited, Family, LoopbackListener, NoFreePort};
use crate::agent::door::peer::{self, PeerCheck};
use crate::agent::issuer::client::IssuerClient;
use crate::agent::issuer::errands::{deliver_sign_outs, greet, write_down};
use crate::agent::issuer::http::NoClient;
use crate::agent::issuer::hub::{Hub, HubError};
use crate::agent::issuer::keystore::{FileKeyStore, KeyStore, KeyStoreError};
use crate::agent::issuer::link;
use crate::agent::person::consent::{Asker, Consents};
use crate::agent::person::open::{Browser, DefaultBrowser};
use crate::clock::Clock;
use crate::keyfile::{self, KeyFileError};
use crate::protocol::gate::Gate;

/// How long sockets have to say goodbye when the agent stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// Why an agent did not start. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Settings that cannot stay as they are.
    #[error("{}", join(.0))]
    Settings(Vec<SettingFault>),
    /// Running as root.
    #[error(
        "refusing to run as root: the agent belongs to one person; run it as that user (or, in a container, set allow_root = true)"
    )]
    Root,
    /// There is no peer check for this system yet.
    #[error(
        "this system's connections cannot be told apart by user yet; set peer_check = \"off\" if nobody else uses this computer"
    )]
    NoPeerCheck,
    /// The port.
    #[error(transparent)]
    Port(#[from] NoFreePort),
    /// The port, as a service manager handed it over.
    #[error(transparent)]
    Inherited(#[from] BadInherited),
    /// The certificate of the TLS port.
    #[error(transparent)]
    Tls(#[from] NoTls),
    /// The state folder.
    #[error("the state folder cannot be used: {0}; configure another `state_dir`, or make this one yours alone")]
    Folder(#[from] KeyFileError),
    /// Another agent keeps its state there.
    #[error(
        "another agent is running already with the state folder {0}; stop it first, or configure another `state_dir`"
    )]
    InUse(std::path::PathBuf),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyStoreError),
    /// The audit log.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// What is on disk.
    #[error(transparent)]
    State(#[from] HubError),
    /// The way to an issuer.
    #[error(transparent)]
    Client(#[from] NoClient),
    /// The control socket.
    #[error(transparent)]
    Control(#[from] ControlError),
}

fn join(faults: &[SettingFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Puts an agent together.
pub struct Builder {
    settings: AgentSettings,
    askers: Vec<Arc<dyn Asker>>,
    clock: Option<Arc<dyn Clock>>,
    keys: Option<Arc<dyn KeyStore>>,
    peers: Option<Arc<dyn PeerCheck>>,
    browser: Arc<dyn Browser>,
    any_port: bool,
    inherited: Vec<std::net::TcpListener>,
}

impl Builder {
    /// Asks the person through the embedding program, before any connected client.
    #[must_use]
    pub fn asker(mut self, asker: Arc<dyn Asker>) -> Self {
        self.askers.push(asker);
        self
    }

    /// Keeps device keys elsewhere than in files.
    #[must_use]
    pub fn key_store(mut self, keys: Arc<dyn KeyStore>) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Reads another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Tells users apart by other means than the system's.
    #[must_use]
    pub fn peer_check(mut self, peers: Arc<dyn PeerCheck>) -> Self {
        self.peers = Some(peers);
        self
    }

    /// Opens pages by other means than the default browser (see [`Handle::open_page`]).
    #[must_use]
    pub fn browser(mut self, browser: Arc<dyn Browser>) -> Self {
        self.browser = browser;
        self
    }

    /// Listens on whichever port the system gives: for tests, where several agents run at once.
    #[must_use]
    pub const fn any_port(mut self) -> Self {
        self.any_port = true;
        self
    }

    /// Listens on sockets that a service manager opened (systemd's socket activation) instead of opening its own. They
    /// must be `127.0.0.1` and `[::1]` on one of the configured ports. With none, this changes nothing.
    #[must_use]
    pub fn inherited(mut self, sockets: Vec<std::net::TcpListener>) -> Self {
        self.inherited = sockets;
        self
    }

    /// Binds the port and the control socket. Nothing is bound before every setting is right.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn bind(self) -> Result<Agent, StartError> {
        let Self { mut settings, mut askers, clock, keys, peers, browser, any_port, inherited } = self;
        let faults = settings.faults();
        if !faults.is_empty() {
            return Err(StartError::Settings(faults));
        }
        if is_root() {
            if !settings.allow_root {
                return Err(StartError::Root);
            }
            tracing::warn!("running as root (allow_root): only for containers and tests");
        }
        let peers = match peers {
            Some(peers) => peers,
            None if !settings.peer_check => {
                tracing::warn!("peer_check is off: other users of this computer can reach the agent");
                Arc::new(peer::Off)
            }
            None => peer::system().ok_or(StartError::NoPeerCheck)?,
        };
        let timers = clock.map_or_else(Timers::system, Timers::Runtime);
        let clock = timers.clock();
        let files = settings.wss.map(|_| WssFiles::of(&settings.state_dir));
        let certificate = files.map(|files| Certificate::load(&files, clock.wall())).transpose()?;
        keyfile::private_folder(&settings.state_dir)?;
        // Two agents on one state folder would overwrite each other's epochs.
        let lock = keyfile::lock_folder(&settings.state_dir)?;
        let lock = lock.ok_or_else(|| StartError::InUse(settings.state_dir.clone()))?;
        let audit = Arc::new(Audit::open(&settings.state_dir, Arc::clone(&clock))?);
        settings.origins = settings.policy.apply(std::mem::take(&mut settings.origins));
        let keys = match keys {
            Some(keys) => keys,
            None => Arc::new(FileKeyStore::new(settings.state_dir.join("keys"), settings.algorithm)?),
        };
        let mut hubs = HashMap::new();
        for issuer in &settings.issuers {
            let client = IssuerClient::new(issuer.url.clone(), issuer.ca_file.as_deref(), Arc::clone(&clock))?;
            let folder = settings.state_dir.clone();
            let hub = Hub::load(
                client,
                issuer.url.clone(),
                folder,
                Arc::clone(&keys),
                Arc::clone(&clock),
                Arc::clone(&audit),
            )?;
            hubs.insert(issuer.url.clone(), Arc::new(hub));
        }
        // The control socket first: that another agent is running says more than that its port is taken.
        let control = ControlServer::bind(&settings.control)?;
        askers.extend(settings.ask.askers(control.asker()));
        let in_windows = settings.ask.in_windows();
        let listener = match (any_port, inherited.is_empty()) {
            (_, false) => LoopbackListener::inherit(inherited, &settings.ports)?,
            (true, true) => LoopbackListener::bind(&[0])?,
            (false, true) => LoopbackListener::bind(&settings.ports)?,
        };
        let secure = match (&settings.wss, certificate) {
            (Some(wss), Some(certificate)) => {
                Some((LoopbackListener::bind(&[if any_port { 0 } else { wss.port }])?, certificate))
            }
            _ => None,
        };
        let origins: HashMap<_, _> = settings.origins.iter().map(|o| (o.origin.clone(), o.clone())).collect();
        let consents = Consents::new(askers, in_windows, Arc::clone(&clock), Arc::clone(&audit))
            .with_prompts(settings.prompts_per_window);
        let census = Census::new(settings.limits);
        let core = Arc::new(Core::new(timers, census, consents, audit, browser, hubs, origins));
        let (stop, _) = watch::channel(Stop::No);
        let (port, wss_port) = (listener.port(), secure.as_ref().map(|(listener, _)| listener.port()));
        let handle = Handle { core, keys, settings: Arc::new(settings), port, wss_port, stop };
        Ok(Agent { handle, listener, secure, control, peers, _lock: lock })
    }
}

pub(super) fn is_root() -> bool {
    #[cfg(unix)]
    return rustix::process::geteuid().is_root();
    #[cfg(not(unix))]
    false
}

/// An agent that is bound and ready to run.
pub struct Agent {
    handle: Handle,
    listener: LoopbackListener,
    /// The port that speaks TLS, and what it shows.
    secure: Option<(LoopbackListener, Certificate)>,
    control: ControlServer,
    peers: Arc<dyn PeerCheck>,
    /// Held for as long as the agent is.
    _lock: keyfile::FolderLock,
}

impl Agent {
    /// Starts putting an agent together.
    #[must_use]
    pub fn builder(settings: AgentSettings) -> Builder {
        Builder {
            settings,
            askers: Vec::new(),
            clock: None,
            keys: None,
            peers: None,
            browser: Arc::new(DefaultBrowser),
            any_port: false,
            inherited: Vec::new(),
        }
    }

    /// Tells the agent things while it runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until `shutdown` completes or [`Handle::stop`] is called; open sockets are told (close code 1001).
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { handle, listener, secure, control, peers, _lock } = self;
        let stop = handle.stop.subscribe();
        let origins = || handle.core.origins.keys().cloned().collect();
        let door = |listener, gate, certificate| {
            let (core, peers) = (Arc::clone(&handle.core), Arc::clone(&peers));
            Door { listener, doorman: Arc::new(Doorman { core, gate, peers, certificate, stop: stop.clone() }) }
        };
        let control_socket = handle.settings.control.display();
        tracing::info!(port = listener.port(), control = %control_socket, "the agent listens on loopback");
        let gate = Gate::new(listener.port(), origins());
        let mut doors = vec![door(listener, gate, None)];
        if let Some((listener, certificate)) = secure {
            tracing::info!(port = listener.port(), "and speaks TLS there");
            let gate = Gate::secure(listener.port(), origins());
            doors.push(door(listener, gate, Some(certificate)));
        }
        if handle.core.origins.is_empty() {
            tracing::warn!("no [[origin]] is configured: no page can reach this agent");
        }
        let mut connections = JoinSet::new();
        let control = control.run(handle.clone());
        connections.spawn(async move {
            let _reported = Reported;
            control.await;
        });
        let mut background = JoinSet::new();
        let core = Arc::clone(&handle.core);
        background.spawn(async move { core.timers.run().await });
        for hub in handle.core.hubs.values() {
            background.spawn(greet(Arc::clone(hub)));
            background.spawn(deliver_sign_outs(Arc::clone(hub)));
            background.spawn(write_down(Arc::clone(hub)));
            background.spawn(link::keep(Arc::clone(hub), Arc::clone(&handle.core)));
        }
        #[cfg(all(target_os = "linux", feature = "logind"))]
        if handle.settings.desktop_presence {
            background.spawn(super::desktop::watch(Arc::clone(&handle.core)));
        }
        let mut stopped = stop.clone();
        let stopped = Stop::wait(&mut stopped);
        let mut arrivals = arrivals(doors);
        let mut number = 0_u64;
        tokio::pin!(shutdown, stopped);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                () = &mut stopped => break,
                Some(arrival) = arrivals.next() => match arrival {
                    Ok((accepted, doorman)) => {
                        number += 1;
                        let span = tracing::info_span!("connection", id = number);
                        connections.spawn(doorman.receive(accepted).instrument(span));
                        // Nobody is woken for each that ends: those that have are put away here.
                        while connections.try_join_next().is_some() {}
                        // It comes first; then is time to see whether there is another one.
                        after_the_others().await;
                    }
                    Err(error) => {
                        // Out of descriptors, most likely: connections that end give some back.
                        tracing::error!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        drop(arrivals);
        tracing::info!("the agent stops");
        handle.stop.send_replace(Stop::Drain);
        handle.core.ring(None, Ring::Stopping);
        let draining = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, draining).await;
        for hub in handle.core.hubs.values() {
            if let Err(error) = hub.save_again() {
                tracing::error!(%error, "what was taken back last is undone by the next start");
            }
        }
        handle.core.audit.close();
    }
}

/// One port, and who stands there.
struct Door {
    listener: LoopbackListener,
    doorman: Arc<Doorman>,
}

/// A connection, and who is at the door where it came.
type Arrival = (Accepted, Arc<Doorman>);

/// Connections as they come. Nobody looks at a listening socket to which nobody has come.
fn arrivals(doors: Vec<Door>) -> impl Stream<Item = io::Result<Arrival>> + Unpin {
    let at = |Door { listener, doorman }: Door| listener.families().map(move |family| (family, Arc::clone(&doorman)));
    let arriving = |(family, doorman): (Family, Arc<Doorman>)| {
        Box::pin(stream::unfold((family, doorman), async |(family, doorman)| {
            let arrival = family.accept().await.map(|accepted| (accepted, Arc::clone(&doorman)));
            Some((arrival, (family, doorman)))
        }))
    };
    stream::select_all(doors.into_iter().flat_map(at).map(arriving))
}

/// Goes on behind the tasks that are ready now.
async fn after_the_others() {
    let mut is_others_turn = true;
    std::future::poll_fn(|cx| {
        if std::mem::take(&mut is_others_turn) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}
