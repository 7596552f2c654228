//! `POST /v1/login`: one token, one browser, once; and one answer to everything else.

use std::sync::Arc;
use std::time::Duration;

use loopkey::crypto::Algorithm;
use loopkey::protocol::id::Epoch;
use loopkey::protocol::state::PresenceState;
use loopkey::protocol::statement::UserVerification;
use loopkey::store::{AccountChange, StoreUrl};
use serde_json::json;

use super::browser::{PRE_LOGIN, SESSION};
use super::device::{Device, read};
use super::failing::FailingStore;
use super::http::Answer;
use super::{Server, clock};

#[tokio::test]
async fn a_token_of_either_algorithm_signs_in() {
    let server = Server::start().await;
    for algorithm in [Algorithm::Es256, Algorithm::Ed25519] {
        let device = Device::enrol_with(&server, "ada", algorithm).await;
        let mut browser = server.browser();
        let challenge = browser.challenge().await;
        let answer = browser.login(&challenge, &device.token(&challenge), device.subject.as_str()).await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
        assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), [SESSION], "the pre-login cookie is gone");
        let session = browser.get("/v1/session").await.json();
        assert_eq!((&session["account"], &session["device"]), (&json!("ada"), &json!(device.id())));
    }
}

/// Everything that can be wrong with a token, as a browser of its own posts it.
async fn refusals(server: &Server) -> Vec<(&'static str, Answer)> {
    let device = Device::enrol(server, "ada").await;
    let subject = device.subject.as_str();
    let mut answers = Vec::new();

    let mut browser = server.browser();
    let challenge = browser.challenge().await;
    let (token, cookie) = (device.token(&challenge), browser.cookies[PRE_LOGIN].clone());
    assert_eq!(browser.login(&challenge, &token, subject).await.status, 204);
    browser.cookies.remove(SESSION);
    browser.cookies.insert(PRE_LOGIN.into(), cookie);
    answers.push(("a spent token", browser.login(&challenge, &token, subject).await));
    answers.push(("a second token for a spent challenge", {
        let second = device.token(&challenge);
        browser.login(&challenge, &second, subject).await
    }));

    let mut victim = server.browser();
    let challenge = victim.challenge().await;
    let token = device.token(&challenge);
    let mut thief = server.browser();
    thief.challenge().await;
    answers.push(("another browser's token", thief.login(&challenge, &token, subject).await));
    let mut stranger = server.browser();
    answers.push(("no cookie", stranger.login(&challenge, &token, subject).await));
    let two = format!("{PRE_LOGIN}={0}; {PRE_LOGIN}={0}", victim.cookies[PRE_LOGIN]);
    let body = json!({"challenge": challenge, "token": token, "subject": subject});
    let call = server.browser().call("POST", "/v1/login").header("Cookie", &two).json(&body);
    answers.push(("two cookies of one name", call.send(server.address).await));
    answers.push(("another person's card", victim.login(&challenge, &token, "somebody-else").await));
    answers.push(("a subject that is none", victim.login(&challenge, &token, "").await));
    let foreign = device.token_with(&challenge, |t| t.org = "https://evil.example.com".parse().expect("origin"));
    answers.push(("a token for another origin", victim.login(&challenge, &foreign, subject).await));
    let elsewhere = device.token_with(&challenge, |t| {
        t.aud = "https://evil.example.com".parse::<loopkey::protocol::issuer::Issuer>().expect("issuer").login_url();
    });
    answers.push(("a token for another server", victim.login(&challenge, &elsewhere, subject).await));
    let proof = device.proof(&challenge, PresenceState::SignedIn);
    answers.push(("a presence proof", victim.login(&challenge, &proof, subject).await));
    answers.push(("the challenge itself", victim.login(&challenge, &challenge, subject).await));
    answers.push(("no token", victim.login(&challenge, "", subject).await));
    answers.push(("no challenge", victim.login("", &token, subject).await));
    let mut unknown = Device::enrol(server, "lin").await;
    unknown.key = loopkey::crypto::SoftwareKey::generate(Algorithm::Es256).expect("key").0;
    answers.push(("an unknown key", victim.login(&challenge, &unknown.token(&challenge), subject).await));
    let somebody = Device::enrol(server, "lin").await;
    let posing = somebody.token_with(&challenge, |t| t.sub = device.subject.clone());
    answers.push(("another person's device", victim.login(&challenge, &posing, subject).await));
    let stale = {
        let device = Device::enrol(server, "ada").await;
        assert_eq!(device.signs_out(server, 3).await.status, 204);
        device.token_with(&challenge, |t| t.epo = Epoch(2))
    };
    answers.push(("an epoch from before a sign-out", victim.login(&challenge, &stale, subject).await));
    let os = AccountChange { minimum_uv: Some(UserVerification::Os), ..AccountChange::default() };
    server.store.change_account(&"ada".parse().expect("account"), os).await.expect("store");
    answers.push(("less than the policy asks", victim.login(&challenge, &token, subject).await));
    let none = AccountChange { minimum_uv: Some(UserVerification::Page), ..AccountChange::default() };
    server.store.change_account(&"ada".parse().expect("account"), none).await.expect("store");

    assert_eq!(victim.login(&challenge, &token, subject).await.status, 204, "none of these burnt the challenge");

    let mut late = server.browser();
    let challenge = late.challenge().await;
    server.clock.advance(Duration::from_secs(301));
    answers.push(("a second late", late.login(&challenge, &device.token(&challenge), subject).await));
    server.clock.advance(Duration::from_secs(120));
    let renewed = device.token_with(&challenge, |t| {
        t.iat = t.iat.plus(200);
        t.exp = t.iat.plus(300);
    });
    answers.push(("a challenge of 421 s ago", late.login(&challenge, &renewed, subject).await));
    answers
}

#[tokio::test]
async fn every_fault_of_a_token_is_the_same_answer_byte_for_byte() {
    let server = Server::start().await;
    let answers = refusals(&server).await;
    let (_, first) = &answers[0];
    first.expect_error(401, "invalid_token");
    assert_eq!(first.all("set-cookie").count(), 0, "no cookie changes");
    for (what, answer) in &answers {
        assert_eq!(answer.clone().undated(), first.clone().undated(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_sixty_four_posts_of_a_token_signs_in() {
    let server = Server::start().await;
    let device = Arc::new(Device::enrol(&server, "ada").await);
    let mut browser = server.browser();
    let challenge = browser.challenge().await;
    let token = device.token(&challenge);
    let posts: Vec<_> = (0..64)
        .map(|n| {
            let (mut browser, challenge, device) = (browser.clone(), challenge.clone(), Arc::clone(&device));
            // Half of them with a token of their own for the same challenge.
            let token = if n % 2 == 0 { token.clone() } else { device.token(&challenge) };
            tokio::spawn(async move { browser.login(&challenge, &token, device.subject.as_str()).await.status })
        })
        .collect();
    let mut statuses = Vec::new();
    for post in posts {
        statuses.push(post.await.expect("no panic"));
    }
    statuses.sort_unstable();
    assert_eq!(statuses[0], 204);
    assert!(statuses[1..].iter().all(|status| *status == 401), "{statuses:?}");
}

#[tokio::test]
async fn another_life_of_the_store_asks_for_a_new_challenge() {
    let (folder, clock) = (tempfile::tempdir().expect("folder"), clock());
    let url = StoreUrl::Embedded(folder.path().join("store"));
    let open = async || loopkey::store::open(&url, clock.clone()).await.expect("store");
    let server = Server::start_with(open().await, clock.clone()).await;
    let device = Device::enrol(&server, "ada").await;
    let mut before = server.browser();
    let challenge = before.challenge().await;
    let (token, cookies) = (device.token(&challenge), before.cookies.clone());
    assert_eq!(before.login(&challenge, &token, device.subject.as_str()).await.status, 204);
    server.stop().await;

    let server = Server::start_with(open().await, clock.clone()).await;
    let mut after = server.browser();
    after.cookies = cookies.clone();
    let stale = after.login(&challenge, &token, device.subject.as_str()).await;
    stale.expect_error(409, "stale_challenge");
    assert_eq!(after.cookies, cookies, "no cookie changes");
    device.signs_in(&mut after).await;
    assert_ne!(read(&challenge).inc, server.store.incarnation().await.expect("store"));
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_never_a_login() {
    let clock = clock();
    let inner = loopkey::store::open(&StoreUrl::Memory, clock.clone()).await.expect("store");
    let store = FailingStore::over(inner);
    let server = Server::start_with(store.clone(), clock).await;
    let device = Device::enrol(&server, "ada").await;
    for operation in ["device", "mark", "open_session"] {
        let mut browser = server.browser();
        let challenge = browser.challenge().await;
        store.fail(operation);
        let answer = browser.login(&challenge, &device.token(&challenge), device.subject.as_str()).await;
        answer.expect_error(503, "unavailable");
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(answer.all("set-cookie").count(), 0, "{operation}");
        store.recover();
    }
    store.fail("incarnation");
    server.browser().post("/v1/challenge", json!({})).await.expect_error(503, "unavailable");
    store.fail("use_session");
    let mut browser = server.browser();
    device
        .signs_in(&mut {
            store.recover();
            browser.clone()
        })
        .await;
    browser.cookies.insert(SESSION.into(), "A".repeat(43));
    store.fail("use_session");
    browser.get("/v1/session").await.expect_error(503, "unavailable");
}

#[tokio::test]
async fn a_higher_epoch_in_a_token_ends_the_sessions_before_it() {
    let server = Server::start().await;
    let mut device = Device::enrol(&server, "ada").await;
    let (mut old, mut new) = (server.browser(), server.browser());
    device.signs_in(&mut old).await;
    let stream = old.events().await;
    device.epoch = Epoch(2);
    device.signs_in(&mut new).await;
    assert!(stream.rest().await.contains(r#"{"reason":"signed_out"}"#));
    assert!(!old.is_signed_in().await && new.is_signed_in().await);
}

#[tokio::test]
async fn signing_in_again_replaces_the_browsers_session() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    device.signs_in(&mut browser).await;
    let mut former = browser.clone();
    device.signs_in(&mut browser).await;
    assert_ne!(former.cookies[SESSION], browser.cookies[SESSION]);
    assert!(!former.is_signed_in().await && browser.is_signed_in().await);
}
