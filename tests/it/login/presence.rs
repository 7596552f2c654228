//! `POST /v1/presence`.

use std::time::Duration;

use loopkey::protocol::id::Epoch;
use loopkey::protocol::state::PresenceState;
use serde_json::{Value, json};

use super::Server;
use super::browser::Browser;
use super::device::Device;
use super::http::Answer;

async fn prove(browser: &mut Browser, challenge: &str, proof: &str) -> Answer {
    browser.post("/v1/presence", json!({"challenge": challenge, "proof": proof})).await
}

#[tokio::test]
async fn a_proof_says_who_it_is_as_often_as_it_is_asked() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    let challenge = browser.challenge().await;
    let proof = device.proof(&challenge, PresenceState::Away);
    for _ in 0..2 {
        let answer = prove(&mut browser, &challenge, &proof).await;
        let account = json!({"subject": device.subject.as_str(), "name": "ada", "avatar": Value::Null});
        assert_eq!((answer.status, answer.json()), (200, json!({"presence": "away", "account": account})));
    }
    let answer = browser.login(&challenge, &device.token(&challenge), device.subject.as_str()).await;
    assert_eq!(answer.status, 204, "nothing was marked");
}

#[tokio::test]
async fn any_fault_of_a_proof_is_the_same_answer() {
    let server = Server::start().await;
    let device = Device::enrol(&server, "ada").await;
    let mut browser = server.browser();
    let challenge = browser.challenge().await;
    let proof = device.proof(&challenge, PresenceState::SignedIn);
    let mut other = server.browser();
    let foreign = other.challenge().await;
    let mut answers = vec![
        prove(&mut other, &challenge, &proof).await,
        prove(&mut server.browser(), &challenge, &proof).await,
        prove(&mut browser, &foreign, &proof).await,
        prove(&mut browser, &challenge, &device.token(&challenge)).await,
        prove(&mut browser, &challenge, "").await,
    ];
    browser.origin = "https://www.example.com".into();
    let mut elsewhere = prove(&mut browser, &challenge, &proof).await;
    for (name, value) in &mut elsewhere.headers {
        if name == "access-control-allow-origin" {
            *value = super::ORIGIN.into(); // the one header that tells which page asked
        }
    }
    answers.push(elsewhere);
    browser.origin = super::ORIGIN.into();
    server.clock.advance(Duration::from_secs(61));
    answers.push(prove(&mut browser, &challenge, &proof).await);
    device.signs_out(&server, 1).await;
    let challenge = browser.challenge().await;
    answers.push(prove(&mut browser, &challenge, &device.proof(&challenge, PresenceState::SignedIn)).await);
    for answer in &answers {
        answer.expect_error(401, "invalid_proof");
        assert_eq!(answer.clone().undated(), answers[0].clone().undated());
    }
}

#[tokio::test]
async fn a_proof_is_news_for_the_accounts_open_pages() {
    let server = Server::start().await;
    let mut device = Device::enrol(&server, "ada").await;
    let lin = Device::enrol(&server, "lin").await;
    let (mut page, mut bystander, mut elsewhere) = (server.browser(), server.browser(), server.browser());
    device.signs_in(&mut page).await;
    lin.signs_in(&mut bystander).await;
    let (mut stream, mut silent) = (page.events().await, bystander.events().await);
    let challenge = elsewhere.challenge().await;
    prove(&mut elsewhere, &challenge, &device.proof(&challenge, PresenceState::Locked)).await;
    stream.until("event: presence\ndata: {\"presence\":\"locked\"}\n\n").await;
    // A higher epoch is a sign-out that the server had not heard of.
    device.epoch = Epoch(1);
    let answer = prove(&mut elsewhere, &challenge, &device.proof(&challenge, PresenceState::SignedIn)).await;
    assert_eq!(answer.status, 200);
    let told = stream.rest().await;
    assert!(told.contains("event: signed_out\ndata: {\"reason\":\"signed_out\"}\n\n"), "{told}");
    lin.signs_out(&server, 1).await;
    silent.until("signed_out").await;
    assert!(!silent.rest().await.contains("presence"));
}
