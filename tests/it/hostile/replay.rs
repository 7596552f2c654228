//! A login token a second time (inputs 130 to 133), in another's browser, or at the same moment sixty-four times.

use std::sync::Arc;

use loopkey::crypto::Algorithm;
use loopkey::protocol::time::UnixMillis;
use loopkey::store::{SharedStore, StoreUrl};
use loopkey::verify::mark::MarkError;
use serde_json::json;

use super::forge::Case;
use super::token::twin;
use crate::login::browser::{Browser, PRE_LOGIN, SESSION};
use crate::login::device::{Device, read};
use crate::login::failing::FailingStore;
use crate::login::{NOW, ORIGIN, Server, clock};

/// Every way to spend a spent challenge again, by the very browser that spent it.
async fn refuses_a_second_time(case: &mut Case, token: &str) {
    let subject = case.device.subject.clone();
    let before = case.browser.cookies.clone();
    assert_eq!(case.browser.login(&case.challenge, token, subject.as_str()).await.status, 204);
    let session = case.browser.cookies[SESSION].clone();
    case.browser.cookies = before;
    case.refuses("the same token", token).await;
    case.refuses("the twin of its signature", &twin(token)).await;
    let another = case.device.token(&case.challenge);
    case.refuses("another token for the same challenge", &another).await;
    let other_device = Device::enrol(&case.server, "ada").await;
    let elsewhere = other_device.token(&case.challenge);
    case.refuses("another device's token for the same challenge", &elsewhere).await;
    // None of it touched the session of the first.
    case.browser.cookies = [(SESSION.to_owned(), session)].into();
    assert!(case.browser.is_signed_in().await);
}

#[tokio::test]
async fn a16_a_token_is_redeemed_once() {
    let mut case = Case::new().await;
    let token = case.device.token(&case.challenge);
    refuses_a_second_time(&mut case, &token).await;
}

#[tokio::test]
async fn i130_a_replay_until_the_last_second_of_the_challenge() {
    let mut case = Case::new().await;
    let token = case.device.token_with(&case.challenge, |login| {
        login.iat = login.iat.plus(120);
        login.exp = login.iat.plus(300);
    });
    let cookies = case.browser.cookies.clone();
    refuses_a_second_time(&mut case, &token).await;
    case.browser.cookies = cookies;
    // The mark outlives the challenge: there is no second between in which neither refuses.
    let (challenge, store) = (read(&case.challenge), Arc::clone(&case.server.store));
    for second in [419, 420, 421, 479] {
        case.server.clock.set_wall(UnixMillis((NOW + second) * 1000));
        case.refuses(&format!("after {second} s"), &token).await;
        let again = store.mark(&challenge.jti, &challenge.inc, challenge.iat.plus(480)).await;
        assert_eq!(again.err(), Some(MarkError::Used), "after {second} s");
    }
}

/// Login servers on one store, as behind a balancer.
async fn replicas(store: &SharedStore, number: usize) -> Vec<Server> {
    let mut servers = Vec::new();
    for _ in 0..number {
        servers.push(Server::start_with(Arc::clone(store), clock()).await);
    }
    servers
}

/// Sixty-four posts for one challenge at once, spread over the servers. The statuses, sorted.
async fn race(servers: &[Server], browser: &Browser, challenge: &str, tokens: &[String], subject: &str) -> Vec<u16> {
    let barrier = Arc::new(tokio::sync::Barrier::new(64));
    let posts: Vec<_> = (0..64)
        .map(|number| {
            let mut racer = Browser::new(servers[number % servers.len()].address, ORIGIN);
            racer.cookies = browser.cookies.clone();
            let (challenge, token) = (challenge.to_owned(), tokens[number % tokens.len()].clone());
            let (subject, barrier) = (subject.to_owned(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                racer.login(&challenge, &token, &subject).await.status
            })
        })
        .collect();
    let mut statuses = Vec::new();
    for post in posts {
        statuses.push(post.await.expect("no panic"));
    }
    statuses.sort_unstable();
    statuses
}

async fn one_of_sixty_four(servers: &[Server], algorithm: Algorithm) {
    let device = Device::enrol_with(&servers[0], "ada", algorithm).await;
    // Each of them redeems what the first one has issued, so that none refuses for another reason.
    for server in servers {
        let mut browser = servers[0].browser();
        let challenge = browser.challenge().await;
        let mut there = server.browser();
        there.cookies = browser.cookies;
        assert_eq!(there.login(&challenge, &device.token(&challenge), device.subject.as_str()).await.status, 204);
    }
    let mut browser = servers[0].browser();
    let challenge = browser.challenge().await;
    let first = device.token(&challenge);
    let mut tokens = vec![first.clone(), device.token(&challenge), device.token(&challenge)];
    if algorithm == Algorithm::Es256 {
        tokens.push(twin(&first));
    }
    let statuses = race(servers, &browser, &challenge, &tokens, device.subject.as_str()).await;
    assert_eq!(statuses[0], 204, "one signs in");
    assert_eq!(statuses[1..], [401; 63], "and nobody else does");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn i131_sixty_four_replays_at_once_over_three_servers() {
    let folder = tempfile::tempdir().expect("folder");
    let url = StoreUrl::Embedded(folder.path().join("store"));
    let store = loopkey::store::open(&url, clock()).await.expect("store");
    one_of_sixty_four(&replicas(&store, 3).await, Algorithm::Ed25519).await;
}

/// What reads whether a token was used and then says that it was lets all of these in. On every engine.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a17_no_gap_between_looking_and_marking() {
    let folder = tempfile::tempdir().expect("folder");
    // A store in memory keeps no challenge key that a second server could share.
    for (url, servers) in [(StoreUrl::Memory, 1), (StoreUrl::Embedded(folder.path().join("store")), 3)] {
        let store = loopkey::store::open(&url, clock()).await.expect("store");
        one_of_sixty_four(&replicas(&store, servers).await, Algorithm::Es256).await;
    }
}

/// The store comes back without its marks, as after a failover: neither the spent token nor an unspent one of before.
#[tokio::test]
async fn i132_a_replay_after_the_store_lost_its_memory() {
    let (folder, clock) = (tempfile::tempdir().expect("folder"), clock());
    let url = StoreUrl::Embedded(folder.path().join("store"));
    let open = async || loopkey::store::open(&url, clock.clone()).await.expect("store");
    let server = Server::start_with(open().await, clock.clone()).await;
    let device = Device::enrol(&server, "ada").await;
    let (mut spender, mut saver) = (server.browser(), server.browser());
    let (spent, saved) = (spender.challenge().await, saver.challenge().await);
    let (spent_token, saved_token) = (device.token(&spent), device.token(&saved));
    let cookies = spender.cookies.clone();
    assert_eq!(spender.login(&spent, &spent_token, device.subject.as_str()).await.status, 204);
    server.stop().await;

    let server = Server::start_with(open().await, clock.clone()).await;
    for (before, challenge, token) in [(&cookies, &spent, &spent_token), (&saver.cookies, &saved, &saved_token)] {
        let mut browser = server.browser();
        browser.cookies = before.clone();
        for _ in 0..2 {
            let answer = browser.login(challenge, token, device.subject.as_str()).await;
            answer.expect_error(409, "stale_challenge");
            assert_eq!(answer.all("set-cookie").count(), 0);
        }
        // Nobody without the browser's own cookie even learns that the store is another one.
        let mut thief = server.browser();
        thief.challenge().await;
        thief.login(challenge, token, device.subject.as_str()).await.expect_error(401, "invalid_token");
        assert!(!browser.is_signed_in().await);
        device.signs_in(&mut browser).await;
    }
}

#[tokio::test]
async fn i133_the_store_down() {
    let clock = clock();
    let store = FailingStore::over(loopkey::store::open(&StoreUrl::Memory, clock.clone()).await.expect("store"));
    let server = Server::start_with(store.clone(), clock).await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    let challenge = browser.challenge().await;
    let token = device.token(&challenge);
    for operation in ["device", "mark"] {
        store.fail(operation);
        for _ in 0..2 {
            let answer = browser.login(&challenge, &token, device.subject.as_str()).await;
            answer.expect_error(503, "unavailable");
            assert_eq!(answer.all("set-cookie").count(), 0, "{operation}");
        }
        store.recover();
        assert!(!browser.is_signed_in().await, "{operation}");
    }
    // A store that is down is no oracle: without the right cookie it is the one refusal still.
    store.fail("mark");
    let mut thief = server.browser();
    thief.challenge().await;
    thief.login(&challenge, &token, device.subject.as_str()).await.expect_error(401, "invalid_token");
    store.recover();
    // The mark is taken and the session is not opened: nobody knows, so nobody is in, and the token stays spent.
    store.fail("open_session");
    browser.login(&challenge, &token, device.subject.as_str()).await.expect_error(503, "unavailable");
    store.recover();
    browser.login(&challenge, &token, device.subject.as_str()).await.expect_error(401, "invalid_token");
    assert!(!browser.is_signed_in().await);
    device.signs_in(&mut browser).await;
}

/// Login CSRF: an attacker signs the victim's browser in to the attacker's own account.
#[tokio::test]
async fn a18_nobody_is_signed_in_to_somebody_elses_account() {
    let server = Server::start().await;
    let mallory = Device::enrol(&server, "mallory").await;
    let ada = Device::enrol(&server, "ada").await;
    let (mut attacker, mut victim) = (server.browser(), server.browser());
    let sound = attacker.challenge().await;
    let token = mallory.token(&sound);
    let own = victim.challenge().await;
    // Valid in the attacker's browser, and in no other.
    victim.login(&sound, &token, mallory.subject.as_str()).await.expect_error(401, "invalid_token");
    server.browser().login(&sound, &token, mallory.subject.as_str()).await.expect_error(401, "invalid_token");
    // An impostor on the agent's port answers the victim's own challenge for its own account. That is a sound token;
    // the page posts the person on the card that was clicked with it.
    let posing = mallory.token(&own);
    victim.login(&own, &posing, ada.subject.as_str()).await.expect_error(401, "invalid_token");
    // Nor for the victim's name with the impostor's key.
    let forged = mallory.token_with(&own, |login| login.sub = ada.subject.clone());
    victim.login(&own, &forged, ada.subject.as_str()).await.expect_error(401, "invalid_token");
    assert!(!victim.is_signed_in().await);

    // A form on the attacker's page has neither the origin nor the content type.
    let body = json!({"challenge": sound, "token": token, "subject": mallory.subject.as_str()});
    let cookie = format!("{PRE_LOGIN}={}", attacker.cookies[PRE_LOGIN]);
    let post = || super::login_http::bare("POST", "/v1/login").header("Cookie", &cookie);
    let evil = post().header("Origin", "https://evil.example.com").json(&body);
    evil.send(server.address).await.expect_error(403, "forbidden");
    post().json(&body).send(server.address).await.expect_error(403, "forbidden");
    let form = post().header("Origin", ORIGIN).header("Content-Type", "text/plain").body(body.to_string());
    form.send(server.address).await.expect_error(415, "unsupported_media_type");

    // Nothing of it burnt either challenge.
    assert_eq!(attacker.login(&sound, &token, mallory.subject.as_str()).await.status, 204);
    assert_eq!(victim.login(&own, &ada.token(&own), ada.subject.as_str()).await.status, 204);
    assert_eq!(victim.get("/v1/session").await.json()["account"], "ada");
}
