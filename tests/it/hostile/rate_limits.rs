//! 429 of the login server: each limit bites where it should, gives way in time, concerns nobody else, and is one answer.

use std::time::Duration;

use loopkey::crypto::{Algorithm, SoftwareKey};
use loopkey::login::RateLimits;
use loopkey::protocol::state::PresenceState;
use loopkey::protocol::statement::sign;
use serde_json::json;

use crate::login::browser::Browser;
use crate::login::device::{Device, enrolment, ticket};
use crate::login::http::{Answer, Call};
use crate::login::{ORIGIN, SERVICE_KEY, Server, no_limits};

const FORWARDED: &str = "X-Forwarded-For";

/// Everything that leaves with a refusal of this kind. The same whatever was exceeded, and by whom.
fn expect_429(answer: &Answer) {
    answer.expect_error(429, "too_many_requests");
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert_eq!(answer.all("set-cookie").count(), 0);
    let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.retain(|name| !name.starts_with("access-control-") && *name != "date");
    names.sort_unstable();
    let usual = ["cache-control", "connection", "content-length", "content-type", "cross-origin-resource-policy"];
    assert_eq!(names, [&usual[..], &["retry-after", "vary", "x-content-type-options"]].concat());
}

/// A server behind a proxy on this computer, where an address may call four times in a minute.
async fn behind_a_proxy() -> Server {
    let trusted_proxies = vec!["127.0.0.1".parse().expect("a network"), "10.0.0.0/8".parse().expect("a network")];
    Server::start_limited(RateLimits { address_per_minute: 4, trusted_proxies, ..no_limits() }).await
}

async fn challenge_for(server: &Server, forwarded: &[&str]) -> Answer {
    let mut call = server.browser().call("POST", "/v1/challenge");
    for line in forwarded {
        call = call.header(FORWARDED, line);
    }
    call.json(&json!({})).send(server.address).await
}

#[tokio::test]
async fn i144_429_per_address_and_the_limit_gives_way_in_time() {
    let server = Server::start_limited(RateLimits { address_per_minute: 4, ..no_limits() }).await;
    let mut browser = server.browser();
    for _ in 0..2 {
        let challenge = browser.challenge().await;
        browser.login(&challenge, "no token", "nobody").await.expect_error(401, "invalid_token");
    }
    expect_429(&browser.post("/v1/challenge", json!({})).await);
    expect_429(&browser.post("/v1/presence", json!({"challenge": "x", "proof": "x"})).await);
    expect_429(&browser.login("x", "x", "x").await);
    assert_eq!(browser.get("/v1/session").await.status, 401, "reads are not counted");
    assert_eq!(Call::new("GET", "/healthz").send(server.address).await.status, 200);
    server.clock.advance(Duration::from_secs(15));
    browser.challenge().await;
    expect_429(&browser.post("/v1/challenge", json!({})).await);
}

/// A visitor's browser, on any page of the world, must not spend what everybody at that address may do.
#[tokio::test]
async fn i144_what_foreign_pages_send_is_not_counted() {
    let server = Server::start_limited(RateLimits { address_per_minute: 2, ..no_limits() }).await;
    let mut foreign = Browser::new(server.address, "https://evil.example");
    for _ in 0..9 {
        foreign.post("/v1/challenge", json!({})).await.expect_error(403, "forbidden");
        let cross = server.browser().call("POST", "/v1/challenge").header("Sec-Fetch-Site", "cross-site");
        assert_eq!(cross.json(&json!({})).send(server.address).await.status, 403);
        for path in ["/v1/devices", "/v1/sign-outs", "/v1/enrolment-tickets"] {
            foreign.post(path, json!({})).await.expect_error(403, "forbidden");
        }
    }
    server.browser().challenge().await;
    server.machine("POST", "/v1/sign-outs", json!({"statement": "x"})).await.expect_error(401, "invalid_statement");
}

#[tokio::test]
async fn i144_429_for_enrolments_and_sign_outs_apart_from_pages() {
    let server = Server::start_limited(RateLimits { address_per_minute: 3, ..no_limits() }).await;
    for _ in 0..2 {
        let answer = server.machine("POST", "/v1/devices", json!({"enrolment": "x"})).await;
        answer.expect_error(401, "invalid_enrolment");
    }
    server.machine("POST", "/v1/sign-outs", json!({"statement": "x"})).await.expect_error(401, "invalid_statement");
    expect_429(&server.machine("POST", "/v1/devices", json!({"enrolment": "x"})).await);
    expect_429(&server.machine("POST", "/v1/sign-outs", json!({"statement": "x"})).await);
    server.browser().challenge().await;
    ticket(&server, "ada").await;
}

/// Many devices of one account are one person, or one thief of all of them.
#[tokio::test]
async fn i144_429_per_account_whichever_device_it_is() {
    let server = Server::start_limited(RateLimits { account_per_minute: 3, ..no_limits() }).await;
    let devices = [Device::enrol(&server, "ada").await, Device::enrol(&server, "ada").await];
    let mut browser = server.browser();
    let prove = async |browser: &mut Browser, device: &Device| {
        let challenge = browser.challenge().await;
        let proof = device.proof(&challenge, PresenceState::SignedIn);
        browser.post("/v1/presence", json!({"challenge": challenge, "proof": proof})).await
    };
    for round in 0..3 {
        assert_eq!(prove(&mut browser, &devices[round % 2]).await.status, 200);
    }
    expect_429(&prove(&mut browser, &devices[0]).await);
    expect_429(&prove(&mut browser, &devices[1]).await);
    let sam = Device::enrol(&server, "sam").await;
    assert_eq!(prove(&mut browser, &sam).await.status, 200, "nobody else is concerned");
    server.clock.advance(Duration::from_secs(20));
    assert_eq!(prove(&mut browser, &devices[1]).await.status, 200);
}

#[tokio::test]
async fn i144_429_per_device_only_for_what_is_sound() {
    let server = Server::start_limited(RateLimits { device_per_minute: 3, ..no_limits() }).await;
    let (ada, sam) = (Device::enrol(&server, "ada").await, Device::enrol(&server, "sam").await);
    let mut browser = server.browser();
    // A thief has a sound proof and token of hers, and not her browser's cookie.
    let challenge = browser.challenge().await;
    let (proof, token) = (ada.proof(&challenge, PresenceState::SignedIn), ada.token(&challenge));
    for _ in 0..5 {
        let mut thief = server.browser();
        let stolen = thief.post("/v1/presence", json!({"challenge": challenge, "proof": proof})).await;
        stolen.expect_error(401, "invalid_proof");
        thief.login(&challenge, &token, ada.subject.as_str()).await.expect_error(401, "invalid_token");
    }
    for _ in 0..3 {
        let challenge = browser.challenge().await;
        let proof = ada.proof(&challenge, PresenceState::SignedIn);
        assert_eq!(browser.post("/v1/presence", json!({"challenge": challenge, "proof": proof})).await.status, 200);
    }
    expect_429(&browser.post("/v1/presence", json!({"challenge": challenge, "proof": proof})).await);
    let late = browser.challenge().await;
    let token = ada.token(&late);
    expect_429(&browser.login(&late, &token, ada.subject.as_str()).await);
    sam.signs_in(&mut server.browser()).await;
    assert_eq!(ada.signs_out(&server, 1).await.status, 204, "a sign-out does not wait for proofs");
    let ada = Device { epoch: loopkey::protocol::id::Epoch(1), ..ada };
    server.clock.advance(Duration::from_secs(20));
    let token = ada.token(&late);
    assert_eq!(browser.login(&late, &token, ada.subject.as_str()).await.status, 204, "the challenge was not used up");
}

#[tokio::test]
async fn i144_429_per_challenge_only_for_what_is_sound() {
    let server = Server::start_limited(RateLimits { challenge_per_minute: 2, ..no_limits() }).await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    let challenge = browser.challenge().await;
    let post = json!({"challenge": challenge, "proof": device.proof(&challenge, PresenceState::SignedIn)});
    for _ in 0..5 {
        server.browser().post("/v1/presence", post.clone()).await.expect_error(401, "invalid_proof");
    }
    for _ in 0..2 {
        assert_eq!(browser.post("/v1/presence", post.clone()).await.status, 200);
    }
    expect_429(&browser.post("/v1/presence", post).await);
    expect_429(&browser.login(&challenge, &device.token(&challenge), device.subject.as_str()).await);
    device.signs_in(&mut browser).await;
}

#[tokio::test]
async fn i144_429_for_a_devices_sign_outs_only_for_what_is_sound() {
    let server = Server::start_limited(RateLimits { device_per_minute: 2, ..no_limits() }).await;
    let (ada, sam) = (Device::enrol(&server, "ada").await, Device::enrol(&server, "sam").await);
    let (stranger, _) = SoftwareKey::generate(Algorithm::Es256).expect("a key");
    let forged = Device { key: stranger, issuer: ada.issuer.clone(), subject: ada.subject.clone(), epoch: ada.epoch };
    for _ in 0..5 {
        forged.signs_out(&server, 9).await.expect_error(401, "invalid_statement");
    }
    for epoch in 1..=2 {
        assert_eq!(ada.signs_out(&server, epoch).await.status, 204);
    }
    expect_429(&ada.signs_out(&server, 3).await);
    assert_eq!(sam.signs_out(&server, 1).await.status, 204);
    server.clock.advance(Duration::from_secs(30));
    assert_eq!(ada.signs_out(&server, 3).await.status, 204, "the agent delivers it later");
}

#[tokio::test]
async fn i144_a_service_key_is_not_guessed_at_leisure() {
    let server = Server::start_limited(RateLimits { wrong_keys_per_minute: 3, ..no_limits() }).await;
    let guess = async |key: &str| {
        let call = Call::new("POST", "/v1/enrolment-tickets").header("Authorization", &format!("Bearer {key}"));
        call.json(&json!({"account": "ada", "name": "Ada"})).send(server.address).await
    };
    for _ in 0..9 {
        assert_eq!(guess(SERVICE_KEY).await.status, 201, "right ones are not counted");
    }
    for _ in 0..3 {
        guess("a wrong key of some length").await.expect_error(401, "unauthorized");
    }
    expect_429(&guess("a wrong key of some length").await);
    assert_eq!(guess(SERVICE_KEY).await.status, 201, "the backend is not locked out");
    server.clock.advance(Duration::from_secs(20));
    guess("a wrong key of some length").await.expect_error(401, "unauthorized");
    expect_429(&guess("a wrong key of some length").await);
}

#[tokio::test]
async fn i144_behind_a_trusted_proxy_each_client_has_its_own_limit() {
    let server = behind_a_proxy().await;
    for _ in 0..4 {
        assert_eq!(challenge_for(&server, &["203.0.113.9"]).await.status, 200);
    }
    expect_429(&challenge_for(&server, &["203.0.113.9"]).await);
    expect_429(&challenge_for(&server, &["203.0.113.9", "10.1.2.3"]).await);
    // What a client writes itself stands before what the proxy appends, and counts for nothing.
    expect_429(&challenge_for(&server, &["198.51.100.7, 203.0.113.9"]).await);
    expect_429(&challenge_for(&server, &["198.51.100.7", "203.0.113.9"]).await);
    assert_eq!(challenge_for(&server, &["198.51.100.7"]).await.status, 200);
    assert_eq!(challenge_for(&server, &["203.0.113.9, 198.51.100.7"]).await.status, 200);
}

#[tokio::test]
async fn i144_a_header_of_anybody_else_moves_no_limit() {
    let server = Server::start_limited(RateLimits { address_per_minute: 4, ..no_limits() }).await;
    for client in 1..=4 {
        assert_eq!(challenge_for(&server, &[&format!("198.51.100.{client}")]).await.status, 200);
    }
    expect_429(&challenge_for(&server, &["198.51.100.5"]).await);
    expect_429(&challenge_for(&server, &[]).await);
}

/// Tokens and their absence, wrong and right: over the limit nobody can tell one from another.
#[tokio::test]
async fn i144_the_answer_over_the_limit_tells_nothing() {
    let server = Server::start_limited(RateLimits { address_per_minute: 5, ..no_limits() }).await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    let challenge = browser.challenge().await;
    let token = device.token(&challenge);
    for _ in 0..4 {
        browser.challenge().await;
    }
    let right = browser.login(&challenge, &token, device.subject.as_str()).await.undated();
    expect_429(&right);
    let wrong = browser.login("x", "y", "z").await.undated();
    assert_eq!(right, wrong);
    let stranger = server.browser().login(&challenge, &token, "z").await.undated();
    assert_eq!(right, stranger);
    let proof = browser.post("/v1/presence", json!({"challenge": challenge, "proof": token})).await.undated();
    assert_eq!(right, proof);
    assert_eq!(right.header("access-control-expose-headers"), Some("retry-after"));
    assert_eq!(right.header("access-control-allow-origin"), Some(ORIGIN));
}

/// Enrolments are costly for whoever makes them, and never counted for the device: it is not known yet.
#[tokio::test]
async fn i144_an_enrolment_is_counted_by_address() {
    let server = Server::start_limited(RateLimits { address_per_minute: 1, ..no_limits() }).await;
    let (key, _) = SoftwareKey::generate(Algorithm::Es256).expect("a key");
    let signed = sign(&enrolment(&key, ticket(&server, "ada").await), &key).expect("E");
    server.machine("POST", "/v1/devices", json!({"enrolment": "x"})).await.expect_error(401, "invalid_enrolment");
    expect_429(&server.machine("POST", "/v1/devices", json!({"enrolment": signed})).await);
    server.clock.advance(Duration::from_secs(60));
    let late = server.machine("POST", "/v1/devices", json!({"enrolment": signed})).await;
    assert_eq!(late.status, 201, "the ticket was not used up: {late:?}");
}
