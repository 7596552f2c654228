//! What happens at the login server reaches the agent over the link.

use std::sync::Arc;

use loopkey::agent::IssuerSettings;
use loopkey::agent::audit::Act;
use loopkey::clock::SystemClock;
use loopkey::login::{LoginConfig, LoginServer};
use loopkey::protocol::id::{EnrolmentTicket, Epoch};
use loopkey::protocol::issuer::Issuer;
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::state::PresenceState;
use loopkey::store::{DisplayName, Profile, StoreUrl, TicketHash};
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::support::world::{RunningAgent, TestAsker, TestBrowser, TestClient, TestPage, World, enrol, settings};

/// A browser that is signed in, with the page that it did it on.
async fn signed_in(world: &World) -> (TestBrowser, TestPage) {
    let (mut browser, mut page) = world.open_page().await;
    let challenge = browser.challenge().await;
    let (AgentMessage::Token { token, .. }, _) = page.login(challenge.clone()).await else { panic!("a token") };
    assert_eq!(browser.redeem(&challenge, &token, &world.account).await, 204);
    (browser, page)
}

/// The device that was enrolled last.
fn device_of(agent: &RunningAgent) -> String {
    let entries = agent.handle.log(100).expect("readable").entries;
    let device = entries.into_iter().rev().find_map(|entry| match entry.act {
        Act::Enrolled { device, .. } => Some(device),
        _ => None,
    });
    device.expect("a device").as_str().to_owned()
}

async fn signed_out_at(agent: &RunningAgent, epoch: Epoch) {
    loop {
        let status = &agent.handle.status().issuers[0];
        if (status.presence, status.epoch) == (PresenceState::SignedOut, epoch) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_revoked_device_is_removed_and_the_client_is_told() {
    let world = World::new().await;
    let mut client = TestClient::hello(&world.settings.control).await;
    let mut embedding = world.agent.handle.revoked_accounts();
    let (browser, mut page) = signed_in(&world).await;
    assert_eq!(browser.revoke_device(&device_of(&world.agent)).await, 204);
    let told = client.next("account.revoked").await;
    assert_eq!(told.params, json!({ "account": world.account, "issuer": world.server.issuer }));
    assert_eq!(embedding.recv().await.map(|account| account.account), Ok(world.account.clone()));
    assert!(world.agent.handle.accounts().is_empty());
    let keys = std::fs::read_dir(world.folder.path().join("state/keys")).expect("a folder");
    assert_eq!(keys.count(), 0, "its key is gone");
    let AgentMessage::State { state, .. } = page.next().await.expect("a state") else { panic!("a state") };
    assert_eq!(state.presence, PresenceState::SignedOut);
    // It can be enrolled anew, and is linked anew.
    enrol(&world.server, &world.agent.handle, "ada").await;
    let (browser, _page) = signed_in(&world).await;
    assert_eq!(browser.revoke_device(&device_of(&world.agent)).await, 204);
    client.next("account.revoked").await;
    world.agent.stop().await;
}

#[tokio::test]
async fn signing_out_everywhere_from_the_web_signs_the_desktop_out() {
    let world = World::new().await;
    let mut client = TestClient::hello(&world.settings.control).await;
    let mut embedding = world.agent.handle.signed_out_accounts();
    let (mut browser, mut page) = signed_in(&world).await;
    assert_eq!(browser.post("/v1/logout", json!({ "everywhere": true })).await.0, 204);
    let told = client.next("account.signed_out").await;
    assert_eq!(told.params, json!({ "account": world.account, "issuer": world.server.issuer }));
    assert_eq!(embedding.recv().await.map(|account| account.account), Ok(world.account.clone()));
    let AgentMessage::State { state, .. } = page.next().await.expect("a state") else { panic!("a state") };
    assert_eq!((state.presence, state.epoch), (PresenceState::SignedOut, Epoch(1)));
    while world.agent.handle.status().issuers[0].pending_sign_outs > 0 {
        tokio::task::yield_now().await;
    }
    // Whoever signs in to the client again stays so.
    world.agent.handle.set_presence(&world.account, PresenceState::SignedIn).expect("set");
    let (browser, _page) = signed_in(&world).await;
    assert!(browser.is_signed_in().await);
    assert_eq!(world.agent.handle.status().issuers[0].epoch, Epoch(1));
    world.agent.stop().await;
}

#[tokio::test]
async fn an_agent_that_was_away_learns_it_when_it_comes_back() {
    let world = World::new().await;
    let (mut browser, page) = signed_in(&world).await;
    world.agent.stop().await;
    drop(page);
    assert_eq!(browser.post("/v1/logout", json!({ "everywhere": true })).await.0, 204);
    let agent = RunningAgent::start(world.settings.clone(), world.asker.clone()).await;
    signed_out_at(&agent, Epoch(1)).await;
    assert_eq!(agent.handle.accounts().len(), 1, "it stays enrolled");
    agent.stop().await;
}

#[tokio::test]
async fn a_device_that_was_revoked_while_it_was_away_learns_it_when_it_comes_back() {
    let world = World::new().await;
    let (browser, _page) = signed_in(&world).await;
    let device = device_of(&world.agent);
    world.agent.stop().await;
    assert_eq!(browser.revoke_device(&device).await, 204);
    let agent = RunningAgent::start(world.settings.clone(), world.asker.clone()).await;
    while !agent.handle.accounts().is_empty() {
        tokio::task::yield_now().await;
    }
    agent.stop().await;
}

#[tokio::test]
async fn another_name_or_picture_is_shown_from_then_on() {
    let world = World::new().await;
    let picture = "https://cdn.example/ada.png";
    for avatar in [Some(picture), None] {
        let mut profile = json!({ "account": "ada", "name": "Ada\u{202e} Lovelace" });
        if let Some(avatar) = avatar {
            profile["avatar"] = json!(avatar);
        }
        world.server.ticket_with(profile).await;
        let is_known = |name: &str, known: Option<&str>| (name, known) == ("Ada Lovelace", avatar);
        while !world.agent.handle.accounts().iter().all(|a| is_known(&a.name, a.avatar.as_deref())) {
            tokio::task::yield_now().await;
        }
    }
    world.agent.stop().await;
}

#[tokio::test]
async fn a_link_that_was_lost_comes_back() {
    let mut world = World::new().await;
    let mut client = TestClient::hello(&world.settings.control).await;
    let (browser, _page) = signed_in(&world).await;
    world.server.stop().await;
    world.server.resume().await;
    assert_eq!(browser.revoke_device(&device_of(&world.agent)).await, 204);
    client.next("account.revoked").await;
    assert!(world.agent.handle.accounts().is_empty());
    world.agent.stop().await;
}

/// TLS with a certificate of one's own authority, which `ca_file` names.
fn tls(ca_file: &std::path::Path) -> Arc<rustls::ServerConfig> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    std::fs::write(ca_file, made.cert.pem()).expect("written");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key);
    Arc::new(tls.expect("certificate and key"))
}

#[tokio::test]
async fn over_tls_the_issuers_own_root_certificate_counts_for_the_link_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca_file = folder.path().join("root.pem");
    let tls = tls(&ca_file);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let issuer: Issuer = format!("https://localhost:{port}").parse().expect("an issuer");
    let store = loopkey::store::open(&StoreUrl::Memory, Arc::new(SystemClock)).await.expect("a store");
    let config = LoginConfig::new(issuer.clone());
    let server = LoginServer::start(config, Arc::clone(&store), Arc::new(SystemClock)).await.expect("a login server");
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.run(vec![listener], Some(tls), async { drop(stopped.await) }));

    let mut settings = settings(folder.path(), &issuer);
    settings.issuers = vec![IssuerSettings { url: issuer.clone(), ca_file: Some(ca_file) }];
    let agent = RunningAgent::start(settings, TestAsker::new(None)).await;
    let (ticket, account) =
        (EnrolmentTicket::from_bytes(loopkey::crypto::random()), "ada".parse().expect("an account"));
    let profile = Profile { account, name: DisplayName::clean("Ada").expect("a name"), avatar: None };
    let account = profile.account.clone();
    store.issue_ticket(TicketHash::of(&ticket), profile).await.expect("the store").expect("a ticket");
    agent.handle.enrol(&issuer, ticket).await.expect("enrolled");
    assert!(store.sign_out_account(&account, None).await.expect("the store"));
    signed_out_at(&agent, Epoch(1)).await;
    drop(stop);
    serving.await.expect("joined").expect("served");
    agent.stop().await;
}
