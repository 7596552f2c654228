//! A page behind a bridge, from the window's delivery to the session; and who is asked before the window is.

use std::sync::Arc;

use loopkey::agent::Answer;
use loopkey::agent::audit::{Act, Outcome};
use loopkey::clock::ManualClock;
use loopkey::protocol::base64url;
use loopkey::protocol::limits::PROMPT_DEAD_TIME;
use loopkey::protocol::state::PresenceState;
use loopkey::protocol::time::UnixMillis;
use serde_json::{Value, json};

use crate::hostile::bridge::window::Window;
use crate::support::world::{TestBrowser, World};

/// The world, its agent's clock, and nobody outside the browser who could ask.
async fn world() -> (World, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(UnixMillis(1_800_000_000_000)));
    let agents = Arc::clone(&clock);
    let world = World::built(|_| {}, |builder| builder.clock(agents)).await;
    *world.asker.answer.lock().expect("unpoisoned") = Some(Answer::Unavailable);
    (world, clock)
}

async fn open(world: &World, browser: &mut TestBrowser) -> Window {
    let challenge = browser.challenge().await;
    Window::live(world.agent.handle.port(), world.server.issuer.origin().as_str(), &challenge).await
}

/// Asks for a token; the prompt in the window.
async fn login(window: &mut Window, challenge: &str, id: u64) -> Value {
    window.relay(&json!({ "type": "login", "id": id, "epoch": 0, "challenge": challenge })).await;
    window.next_of("consent_request").await
}

fn uv(token: &str) -> Value {
    let claims = base64url::decode(token.split('.').nth(1).expect("claims")).expect("base64url");
    serde_json::from_slice::<Value>(&claims).expect("JSON")["uv"].clone()
}

#[tokio::test]
async fn a_page_behind_a_bridge_signs_in_and_the_answer_in_its_window_weighs_a_click() {
    let (world, clock) = world().await;
    let origin = world.server.issuer.origin();
    let mut browser = world.browser();
    let mut window = open(&world, &mut browser).await;
    assert_eq!(world.agent.handle.status().origins[0].sockets, 1, "a socket of the page's origin like any other");
    let challenge = browser.challenge().await;
    let prompt = login(&mut window, &challenge, 1).await;
    assert_eq!(
        (&prompt["origin"], &prompt["name"], &prompt["can_remember"]),
        (&json!(origin), &json!("ada of the test"), &json!(true))
    );
    assert_eq!(prompt["expires_in"], json!(60_000));
    clock.advance(PROMPT_DEAD_TIME);
    window.answer(&prompt["id"], true, true).await;
    let answer = window.answer_to(1).await;
    let token = answer["token"].as_str().unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(uv(token), "page", "not more than a click in the page");
    assert_eq!(browser.redeem(&challenge, token, &world.account).await, 204);
    assert!(browser.is_signed_in().await);

    // It was to be remembered: the next one is not asked for, behind a bridge or not.
    assert_eq!(world.agent.handle.consents().len(), 1);
    let again = browser.challenge().await;
    window.relay(&json!({ "type": "login", "id": 2, "epoch": 0, "challenge": again })).await;
    assert_eq!(window.answer_to(2).await["type"], "token");
    let entries = world.agent.handle.log(50).expect("the log").entries;
    let outcomes = entries.into_iter().filter_map(|entry| match entry.act {
        Act::Consent { outcome, .. } => Some(outcome),
        _ => None,
    });
    assert_eq!(Vec::from_iter(outcomes), [Outcome::Window, Outcome::Remembered]);

    // Pushes and a withdrawal reach it as they reach others.
    world.agent.handle.set_presence(&world.account, PresenceState::Locked).expect("set");
    assert_eq!(window.relayed().await["state"]["presence"], "locked");
    world.agent.handle.revoke(&origin).expect("revoked");
    assert_eq!(window.closed().await, Some(4403));
    world.agent.stop().await;
}

#[tokio::test]
async fn page_and_window_show_the_same_digits_and_a_no_is_a_no() {
    let (world, clock) = world().await;
    let mut browser = world.browser();
    let mut window = open(&world, &mut browser).await;
    let challenge = browser.challenge().await;
    window.relay(&json!({ "type": "login", "id": 1, "epoch": 0, "challenge": challenge })).await;
    let told = window.relayed().await;
    let prompt = window.next_of("consent_request").await;
    assert_eq!((&told["type"], &told["code"]), (&json!("consent"), &prompt["code"]));
    clock.advance(PROMPT_DEAD_TIME);
    window.answer(&prompt["id"], false, true).await;
    assert_eq!(window.answer_to(1).await["code"], "denied");
    assert!(world.agent.handle.consents().is_empty(), "a no is not remembered");
    // Who locks the computer under the prompt takes it away.
    let prompt = login(&mut window, &browser.challenge().await, 2).await;
    world.agent.handle.set_presence(&world.account, PresenceState::Locked).expect("set");
    assert_eq!(window.next_of("consent_end").await["id"], prompt["id"]);
    assert_eq!(window.answer_to(2).await["code"], "locked");
    world.agent.stop().await;
}

#[tokio::test]
async fn the_window_is_asked_last_and_only_for_its_own_page() {
    // Whoever can ask outside the browser is asked there.
    let (first, _) = world().await;
    *first.asker.answer.lock().expect("unpoisoned") = Some(Answer::Allow { remember: false });
    let mut browser = first.browser();
    let mut window = open(&first, &mut browser).await;
    let challenge = browser.challenge().await;
    window.relay(&json!({ "type": "login", "id": 1, "epoch": 0, "challenge": challenge })).await;
    assert_eq!(window.relayed().await["type"], "consent");
    let answer = window.next().await.expect("an answer");
    assert_eq!(answer["data"]["type"], "token", "and nothing in the window: {answer}");
    assert_eq!(uv(answer["data"]["token"].as_str().expect("a token")), "prompt");
    assert_eq!(first.asker.prompts.lock().expect("unpoisoned").len(), 1);
    first.agent.stop().await;

    // A page without a bridge has no window.
    let (plain, _) = world().await;
    let (mut browser, mut page) = plain.open_page().await;
    let (answer, _) = page.login(browser.challenge().await).await;
    assert_eq!(serde_json::to_value(answer).expect("JSON")["code"], "unavailable");
    plain.agent.stop().await;
}
