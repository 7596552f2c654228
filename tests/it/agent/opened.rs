//! Pages that the person opens from the client: signed in without a further prompt, once.

use std::sync::{Arc, Mutex};

use loopkey::agent::Browser;
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::page::OpenWith;
use loopkey::protocol::state::PresenceState;
use serde_json::json;

use crate::support::world::{TestBrowser, TestClient, TestPage, World};

/// Remembers what it was to open.
#[derive(Default)]
struct Opened(Mutex<Vec<String>>);

impl Browser for Opened {
    fn open(&self, url: &str) -> std::io::Result<()> {
        self.0.lock().expect("unpoisoned").push(url.to_owned());
        Ok(())
    }
}

async fn world() -> (World, Arc<Opened>) {
    let opened = Arc::new(Opened::default());
    let browser = Arc::clone(&opened);
    (World::built(|_| {}, move |builder| builder.browser(browser)).await, opened)
}

/// A page that opens its socket, and what `ready` showed it.
async fn arrive(world: &World) -> (TestBrowser, TestPage, Option<String>) {
    let mut browser = world.browser();
    let open = OpenWith::Challenge(browser.challenge().await);
    let mut page = TestPage::connect(&world.agent.handle, &world.server.issuer, open).await;
    match page.next().await {
        Ok(AgentMessage::Ready { opened, .. }) => (browser, page, opened),
        other => panic!("{other:?}"),
    }
}

/// The base64url of the SHA-256, as a page computes it.
fn mark_of(shown: &str) -> String {
    loopkey::protocol::base64url::encode(loopkey::crypto::sha256(&[shown.as_bytes()]))
}

#[tokio::test]
async fn the_page_that_was_opened_signs_in_without_a_prompt_and_only_that_one() {
    let (world, opened) = world().await;
    let client = TestClient::hello(&world.settings.control).await;
    let url = format!("{}/start?tab=2", world.server.issuer.origin());
    let (_, _, before) = arrive(&world).await;
    assert_eq!(before, None);
    client.ok("pages.open", json!({ "url": url })).await;
    let address = opened.0.lock().expect("unpoisoned").pop().expect("opened");
    let mark = address.strip_prefix(&format!("{url}#loopkey=")).expect("a mark").to_owned();
    let (mut browser, mut page, shown) = arrive(&world).await;
    assert_eq!(shown.as_deref().map(mark_of), Some(mark), "who answers is who opened the page");
    let (_, _, second) = arrive(&world).await;
    assert_eq!(second, None, "another page");
    let prompts = || world.asker.prompts.lock().expect("unpoisoned").len();
    let challenge = browser.challenge().await;
    let (answer, digits) = page.login(challenge.clone()).await;
    let AgentMessage::Token { token, .. } = answer else { panic!("{answer:?}") };
    assert_eq!((prompts(), digits), (0, None));
    let body = json!({ "challenge": challenge, "token": token, "subject": world.account });
    assert_eq!(browser.post("/v1/login", body).await.0, 204);
    let (_, digits) = page.login(browser.challenge().await).await;
    assert!(digits.is_some() && prompts() == 1, "once");
    world.agent.stop().await;
}

#[tokio::test]
async fn a_pass_is_for_the_person_who_opened_the_page() {
    let (world, _) = world().await;
    let client = TestClient::hello(&world.settings.control).await;
    let url = world.server.issuer.origin().to_string();
    client.ok("pages.open", json!({ "url": url })).await;
    crate::support::world::enrol(&world.server, &world.agent.handle, "bea").await;
    assert_eq!(arrive(&world).await.2, None, "somebody else is signed in");
    client.ok("pages.open", json!({ "url": url })).await;
    let (mut browser, mut page, shown) = arrive(&world).await;
    assert!(shown.is_some());
    // The switch comes after the page was shown the pass.
    world.agent.handle.set_presence(&world.account, PresenceState::SignedIn).expect("switched");
    assert!(matches!(page.next().await, Ok(AgentMessage::State { .. })));
    let (_, digits) = page.login(browser.challenge().await).await;
    assert!(digits.is_some(), "asked after all");
    world.agent.stop().await;
}

#[tokio::test]
async fn what_cannot_be_opened_is_refused_and_nothing_is_opened() {
    let (world, opened) = world().await;
    let client = TestClient::hello(&world.settings.control).await;
    let origin = world.server.issuer.origin();
    for (url, code) in [
        ("file:///etc/passwd".to_owned(), "not_a_page"),
        ("https://elsewhere.example/".to_owned(), "unknown_origin"),
        (format!("{origin}.evil.example/"), "not_a_page"),
        (origin.as_str().replace("http://", "http://user@"), "not_a_page"),
    ] {
        assert_eq!(client.code("pages.open", json!({ "url": url })).await, code, "{url}");
    }
    world.agent.handle.set_presence(&world.account, PresenceState::Locked).expect("locked");
    assert_eq!(client.code("pages.open", json!({ "url": origin })).await, "signed_out");
    world.agent.handle.sign_out(&world.account).expect("signed out");
    assert_eq!(client.code("pages.open", json!({ "url": origin })).await, "signed_out");
    assert_eq!(*opened.0.lock().expect("unpoisoned"), Vec::<String>::new());
    world.agent.stop().await;
}
