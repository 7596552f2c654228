//! Pages that the person opens from the client: signed in without a further prompt, once.

use std::sync::{Arc, Mutex};

use loopkey::agent::Browser;
use loopkey::protocol::message::AgentMessage;
use loopkey::protocol::page::OpenWith;
use loopkey::protocol::state::PresenceState;
use serde_json::{Value, json};

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

/// Asks for a token as a page with that mark, and says what comes of it.
async fn login(browser: &mut TestBrowser, page: &mut TestPage, mark: &str) -> (String, AgentMessage, bool) {
    let challenge = browser.challenge().await;
    let (_, message) = page.machine.login(challenge.clone());
    let mut message: Value = serde_json::from_str(&message.encode()).expect("JSON");
    message["mark"] = json!(mark);
    page.send(&message.to_string()).await;
    let mut asked = false;
    loop {
        match page.next().await.expect("an answer") {
            AgentMessage::Consent { .. } => asked = true,
            answer @ (AgentMessage::Token { .. } | AgentMessage::Refused { .. }) => return (challenge, answer, asked),
            _ => {}
        }
    }
}

/// The mark in the address that was opened last.
fn mark_in(opened: &Opened) -> String {
    let address = opened.0.lock().expect("unpoisoned").pop().expect("opened");
    address.split_once("#loopkey=").expect("a mark").1.to_owned()
}

/// The base64url of the SHA-256, as a page computes it.
fn hash_of(mark: &str) -> String {
    loopkey::protocol::base64url::encode(loopkey::crypto::sha256(&[mark.as_bytes()]))
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
    let shown = shown.expect("who answers is who opened the page");
    assert_eq!(shown, hash_of(&mark));
    let prompts = || world.asker.prompts.lock().expect("unpoisoned").len();
    // Another page of the origin sees the same, and has not got the mark.
    let (mut another, mut other_page, _) = arrive(&world).await;
    let (_, digits) = other_page.login(another.challenge().await).await;
    assert!(digits.is_some() && prompts() == 1, "another page is asked for");
    let (_, _, asked) = login(&mut another, &mut other_page, &shown).await;
    assert!(asked && prompts() == 2, "so is one that takes what it was shown for the mark");
    let (challenge, answer, asked) = login(&mut browser, &mut page, &mark).await;
    let AgentMessage::Token { token, .. } = answer else { panic!("{answer:?}") };
    assert_eq!((prompts(), asked), (2, false));
    let body = json!({ "challenge": challenge, "token": token, "subject": world.account });
    assert_eq!(browser.post("/v1/login", body).await.0, 204);
    let (_, _, asked) = login(&mut browser, &mut page, &mark).await;
    assert!(asked && prompts() == 3, "once");
    world.agent.stop().await;
}

#[tokio::test]
async fn a_pass_is_for_the_person_who_opened_the_page() {
    let (world, opened) = world().await;
    let client = TestClient::hello(&world.settings.control).await;
    let url = world.server.issuer.origin().to_string();
    client.ok("pages.open", json!({ "url": url })).await;
    crate::support::world::enrol(&world.server, &world.agent.handle, "bea").await;
    let (mut browser, mut page, shown) = arrive(&world).await;
    assert_eq!(shown, None, "somebody else is signed in");
    let (_, _, asked) = login(&mut browser, &mut page, &mark_in(&opened)).await;
    assert!(asked);
    client.ok("pages.open", json!({ "url": url })).await;
    let (mut browser, mut page, shown) = arrive(&world).await;
    assert!(shown.is_some());
    // The switch comes after the page was shown who opened it.
    world.agent.handle.set_presence(&world.account, PresenceState::SignedIn).expect("switched");
    assert!(matches!(page.next().await, Ok(AgentMessage::State { .. })));
    let (_, _, asked) = login(&mut browser, &mut page, &mark_in(&opened)).await;
    assert!(asked, "asked after all");
    world.agent.stop().await;
}

/// What the person takes back is gone, the pass of a page that is on its way too; and where each sign-in is to be asked for,
/// opening a page is no answer.
#[tokio::test]
async fn a_pass_ends_with_a_revocation_and_a_stricter_choice() {
    let (world, opened) = world().await;
    let client = TestClient::hello(&world.settings.control).await;
    let origin = world.server.issuer.origin();
    client.ok("pages.open", json!({ "url": origin })).await;
    client.ok("grants.revoke", json!({ "origin": origin })).await;
    let (mut browser, mut page, shown) = arrive(&world).await;
    assert_eq!(shown, None);
    let (_, _, asked) = login(&mut browser, &mut page, &mark_in(&opened)).await;
    assert!(asked, "revoked");
    client.ok("grants.set", json!({ "origin": origin, "consent": "always" })).await;
    client.ok("pages.open", json!({ "url": origin })).await;
    let (_, _, asked) = login(&mut browser, &mut page, &mark_in(&opened)).await;
    assert!(asked, "always");
    world.agent.stop().await;
}

/// Has no browser to start.
struct Broken;

impl Browser for Broken {
    fn open(&self, _: &str) -> std::io::Result<()> {
        Err(std::io::ErrorKind::NotFound.into())
    }
}

#[tokio::test]
async fn where_no_browser_starts_nothing_stays_open() {
    let world = World::built(|_| {}, |builder| builder.browser(Arc::new(Broken))).await;
    let client = TestClient::hello(&world.settings.control).await;
    let url = world.server.issuer.origin();
    assert_eq!(client.code("pages.open", json!({ "url": url })).await, "no_browser");
    assert_eq!(arrive(&world).await.2, None);
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
