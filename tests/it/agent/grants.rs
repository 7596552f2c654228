//! What the person allowed, chose, and took back; and what an administrator's policy says to that.

use loopkey::agent::{Answer, OriginPolicy, Policy};
use loopkey::protocol::code::RefusalCode;
use loopkey::protocol::grant::{ConsentMode, Grant};
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::page::OpenWith;
use serde_json::json;

use crate::support::world::{RunningAgent, TestClient, TestPage, World};

#[tokio::test]
async fn a_remembered_consent_is_listed_with_its_time_and_revoked_with_its_sockets() {
    let world = World::new().await;
    *world.asker.answer.lock().expect("unpoisoned") = Some(Answer::Allow { remember: true });
    let client = TestClient::hello(&world.settings.control).await;
    let (mut browser, mut page) = world.open_page().await;
    let (_, mut other_tab) = world.open_page().await;
    assert!(matches!(page.login(browser.challenge().await).await.0, AgentMessage::Token { .. }));
    let origin = world.server.issuer.origin();
    let listed = client.ok("grants.list", json!({})).await;
    assert_eq!(listed["grants"][0]["origin"], json!(origin));
    assert_eq!(listed["grants"][0]["account"], json!(world.account));
    assert!(listed["grants"][0]["since"].as_u64().is_some_and(|since| since > 1_700_000_000_000), "{listed}");
    assert_eq!(listed["origins"][0]["consent"], "prompt");
    assert_eq!(listed["origins"][0]["by_policy"], false);
    assert_eq!(client.ok("grants.revoke", json!({ "origin": origin })).await, json!({ "revoked": true }));
    assert_eq!(page.closed().await, Some(4403));
    assert_eq!(other_tab.closed().await, Some(4403));
    assert_eq!(client.ok("grants.list", json!({})).await["grants"], json!([]));
    assert_eq!(client.ok("grants.revoke", json!({ "origin": origin })).await, json!({ "revoked": false }));
    world.agent.stop().await;
}

#[tokio::test]
async fn a_choice_narrows_at_once_and_outlives_the_agent() {
    let world = World::new().await;
    *world.asker.answer.lock().expect("unpoisoned") = Some(Answer::Allow { remember: true });
    let client = TestClient::hello(&world.settings.control).await;
    let prompts = || world.asker.prompts.lock().expect("unpoisoned").len();
    let origin = world.server.issuer.origin();
    let choose = |consent: &str| json!({ "origin": origin, "consent": consent });
    let (mut browser, mut page) = world.open_page().await;
    page.login(browser.challenge().await).await;
    page.login(browser.challenge().await).await;
    assert_eq!(prompts(), 1, "it was remembered");
    client.ok("grants.set", choose("always")).await;
    page.login(browser.challenge().await).await;
    assert_eq!(prompts(), 2, "asked each time from now on, on the same socket too");
    assert!(!world.asker.prompts.lock().expect("unpoisoned")[1].can_remember);
    client.ok("grants.set", choose("default")).await;
    page.login(browser.challenge().await).await;
    assert_eq!(prompts(), 2, "what was remembered counts again");
    client.ok("grants.set", choose("blocked")).await;
    assert_eq!(page.closed().await, Some(4403));
    assert_eq!(
        client.code("grants.set", json!({ "origin": "https://elsewhere.example", "consent": "always" })).await,
        "unknown_origin"
    );
    let World { server, settings, asker, agent, folder: _folder, .. } = world;
    agent.stop().await;
    let agent = RunningAgent::start(settings, asker).await;
    let nobody = TestPage::try_connect_to_port(agent.handle.port(), &server.issuer, OpenWith::Nothing).await;
    assert!(nobody.is_none(), "its pages do not reach the agent any more");
    assert_eq!(agent.handle.status().origins[0].choice.map(|choice| choice.to_string()).as_deref(), Some("blocked"));
    agent.stop().await;
}

#[tokio::test]
async fn a_policy_wins_and_nothing_that_the_person_does_widens_it() {
    let strict = |settings: &mut loopkey::agent::AgentSettings| {
        settings.origins[0].consent = ConsentMode::Page;
        let origin = settings.origins[0].origin.clone();
        let grants = Some([Grant::Presence, Grant::Login].into_iter().collect());
        let rule = OriginPolicy { origin, grants, consent: Some(ConsentMode::Always), blocked: false };
        settings.policy = Policy { only_listed: true, origins: vec![rule] };
    };
    let world = World::with(strict).await;
    *world.asker.answer.lock().expect("unpoisoned") = Some(Answer::Allow { remember: true });
    let client = TestClient::hello(&world.settings.control).await;
    let prompts = || world.asker.prompts.lock().expect("unpoisoned").len();
    let origin = world.server.issuer.origin();
    let (mut browser, mut page) = world.open_page().await;
    for asked in 1..=2 {
        page.login(browser.challenge().await).await;
        assert_eq!(prompts(), asked, "the configuration trusts the page, and the policy asks each time");
    }
    assert_eq!(client.ok("grants.list", json!({})).await["grants"], json!([]), "and nothing is remembered");
    let status = client.ok("grants.list", json!({})).await;
    assert_eq!(
        (&status["origins"][0]["consent"], &status["origins"][0]["by_policy"]),
        (&json!("always"), &json!(true))
    );
    let widen = json!({ "origin": origin, "consent": "prompt" });
    assert_eq!(client.code("grants.set", widen).await, "policy");
    client.ok("grants.set", json!({ "origin": origin, "consent": "default" })).await;
    page.login(browser.challenge().await).await;
    assert_eq!(prompts(), 3);
    world.agent.stop().await;
}

#[tokio::test]
async fn a_policy_shuts_out_what_it_does_not_list_and_takes_grants_away() {
    let world = World::with(|settings| settings.policy = Policy { only_listed: true, origins: Vec::new() }).await;
    assert!(
        TestPage::try_connect_to_port(world.agent.handle.port(), &world.server.issuer, OpenWith::Nothing)
            .await
            .is_none()
    );
    assert_eq!(world.agent.handle.status().origins, []);
    world.agent.stop().await;
    let world = World::with(|settings| {
        let origin = settings.origins[0].origin.clone();
        let grants = Some([Grant::Presence].into_iter().collect());
        let rule = OriginPolicy { origin, grants, consent: None, blocked: false };
        settings.policy = Policy { only_listed: false, origins: vec![rule] };
    })
    .await;
    let (mut browser, mut page) = world.open_page().await;
    let (answer, _) = page.login(browser.challenge().await).await;
    assert!(matches!(answer, AgentMessage::Refused { code: RefusalCode::NotGranted, .. }), "{answer:?}");
    world.agent.stop().await;
}
