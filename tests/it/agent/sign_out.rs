//! Sign-outs reach pages at once and the login server in the end, whatever happens in between.

use loopkey::protocol::id::Epoch;
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::state::PresenceState;
use serde_json::json;

use crate::support::world::{RunningAgent, TestBrowser, TestPage, World, enrol};

async fn sign_in(world: &World, browser: &mut TestBrowser, page: &mut TestPage) {
    let challenge = browser.challenge().await;
    let (AgentMessage::Token { token, .. }, _) = page.login(challenge.clone()).await else { panic!("a token") };
    let body = json!({ "challenge": challenge, "token": token, "subject": world.account });
    assert_eq!(browser.post("/v1/login", body).await.0, 204);
}

/// Waits until the agent has nothing left to deliver.
async fn delivered(agent: &RunningAgent) {
    while agent.handle.status().issuers.iter().any(|issuer| issuer.pending_sign_outs > 0) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_sign_out_ends_the_web_session() {
    let world = World::new().await;
    let (mut browser, mut page) = world.open_page().await;
    sign_in(&world, &mut browser, &mut page).await;
    assert!(browser.is_signed_in().await);
    let epoch = world.agent.handle.sign_out(&world.account).expect("signed out");
    let pushed = page.next().await.expect("a state");
    let AgentMessage::State { state, .. } = pushed else { panic!("{pushed:?}") };
    assert_eq!((state.presence, state.epoch), (PresenceState::SignedOut, epoch));
    delivered(&world.agent).await;
    assert!(!browser.is_signed_in().await);
    world.agent.stop().await;
}

#[tokio::test]
async fn a_switch_signs_the_person_before_out() {
    let world = World::new().await;
    let (mut browser, mut page) = world.open_page().await;
    sign_in(&world, &mut browser, &mut page).await;
    enrol(&world.server, &world.agent.handle, "bob").await;
    delivered(&world.agent).await;
    assert!(!browser.is_signed_in().await);
    world.agent.stop().await;
}

#[tokio::test]
async fn a_sign_out_outlives_the_agent_and_an_absent_login_server() {
    let mut world = World::new().await;
    let (mut browser, mut page) = world.open_page().await;
    sign_in(&world, &mut browser, &mut page).await;
    world.server.stop().await;
    let epoch = world.agent.handle.sign_out(&world.account).expect("signed out");
    assert_eq!(epoch, Epoch(1));
    world.agent.stop().await;

    let agent = RunningAgent::start(world.settings.clone(), world.asker.clone()).await;
    let status = agent.handle.status();
    assert_eq!((status.issuers[0].epoch, status.issuers[0].pending_sign_outs), (epoch, 1), "both were on disk");
    world.server.resume().await;
    delivered(&agent).await;
    assert!(!browser.is_signed_in().await);
    agent.stop().await;
}

#[tokio::test]
async fn after_a_restart_the_person_is_behind_a_lock_until_the_client_speaks() {
    let world = World::new().await;
    world.agent.stop().await;
    let agent = RunningAgent::start(world.settings.clone(), world.asker.clone()).await;
    let status = agent.handle.status();
    assert_eq!(status.issuers[0].presence, PresenceState::Locked);
    assert_eq!(status.issuers[0].account.as_ref().map(|account| &account.account), Some(&world.account));
    agent.handle.set_presence(&world.account, PresenceState::SignedIn).expect("set");
    assert_eq!(agent.handle.status().issuers[0].epoch, Epoch(0), "a restart is no sign-out");
    agent.stop().await;
}

#[tokio::test]
async fn what_is_kept_is_private_and_removal_leaves_no_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new().await;
    let keys =
        || std::fs::read_dir(world.folder.path().join("state/keys")).expect("a folder").flatten().collect::<Vec<_>>();
    assert_eq!(keys().len(), 1);
    for file in keys().iter().map(|entry| entry.path()) {
        let mode = std::fs::metadata(&file).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }
    let socket = std::fs::metadata(&world.settings.control).expect("the control socket").permissions().mode();
    assert_eq!(socket & 0o777, 0o600);
    world.agent.handle.remove(&world.account).expect("removed");
    assert!(keys().is_empty() && world.agent.handle.accounts().is_empty());
    world.agent.stop().await;
}

#[tokio::test]
async fn one_sign_out_that_is_refused_holds_up_no_other() {
    let mut world = World::new().await;
    world.server.stop().await;
    world.agent.handle.sign_out(&world.account).expect("signed out");
    // The server has never heard of ada's device: her sign-out will be refused for ever.
    world.server.forget_everything().await;
    let bob = enrol(&world.server, &world.agent.handle, "bob").await;
    let (mut browser, mut page) = world.open_page().await;
    let challenge = browser.challenge().await;
    let (AgentMessage::Token { token, .. }, _) = page.login(challenge.clone()).await else { panic!("a token") };
    assert_eq!(
        browser.post("/v1/login", json!({ "challenge": challenge, "token": token, "subject": bob })).await.0,
        204
    );
    world.agent.handle.sign_out(&bob).expect("signed out");
    while browser.is_signed_in().await {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.agent.handle.status().issuers[0].pending_sign_outs, 1);
    world.agent.stop().await;
}

#[tokio::test]
async fn a_large_picture_survives_a_restart() {
    let world = World::new().await;
    let mut png = vec![0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a];
    png.resize(60_000, 0);
    let picture =
        format!("data:image/png;base64,{}", base64::Engine::encode(&base64::engine::general_purpose::STANDARD, png));
    let ticket = world.server.ticket_with(json!({ "account": "eve", "name": "Eve", "avatar": picture })).await;
    let ticket = ticket.parse().expect("a ticket");
    world.agent.handle.enrol(&world.server.issuer, ticket).await.expect("enrolled");
    world.agent.stop().await;
    let agent = RunningAgent::start(world.settings.clone(), world.asker.clone()).await;
    assert!(agent.handle.accounts().iter().any(|account| account.avatar.as_ref() == Some(&picture)));
    agent.stop().await;
}
