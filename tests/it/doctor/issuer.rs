//! The login server cannot be used, or does not know this computer any more.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loopkey::agent::IssuerSettings;
use loopkey::agent::audit::Act;
use loopkey::clock::{Clock, SystemClock};
use loopkey::login::{LoginConfig, LoginServer};
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::origin::Origin;
use loopkey::protocol::time::{Moment, UnixMillis};
use loopkey::store::{SharedStore, StoreUrl};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::{agent_of, examine};
use crate::support::nginx::Nginx;
use crate::support::places::free_places;
use crate::support::world::{RunningAgent, Server, TestBrowser, World, enrol};

/// The computer's clock, ahead by as much as a test says.
#[derive(Debug)]
pub(super) struct Ahead(Mutex<Duration>);

impl Ahead {
    pub(super) fn by(time: Duration) -> Arc<Self> {
        Arc::new(Self(Mutex::new(time)))
    }

    pub(super) fn set(&self, time: Duration) {
        *self.0.lock().expect("unpoisoned") = time;
    }
}

impl Clock for Ahead {
    fn wall(&self) -> UnixMillis {
        let ahead = u64::try_from(self.0.lock().expect("unpoisoned").as_millis()).expect("small");
        UnixMillis(SystemClock.wall().0 + ahead)
    }

    fn now(&self) -> Moment {
        SystemClock.now()
    }
}

/// A login server with a clock, a store or a certificate of a test's own.
pub(super) struct Issuer {
    pub(super) issuer: loopkey::protocol::issuer::Issuer,
    _stop: oneshot::Sender<()>,
}

impl Issuer {
    pub(super) async fn start(folder: &Path, clock: Arc<Ahead>) -> Self {
        let store = StoreUrl::Embedded(folder.join("login"));
        let store = loopkey::store::open(&store, clock.clone()).await.expect("a store");
        Self::with("http", store, clock, None).await
    }

    async fn with(scheme: &str, store: SharedStore, clock: Arc<Ahead>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let issuer: loopkey::protocol::issuer::Issuer =
            format!("{scheme}://localhost:{port}").parse().expect("an issuer");
        let mut config = LoginConfig::new(issuer.clone());
        config.development = true;
        let server = LoginServer::start(config, store, clock).await.expect("a login server");
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(
            async move { server.run(vec![listener], tls, async { drop(stopped.await) }).await.expect("served") },
        );
        Self { issuer, _stop: stop }
    }
}

#[tokio::test]
async fn where_all_is_well_nothing_is_wrong_and_that_is_said() {
    let world = World::with(|settings| settings.ports = free_places().agent).await;
    let diagnosis = examine(world.folder.path()).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (0, vec![]), "{}", diagnosis.words);
    assert!(diagnosis.words.contains("✓ Nothing is wrong. Looked at: "), "{}", diagnosis.words);
    assert!(diagnosis.words.contains(world.server.issuer.as_str()), "{}", diagnosis.words);
    assert_eq!(diagnosis.reason, "");
    let report = diagnosis.report.as_object().expect("an object");
    let members: Vec<_> = report.keys().map(String::as_str).collect();
    assert_eq!(members, ["agent", "findings", "looked_at", "loopkey", "port", "version"]);
    assert_eq!((&report["version"], &report["port"]), (&1.into(), &world.agent.handle.port().into()));
    // Looking leaves no trace at the agent: nothing was refused by it, nobody's state changed.
    assert_eq!(examine(world.folder.path()).await.report["findings"], diagnosis.report["findings"]);
    world.agent.stop().await;
}

#[tokio::test]
async fn a_login_server_that_is_away_is_named() {
    let mut world = World::with(|settings| settings.ports = free_places().agent).await;
    world.server.stop().await;
    world.agent.handle.sign_out(&world.account).expect("signed out");
    let diagnosis = examine(world.folder.path()).await;
    assert_eq!(diagnosis.code, 1);
    let finding = diagnosis.finding("issuer_unreachable", "error", "look whether this computer is online");
    assert_eq!(finding["details"]["issuer"], world.server.issuer.as_str());
    assert_eq!(diagnosis.finding("sign_outs_wait", "warning", "as soon as")["details"]["count"], 1);
    world.agent.stop().await;
}

#[tokio::test]
async fn a_proxy_that_does_not_reach_the_login_server_is_told_from_a_wrong_address() {
    // Nobody listens behind it.
    let behind = free_places().site;
    let proxy =
        Nginx::start(|listen| format!("server {{ {listen} location / {{ proxy_pass http://127.0.0.1:{behind}; }} }}"));
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = format!("http://{}", proxy.address).parse().expect("an issuer");
    let agent = agent_of(folder.path(), &issuer, |_| {}).await;
    let diagnosis = examine(folder.path()).await;
    let finding = diagnosis.finding("issuer_unreachable", "error", "the login server behind it does not run");
    assert_eq!(finding["details"]["issuer"], issuer.as_str());
    agent.stop().await;
}

#[tokio::test]
async fn a_certificate_of_ones_own_authority_needs_ca_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let ca_file = folder.path().join("root.pem");
    std::fs::write(&ca_file, made.cert.pem()).expect("written");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("certificate and key");
    let clock = Ahead::by(Duration::ZERO);
    let store = loopkey::store::open(&StoreUrl::Memory, clock.clone()).await.expect("a store");
    let server = Issuer::with("https", store, clock, Some(Arc::new(tls))).await;

    let agent = agent_of(folder.path(), &server.issuer, |_| {}).await;
    let diagnosis = examine(folder.path()).await;
    assert_eq!(
        (diagnosis.code, diagnosis.wrong()),
        (1, vec!["issuer_certificate", "nobody_enrolled"]),
        "{}",
        diagnosis.words
    );
    diagnosis.finding("issuer_certificate", "error", "as `ca_file` of this [[issuer]]");
    agent.stop().await;
    // As the cure says.
    let agent = agent_of(folder.path(), &server.issuer, |settings| {
        settings.issuers = vec![IssuerSettings { url: server.issuer.clone(), ca_file: Some(ca_file) }];
    })
    .await;
    let diagnosis = examine(folder.path()).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (1, vec!["nobody_enrolled"]), "{}", diagnosis.words);
    agent.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_hours_off_is_said_with_its_direction() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Issuer::start(folder.path(), Ahead::by(Duration::from_secs(5 * 3600 + 30))).await;
    let agent = agent_of(folder.path(), &server.issuer, |_| {}).await;
    let diagnosis = examine(folder.path()).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (1, vec!["nobody_enrolled", "clock"]), "{}", diagnosis.words);
    let finding = diagnosis.finding("clock", "warning", "have both set by a time server");
    assert!(finding["what"].as_str().expect("words").contains("5.0 hours behind"), "{finding}");
    assert!(
        finding["details"]["seconds"].as_i64().is_some_and(|seconds| (-18_035..=-18_025).contains(&seconds)),
        "{finding}"
    );
    agent.stop().await;
}

/// A browser that is signed in, and the device that signed it in.
async fn signed_in(world: &World) -> (TestBrowser, String) {
    let (mut browser, mut page) = world.open_page().await;
    let challenge = browser.challenge().await;
    let (AgentMessage::Token { token, .. }, _) = page.login(challenge.clone()).await else { panic!("no token") };
    assert_eq!(browser.redeem(&challenge, &token, &world.account).await, 204);
    let entries = world.agent.handle.log(100).expect("readable").entries;
    let device = entries.into_iter().find_map(|entry| match entry.act {
        Act::Enrolled { device, .. } => Some(device),
        _ => None,
    });
    (browser, device.expect("a device").as_str().to_owned())
}

/// The link tells the agent, which removes the account: then there is no device key left to be refused.
#[tokio::test]
async fn a_device_that_was_revoked_is_said_where_the_link_has_removed_its_account() {
    let world = World::with(|settings| settings.ports = free_places().agent).await;
    let mut revoked = world.agent.handle.revoked_accounts();
    let (browser, device) = signed_in(&world).await;
    assert_eq!(examine(world.folder.path()).await.code, 0);
    assert_eq!(browser.revoke_device(&device).await, 204);
    revoked.recv().await.expect("the link says so");
    let found = async || {
        let diagnosis = examine(world.folder.path()).await;
        assert_eq!((diagnosis.code, diagnosis.wrong()), (1, vec!["nobody_enrolled"]), "{}", diagnosis.words);
        let finding = diagnosis.finding("nobody_enrolled", "error", "enrol anew");
        assert!(
            finding["what"].as_str().expect("words").contains("has revoked this computer's device key"),
            "{finding}"
        );
        assert!(finding["details"]["revoked"].as_u64().is_some_and(|at| at > 1_700_000_000_000), "{finding}");
    };
    found().await;
    // Also to whoever looks after the next start.
    world.agent.stop().await;
    let mut settings = world.settings.clone();
    settings.ports = free_places().agent;
    let agent = RunningAgent::start(settings, world.asker.clone()).await;
    found().await;
    // As the cure says.
    enrol(&world.server, &agent.handle, "ada").await;
    assert_eq!(examine(world.folder.path()).await.code, 0);
    agent.handle.remove(&world.account).expect("removed");
    let diagnosis = examine(world.folder.path()).await;
    let finding = diagnosis.finding("nobody_enrolled", "error", "sign in to the client that belongs to it");
    assert_eq!(finding["details"].get("revoked"), None, "that was another key");
    agent.stop().await;
}

/// A person need not have an account everywhere.
#[tokio::test]
async fn that_nobody_is_enrolled_at_one_of_two_login_servers_is_a_note() {
    let other = Server::start().await;
    let world = World::with(|settings| {
        settings.ports = free_places().agent;
        settings.issuers.push(IssuerSettings { url: other.issuer.clone(), ca_file: None });
    })
    .await;
    let diagnosis = examine(world.folder.path()).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (0, vec![]), "{}", diagnosis.words);
    let finding = diagnosis.finding("nobody_enrolled", "note", "loopkey enrol");
    assert_eq!(finding["details"]["issuer"], other.issuer.as_str());
    world.agent.stop().await;
}

#[tokio::test]
async fn a_device_that_was_revoked_is_noticed_before_anybody_tries_to_sign_in() {
    let mut world = World::with(|settings| settings.ports = free_places().agent).await;
    // Over a link it would be told, and remove the account by itself.
    world.server.stop().await;
    world.server.links = 0;
    world.server.resume().await;
    let (browser, device) = signed_in(&world).await;
    assert_eq!(examine(world.folder.path()).await.code, 0);
    assert_eq!(browser.revoke_device(&device).await, 204);
    let diagnosis = examine(world.folder.path()).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (1, vec!["device_refused"]), "{}", diagnosis.words);
    let finding = diagnosis.finding("device_refused", "error", "enrol anew with `loopkey enrol`");
    assert_eq!(finding["details"]["device"], device.as_str());
    // As the cure says.
    enrol(&world.server, &world.agent.handle, "ada").await;
    assert_eq!(examine(world.folder.path()).await.code, 0);
    world.agent.stop().await;
}

#[tokio::test]
async fn a_login_server_is_asked_as_a_page_would_and_says_whose_it_does_not_take() {
    let page: Origin = "http://127.0.0.1:8000".parse().expect("an origin");
    let origin = page.clone();
    let mut world = World::with(move |settings| {
        settings.ports = free_places().agent;
        settings.origins[0].origin = origin;
    })
    .await;
    let diagnosis = examine(world.folder.path()).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (1, vec!["origin_refused"]), "{}", diagnosis.words);
    let finding = diagnosis.finding("origin_refused", "error", "add it to `origins` in the server's server.toml");
    assert_eq!(finding["details"]["origin"], page.as_str());
    // As the cure says; the server's own pages are none of this agent's.
    world.server.stop().await;
    world.server.origins = vec![page];
    world.server.resume().await;
    let diagnosis = examine(world.folder.path()).await;
    assert_eq!((diagnosis.code, diagnosis.wrong()), (0, vec![]), "{}", diagnosis.words);
    world.agent.stop().await;
}

#[tokio::test]
async fn another_issuer_at_the_address_is_told_from_none() {
    let (server, folder) = (Server::start().await, tempfile::tempdir().expect("a folder"));
    let by_another_name = server.issuer.as_str().replace("127.0.0.1", "localhost").parse().expect("an issuer");
    let agent = agent_of(folder.path(), &by_another_name, |_| {}).await;
    let diagnosis = examine(folder.path()).await;
    let finding = diagnosis.finding("issuer_misbehaved", "error", "the same to the letter");
    assert!(finding["what"].as_str().expect("words").contains("names another issuer"), "{finding}");
    agent.stop().await;
}
